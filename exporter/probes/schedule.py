"""When a probe is due: starts are spread over the interval, and jittered so that they never run in step."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from random import Random

CONCURRENT = 64
"""Dialogues at a time."""

_JITTER_SHARE = 0.05
_JITTER_SECONDS = 1.0


def starts(name: str, every: float, begin: float, rng: Random) -> Iterator[float]:
    """The times at which to run the probe of this name, without end, from `begin` on.

    The first is anywhere within one interval, always at the same place for the same name; each is one interval after
    the other, give or take a jitter of 5 % and at most a second, which does not add up.
    """
    place = int.from_bytes(sha256(name.encode()).digest()[:8], "big") / 2**64
    due = begin + place * every
    jitter = min(every * _JITTER_SHARE, _JITTER_SECONDS)
    while True:
        yield due + rng.uniform(0, jitter)
        due += every
