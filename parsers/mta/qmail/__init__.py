"""qmail 1.03, netqmail 1.06, notqmail 1.08."""

from __future__ import annotations

import re

from parsers.events import Origin
from parsers.server import OwnLog, Server

_PROGRAM = re.compile(r"qmail(?:-\w{1,20})?").fullmatch  # splogger's tag
# qmail-send.c, under multilog, tai64nlocal or nothing.
_LINE = re.compile(
    r"(?:@[0-9a-f]{24} |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{1,9} |\d{9,10}\.\d{6} )?"
    r"(?:qmail: )?(?:new msg \d+|end msg \d+|bounce msg \d+ qp \d|info msg \d+: bytes \d"
    r"|starting delivery \d+: msg \d|delivery \d+: (?:success|failure|deferral): |triple bounce: "
    r"|status: local \d+/\d+ remote \d|status: exiting|qmail-smtpd: )"
).match


def origin(host: str, program: str, pid: int | None) -> Origin | None:
    """The program is splogger's tag; None for another's."""
    return Origin("qmail", host, "qmail", program, pid) if _PROGRAM(program) else None


SERVER = Server(
    mta="qmail",
    name="qmail",
    samples=(
        "@400000006b0a1b2c3d4e5f60 new msg 4711",
        "@400000006b0a1b2c3d4e5f60 info msg 4711: bytes 512 from <a@example.com> qp 4712 uid 1000",
        "2026-11-21 10:00:00.123456789 starting delivery 1: msg 4711 to remote b@example.org",
        "1795284304.123456 status: local 0/10 remote 1/20",
        "Nov 21 10:00:00 mail qmail: 1795284304.123456 delivery 1: success: did_1+0+0/",
    ),
    origin=origin,
    is_said_by=lambda program, _: _PROGRAM(program),
    own_log=OwnLog(is_line=_LINE, program="qmail-send"),
)
