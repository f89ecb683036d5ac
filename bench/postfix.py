"""A Postfix log of traffic that never was, to measure with: that of the demo."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from bench import RATE, START
from exporter.demo import PostfixTraffic

if TYPE_CHECKING:
    from collections.abc import Iterator


def lines(seed: int) -> Iterator[str]:
    """The endless log, always the same for the same seed."""
    return (f"{line}\n" for _, line in PostfixTraffic(Random(seed), rate=RATE, start=START))  # noqa: S311  # no secret
