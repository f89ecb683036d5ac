"""What was seen of late, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from parsers.recall import latest

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Remembers at least the latest `least` keys, and never twice as many.

    In two halves, the older of which is let go as a whole: to take the oldest out of a dict of which many were taken
    before costs a walk over all of them.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._new: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def get(self, key: Key) -> Value | None:
        """What is known of it."""
        value = self._new.get(key)
        return self._old.get(key) if value is None else value

    def keep(self, key: Key, value: Value) -> None:
        """Remember, as the latest."""
        if len(self._new) >= self._least:
            self._old, self._new = self._new, {}
        self._new[key] = value

    def meet(self, key: Key, value: Value) -> bool:
        """Remember what is not known yet. Returns whether it was not."""
        if key in self._new or key in self._old:
            return False
        self.keep(key, value)
        return True

    def latest(self) -> list[tuple[Key, Value]]:
        """What was remembered last, oldest first."""
        return latest(self._old | self._new)

    def restore(self, known: Iterable[tuple[Key, Value]]) -> None:
        """Know what another one knew."""
        self._new, self._old = dict(known), {}

    def forget(self, key: Key) -> None:
        """Let go of it."""
        self._new.pop(key, None)
        self._old.pop(key, None)
