"""The last hour, in slots that leave one by one: what happened in the time of events, without keeping each event."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

Slot = TypeVar("Slot")
SLOTS = 6


class Window(Generic[Slot]):
    """Slots of the last `seconds`: of one that is full, five sixths at least. What comes late falls into the oldest
    slot that is still there."""

    __slots__ = ("_make", "_slots", "_step", "newest")

    def __init__(self, seconds: float, make: Callable[[], Slot]) -> None:
        self.newest = -1 << 62
        self._step = seconds / SLOTS
        self._make = make
        self._slots: dict[int, Slot] = {}

    def end(self, time: float) -> float:
        """When the slot of a moment ends."""
        return (time // self._step + 1) * self._step

    def at(self, time: float) -> Slot:
        """The slot of a moment."""
        number = int(time // self._step)
        if number > self.newest:
            self.newest = number
            self._slots = {it: slot for it, slot in self._slots.items() if it > number - SLOTS}
        elif number < self.newest:
            number = max(number, self.newest - SLOTS + 1)
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = self._make()
        return slot

    def slots(self) -> dict[int, Slot]:
        """All slots by their numbers, to be stored."""
        return self._slots

    def restore(self, slots: Mapping[int, Slot]) -> None:
        """Go on from slots that were stored."""
        self._slots = dict(slots)
        self.newest = max(slots, default=self.newest)

    def is_empty(self, now: float) -> bool:
        """Whether all slots have left by now."""
        return self.newest <= now // self._step - SLOTS

    def live(self, now: float) -> Iterator[Slot]:
        """The slots that have not left by now."""
        first = int(now // self._step) - SLOTS + 1
        return (slot for number, slot in self._slots.items() if number >= first)
