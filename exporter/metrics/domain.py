"""The recipients' domains as a second label of deliveries and failures: the busiest ones, within a hard budget.

A domain has a seat, or is counted under `other`. Seats go to the busiest of those without one; who has twice the
traffic of a domain that has a seat takes it over, and a domain that was idle for long enough leaves its seat. What a
domain was counted as is remembered (of four times as many as there are seats), so that its series goes on from where
it was when it comes back; that of one that was forgotten begins anew, as after a restart. `other` is all that was
counted for whoever had no seat: it does not jump when a series leaves. No counter goes backwards.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from exporter.metrics.series import OTHER, Labels

if TYPE_CHECKING:
    from parsers.events import Delivery

LONGEST = 255  # RFC 1035 2.3.4
CANDIDATES = 10  # for each seat
REMEMBERED = 4  # for each seat
TAKE_OVER = 2  # times the traffic of the one that has the seat
OUTBOUND = "outbound"


class Kind(NamedTuple):
    """What deliveries to one domain are told apart by, before budgets."""

    mta: str
    service: str
    provider: str | None
    status: str
    reason: str | None


Counts = dict[str, dict[Labels, int]]  # by metric


def domain_of(recipient: str | None) -> str:
    """The domain of an address, in lower case; "" where it has none."""
    domain = (recipient or "").rpartition("@")[2].lower().rstrip(".") if recipient and "@" in recipient else ""
    return domain if len(domain) <= LONGEST else ""


class Seat:
    """A domain that has a label. `traffic` fades with each look at it."""

    __slots__ = ("counts", "last", "raw", "traffic")

    def __init__(self, counts: Counts, time: float) -> None:
        self.counts = counts
        self.last = time
        self.traffic = 0
        self.raw: Counter[Kind] = Counter()


class Domains:
    """Counts outbound deliveries by domain. `most` seats; 0 is no label at all. `idle` in seconds, of events."""

    def __init__(self) -> None:
        self.most = 0
        self.idle = 86_400.0
        self.dropped = 0  # deliveries that are of `other` since nothing was free
        self._now = 0.0
        self._seats: dict[str, Seat] = {}
        self._candidates: Counter[str] = Counter()
        self._gone: dict[str, Counts] = {}  # the one that left first comes first
        self._attributed: Counts = defaultdict(lambda: defaultdict(int))

    def observe(self, event: Delivery) -> None:
        """Count one delivery."""
        if event.direction != OUTBOUND:
            return
        self._now = max(self._now, event.time)
        domain = domain_of(event.recipient)
        seat = self._seats.get(domain)
        if seat is None:
            self._wait(domain)
            return
        seat.last = max(seat.last, event.time)
        seat.traffic += 1
        seat.raw[Kind(event.origin.mta, event.origin.service, event.provider, event.status, event.reason)] += 1

    def _wait(self, domain: str) -> None:
        self.dropped += len(self._seats) >= self.most
        if not domain:
            return
        self._candidates[domain] += 1
        if len(self._candidates) > CANDIDATES * self.most:
            self._candidates = _faded(self._candidates)

    def fold(self) -> Iterator[tuple[Kind, int, Seat]]:
        """What was counted since the last time, to be given back with its labels to `attribute`."""
        for seat in self._seats.values():
            yield from ((kind, count, seat) for kind, count in seat.raw.items())
            seat.raw.clear()

    def attribute(self, metric: str, labels: Labels, count: int, seat: Seat) -> None:
        """So many deliveries of these labels were to the domain of a seat."""
        seat.counts[metric][labels] += count
        self._attributed[metric][labels] += count

    def reseat(self) -> None:
        """Free the seats of idle domains, and give seats to the busiest of the others; to be called after a fold."""
        for domain in [name for name, seat in self._seats.items() if self._now - seat.last > self.idle]:
            self._leave(domain)
        for domain in sorted(self._seats, key=lambda it: (self._seats[it].last, it))[: -self.most or None]:
            if len(self._seats) > self.most:
                self._leave(domain)
        waiting = sorted(self._candidates.items(), key=lambda it: (-it[1], it[0]))
        for domain, traffic in waiting[: self.most]:
            if self._has_room(traffic):
                self._sit(domain, traffic)
        self._candidates = _faded(self._candidates)
        for seat in self._seats.values():
            seat.traffic //= 2

    def _has_room(self, traffic: int) -> bool:
        """Whether a seat is free, or can be freed for one with this traffic."""
        if len(self._seats) < self.most:
            return True
        least = min(self._seats, key=lambda it: (self._seats[it].traffic, it))
        if traffic < TAKE_OVER * max(self._seats[least].traffic, 1):
            return False
        self._leave(least)
        return True

    def _sit(self, domain: str, traffic: int) -> None:
        counts = self._gone.pop(domain, None) or defaultdict(lambda: defaultdict(int))
        self._seats[domain] = Seat(counts, self._now)
        self._seats[domain].traffic = traffic
        del self._candidates[domain]

    def _leave(self, domain: str) -> None:
        self._gone[domain] = self._seats.pop(domain).counts
        while len(self._gone) > REMEMBERED * max(self.most, 1):
            del self._gone[next(iter(self._gone))]

    def series(self, metric: str, base: Mapping[Labels, int], is_local: int) -> dict[Labels, int]:
        """The numbers of a metric by domain: together they are those of `base`, but for domains that left. Where the
        label at `is_local` (the provider) is empty, a delivery is local and has no domain."""
        attributed = self._attributed[metric]
        rows: dict[Labels, int] = {}
        for labels, count in base.items():
            rows[(*labels, OTHER if labels[is_local] else "")] = count - attributed.get(labels, 0)
        for domain, seat in self._seats.items():
            rows.update({(*labels, domain): count for labels, count in seat.counts[metric].items()})
        return rows


def _faded(traffic: Counter[str]) -> Counter[str]:
    """Half of each: what came once is forgotten."""
    return Counter({domain: count // 2 for domain, count in traffic.items() if count > 1})
