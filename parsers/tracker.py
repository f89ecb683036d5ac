"""Joins the lines of one message, so that an event knows the message it belongs to.

A queue id is unique within one instance on one host, and only while the message is in its queue: short ids come back.
The tracker is bounded in number and in age; what it had to let go is counted.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from parsers.events import (
    Connect,
    Delivery,
    Disconnect,
    Event,
    Notification,
    Origin,
    QueueAction,
    Queued,
    Received,
    Removed,
)

SUBMISSION_ENTRIES = frozenset({"submission", "submissions", "smtps", "msa"})
SESSIONS = 20_000  # daemons whose client is remembered; Postfix runs some hundred at a time
RECIPIENTS = 1_000  # of one message, whose attempts are counted
_LOGINS = re.compile(r"(?:^| )auth=(\d{1,4})").search

Queue = dict[str, "Message"]


class Message(msgspec.Struct, gc=False):
    """What is known of one message in a queue. Addresses are as the log has them."""

    queue_id: str
    since: float
    via: str = ""  # smtp, submission, local, notification; "" where the beginning was not seen
    client_name: str | None = None
    client_ip: str | None = None
    sasl_user: str | None = None
    sender: str | None = None
    message_id: str | None = None
    size: int | None = None
    recipients: int | None = None
    has_arrived: bool = False
    attempts: dict[str, int] | None = None  # of the recipients that were deferred
    direction: str = "outbound"  # of the last deferral, and what else an expiry has from it
    provider: str | None = None
    reason: str | None = None


class Tracker:
    """Messages in flight. `follow` takes events in the order of the log and tells each the message it belongs to."""

    def __init__(self, *, most: int = 50_000, oldest: float = 8 * 86400.0) -> None:
        self.most = most
        self.oldest = oldest
        self.dropped = 0
        self._queues: dict[str, Queue] = defaultdict(dict)
        self._count = 0
        self._sessions: set[Origin] = set()  # the daemons whose client's login was counted
        self._steps: dict[type[Event], Callable[[Any], None]] = {
            Received: self._received,
            Queued: self._queued,
            Delivery: self._delivery,
            Notification: self._notification,
            QueueAction: self._queue_action,
            Removed: self._removed,
            Disconnect: self._disconnect,
        }

    def follow(self, events: Iterable[Event]) -> None:
        """Put each event in its context."""
        steps, sessions = self._steps, self._sessions
        event = None
        for event in events:
            kind = type(event)
            if kind is Connect:
                sessions.discard(event.origin)
            else:
                step = steps.get(kind)
                if step:
                    step(event)
        if event:
            self._forget(event.time - self.oldest)

    def in_flight(self) -> dict[str, int]:
        """Messages seen and not yet removed, for each MTA."""
        counts: dict[str, int] = {}
        for instance, queue in self._queues.items():
            mta = instance.partition(" ")[0]
            counts[mta] = counts.get(mta, 0) + len(queue)
        return counts

    def _queue(self, origin: Origin) -> Queue:
        return self._queues[origin.instance]

    def _begin(self, queue: Queue, queue_id: str, time: float) -> Message:
        """A new message, in the place of one that had its id."""
        if queue.pop(queue_id, None) is None:
            self._count += 1
            if self._count > self.most:
                self._drop_oldest(queue or max(self._queues.values(), key=len))
        queue[queue_id] = message = Message(queue_id, time)
        return message

    def _find(self, event: Queued | Delivery | Notification | QueueAction) -> Message:
        queue = self._queue(event.origin)
        message = queue.get(event.queue_id)
        if message is None:
            message = self._begin(queue, event.queue_id, event.time)
        event.message = message
        return message

    def _drop_oldest(self, queue: Queue) -> None:
        del queue[next(iter(queue))]
        self._count -= 1
        self.dropped += 1

    def _forget(self, before: float) -> None:
        """Messages stand in the order in which they began, so only the first of each queue are looked at."""
        for queue in self._queues.values():
            while queue and next(iter(queue.values())).since < before:
                self._drop_oldest(queue)

    # --- sessions: which authenticated, for a login has no line of its own ---

    def _disconnect(self, event: Disconnect) -> None:
        counted = event.origin in self._sessions
        self._sessions.discard(event.origin)
        if event.commands and "auth=" in event.commands:
            found = _LOGINS(event.commands)
            event.logins = max(int(found[1]) - counted, 0) if found else 0

    def _login(self, event: Received) -> None:
        if event.origin not in self._sessions:
            if len(self._sessions) >= SESSIONS:
                self._sessions.clear()
            self._sessions.add(event.origin)
            event.logins = 1

    # --- messages ---

    def _received(self, event: Received) -> None:
        origin = event.origin
        queue = self._queue(origin)
        message = event.message = self._begin(queue, event.queue_id, event.time)
        message.client_name = event.client_name
        message.client_ip = event.client_ip
        message.sasl_user = event.sasl_user
        message.sender = event.sender
        if event.sasl_method or event.sasl_user:
            self._login(event)
            message.via = "submission"
        elif origin.program == "pickup":
            message.via = "local"
        else:
            message.via = "submission" if origin.entry in SUBMISSION_ENTRIES else "smtp"
        if event.original_queue_id:
            self._came_before(event, message, queue)

    def _came_before(self, event: Received, message: Message, queue: Queue) -> None:
        """The same message under a new id: requeued, or back from a content filter on this host."""
        old = queue.get(event.original_queue_id or "")
        if event.client_ip is None or event.client_ip.startswith("127.") or event.client_ip == "::1":
            message.has_arrived = True
            message.via = old.via if old else message.via
        if old and event.client_ip is None:
            del queue[old.queue_id]
            self._count -= 1

    def _queued(self, event: Queued) -> None:
        message = self._find(event)
        if event.message_id is not None:
            message.message_id = event.message_id
            message.via = message.via or "local"
        if event.size is not None:
            message.size = event.size
            message.sender = event.sender
            message.recipients = event.recipients
            event.message_id = message.message_id
            event.is_arrival = self._arrives(message)

    def _arrives(self, message: Message) -> bool:
        """Whether this is the first that the queue says of a message whose beginning the log has."""
        if message.has_arrived or not message.via:
            return False
        message.has_arrived = True
        # An address probe (verify(8)) is a message to Postfix, and to nobody else.
        return message.via != "local" or not (message.sender or "").startswith("double-bounce@")

    def _delivery(self, event: Delivery) -> None:
        queue = self._queues[event.origin.instance]
        message = event.message = queue.get(event.queue_id) or self._begin(queue, event.queue_id, event.time)
        if event.recipient is None:
            self._gave_up(event, message)
            return
        event.sender = message.sender
        if event.status == "deferred":
            self._deferred(event, message)
        elif message.via:
            event.attempts = message.attempts.pop(event.recipient, 0) + 1 if message.attempts else 1

    def _deferred(self, event: Delivery, message: Message) -> None:
        message.direction, message.provider, message.reason = event.direction, event.provider, event.reason
        attempts = message.attempts
        if attempts is None:
            attempts = message.attempts = {}
        recipient = event.recipient or ""
        if len(attempts) < RECIPIENTS or recipient in attempts:
            attempts[recipient] = attempts.get(recipient, 0) + 1

    def _gave_up(self, event: Delivery, message: Message) -> None:
        """An expired message has the destination and the reason of its last deferral."""
        event.direction, event.provider, event.reason = message.direction, message.provider, message.reason
        if message.attempts and message.via:
            event.attempts = max(message.attempts.values())

    def _notification(self, event: Notification) -> None:
        self._find(event)
        if event.new_queue_id:
            queue = self._queue(event.origin)
            child = queue.get(event.new_queue_id) or self._begin(queue, event.new_queue_id, event.time)
            child.via = "notification"

    def _queue_action(self, event: QueueAction) -> None:
        message = self._find(event)
        if event.action in ("hold", "discard") and event.origin.program == "cleanup":
            event.is_arrival = self._arrives(message)

    def _removed(self, event: Removed) -> None:
        message = self._queue(event.origin).pop(event.queue_id, None)
        if message is not None:
            event.message = message
            self._count -= 1
