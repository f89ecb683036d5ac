"""What one row tells that a later one needs, in the logs of all servers and services that are read together."""

from __future__ import annotations

from typing import Any

import msgspec

from parsers.events import Delivery, Event, Notification, Received
from parsers.mta.exchange.recent import Recent

MTA = "exchange"
MESSAGES = 20_000  # that are remembered


class Stored(msgspec.Struct, array_like=True):
    """What is stored."""

    received: list[tuple[tuple[str, str], bool]]
    names: list[tuple[str, str]]
    deferred: list[tuple[str, bool]]


class Memory:
    """Knows which messages a server has received, and the names of messages by their Message-ID.

    A message from a mailbox is received by the submission agent, then by the transport service of the same server or
    of another one, in logs of their own; a server counts it once.
    """

    def __init__(self) -> None:
        self._received: Recent[tuple[str, str], bool] = Recent(MESSAGES)  # by instance and queue id
        self._names: Recent[str, str] = Recent(MESSAGES)  # queue ids by Message-ID
        self._deferred: Recent[str, bool] = Recent(MESSAGES)  # by queue id: whether the last attempt was deferred

    def join(self, events: list[Event]) -> list[Event]:
        """The events without those that tell again of a message's arrival; notifications know what they are about."""
        joined: list[Event] = []
        append = joined.append
        event: Any  # told apart by its type, which costs less than isinstance()
        for event in events:
            kind = type(event)
            if kind is Delivery:
                if event.status != "sent" and event.origin.mta == MTA:
                    self._deferred.keep(event.queue_id or "", event.status == "deferred")
            elif kind is Received:
                if event.origin.mta == MTA and self._is_known(event):
                    continue
            elif kind is Notification and event.origin.mta == MTA:
                self._complete(event)
            append(event)
        return joined

    def memory(self) -> Stored:
        """What it remembers."""
        return Stored(self._received.latest(), self._names.latest(), self._deferred.latest())

    def restore(self, memory: object) -> None:
        """Know what another one knew. Raises msgspec.ValidationError."""
        known = msgspec.convert(memory, Stored)
        self._received.restore(known.received)
        self._names.restore(known.names)
        self._deferred.restore(known.deferred)

    def _is_known(self, event: Received) -> bool:
        if not self._received.meet((event.origin.instance, event.queue_id), value=True):
            return True
        if event.message_id:
            self._names.keep(event.message_id, event.queue_id)
        return False

    def _complete(self, event: Notification) -> None:
        event.queue_id = self._names.get(event.queue_id) or event.queue_id
        if not event.type:
            event.type = "delay" if self._deferred.get(event.queue_id) else "bounce"
