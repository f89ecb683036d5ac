"""When a probe is due: starts are spread over the interval, and jittered so that they never run in step."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from random import Random

CONCURRENT = 64
"""Dialogues at a time."""

_JITTER_SHARE = 0.05
_JITTER_SECONDS = 1.0


def starts(name: str, every: float, now: float, rng: Random) -> Iterator[float]:
    """The times at which to run the probe of this name, without end, from `now` (seconds since the epoch) on.

    They have a place within the interval that is the name's own, counted from the epoch: so whoever restarts or
    reloads us more often than a probe is due does not put it off for ever. Each is one interval after the other, give
    or take a jitter of 5 % and at most a second, which does not add up.
    """
    place = int.from_bytes(sha256(name.encode()).digest()[:8], "big") / 2**64
    due = now - now % every + place * every
    if due < now:
        due += every
    jitter = min(every * _JITTER_SHARE, _JITTER_SECONDS)
    while True:
        yield due + rng.uniform(0, jitter)
        due += every
