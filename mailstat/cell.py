"""How one value looks to people. Text of a log is hostile: what a terminal would obey is shown, not sent."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from mailstat.report import Column, Kind
from parsers.clock import rfc3339

RIGHT = frozenset({"number", "bytes", "seconds", "percent"})  # kinds whose digits stand under each other


def visible(text: str) -> str:
    r"""The text with everything that has no shape of its own written as an escape: `\x1b`, `\u202e`, `\n`.

    A byte that was not UTF-8 (a lone surrogate, as `surrogateescape` makes it) becomes `\xff`.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def show(value: Any, kind: Kind, zone: tzinfo) -> str:
    """A value of a column for people; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if kind == "text" or isinstance(value, str):
        return visible(str(value))
    if kind == "time":
        return clock_time(value, zone)
    if not math.isfinite(value):
        return "-"
    return _SHOWN[kind](value)


def show_in(column: Column, value: Any, zone: tzinfo) -> str:
    """A value for people who see it in that column."""
    return column.none if value is None else show(value, column.kind, zone)


def plain(value: Any, kind: Kind, zone: tzinfo) -> Any:
    """A value of a column for machines: a time is RFC 3339 text, all else is as it is."""
    return rfc3339(value, zone) if kind == "time" and value is not None else value


def clock_time(time: float, zone: tzinfo) -> str:
    """`2026-01-05 10:00:01`: the second that the time is in."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=math.floor(time))
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def number(value: float) -> str:
    """`1,234,567`, `0.25`, `0.0031`."""
    if 0 < abs(value) < 0.095:
        return f"{value:.2g}"
    return f"{value:,d}" if isinstance(value, int) else f"{value:,.2f}"


def size(value: float) -> str:
    """`512 B`, `1.5 KiB`, `20 MiB`."""
    if abs(value) < 1024:
        return f"{value:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if abs(value) < 1023.95:
            return f"{_short(value)} {unit}"
    return f"{_short(value / 1024)} TiB"


def duration(value: float) -> str:
    """`0.05 s`, `1.2 s`, `45 s`, `3 m 20 s`, `2 h 5 m`, `3 d 4 h`."""
    if value < 0:
        return "-" + duration(-value)
    if value < 0.995:
        return f"{value:.2g} s"
    if value < 59.95:
        return f"{_short(value)} s"
    seconds = round(value)
    for length, unit, part, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= length:
            rest = seconds % length // part
            return f"{seconds // length} {unit}" + (f" {rest} {smaller}" if rest else "")
    raise AssertionError("a minute at least")


def percent(value: float) -> str:
    """`12.5 %` of 0.125."""
    return f"{value * 100:.1f} %"


_SHOWN = {"number": number, "bytes": size, "seconds": duration, "percent": percent}


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _escape(char: str) -> str:
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
