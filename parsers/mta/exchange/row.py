"""Rows of a log: their columns, their time, their hosts."""

from __future__ import annotations

import csv
from datetime import UTC, datetime

from parsers.memo import Memo

QUOTED = 8  # columns with quotes: of a row that has more, what is left would be copied too often


def split(line: str) -> list[str]:
    """The columns of a row (RFC 4180). Raises ValueError where a quote is not closed, or ends within a column."""
    before, quote, rest = line.partition('"')
    row = before.split(",")
    for _ in range(QUOTED):  # the csv module looks at every character
        if not quote:
            return row
        quoted, closed, rest = rest.partition('"')
        before, quote, rest = rest.partition('"')
        after = before.split(",")
        if not closed or row[-1] or after[0] or (quote and not before):  # `""` is a quote within quotes
            break
        after[0] = quoted
        row[-1:] = after
    return _split_slowly(line)


def _split_slowly(line: str) -> list[str]:
    """Raises ValueError."""
    try:
        return next(csv.reader((line,), strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None


def read_second(text: str) -> float:
    """`2026-11-21T10:00:00` in UTC. Raises ValueError."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def read_fraction(text: str) -> float:
    """`.123Z`: what follows the seconds, in UTC always. Raises ValueError."""
    digits = text[1:-1]
    if text[:1] != "." or text[-1:] != "Z" or not digits.isdecimal():
        raise ValueError(f"no time: {text[:20]}")
    return float(f"0.{digits}")


SECONDS: Memo[str, float] = Memo(read_second)
FRACTIONS: Memo[str, float] = Memo(read_fraction)


def read_time(text: str) -> float:
    """`2026-11-21T10:00:00.123Z`, seconds since the epoch. Raises ValueError."""
    return SECONDS[text[:19]] + FRACTIONS[text[19:30]]


def read_short_name(text: str) -> str:
    """A server's name without its domain, which some columns have and others have not; an address as it is."""
    name, _, _ = text.partition(".")
    return text if name.isdecimal() or ":" in text else name


SHORT_NAMES: Memo[str, str] = Memo(read_short_name)


def read_number(text: str) -> int:
    """A count or a size. Raises ValueError for what is no number, or none that can be."""
    if not text.isdecimal() or len(text) > 18:
        raise ValueError(f"no number: {text[:20]}")
    return int(text)


def bare(address: str) -> str:
    """An address, or an id, without angle brackets."""
    return address[1:-1] if address[:1] == "<" and address[-1:] == ">" else address
