"""Deadlines that are to strike: at what the test means, and not at a machine that is busy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

# Seconds. A machine that is busy may be late, and one that stands still now and then is so less often in short ones:
# not with all of them.
DEADLINES = (0.5, 0.5, 2.0, 2.0, 8.0, 32.0)

Told = TypeVar("Told")


def told_in_time(
    tell: Callable[[float], Told], is_meant: Callable[[Told], object], deadlines: Sequence[float] = DEADLINES
) -> Told:
    """What is told under the first of these deadlines that left time for what is meant, else under the last."""
    for seconds in deadlines:
        told = tell(seconds)
        if is_meant(told):
            break
    return told
