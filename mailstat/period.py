"""Moments as people name them, and the zone they think in. What the time is now is given, never asked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_WORDS = {
    word: UNITS[word[0]]
    for word in "s sec secs second seconds m min mins minute minutes h hour hours d day days w week weeks".split()
}
_AGO = re.compile(r"([0-9]{1,7}) ?([a-z]{1,7}) +ago").fullmatch
LONGEST = 64  # characters of a moment
EXAMPLES = "an ISO 8601 time, today, yesterday, now, or an age as in 2h ago"


def read_time(text: str, *, now: float, zone: tzinfo) -> float:
    """A moment in seconds since the epoch. A day is its midnight in the zone, and a time without offset is there.

    ISO 8601, `now`, `today`, `yesterday`, `2h ago`, `30 min ago`, `3 days ago`. Raises ValueError.
    """
    words = text.strip().lower()
    if len(words) > LONGEST:
        raise ValueError(f"no moment is so long; say {EXAMPLES}")
    if words == "now":
        return now
    age = _AGO(words)
    try:
        if age and age[2] in _WORDS:
            return now - int(age[1]) * _WORDS[age[2]]
        return _day(words, now, zone) if words in ("today", "yesterday") else _iso8601(text.strip(), zone)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no moment; say {EXAMPLES}") from None


def read_zone(name: str) -> tzinfo:
    """The zone of an IANA name. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; a path; a folder of zones
        raise ValueError(f"{name!r} is no time zone; say one like Europe/Berlin or UTC") from None


def host_zone(environment: Mapping[str, str] = os.environ, file: Path = Path("/etc/localtime")) -> tzinfo:
    """The zone of this host: TZ, then the host's file, with its rules for summer time; else today's offset."""
    try:
        if environment.get("TZ"):
            return read_zone(environment["TZ"].removeprefix(":"))
        with file.open("rb") as stream:
            return ZoneInfo.from_file(stream, key="localtime")
    except (ValueError, OSError):
        zone = datetime.now().astimezone().tzinfo  # asks for the host's zone
        assert zone is not None
        return zone


def _day(words: str, now: float, zone: tzinfo) -> float:
    midnight = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight - timedelta(days=words == "yesterday")).timestamp()


def _iso8601(text: str, zone: tzinfo) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
