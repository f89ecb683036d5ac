"""Time stamps of logs: seconds since the epoch out of what a log writes.

Logs write a time of day without year (RFC 3164), or without zone, or in the words of a locale. The zone and the
moment that a year is guessed from are given, never asked of the machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

HOUR, DAY = 3600.0, 86400.0
# The short month names that syslog writes (English, always) and journalctl writes (the reader's locale): English,
# German, French, Spanish, Italian, Dutch.
MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan janv ene gen",
            "feb févr fév feb",
            "mar mär mrz mars mrt",
            "apr avr avril abr",
            "may mai mayo mag mei",
            "jun juin giu",
            "jul juil lug",
            "aug août ago",
            "sep sept set",
            "oct okt ott",
            "nov",
            "dec dez déc dic",
        ),
        start=1,
    )
    for name in names.split()
}
_RFC3164 = re.compile(r"(?P<month>[^\W\d_]{3,5})\.? +(?P<day>\d{1,2}) (?P<hour>\d\d):(\d\d):(\d\d)((?:\.\d{1,9})?) *")

_IN_MINUTE = re.compile(r"[0-5]\d(?:\.\d{1,9})? ?").fullmatch  # the rest of a stamp whose minute is known
_IN_HOUR = re.compile(r":[0-5]\d:(?:[0-5]\d|60) ").fullmatch  # the rest of a stamp whose hour is known


class Clock:
    """Reads the stamps of one log. `zone` is where stamps without a zone are from.

    A stamp without a year is of the latest year that does not put it more than a day after `now()`: the time of
    reading for a log that grows, the time of the last change for a file that does not. Where the first line's `year`
    is given, later ones count on from it, a year for each step from the last months to the first.

    The hour that comes twice as summer time ends is the first of the two until the log goes back within it by more
    than half of it.
    """

    def __init__(self, zone: tzinfo, now: Callable[[], float], year: int | None = None) -> None:
        self.zone = zone
        self.now = now
        self.year = year
        self._month = 0
        self._hour = ""
        self._base = 0.0
        self._minute = ""
        self._minute_base = 0.0
        self._twice = 0.0  # the latest stamp in an hour that comes twice, taken for the first
        self._is_again = False

    def rfc3164(self, text: str) -> float:
        """`Nov  1 00:00:00`, with or without a fraction. Raises ValueError."""
        if text[:9] == self._hour and _IN_HOUR(text, 9):
            return self._base + 60 * int(text[10:12]) + int(text[13:15])
        found = _RFC3164.fullmatch(text)
        if not found:
            raise ValueError("no RFC 3164 time stamp")
        month, day, hour, minute, second, fraction = found.groups()
        number = MONTHS.get(month.lower())
        if number is None or int(minute) > 59 or int(second) > 60:
            raise ValueError("impossible time stamp")
        moment = self._local(number, int(day), int(hour))
        past = 60 * int(minute) + int(second) + float(fraction or 0)
        base, again = moment.timestamp(), moment.replace(fold=1).timestamp()
        if again > base:
            return self._first_or_again(base + past, again + past)
        if len(text) == 16:
            self._hour, self._base = text[:9], base
        return base + past

    def iso8601(self, text: str) -> float:
        """ISO 8601 and RFC 3339, with `T` or a blank, with or without fraction and zone. Raises ValueError."""
        if text[:17] == self._minute and _IN_MINUTE(text, 17):
            return self._minute_base + float(text[17:])
        moment = datetime.fromisoformat(text.rstrip())
        if moment.tzinfo is not None:
            return moment.timestamp()
        time = moment.replace(tzinfo=self.zone).timestamp()
        again = moment.replace(tzinfo=self.zone, fold=1).timestamp()
        if again > time:
            return self._first_or_again(time, again)
        if text[16:17] == ":":
            self._minute, self._minute_base = text[:17], time - moment.second - moment.microsecond / 1e6
        return time

    def zoned(self, text: str) -> float:
        """`2026-11-01 00:00:00 CET`. Raises ValueError.

        An offset and UTC are taken at their word; other letters stand for several zones, so the one that is given is
        the log's.
        """
        moment, _, zone = text.rstrip().rpartition(" ")
        if zone in ("UTC", "GMT"):
            zone = "+00:00"
        return self.iso8601(moment + zone if zone[0] in "+-" else moment)

    def go_on_from(self, twice: float, *, is_again: bool) -> None:
        """Know which of the hours that come twice the log is in, as `hour` told of another clock."""
        self._twice, self._is_again = twice, is_again

    @property
    def hour(self) -> tuple[float, bool]:
        """The latest stamp in an hour that comes twice, and whether that is its second time."""
        return self._twice, self._is_again

    def _first_or_again(self, time: float, again: float) -> float:
        """The time of a stamp in an hour that comes twice."""
        if abs(time - self._twice) > HOUR:  # an hour of another year
            self._twice, self._is_again = time, False
        self._is_again |= time < self._twice - HOUR / 2
        self._twice = max(time, self._twice)
        return again if self._is_again else time

    def _local(self, month: int, day: int, hour: int) -> datetime:
        if self.year is not None:
            self.year += (month < self._month - 6) - (month > self._month + 6 > 6)
            self._month = month
            return datetime(self.year, month, day, hour, tzinfo=self.zone)
        now = self.now()
        year = datetime.fromtimestamp(now + DAY, self.zone).year
        for guess in range(year, year - 9, -1):  # 29 February may be eight years back
            if month == 2 and day == 29 and not is_leap(guess):
                continue
            moment = datetime(guess, month, day, hour, tzinfo=self.zone)
            if moment.timestamp() <= now + DAY:
                return moment
        raise ValueError("a day that no year has")


def is_leap(year: int) -> bool:
    """Whether the year has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def rfc3339(time: float, zone: tzinfo = UTC) -> str:
    """The time in RFC 3339 with its offset, as precise as microseconds are and no longer than needed."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time)).astimezone(zone).isoformat()
