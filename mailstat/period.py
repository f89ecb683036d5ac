"""Moments as people name them, and the zone they think in. What the time is now is given, never asked."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

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


def _day(words: str, now: float, zone: tzinfo) -> float:
    midnight = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight - timedelta(days=words == "yesterday")).timestamp()


def _iso8601(text: str, zone: tzinfo) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
