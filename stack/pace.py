"""A clock that runs faster, for rules and routes: every time in them is shortened by the same function.

Up to an hour sixty times; beyond it by the logarithm, so that a week does not take hours and the order of all times
stays. Thresholds, numbers of messages and ages in expressions stay as they are.
"""

from __future__ import annotations

import math
import re
from typing import Any

HOUR = 3600.0
FASTER = 60.0
OCTAVE = 20.0  # seconds for each doubling beyond an hour
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": HOUR, "d": 86_400.0, "w": 604_800.0}
DURATION = re.compile(r"\b(\d+)(ms|[smhdw])\b")
KEYS = ("interval", "for", "scrape_interval", "evaluation_interval", "group_wait", "group_interval")
SCRAPE = 2.0  # seconds between two scrapes: less, and a busy host is too slow for them


def shorter(seconds: float) -> float:
    """The time that takes the place of this one."""
    if seconds <= HOUR:
        return seconds / FASTER
    return HOUR / FASTER + OCTAVE * math.log2(seconds / HOUR)


def shorten(text: str) -> str:
    """A text with all of its durations shortened, to whole seconds where they have any."""
    return DURATION.sub(lambda it: duration(shorter(int(it[1]) * UNITS[it[2]])), text)


def duration(seconds: float) -> str:
    """As Prometheus writes it."""
    return f"{round(seconds)}s" if seconds >= 1 else f"{round(seconds * 1000)}ms"


def shorten_all(content: Any, keys: tuple[str, ...] = (*KEYS, "expr")) -> Any:
    """A YAML document whose durations under these keys are shortened, as deep as they are."""
    if isinstance(content, list):
        return [shorten_all(item, keys) for item in content]
    if not isinstance(content, dict):
        return content
    return {
        key: shorten(value) if key in keys and isinstance(value, str) else shorten_all(value, keys)
        for key, value in content.items()
    }
