"""What one line says and another needs: attempts have numbers, bounces and sessions the number of a process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgspec

from parsers.events import Auth, Delivery, Event, Notification, Received
from parsers.mta.qmail.send import DOUBLE_BOUNCE, Started
from parsers.mta.qmail.smtpd import Admitted
from parsers.provider import provider_of_domain
from parsers.recall import latest

MOST = 20_000  # attempts under way, bounces not read yet, sessions: qmail has some hundred of each
SESSION_SECONDS = 3600.0  # in which the same process with the same user is the same session

Value = TypeVar("Value")


class Attempt(NamedTuple):
    """One that had begun, as it is stored."""

    time: float
    queue_id: str
    transport: str
    recipient: str


def as_attempt(start: Started | Attempt) -> Attempt:
    """What is stored of it."""
    return Attempt(start.time, start.queue_id, start.transport, start.recipient)


class Memory(msgspec.Struct, array_like=True):
    """What is stored."""

    started: list[tuple[tuple[str, str], Attempt]]
    bounces: list[tuple[tuple[str, str], str]]
    sessions: list[tuple[tuple[str, str, str | None], float]]


class Attempts:
    """Gives an attempt its message and recipient, and a notification the message it is about.

    An attempt that has no end, for qmail-send was killed, is replaced when its number comes again: after a restart
    they begin with 1.
    """

    def __init__(self) -> None:
        self._started: dict[tuple[str, str], Started | Attempt] = {}  # by instance and number
        self._bounces: dict[tuple[str, str], str] = {}  # the message that a process queued a bounce about
        self._sessions: dict[tuple[str, str, str | None], float] = {}
        self._steps: dict[type[Event], Callable[[Any], Event | None]] = {
            Started: self._begin,
            Delivery: self._finish,
            Notification: self._bounce,
            Received: self._receive,
            Admitted: self._admit,
        }

    def join(self, events: list[Event]) -> list[Event]:
        """The events with what was remembered, without those that only are to be remembered."""
        steps = self._steps
        joined = []
        for event in events:
            step = steps.get(type(event))
            if step is None or event.origin.mta != "qmail":
                joined.append(event)
            elif (whole := step(event)) is not None:
                joined.append(whole)
        return joined

    def memory(self) -> Memory:
        """What it remembers."""
        started = [(key, as_attempt(event)) for key, event in latest(self._started)]
        return Memory(started, latest(self._bounces), latest(self._sessions))

    def restore(self, memory: object) -> None:
        """Know what another one knew. Raises msgspec.ValidationError."""
        known = msgspec.convert(memory, Memory)
        self._started, self._bounces = dict(known.started), dict(known.bounces)
        self._sessions = dict(known.sessions)

    def _begin(self, event: Started) -> None:
        keep(self._started, (event.origin.instance, event.number), event)

    def _finish(self, event: Delivery) -> Delivery:
        start = self._started.pop((event.origin.instance, event.queue_id or ""), None)
        if start is None:
            event.queue_id = None
            return event
        event.queue_id = start.queue_id
        event.recipient = recipient = start.recipient
        event.transport = start.transport
        seconds = event.time - start.time
        # round() to a whole number costs a fraction of what it does to so many digits.
        event.delay_transmit = round(seconds * 1e6) / 1e6 if seconds > 0.0 else 0.0
        if start.transport == "remote":
            event.direction = "outbound"
            event.provider = provider_of_domain(recipient.rpartition("@")[2])
        else:
            event.direction = "local"
        return event

    def _bounce(self, event: Notification) -> Notification:
        if event.new_queue_id is not None:
            keep(self._bounces, (event.origin.instance, event.new_queue_id), event.queue_id)
            event.new_queue_id = None
        return event

    def _receive(self, event: Received) -> Received:
        if event.original_queue_id is not None:
            about = self._bounces.pop((event.origin.instance, event.original_queue_id), None)
            event.original_queue_id = about
            if about is not None or event.sender == DOUBLE_BOUNCE:
                event.via = "notification"
                event.notification = ""  # counted where it was made
        return event

    def _admit(self, event: Admitted) -> Auth | None:
        """The login of a session, for whose every recipient there is a line."""
        key = event.origin.instance, event.session, event.sasl_user
        last = self._sessions.pop(key, None)
        keep(self._sessions, key, event.time)
        if last is not None and event.time - last < SESSION_SECONDS:
            return None
        login = Auth(event.time, event.origin, "success", event.client_name, event.client_ip)
        login.sasl_method, login.sasl_user = event.sasl_method, event.sasl_user
        return login


def keep(memory: dict[Any, Value], key: object, value: Value) -> None:
    """Remember something, in the place of the oldest where there is too much."""
    memory[key] = value
    if len(memory) > MOST:
        del memory[next(iter(memory))]
