"""Exim 4.80 to 4.100: one file for each family of its lines."""

from __future__ import annotations

import re

from parsers.clock import Clock
from parsers.events import Origin
from parsers.mta.exim import arrival, attempt, daemon, delivery, operation, refusal, session, trouble
from parsers.server import OwnLog, Server, Unwrapped
from parsers.shape import Grammar

_PROGRAM = re.compile(r"exim4?").fullmatch  # `syslog_processname`
# log_write() in src/log.c; a message's id has 6-6-2 characters, and 6-11-4 since 4.97.
_LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{3})? (?:[+-]\d{4} )?(?:\[\d{1,10}\] )?(?:"
    r"[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{8,11}-[0-9A-Za-z]{4}) "
    r"|H=|(?:Start|End) queue run: pid=|exim \S{1,40} daemon started: |cwd=\S{1,255} \d{1,5} args: "
    r"|SMTP (?:connection|call|command timeout|data timeout|protocol|syntax error) "
    r"|no (?:host name found for IP address|IP address found for host|MAIL in SMTP connection from) "
    r"|\w{1,40} authenticator failed for |TLS error on connection |(?:temporarily )?rejected [A-Z]{4} "
    r"|unexpected disconnection while reading SMTP command |[UF]=\S{1,64} (?:F=|rejected |temporarily rejected )"
    r"|Exim configuration error|daemon_notifier_socket |socket bind\(\) to port |refused connection from "
    r"|too many recipients: )"
).match
# What log_write() puts before a message, behind the stamp that syslog or the log itself has.
_BEFORE = re.compile(
    r"(?P<piece>\[1[/\\]\d{1,3}\] )?(?P<stamp>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{3})? (?P<zone>[+-]\d{4} )?)?"
    r"(?:\[(?P<pid>\d{1,10})\] )?"
).match
# A line that only goes on: headers in the reject log, the rest of a text with line ends of its own.
_IS_MORE = re.compile(r"[\t ]|(?!.{0,24}\d\d:\d\d:\d\d)[!-~]").match
# What a line of Exim's own that matters has at least one of: a flag, a host or an envelope, a word of trouble.
_SAYS = re.compile(
    r"(?:^|[0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4} )[=<>*-]{2} |(?:^| )(?:H=|F=<|P=)|authenticator "
    r"|(?i:reject|refus"
    r"|fail|error|warn|defer|bounce|frozen|timed? ?out|unable|cannot|lost|drop|disconnect|panic)"
).search

FAMILIES = (arrival, delivery, refusal, session, attempt, operation, daemon, trouble)
GRAMMAR = Grammar("exim", (row for family in FAMILIES for row in family.SHAPES), lead=" ")


def origin(host: str, program: str, pid: int | None) -> Origin | None:
    """Exim is one program; None for another's."""
    return Origin("exim", host, "exim", "exim", pid) if _PROGRAM(program) else None


def unwrap(message: str, clock: Clock) -> Unwrapped:
    """Take off the stamp of Exim's own, where the line has been through syslog, the number of a long line's piece
    (`[1/2]`), and the pid (`log_selector = +pid`)."""
    found = _BEFORE(message)
    if not found or not found.end():
        return Unwrapped(message)
    stamp, pid = found["stamp"], found["pid"]
    time = None
    if stamp:
        time = clock.zoned(stamp) if found["zone"] else clock.iso8601(stamp)
    rest = message[found.end() :]
    if found["piece"] and " <= " in rest[:30]:
        rest = rest.rpartition(" for ")[0] or rest  # the recipients go on in the next piece: how many, nobody knows
    return Unwrapped(rest, time, int(pid) if pid else None)


def is_own(message: str) -> bool:
    """Whether Exim may say this. What a configuration writes by itself (`logwrite`) stands among its lines, and
    nothing marks it: there, nothing tells of mail or of trouble."""
    return "\t" not in message and bool(_SAYS(message))


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
    grammar=GRAMMAR,
    own_log=OwnLog(is_line=_LINE, program="exim", is_more=_IS_MORE),
    unwrap=unwrap,
    is_own=is_own,
)
