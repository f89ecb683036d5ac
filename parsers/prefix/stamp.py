"""Time stamps that begin the lines of a server's own log, with nothing else before the message.

Exim's (`log_timezone`, `millisec`: src/log.c), Dovecot's `log_timestamp`, multilog's TAI64N (see
cr.yp.to/libtai/tai64.html) and what tai64nlocal makes of it, and seconds since the epoch, as splogger writes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from parsers.clock import Clock
from parsers.memo import Memo

TAI64_EPOCH = 1 << 62  # the label of 1970-01-01 00:00:00 TAI
TAI_OFFSET = 10  # what libtai's clock adds to Unix time: it counts no leap seconds


class Stamp(NamedTuple):
    """How the stamps of a log are read: the first `width` characters (with the blank) of each line, by `read`.

    Stamps that are `precise` do not come twice.
    """

    width: int
    read: Callable[[Clock, str], float]
    is_precise: bool


def tai64n(_: Clock, text: str) -> float:
    """`@400000006b0a1b2c1d4e5f60`. Raises ValueError."""
    nanoseconds = int(text[17:25], 16)
    if nanoseconds >= 10**9 or text[25:] != " ":
        raise ValueError("no TAI64N label")
    return SECONDS[text[:17]] + nanoseconds / 1e9


def tai64(label: str) -> float:
    """`@400000006b0a1b2c`. Raises ValueError."""
    if not _TAI64(label):
        raise ValueError("no TAI64 label")
    seconds = int(label[1:], 16) - TAI64_EPOCH - TAI_OFFSET
    if not 0 <= seconds < 1 << 36:
        raise ValueError("impossible TAI64 label")
    return float(seconds)


_TAI64 = re.compile(r"@[0-9a-f]{16}").fullmatch
SECONDS: Memo[str, float] = Memo(
    tai64, most=64
)  # the labels of a log differ in every line, most in nanoseconds alone


def offset(clock: Clock, text: str) -> float:
    """`2026-11-21 10:00:00 +0100 `. Raises ValueError: other lines of the log may have no offset there."""
    if len(text) < 6 or text[-6] not in "+-" or text[-1] != " ":
        raise ValueError("no offset")
    return clock.zoned(text)


def epoch(_: Clock, text: str) -> float:
    """`1795284304.123456`. Raises ValueError."""
    if not _EPOCH(text):
        raise ValueError("no seconds since the epoch")
    return float(text)


_EPOCH = re.compile(r"\d{9,10}\.\d{1,9} ").fullmatch
_FORMS: tuple[tuple[re.Pattern[str], Callable[[Clock, str], float]], ...] = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?P<fraction>\.\d{1,9})? [+-]\d{4} "), offset),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?P<fraction>\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)? "), Clock.iso8601),
    (re.compile(r"@[0-9a-f]{17}(?P<fraction>[0-9a-f]{7}) "), tai64n),
    (re.compile(r"\d{9,10}(?P<fraction>\.\d{1,9}) "), epoch),
    (re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?P<fraction>\.\d{1,9})? "), Clock.rfc3164),
)


def find_stamp(line: str) -> Stamp | None:
    """The form of the stamp that begins a line, None where none does."""
    for pattern, read in _FORMS:
        found = pattern.match(line)
        if found:
            return Stamp(found.end(), read, found["fraction"] is not None)
    return None
