"""What the lines of one session, and those of one try, say together: each try counts once.

A client that is logged in at last has failed before, perhaps. The process that it logs in to does not tell of that,
so the verdicts of the authentication process are kept by their session till it does. A failure is answered late
(`auth_failure_delay`, 2 seconds): that tells the verdict which ended a try from that of a database after which the
next one was asked.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from parsers.events import Auth, Event
from parsers.mta.dovecot.auth import Verdict
from parsers.recall import latest

SESSIONS = 10_000  # clients that are remembered: those between a failure and their next try
DELAY = 2.0  # seconds


class Tries(NamedTuple):
    """The failed tries of a session that are known of, and the last verdict on it."""

    failed: int
    last: Verdict

    def until(self, time: float) -> int:
        """How many there were, where the client goes on at this time."""
        return self.failed + (time - self.last.time >= DELAY)


class Memory(msgspec.Struct, array_like=True):
    """What is stored."""

    tries: list[tuple[str, Tries]]
    clients: list[tuple[tuple[str | None, str | None], Verdict]]


class Sessions:
    """Takes verdicts off, and adds the failures that only they told."""

    def __init__(self) -> None:
        self._tries: dict[str, Tries] = {}  # by session
        self._clients: dict[tuple[str | None, str | None], Verdict] = {}  # without a session, by address and user

    def join(self, events: list[Event]) -> list[Event]:
        """Each try once."""
        joined: list[Event] = []
        for event in events:
            kind = type(event)
            if kind is Verdict:
                self._verdict(event, joined)  # type: ignore[arg-type]
                continue
            if kind is Auth and self._tries:
                self._end(event, joined)  # type: ignore[arg-type]
            joined.append(event)
        return joined

    def memory(self) -> Memory:
        """What it remembers."""
        return Memory(latest(self._tries), latest(self._clients))

    def restore(self, memory: object) -> None:
        """Know what another one knew. Raises msgspec.ValidationError."""
        known = msgspec.convert(memory, Memory)
        self._tries, self._clients = dict(known.tries), dict(known.clients)

    def _verdict(self, event: Verdict, joined: list[Event]) -> None:
        if event.session:
            before = self._tries.pop(event.session, None)
            self._tries[event.session] = Tries(before.until(event.time) if before else 0, event)
            _limit(self._tries)
        elif self._is_new(event):
            told = failure(event, 1)
            told.is_hearsay = True
            joined.append(told)

    def _is_new(self, event: Verdict) -> bool:
        """Whether this is the first database that speaks of a try of a mail server's client."""
        who = (event.client_ip, event.sasl_user)
        before = self._clients.pop(who, None)
        self._clients[who] = event
        _limit(self._clients)
        return before is None or before.source == event.source or event.time - before.time >= DELAY

    def _end(self, event: Auth, joined: list[Event]) -> None:
        """A session has ended or logged in; only where it has ended, its line tells of all tries."""
        tries = self._tries.pop(event.session, None) if event.session else None
        if tries is None or event.result == "failure":
            return
        count = tries.until(event.time)
        if count:
            failed = failure(tries.last, count)
            failed.time, failed.origin, failed.sasl_method = event.time, event.origin, event.sasl_method
            joined.append(failed)


def failure(verdict: Verdict, attempts: int) -> Auth:
    """The event of failed tries."""
    user, reply = verdict.sasl_user, verdict.reply
    event = Auth(verdict.time, verdict.origin, "failure", None, verdict.client_ip, verdict.sasl_method, user, reply)
    event.attempts = attempts
    return event


def _limit(remembered: dict) -> None:  # type: ignore[type-arg]
    """Forget the oldest where there are too many."""
    if len(remembered) > SESSIONS:
        del remembered[next(iter(remembered))]
