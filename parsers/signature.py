"""Who signs our mail by DKIM (RFC 6376), and with which selectors: as those log it that sign.

That a signature of others was verified is nobody's here: only signing is, and only for domains that are asked about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from parsers.events import Event, Origin
from parsers.shape import Grammar

KEPT_SECONDS = 5 * 86400.0  # mail that was signed so long ago may still wait in a queue (RFC 5321 4.5.4.1)
SELECTORS = 8  # of a domain
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL}){{0,3}}", re.ASCII)

Memory = Mapping[str, Mapping[str, float]]


class Signed(Event, gc=False):
    """A message was signed for this domain; not in the event record, for it tells nothing of the message's way."""

    kind = "signed"
    domain: str
    selector: str


class Signer(NamedTuple):
    """What signs mail that a mail server has: the names that it logs by, and the lines that tell of a signature."""

    name: str
    programs: frozenset[str]
    grammar: Grammar

    def signed(self, message: str, time: float, origin: Origin) -> list[Signed]:
        """The signatures that a line tells of."""
        for _, build, fields in self.grammar.matches(message):
            found = build(time, origin, *fields) if build else None
            return [it for it in (found if isinstance(found, list) else [found]) if isinstance(it, Signed)]
        return []


class Signatures:
    """The selectors that were seen of some domains, and when last, in seconds since the epoch. Bounded: of each
    domain so many, those that were seen last."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, float]] = {}

    def watch(self, domains: Iterable[str]) -> None:
        """Look after these domains, and forget all others."""
        self._seen = {domain: self._seen.get(domain, {}) for domain in map(str.lower, domains)}

    def note(self, time: float, domain: str, selector: str) -> None:
        """A message was signed for a domain."""
        known = self._seen.get(domain.lower())
        selector = selector.lower()
        if known is None or not _SELECTOR.fullmatch(selector):
            return
        known[selector] = max(time, known.get(selector, 0.0))
        if len(known) > SELECTORS:
            del known[min(known, key=lambda name: known[name])]

    def selectors(self, domain: str, now: float) -> list[str]:
        """Those of a domain that were seen of late; a clock that is wrong makes none last."""
        known = self._seen.get(domain.lower(), {})
        return sorted(name for name, time in known.items() if abs(now - time) < KEPT_SECONDS)

    def memory(self) -> Memory:
        """What there is to remember."""
        return self._seen

    def restore(self, memory: Memory) -> None:
        """Know what was remembered."""
        self._seen = {domain: dict(known) for domain, known in memory.items()}
