"""What lines of Sendmail say that later ones need: who logged in, who waits, and what the submission agent has.

All of it is bounded; what was remembered first goes first.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, TypeVar

from parsers.events import Auth, Delivery, Event, Received

SESSIONS = 20_000  # whose login is remembered
MESSAGES = 20_000  # whose senders are known; that wait; that are on their way from the submission agent to the MTA
RECIPIENTS = 1_000  # of one message that wait

Key = TypeVar("Key")
Value = TypeVar("Value")
UNKNOWN = object()
_OWN_ID = re.compile(r"\d{12}\.(\w{8,24})@").match


class Recent(OrderedDict[Key, Value]):
    """The last so many that were put in."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def put(self, key: Key, value: Value) -> None:
        self[key] = value
        if len(self) > self.most:
            self.popitem(last=False)


class Memory:
    """One is used for all logs that are read together."""

    def __init__(self) -> None:
        # By host and pid; by instance and id (recipients by their address); by host, Message-ID and sender's name.
        self._logins: Recent[tuple[str, int | None], Auth] = Recent(SESSIONS)
        self._senders: Recent[tuple[str, str], str | None] = Recent(MESSAGES)
        self._waiting: Recent[tuple[str, str], Recent[str | None, Delivery]] = Recent(MESSAGES)
        self._submitted: Recent[tuple[str, str, str], str] = Recent(MESSAGES)

    def join(self, events: list[Event]) -> list[Event]:
        """The same events; but for the end of a message that is given up, one for each recipient it waited for, and
        none for a sender who cannot be told of it."""
        waiting = self._waiting
        replaced: dict[int, list[Event]] = {}
        event: Any  # told apart by its type, which costs less than isinstance()
        for event in events:
            kind = type(event)
            if kind is Delivery:
                if event.status != "sent" or (event.origin.instance, event.queue_id) in waiting:
                    self._delivery(event, replaced)
            elif kind is Received:
                self._received(event)
            elif kind is Auth:
                self._auth(event)
        if not replaced:
            return events
        return [each for event in events for each in replaced.get(id(event), (event,))]

    def _delivery(self, event: Delivery, replaced: dict[int, list[Event]]) -> None:
        if event.origin.mta != "sendmail" or event.queue_id is None:
            return
        key = (event.origin.instance, event.queue_id)
        if event.recipient is None:
            replaced[id(event)] = expired(event, self._waiting.pop(key, Recent(0)))
        elif event.delay_transmit is None and event.recipient == self._senders.get(key, UNKNOWN):
            # Not one of its recipients: where the notification would go, had the sender an address here.
            replaced[id(event)] = []
        elif event.status == "deferred":
            recipients = self._waiting.get(key)
            if recipients is None:
                recipients = Recent(RECIPIENTS)
                self._waiting.put(key, recipients)
            recipients.put(event.recipient, event)
        elif recipients := self._waiting.get(key):
            recipients.pop(event.recipient, None)
            if not recipients:
                del self._waiting[key]

    def _auth(self, event: Auth) -> None:
        origin = event.origin
        if event.result == "success" and origin.mta == "sendmail":
            self._logins.put((origin.host, origin.pid), event)

    def _received(self, event: Received) -> None:
        origin = event.origin
        if origin.mta != "sendmail":
            return
        if event.protocol and event.protocol[-1] == "A":
            login = self._logins.get((origin.host, origin.pid))
            if login:
                event.sasl_method, event.sasl_user = login.sasl_method, login.sasl_user
        self._senders.put((origin.instance, event.queue_id), event.sender)
        if not event.message_id:
            return
        # The MTA adds the domain to a sender that the submission agent names without one.
        key = (origin.host, event.message_id, (event.sender or "").partition("@")[0])
        if event.via == "local":
            self._submitted.put(key, event.queue_id)
        elif event.client_ip and (event.client_ip.startswith("127.") or event.client_ip == "::1"):
            event.original_queue_id = self._submitted.get(key) or notification_id(event)


def notification_id(event: Received) -> str | None:
    """The id of the submission agent's own notification: Sendmail makes Message-IDs of the time and the queue id."""
    found = _OWN_ID(event.message_id or "")
    return found[1] if found and not event.sender else None


def expired(event: Delivery, waiting: Mapping[str | None, Delivery]) -> list[Event]:
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
            reply=event.reply,
            phase=last.phase,
            provider=last.provider,
            reason=last.reason,
            is_removal=place == len(waiting),
        )
        for place, (recipient, last) in enumerate(waiting.items(), start=1)
    ]
    return events or [event]
