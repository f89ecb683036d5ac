"""TLS over a whole log: sessions, what went to whom without one, and handshakes that failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from parsers.events import ConnectionFailure, Delivery, Event, Received, Tls
from parsers.provider import provider_of_relay
from parsers.speaker import OTHER

KNOWN = 20_000  # hosts that are told apart; the rest are one
MODERN = frozenset({"TLSv1.2", "TLSv1.3"})
INBOUND, OUTBOUND = "inbound", "outbound"
NONE = "none"


class Seen:
    """How often, from when to when, and the last words."""

    def __init__(self) -> None:
        self.times = self.sent = 0
        self.first = self.last = 0.0
        self.name = self.example = ""
        self.protocol = self.trust = ""

    def see(self, time: float, times: int = 1) -> None:
        """Once more."""
        self.first = min(self.first, time) if self.first else time
        self.last = max(self.last, time)
        self.times += times


class Kept(dict[tuple[str, ...], Seen]):
    """Something for each key, in bounded memory: what comes too late is under a key of blanks."""

    def of(self, *key: str) -> Seen:
        """What is known of it, from now on."""
        if key not in self and len(self) >= KNOWN:
            key = ("(others)",) + ("",) * (len(key) - 1)
        if key not in self:
            self[key] = Seen()
        return self[key]


class Session(NamedTuple):
    """A session with a relay, or with a client."""

    time: float
    relay: str | None
    protocol: str
    trust: str
    cipher: str
    client: str
    client_name: str


class Sent(NamedTuple):
    """Something was delivered to a relay, in a session of which all or some is known."""

    time: float
    relay: str
    provider: str | None
    protocol: str | None
    trust: str | None
    is_session: bool


class Failure(NamedTuple):
    """A handshake failed."""

    time: float
    direction: str
    host: str
    reply: str | None


Told = tuple[Session | Sent | Failure, ...]


def told(event: Event) -> Told | None:
    """What an event in context tells of encryption."""
    if isinstance(event, Tls):
        return (_session(event, event.relay_host or None),)
    if isinstance(event, Received):
        return (_session(event, None),) if event.tls_sessions else None
    if isinstance(event, Delivery):
        return tuple(_of_delivery(event)) or None
    if isinstance(event, ConnectionFailure) and event.error == "tls":
        host = event.relay_host or event.client_name or event.client_ip or ""
        return (Failure(event.time, OUTBOUND if event.relay_host else INBOUND, host, event.reply),)
    return None


def _session(event: Any, relay: str | None) -> Session:
    protocol, trust, cipher = event.tls_protocol or "", event.tls_trust or "", event.tls_cipher or ""
    has_client = relay is None
    client, name = (event.client_ip or "", event.client_name or "") if has_client else ("", "")
    return Session(event.time, relay, protocol, trust, cipher, client, name)


def _of_delivery(event: Delivery) -> Iterator[Session | Sent]:
    if event.tls_sessions:
        yield _session(event, event.relay_host or "")
    if event.direction == OUTBOUND and event.status == "sent":
        is_session = bool(event.tls_sessions)
        yield Sent(
            event.time, event.relay_host or "", event.provider, event.tls_protocol, event.tls_trust, is_session
        )


class Encryption:
    """Adds up, in the order of the log."""

    def __init__(self) -> None:
        self._sessions, self._relays, self._old, self._failures = Kept(), Kept(), Kept(), Kept()

    def add(self, items: Told) -> None:
        """Add what an event told."""
        for item in items:
            if isinstance(item, Session):
                self._session(item)
            elif isinstance(item, Sent):
                self._sent(item)
            else:
                seen = self._failures.of(item.direction, item.host)
                seen.see(item.time)
                seen.example = item.reply or seen.example

    def _session(self, of: Session) -> None:
        direction = INBOUND if of.relay is None else OUTBOUND
        self._sessions.of(direction, of.protocol, of.trust, of.cipher).see(of.time)
        if of.relay is not None:
            relay = self._relays.of(of.relay.lower())
            relay.times += 1
            relay.protocol, relay.trust = of.protocol, of.trust
        elif of.protocol and of.protocol not in MODERN:
            client = self._old.of(of.client, of.protocol)
            client.see(of.time)
            client.name = of.client_name

    def _sent(self, of: Sent) -> None:
        relay = self._relays.of(of.relay.lower())
        relay.sent += 1
        relay.name = of.provider or relay.name
        relay.see(of.time, 0)
        if of.protocol and not of.is_session:
            relay.protocol, relay.trust = of.protocol, of.trust or ""
            relay.times = relay.times or 1

    # --- what is asked ---

    def sessions(self) -> list[list[Any]]:
        """By direction, protocol, trust and cipher, most first; the share is of the direction."""
        totals: Counter[str] = Counter()
        for (direction, *_), seen in self._sessions.items():
            totals[direction] += seen.times
        return [
            [*key, seen.times, seen.times / totals[key[0]], seen.first, seen.last]
            for key, seen in _most_first(self._sessions)
        ]

    def destinations(self) -> list[list[Any]]:
        """Of each relay that took mail (None: those that the log does not name), those without a session
        first, then those that took most."""
        rows = sorted(
            ((key, seen) for key, seen in self._relays.items() if seen.sent),
            key=lambda item: (item[1].times > 0, -item[1].sent, item[0]),
        )
        return [
            [
                seen.name or provider_of_relay(relay) or OTHER,
                relay or None,
                seen.sent,
                seen.times,
                (seen.protocol or "TLS") if seen.times else NONE,
                seen.trust,
                seen.last,
            ]
            for (relay,), seen in rows
        ]

    def old_clients(self) -> list[list[Any]]:
        """Clients with a protocol before TLS 1.2, most first."""
        return [
            [client, seen.name, protocol, seen.times, seen.last]
            for (client, protocol), seen in _most_first(self._old)
        ]

    def failures(self) -> list[list[Any]]:
        """Handshakes that failed, by host, most first."""
        return [[*key, seen.times, seen.first, seen.last, seen.example] for key, seen in _most_first(self._failures)]


def _most_first(kept: Kept) -> list[tuple[tuple[str, ...], Seen]]:
    return sorted(kept.items(), key=lambda item: (-item[1].times, item[0]))
