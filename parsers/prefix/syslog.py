"""Syslog's many forms: RFC 3164, ISO 8601 stamps, RFC 5424, `journalctl -o short…`, and what collectors put in front.

What is known of each form: RFC 3164 4.1, RFC 5424 6, rsyslog's and syslogd's templates, systemd's
src/shared/logs-show.c, FreeBSD's `syslogd -vv` (facility after the stamp) and Solaris' message ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from parsers.clock import Clock


class Prefix(NamedTuple):
    """What stands before a daemon's words.

    `width` is the length of the stamp with its blank where the line is nothing but stamp, `tag` ("host program[pid]")
    and message, so that lines like it can be cut there without being parsed; else 0.
    """

    time: float
    host: str
    program: str
    pid: int | None
    message: str
    width: int = 0
    tag: str = ""


_PRI = r"(?:<\d{1,3}>)?"
_TAG = (
    r"(?P<tag>(?:<[\w.]{1,40}> )?(?P<host>\S{1,255}) "
    r"(?P<program>[^\s\[\]:()]{1,128})(?:\[(?P<pid>\d{1,10})\]|\(\d{1,10}\))?):"
    r"(?: +\[ID \d{1,10} [\w.]{1,40}\])? *(?P<message>.*)"
)
_RFC3164 = r"(?P<stamp>[^\W\d_]{3,5}\.? +\d{1,2} \d\d:\d\d:\d\d(?:\.\d{1,9})? )"
_ISO = r"(?P<stamp>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)? )"
_FULL = r"[^\W\d_]{2,4}\.? (?P<stamp>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})? [A-Za-z0-9+:-]{1,8} )"
_EPOCH = r"(?P<stamp>\d{9,10}\.\d{1,9} )"
_RFC5424 = (
    r"<\d{1,3}>\d{1,2} (?P<stamp>\S{1,40}) (?P<host>\S{1,255}) (?P<program>\S{1,128}) (?P<pid>\S{1,128}) \S{1,32} "
    r'(?:-|(?:\[[^\]"]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^\]"]*)*\])+)(?: *\ufeff? *(?P<message>.*))?'
)

Form = Callable[[str, Clock], Prefix | None]


def _tagged(stamp: str, read: Callable[[Clock, str], float], *, is_plain: bool = True) -> Form:
    """`is_plain` where the clock can read such a stamp from its place and length alone."""
    pattern = re.compile(_PRI + stamp + _TAG).fullmatch

    def form(line: str, clock: Clock) -> Prefix | None:
        found = pattern(line)
        if not found:
            return None
        text, tag = found["stamp"], found["tag"]
        pid = int(found["pid"]) if found["pid"] else None
        plain = is_plain and found.start("stamp") == 0 and found.start("tag") == len(text)
        return Prefix(
            read(clock, text), found["host"], found["program"], pid, found["message"], len(text) * plain, tag
        )

    return form


rfc3164 = _tagged(_RFC3164, Clock.rfc3164)
iso8601 = _tagged(_ISO, Clock.iso8601)
short_full = _tagged(_FULL, Clock.zoned)
short_unix = _tagged(_EPOCH, lambda _, text: float(text), is_plain=False)
collected = _tagged(r".{1,80}? " + _RFC3164, Clock.rfc3164)
_rfc5424 = re.compile(_RFC5424, re.DOTALL).fullmatch


def rfc5424(line: str, clock: Clock) -> Prefix | None:
    """`<PRI>VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG`; a nil value is "-"."""
    found = _rfc5424(line)
    if not found:
        return None
    pid = int(found["pid"]) if found["pid"].isdecimal() else None
    host = "" if found["host"] == "-" else found["host"]
    time = clock.now() if found["stamp"] == "-" else clock.iso8601(found["stamp"])
    return Prefix(time, host, found["program"], pid, found["message"] or "")


FORMS: tuple[Form, ...] = (rfc3164, iso8601, rfc5424, short_full, short_unix)
