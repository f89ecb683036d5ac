"""qmail 1.03, netqmail 1.06, notqmail 1.09 and their patched builds: one file for each family of programs."""

from __future__ import annotations

import re

from parsers.clock import Clock
from parsers.events import Origin
from parsers.mta.qmail import delivery, send, smtpd, tcpserver
from parsers.mta.qmail.join import Attempts
from parsers.server import OwnLog, Server, Unwrapped
from parsers.shape import Grammar

FAMILIES = (send, delivery, smtpd, tcpserver)
GRAMMAR = Grammar("qmail", (row for family in FAMILIES for row in family.SHAPES), lead=" ")

# The tags that splogger is given, and the names under which others write to syslog by themselves.
_PROGRAM = re.compile(r"qmail(?:-\w{1,20})?|splogger|tcpserver|sslserver|rblsmtpd|vpopmail").fullmatch
STAMP = len("1795284304.123456")
# splogger.c puts the time to the microsecond before a line, and where it goes on with one that was too long, a plus.
_CONTINUED = re.compile(r"(\d{10}\.\d{6})\+").match
# Under multilog, tai64nlocal or nothing.
_LINE = re.compile(
    r"(?:@[0-9a-f]{24} |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{1,9} |\d{9,10}\.\d{6} )? ?"
    r"(?:qmail: )?(?:new msg \d+|end msg \d+|bounce msg \d+ qp \d|info msg \d+: bytes \d"
    r"|starting delivery [\d.]+: msg \d|delivery [\d.]+: (?:success|failure|deferral): |triple bounce: "
    r"|status: local \d+/\d+ remote \d|status: exiting|qmail-smtpd: |(?:tcp|ssl)server: |rblsmtpd: |CHKUSER )"
).match


def origin(host: str, program: str, pid: int | None) -> Origin | None:
    """The program is splogger's tag, or a tool's own name; None for another's."""
    return Origin("qmail", host, "qmail", program, pid) if _PROGRAM(program) else None


def unwrap(message: str, _: Clock) -> Unwrapped:
    """What splogger put before a message; the time is better than syslog's, which is of a second or in no zone."""
    stamp, blank, rest = message.partition(" ")
    if blank and len(stamp) == STAMP and stamp[10] == "." and stamp[:10].isdecimal():
        return Unwrapped(rest, float(stamp))
    found = _CONTINUED(message)
    if found:
        return Unwrapped(f"continued: {message[found.end() :]}", float(found[1]))
    return Unwrapped(message.removeprefix("qmail: "))


SERVER = Server(
    mta="qmail",
    name="qmail",
    samples=(
        "@400000006b0a1b2c1d4e5f60 new msg 4711",
        "@400000006b0a1b2c1d4e5f60 info msg 4711: bytes 512 from <a@example.com> qp 4712 uid 1000",
        "2026-11-21 10:00:00.123456789 starting delivery 1: msg 4711 to remote b@example.org",
        "1795284304.123456 status: local 0/10 remote 1/20",
        "Nov 21 10:00:00 mail qmail: 1795284304.123456 delivery 1: success: did_1+0+0/",
        "@400000006b0a1b2c1d4e5f60 tcpserver: ok 4711 :192.0.2.1:25 :203.0.113.9::40123",
    ),
    origin=origin,
    grammar=GRAMMAR,
    own_log=OwnLog(is_line=_LINE, program="qmail"),
    unwrap=unwrap,
    join=Attempts,
)
