"""What a `parsers.server.Join` has in its dicts, in an order and a number that can be stored."""

from __future__ import annotations

from itertools import islice
from typing import TypeVar

LATEST = 2_000  # entries of each kind that are stored: those of sessions that go on are among them

Key = TypeVar("Key")
Value = TypeVar("Value")


def latest(memory: dict[Key, Value], most: int = LATEST) -> list[tuple[Key, Value]]:
    """The entries that were put in last, oldest first."""
    return list(islice(reversed(memory.items()), most))[::-1]
