"""Which message a notification is about: no line says it, so it is told from what went before.

The queue returns a message to its sender within a second or two of its failure, one notification for all recipients
that failed together (bounce.c); it warns of a delay while the message waits (`bounce warn-interval`). Both come from
within, to the sender of the message.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from parsers.events import Delivery, QueueAction, Received
from parsers.recall import latest

MOST = 10_000  # senders that wait for a notification, and recipients that were deferred
OWED = 100  # notifications to one sender
PATIENCE = 60.0  # seconds after which no notification will come: the sender wanted none


class Failure(NamedTuple):
    """A message that failed."""

    queue_id: str
    time: float


class Deferral(NamedTuple):
    """The last of a recipient."""

    sender: str | None
    provider: str | None
    reason: str | None


Waiting = tuple[str, str | None]  # message and recipient


class Memory(msgspec.Struct, array_like=True):
    """What is stored."""

    owed: list[tuple[str, list[Failure]]]
    deferred: list[tuple[Waiting, Deferral]]


class Notices:
    """The notifications that senders will get, and the last deferral of each recipient that waits."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._owed: dict[str, list[Failure]] = {}  # by sender
        self._deferred: dict[Waiting, Deferral] = {}
        self._delayed: dict[str, int] = {}  # how many of these each sender has

    def memory(self) -> Memory:
        """What it remembers."""
        return Memory(latest(self._owed), latest(self._deferred, self.most))

    def restore(self, memory: Memory) -> None:
        """Know what another one knew."""
        self._owed, self._deferred, self._delayed = dict(memory.owed), {}, {}
        for waiting, deferral in memory.deferred:
            self._defer(waiting, deferral)

    def follow(self, event: Delivery) -> None:
        """Remember what became of a recipient; one that expired has provider and reason of the last deferral."""
        known = self.settle(event) if self._deferred else None
        if event.status == "deferred":
            self._defer((event.queue_id or "", event.recipient), Deferral(event.sender, event.provider, event.reason))
        elif event.status != "sent":
            if event.status == "expired" and known:
                event.provider, event.reason = known.provider, known.reason
            if event.sender:
                self._owe(event.sender, Failure(event.queue_id or "", event.time))

    def settle(self, event: Delivery | QueueAction) -> Deferral | None:
        """Wait no more for a recipient; the last deferral, if there was one."""
        known = self._deferred.pop((event.queue_id or "", event.recipient), None)
        if known and known.sender:
            self._forget(known.sender)
        return known

    def explain(self, event: Received, recipient: str) -> None:
        """Say of a message from within what it tells its recipient."""
        event.via = "notification"
        owed = [failure for failure in self._owed.pop(recipient, ()) if event.time - failure.time < PATIENCE]
        if owed:
            event.notification, event.original_queue_id = "bounce", owed.pop(0).queue_id
        elif recipient in self._delayed:
            event.notification = "delay"
        if owed:
            self._owed[recipient] = owed

    def _defer(self, waiting: Waiting, deferral: Deferral) -> None:
        if len(self._deferred) >= self.most:
            oldest = self._deferred.pop(next(iter(self._deferred)))
            self._forget(oldest.sender or "")
        self._deferred[waiting] = deferral
        if deferral.sender:
            self._delayed[deferral.sender] = self._delayed.get(deferral.sender, 0) + 1

    def _forget(self, sender: str) -> None:
        left = self._delayed.pop(sender, 0) - 1
        if left > 0:
            self._delayed[sender] = left

    def _owe(self, sender: str, failure: Failure) -> None:
        owed = self._owed.get(sender)
        if owed is None:
            if len(self._owed) >= self.most:
                del self._owed[next(iter(self._owed))]
            owed = self._owed[sender] = []
        if len(owed) < OWED and all(known.queue_id != failure.queue_id for known in owed):
            owed.append(failure)
