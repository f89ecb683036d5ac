"""Exim 4.80 to 4.99."""

from __future__ import annotations

import re

from parsers.events import Origin
from parsers.server import OwnLog, Server

_PROGRAM = re.compile(r"exim4?").fullmatch  # `syslog_processname`
# log_write() in src/log.c; a message's id has 6-6-2 characters, and 6-11-4 since 4.97.
_LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{3})? (?:[+-]\d{4} )?(?:\[\d{1,10}\] )?(?:"
    r"[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{8,11}-[0-9A-Za-z]{4}) "
    r"|H=|(?:Start|End) queue run: pid=|exim \S{1,40} daemon started: "
    r"|SMTP (?:connection|call|command timeout|data timeout|protocol|syntax error) "
    r"|no (?:host name found for IP address|IP address found for host|MAIL in SMTP connection from) "
    r"|\w{1,40} authenticator failed for |TLS error on connection |rejected [EH]\w{3} "
    r"|unexpected disconnection while reading SMTP command |U=\S{1,64} F=)"
).match


def origin(host: str, program: str, pid: int | None) -> Origin | None:
    """Exim is one program; None for another's."""
    return Origin("exim", host, "exim", "exim", pid) if _PROGRAM(program) else None


SERVER = Server(
    mta="exim",
    name="Exim",
    samples=(
        "2026-11-21 10:00:00 1tXk2a-00000000ABc-0dEf <= a@example.com H=client.example.net [203.0.113.7] P=esmtp",
        "2026-11-21 10:00:00.123 +0100 [4711] 1tXk2b-000aBc-0D Completed",
        "2026-11-21 10:00:00 Start queue run: pid=4711",
        "2026-11-21 10:00:00 H=(example.net) [203.0.113.7] F=<a@example.net> rejected RCPT <b@example.com>",
        "Nov 21 10:00:00 mail exim[4711]: 2026-11-21 10:00:00 1tXk2b-000aBc-0D Completed",
    ),
    origin=origin,
    is_said_by=lambda program, _: _PROGRAM(program),
    own_log=OwnLog(is_line=_LINE, program="exim"),
)
