"""TLS over a whole log: sessions, what went to whom without one, and handshakes that failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

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


class Encryption:
    """Adds up, batch by batch."""

    def __init__(self) -> None:
        self._sessions, self._relays, self._old, self._failures = Kept(), Kept(), Kept(), Kept()

    def add(self, events: Iterable[Event]) -> None:
        """Add a batch of events in context."""
        for event in events:
            if isinstance(event, Tls):
                self._session(event, OUTBOUND if event.relay_host else INBOUND)
            elif isinstance(event, Received):
                if event.tls_sessions:
                    self._session(event, INBOUND)
            elif isinstance(event, Delivery):
                self._delivery(event)
            elif isinstance(event, ConnectionFailure) and event.error == "tls":
                self._failure(event)

    def _session(self, event: Any, direction: str) -> None:
        protocol, trust = event.tls_protocol or "", event.tls_trust or ""
        self._sessions.of(direction, protocol, trust, event.tls_cipher or "").see(event.time)
        if direction == OUTBOUND:
            relay = self._relays.of((event.relay_host or "").lower())
            relay.times += 1
            relay.protocol, relay.trust = protocol, trust
        elif protocol and protocol not in MODERN:
            client = self._old.of(event.client_ip or "", protocol)
            client.see(event.time)
            client.name = event.client_name or ""

    def _delivery(self, event: Delivery) -> None:
        if event.tls_sessions:
            self._session(event, OUTBOUND)
        if event.direction == OUTBOUND and event.status == "sent" and event.relay_host:
            relay = self._relays.of(event.relay_host.lower())
            relay.sent += 1
            relay.name = event.provider or relay.name
            relay.see(event.time, 0)
            if event.tls_protocol and not event.tls_sessions:
                relay.protocol, relay.trust = event.tls_protocol, event.tls_trust or ""
                relay.times = relay.times or 1

    def _failure(self, event: ConnectionFailure) -> None:
        direction = OUTBOUND if event.relay_host else INBOUND
        seen = self._failures.of(direction, event.relay_host or event.client_name or event.client_ip or "")
        seen.see(event.time)
        seen.example = event.reply or seen.example

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
        """Of each relay that took mail; those without a session first, then those that took most."""
        rows = sorted(
            ((key, seen) for key, seen in self._relays.items() if seen.sent),
            key=lambda item: (item[1].times > 0, -item[1].sent, item[0]),
        )
        return [
            [
                seen.name or provider_of_relay(relay) or OTHER,
                relay,
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
