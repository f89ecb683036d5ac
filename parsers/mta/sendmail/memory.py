"""What lines of Sendmail say that later ones need: who logged in, who waits, what the submission agent has or had.

All of it is bounded; what was remembered first goes first.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from parsers.events import Auth, Delivery, Event, Received
from parsers.recall import latest

SESSIONS = 20_000  # whose login is remembered
MESSAGES = 20_000  # whose senders are known; that wait; that are on their way from the submission agent to the MTA
RECIPIENTS = 1_000  # of one message that wait

STORED_MESSAGES = 5_000  # of those that wait, and of those that the submission agent had


class Deferral(NamedTuple):
    """The last one of a recipient: the destination and the reason."""

    direction: str
    relay_host: str | None
    relay_ip: str | None
    transport: str | None
    phase: str | None
    provider: str | None
    reason: str | None


class Submission(NamedTuple):
    """A message that the submission agent has; `time` in seconds since the epoch."""

    queue_id: str
    time: float


Waiting = dict[str | None, Deferral]
Login = tuple[str | None, str | None]  # method and user

Key = TypeVar("Key")
Value = TypeVar("Value")
_OWN_ID = re.compile(r"\d{12}\.(\w{8,24})@").match


class Recent(Generic[Key, Value]):
    """The last so many that were put in, and as many before them at most: nothing is moved to make room."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._new: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def put(self, key: Key, value: Value) -> None:
        new = self._new
        new[key] = value
        if len(new) >= self.most:
            self._old, self._new = new, {}

    def get(self, key: Key) -> Value | None:
        found = self._new.get(key)
        return self._old.get(key) if found is None else found

    def latest(self) -> list[tuple[Key, Value]]:
        """What was put in last, oldest first."""
        return latest(self._old | self._new)

    def restore(self, known: Iterable[tuple[Key, Value]]) -> None:
        """Know what another one knew."""
        self._new, self._old = dict(known), {}


class Stored(msgspec.Struct, array_like=True):
    """What is stored."""

    logins: list[tuple[tuple[str, int | None], Login]]
    senders: list[tuple[tuple[str, str], str]]
    submitted: list[tuple[tuple[str, str, str], Submission]]
    waiting: list[tuple[tuple[str, str], list[tuple[str | None, Deferral]]]]
    kept: list[tuple[tuple[str, str], float]]


class Memory:
    """One is used for all logs that are read together."""

    def __init__(self) -> None:
        self._logins: Recent[tuple[str, int | None], Login] = Recent(SESSIONS)  # by host and pid
        self._senders: Recent[tuple[str, str], str] = Recent(MESSAGES)  # by instance and id
        # By host, Message-ID, sender's name.
        self._submitted: Recent[tuple[str, str, str], Submission] = Recent(MESSAGES)
        self._waiting: OrderedDict[tuple[str, str], Waiting] = OrderedDict()  # by instance and id
        self._kept: OrderedDict[tuple[str, str], float] = OrderedDict()  # the same; when the agent had them

    def join(self, events: list[Event]) -> list[Event]:
        """The same events; but for the end of a message that is given up, one for each recipient it waited for, and
        none for a sender who cannot be told of it."""
        waiting, kept = self._waiting, self._kept
        replaced: dict[int, list[Event]] = {}
        event: Any  # told apart by its type, which costs less than isinstance()
        for event in events:
            kind = type(event)
            if kind is Delivery:
                key = (event.origin.instance, event.queue_id)
                if key in kept:
                    count_from(event, kept[key])
                if event.status != "sent" or key in waiting:
                    self._delivery(event, replaced)
            elif kind is Received:
                self._received(event)
            elif kind is Auth:
                self._auth(event)
        if not replaced:
            return events
        return [each for event in events for each in replaced.get(id(event), (event,))]

    def memory(self) -> Stored:
        """What it remembers."""
        waiting, kept = latest(self._waiting, STORED_MESSAGES), latest(self._kept, STORED_MESSAGES)
        return Stored(
            self._logins.latest(),
            self._senders.latest(),
            self._submitted.latest(),
            [(key, list(recipients.items())) for key, recipients in waiting],
            kept,
        )

    def restore(self, memory: object) -> None:
        """Know what another one knew. Raises msgspec.ValidationError."""
        known = msgspec.convert(memory, Stored)
        self._logins.restore(known.logins)
        self._senders.restore(known.senders)
        self._submitted.restore(known.submitted)
        self._waiting = OrderedDict((key, dict(recipients)) for key, recipients in known.waiting)
        self._kept = OrderedDict(known.kept)

    def _delivery(self, event: Delivery, replaced: dict[int, list[Event]]) -> None:
        if event.origin.mta != "sendmail" or event.queue_id is None:
            return
        key = (event.origin.instance, event.queue_id)
        if event.recipient is None:
            replaced[id(event)] = expired(event, self._waiting.pop(key, {}))
        elif event.delay_transmit is None and event.recipient == self._senders.get(key):
            # Not one of its recipients: where the notification would go, had the sender an address here.
            replaced[id(event)] = []
        elif event.status == "deferred":
            self._defer(key, event)
        elif recipients := self._waiting.get(key):
            recipients.pop(event.recipient, None)
            if not recipients:
                del self._waiting[key]

    def _defer(self, key: tuple[str, str], event: Delivery) -> None:
        recipients = self._waiting.get(key)
        if recipients is None:
            recipients = self._waiting[key] = {}
            if len(self._waiting) > MESSAGES:
                self._waiting.popitem(last=False)
        if len(recipients) < RECIPIENTS or event.recipient in recipients:
            recipients[event.recipient] = Deferral(
                event.direction,
                event.relay_host,
                event.relay_ip,
                event.transport,
                event.phase,
                event.provider,
                event.reason,
            )

    def _auth(self, event: Auth) -> None:
        origin = event.origin
        if event.result == "success" and origin.mta == "sendmail":
            self._logins.put((origin.host, origin.pid), (event.sasl_method, event.sasl_user))

    def _received(self, event: Received) -> None:
        origin, sender, ip = event.origin, event.sender, event.client_ip
        if origin.mta != "sendmail":
            return
        if event.protocol and event.protocol[-1] == "A":
            login = self._logins.get((origin.host, origin.pid))
            if login:
                event.sasl_method, event.sasl_user = login
        if sender:
            self._senders.put((origin.instance, event.queue_id), sender)
        is_from_here = ip is not None and (ip[:4] == "127." or ip == "::1")
        if event.message_id and (is_from_here or event.via == "local"):
            self._hop(event, event.message_id)

    def _hop(self, event: Received, message_id: str) -> None:
        """The MTA adds the domain to a sender that the submission agent names without one."""
        key = (event.origin.host, message_id, (event.sender or "").partition("@")[0])
        if event.via == "local":
            self._submitted.put(key, Submission(event.queue_id, event.time))
        elif submission := self._submitted.get(key):
            event.original_queue_id = submission.queue_id
            self._kept[event.origin.instance, event.queue_id] = submission.time
            if len(self._kept) > MESSAGES:
                self._kept.popitem(last=False)
        else:
            event.original_queue_id = notification_id(event)


def count_from(event: Delivery, since: float) -> None:
    """The MTA counts from when it took a message, which its submission agent may have had for long by then."""
    delay = max(round(event.time - since, 3), event.delay or 0.0)
    if event.delay is not None:
        event.delay_before_queue = round(delay - event.delay, 3)
    event.delay = delay


def notification_id(event: Received) -> str | None:
    """The id of the submission agent's own notification: Sendmail makes Message-IDs of the time and the queue id."""
    found = _OWN_ID(event.message_id or "")
    return found[1] if found and not event.sender else None


def expired(event: Delivery, waiting: Waiting) -> list[Event]:
    """The end of a message for all that waited for it, with the destination and the reason of their last deferral."""
    events: list[Event] = [
        Delivery(
            event.time,
            event.origin,
            event.queue_id,
            recipient,
            "expired",
            last.direction,
            relay_host=last.relay_host,
            relay_ip=last.relay_ip,
            transport=last.transport,
            delay=event.delay,
            reply=event.reply,
            phase=last.phase,
            provider=last.provider,
            reason=last.reason,
            is_removal=place == len(waiting),
        )
        for place, (recipient, last) in enumerate(waiting.items(), start=1)
    ]
    return events or [event]
