"""The whole numbers that options take."""

from __future__ import annotations

from argparse import ArgumentTypeError

LONGEST = 15  # digits
DAY = 86_400  # seconds


def positive(text: str) -> int:
    """A number from 1 on. Raises ArgumentTypeError."""
    number = _whole(text)
    if not number:
        raise ArgumentTypeError("a whole number from 1 on is needed")
    return number


def seconds(text: str) -> int:
    """So many seconds, a day of them at most. Raises ArgumentTypeError."""
    number = _whole(text)
    if not 1 <= number <= DAY:
        raise ArgumentTypeError(f"a number of seconds is needed, from 1 to {DAY}")
    return number


def _whole(text: str) -> int:
    """A number in digits; 0 where it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST else 0
