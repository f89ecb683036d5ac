"""Whether a provider has turned from accepting our mail to refusing it, and since when: in the time of events.

For each server and provider a score follows the messages (Page's cumulative sum, Biometrika 41, 1954): it goes up by
one with each message that is refused for our reputation, by policy or for our rate, down by one with each that is
accepted, and not below zero. A run of refusals begins where the score leaves zero; the provider blocks us when

- the score has reached `Rule.messages`, so many more messages were refused than accepted, and
- the run is `Rule.seconds` old, which one burst of bad messages between good ones is not.

It blocks us since its run began, for the reason that most of the run's messages were refused for. It does no more
when `Rule.recovery` more messages were accepted than three times those refused (the hysteresis: a quarter may still
be refused), or when it has not been tried for `Rule.silence`.

A message counts once in a run, however often it is tried and for how many recipients. A first deferral that may be
greylisting does not count. What fails for other reasons (an unknown user, a connection that fails) says nothing.

The same events in the same order give the same answer, whatever the blocks they come in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from parsers.events import Delivery

REFUSALS = frozenset(
    "auth_dkim auth_dmarc auth_other auth_spf blocked_domain blocked_ip policy_rejected rate_limited rdns_helo"
    " spam_content".split()
)
STANDINGS = 1_000  # pairs of server and provider
MESSAGES = 256  # of a run, that are known again
REFUSED_WEIGHT = 3  # of acceptances, on the way to recovery
OUTBOUND = "outbound"
Key = tuple[str, str | None]  # server and provider


class Rule(NamedTuple):
    """When a provider blocks us: numbers of messages, and seconds."""

    messages: int = 10
    recovery: int = 5
    seconds: float = 300.0
    silence: float = 86_400.0


class Block(NamedTuple):
    """A provider that blocks us, or `is_over` and did; `since` in seconds since the epoch."""

    mta: str
    provider: str
    reason: str
    since: float
    is_over: bool


class Standing(msgspec.Struct, array_like=True):
    """A run of refusals of one provider towards one server. `reason` is "" where it does not block yet.

    It is stored by the order of its fields: a new one stands at the end.
    """

    last: float  # when anything was decided
    score: int = 0
    reason: str = ""
    since: float = 0.0
    reasons: dict[str, int] = {}
    seen: dict[str, None] = {}
    accepted: str = ""  # the last message that was

    def refuse(self, event: Delivery, rule: Rule) -> None:
        """A message is refused, perhaps again."""
        if self.reason:
            self.score = max(self.score - REFUSED_WEIGHT, 0)
            return
        if self._is_new(event.queue_id or ""):
            self.since = self.since if self.score else event.time
            self.score = min(self.score + 1, 2 * rule.messages)
            reason = event.reason or ""
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if self.score >= rule.messages and event.time - self.since >= rule.seconds:
            self.reason = min(self.reasons, key=lambda reason: (-self.reasons[reason], reason))
            self.score = 0

    def accept(self, queue_id: str, rule: Rule) -> bool:
        """A message is accepted for a recipient. Returns whether that ends a run of refusals, or the block."""
        if queue_id and queue_id == self.accepted:
            return False
        self.accepted = queue_id
        if self.reason:
            self.score += 1
            return self.score >= rule.recovery
        self.score -= 1
        return self.score <= 0

    def _is_new(self, queue_id: str) -> bool:
        if queue_id in self.seen:
            return False
        if queue_id:
            self.seen[queue_id] = None
            if len(self.seen) > MESSAGES:
                del self.seen[next(iter(self.seen))]
        return True


class Memory(msgspec.Struct, array_like=True):
    """What an Onset knows, to be stored: by server and provider; by these and the reason."""

    standings: list[tuple[Key, Standing]] = []
    known: list[tuple[tuple[str, str, str], float]] = []


class Onset:
    """Follows deliveries that the tracker has put in context."""

    def __init__(self, rule: Rule | None = None) -> None:
        self.rule = rule or Rule()
        self._standings: dict[Key, Standing] = {}
        self._known: dict[tuple[str, str, str], float] = {}  # blocks there were, with their last beginning

    def observe(self, event: Delivery) -> None:
        """What one delivery says."""
        if event.status == "sent":
            key = (event.origin.mta, event.provider)
            if key in self._standings:
                self._accept(key, event)
        elif event.reason in REFUSALS and not event.may_be_greylisting:
            self._refuse(event)

    def _accept(self, key: Key, event: Delivery) -> None:
        standing = self._fresh(key, event.time)
        if standing and standing.accept(event.queue_id or "", self.rule):
            del self._standings[key]

    def _refuse(self, event: Delivery) -> None:
        if event.provider is None or event.direction != OUTBOUND:
            return
        key = (event.origin.mta, event.provider)
        standing = self._fresh(key, event.time) or self._begin(key, event.time)
        standing.refuse(event, self.rule)
        if standing.reason:
            self._known[*key, standing.reason] = standing.since

    def blocks(self, now: float) -> Iterator[Block]:
        """The blocks of now, in the time of events, and those that are over."""
        for (mta, provider, reason), since in sorted(self._known.items()):
            standing = self._standings.get((mta, provider))
            is_on = standing and standing.reason == reason and now - standing.last <= self.rule.silence
            yield Block(mta, provider, reason, since, not is_on)

    def memory(self) -> Memory:
        """What goes on in another process."""
        return Memory(list(self._standings.items()), list(self._known.items()))

    def restore(self, memory: Memory) -> None:
        """Go on from there."""
        self._standings, self._known = dict(memory.standings), dict(memory.known)

    def _fresh(self, key: Key, time: float) -> Standing | None:
        """What is known of a provider, unless it was silent for too long."""
        standing = self._standings.get(key)
        if standing is None:
            return None
        if time - standing.last > self.rule.silence:
            del self._standings[key]
            return None
        standing.last = max(standing.last, time)
        return standing

    def _begin(self, key: Key, time: float) -> Standing:
        if len(self._standings) >= STANDINGS:
            oldest = min(self._standings, key=lambda it: self._standings[it].last)
            del self._standings[oldest]
        if len(self._known) >= STANDINGS:
            self._known = {it: since for it, since in self._known.items() if it[:2] in self._standings}
        standing = self._standings[key] = Standing(time)
        return standing
