"""What a check came to."""

from __future__ import annotations

from typing import NamedTuple


class Verdict(NamedTuple):
    """Whether it is as it should be, None where that cannot be told now; a `reason` of a few words, and a `text` for
    people, which may hold what others wrote."""

    is_valid: bool | None
    reason: str
    text: str = ""


def good(text: str = "") -> Verdict:
    """It is as it should be."""
    return Verdict(True, "valid", text)


def bad(reason: str, text: str = "") -> Verdict:
    """It is not."""
    return Verdict(False, reason, text)


def unknown(reason: str, text: str = "") -> Verdict:
    """Nobody can tell now."""
    return Verdict(None, reason, text)
