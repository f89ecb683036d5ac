"""What has to be added up in the order of the log, though several processes read it.

Events are boiled down to items where they are read; here the items are put in the order of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from parsers.events import Event

Item = TypeVar("Item")
Payload = list[tuple[int, Item]]  # items, and the places of their events in the part
_number = itemgetter(0)


class Part(Generic[Item]):
    """The items of a part of the log."""

    def __init__(self, tell: Callable[[Event], Item | None]) -> None:
        self._tell = tell
        self._items: Payload[Item] = []

    def add(self, events: list[Event], numbers: Sequence[int]) -> None:
        """Add events, as they are now, with their places in the part."""
        tell = self._tell
        self._items += [
            (number, item) for event, number in zip(events, numbers, strict=True) if (item := tell(event)) is not None
        ]

    def payload(self) -> Payload[Item]:
        """All items."""
        return self._items


class InOrder(Generic[Item]):
    """A digest that gives items to `take` in the order of the log. `tell` makes the item of an event, as it is at
    that moment, or None; where items are of the first event of a session, there is none of one that was told of
    before."""

    def __init__(
        self, tell: Callable[[Event], Item | None], take: Callable[[Item], None], *, are_firsts: bool = False
    ) -> None:
        self._tell = tell
        self._take = take
        self._are_firsts = are_firsts
        self._waiting: Payload[Item] = []  # of the part that begins here: more of it may come
        self._base = 0

    def add(self, events: list[Event], numbers: Sequence[int]) -> None:  # noqa: ARG002 - they follow one another
        """Add events that come after all that was added before."""
        self.settle()
        tell, take = self._tell, self._take
        for event in events:
            item = tell(event)
            if item is not None:
                take(item)

    def blank(self) -> Part[Item]:
        """One for a part of the log."""
        return Part(self._tell)

    def merge(self, payload: Payload[Item], base: int, *, told: Mapping[int, int]) -> None:
        """Add items of the part that begins at `base`, or of a later one."""
        if base != self._base:
            self.settle()
            self._base = base
        without = frozenset(told) if self._are_firsts else frozenset()
        self._waiting += [it for it in payload if it[0] not in without]

    def settle(self) -> None:
        """Nothing more comes of the part that was added last."""
        waiting, self._waiting = self._waiting, []
        waiting.sort(key=_number)
        for _, item in waiting:
            self._take(item)
