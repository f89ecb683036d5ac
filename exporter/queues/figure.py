"""What a scan adds up, in bounded memory however long the queue is."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from exporter.queues.entry import Entry, Recipient
from parsers.provider import provider_of_domain, provider_of_relay
from parsers.reason import reason_of
from parsers.reply import read_reply

AGES = (60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0, 86400.0, 172800.0, 432000.0)
"""Bounds of the ages, in seconds: from a minute to the five days of a queue's life."""

OTHER = "other"
KNOWN_TEXTS = 10_000  # texts of reasons that are remembered with what they mean
LONGEST_DOMAIN = 255
# As Postfix names a host that it talked to: `host mx.example.org[192.0.2.1] said`, `connect to ...[`.
_RELAY = re.compile(r"\b(?:host|to|with) ([\w.-]{1,255})\[")
Cause = tuple[str, str]


@dataclass
class Figures:
    """Messages of one queue by age; `ages` has one more value than AGES has bounds, for what is older than all."""

    messages: int = 0
    size: int = 0
    oldest: float | None = None
    ages: list[int] = field(default_factory=lambda: [0] * (len(AGES) + 1))

    def add(self, size: int, arrival: float, now: float) -> None:
        """Count one message."""
        self.messages += 1
        self.size += size
        self.oldest = arrival if self.oldest is None else min(self.oldest, arrival)
        self.ages[bisect_left(AGES, now - arrival)] += 1


class Backlog:
    """All that one scan found. `now` is the moment that ages are counted to, `domains` how many are told apart.

    `causes` has the messages that wait for another attempt, by provider and reason: one with recipients that wait
    for different causes counts for each. `domains` has recipients, as qshape(1) counts them.
    """

    def __init__(self, queues: tuple[str, ...], now: float, domains: int = 0) -> None:
        self.now = now
        self.queues = {queue: Figures() for queue in queues}
        self.causes: Counter[Cause] = Counter()
        self.domains: dict[str, Figures] = {}
        self._most = domains
        self._known: dict[tuple[str, str], Cause] = {}

    def add(self, entry: Entry) -> None:
        """Count one message; a queue of an unknown name is `other`."""
        name = entry.queue if entry.queue in self.queues else OTHER
        self.queues.setdefault(name, Figures()).add(entry.size, entry.arrival, self.now)
        self.causes.update({self._cause(to) for to in entry.recipients if to.reason})
        if self._most:
            for to in entry.recipients:
                self._domain(to.address).add(0, entry.arrival, self.now)

    @property
    def messages(self) -> int:
        return sum(figures.messages for figures in self.queues.values())

    def _domain(self, address: str) -> Figures:
        domain = _domain(address)
        if domain not in self.domains and len(self.domains) >= self._most:
            domain = OTHER
        return self.domains.setdefault(domain, Figures())

    def _cause(self, to: Recipient) -> Cause:
        key = (_domain(to.address), to.reason)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= KNOWN_TEXTS:
                self._known.clear()
            known = self._known[key] = _meaning(*key)
        return known


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()[:LONGEST_DOMAIN]


def _meaning(domain: str, text: str) -> Cause:
    relay = _RELAY.search(text)
    provider = (relay and provider_of_relay(relay[1])) or provider_of_domain(domain)
    reply = read_reply(text)
    return provider or OTHER, reason_of(text, reply.code, reply.dsn, None, provider)
