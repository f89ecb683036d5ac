"""Which message a notification is about: no line says it, so it is told from what went before.

The queue returns a message to its sender within a second or two of its failure, one notification for all recipients
that failed together (bounce.c); it warns of a delay while the message waits (`bounce warn-interval`). Both come from
within, to the sender of the message.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from parsers.events import Delivery, Received

Key = TypeVar("Key")
Value = TypeVar("Value")

MOST = 10_000  # senders that wait for a notification, and recipients that were deferred
OWED = 100  # notifications to one sender
PATIENCE = 60.0  # seconds after which no notification will come: the sender wanted none


class Failure(NamedTuple):
    """A message that failed."""

    queue_id: str
    time: float


Waiting = tuple[str, str | None]  # message and recipient


class Notices:
    """The notifications that senders will get, and the last deferral of each recipient that waits."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._owed: dict[str, list[Failure]] = {}  # by sender
        self._deferred: dict[Waiting, tuple[str | None, str | None]] = {}  # provider and reason
        self._delayed: dict[str, Waiting] = {}  # by sender: what was deferred last

    def follow(self, event: Delivery) -> None:
        """Remember what became of a recipient; one that expired has provider and reason of the last deferral."""
        if event.status == "sent":
            if self._deferred:
                self._deferred.pop((event.queue_id, event.recipient), None)
            return
        waiting = (event.queue_id, event.recipient)
        if event.status == "deferred":
            self._keep(self._deferred, waiting, (event.provider, event.reason))
            if event.sender:
                self._keep(self._delayed, event.sender, waiting)
            return
        known = self._deferred.pop(waiting, None)
        if event.status == "expired" and known is not None:
            event.provider, event.reason = known
        if event.sender:
            self._owe(event.sender, Failure(event.queue_id, event.time))

    def explain(self, event: Received, recipient: str) -> None:
        """Say of a message from within what it tells its recipient."""
        event.via = "notification"
        owed = [failure for failure in self._owed.pop(recipient, ()) if event.time - failure.time < PATIENCE]
        if owed:
            event.notification, event.original_queue_id = "bounce", owed.pop(0).queue_id
        elif self._delayed.get(recipient) in self._deferred:
            event.notification = "delay"
        if owed:
            self._owed[recipient] = owed

    def _owe(self, sender: str, failure: Failure) -> None:
        owed = self._owed.get(sender)
        if owed is None:
            owed = []
            self._keep(self._owed, sender, owed)
        if len(owed) < OWED and all(known.queue_id != failure.queue_id for known in owed):
            owed.append(failure)

    def _keep(self, memory: dict[Key, Value], key: Key, value: Value) -> None:
        """Bounded: the oldest goes."""
        if len(memory) >= self.most and key not in memory:
            del memory[next(iter(memory))]
        memory[key] = value
