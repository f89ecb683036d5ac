"""What a log adds up to: the numbers behind the summary."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from parsers.events import (
    Auth,
    Connect,
    Delivery,
    Disconnect,
    Event,
    Notification,
    QueueAction,
    Queued,
    Received,
    Reject,
    Removed,
)
from parsers.message import Deferral
from parsers.speaker import OTHER

STATUSES = ("sent", "deferred", "bounced", "expired")
LOCAL = "local"
GREYLISTED = "greylisted"
BATCH = 50_000  # events whose delays are kept before they are counted

# status, provider, direction, reason
Kind = tuple[str, str | None, str, str | None]
# First and last time, counts, counters, what was greylisted early, delays by provider, examples with their places.
Payload = tuple[
    float | None,
    float | None,
    list[int],
    list[Counter[Any]],
    list[tuple[float, Kind]],
    dict[str, "Delays"],
    dict[tuple[str, str], tuple[int, str]],
]
_KIND: Callable[[Delivery], Kind] = attrgetter("status", "provider", "direction", "reason")


class Delays(Counter[float]):
    """Delays in seconds, each with how often it came: logs round them, so few differ."""

    def quantiles(self, *shares: float) -> list[float | None]:
        """For each share the smallest delay that so many are not above; None where there are none."""
        values, total = sorted(self), self.total()
        found: list[float | None] = []
        for share in shares:
            left = share * total
            found.append(next((value for value in values if (left := left - self[value]) <= 1e-9), None))
        return found


class Summary:
    """The numbers of the report, added up batch by batch."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.last: float | None = None
        self.received = self.size = self.removed = self.notifications = self.connections = 0
        self.logins: Counter[str] = Counter()
        self.rejects: Counter[str] = Counter()
        self.deliveries: Counter[Kind] = Counter()
        self.delays: dict[str, Delays] = defaultdict(Delays)  # of what was sent, by provider
        self.examples: dict[tuple[str, str], tuple[int, str]] = {}  # with the place in the log
        self._greylisted: Counter[Kind] = Counter()
        self._early: list[tuple[float, Kind]] = []  # greylisted before the first event that was seen so far
        self._raw: dict[Kind, list[float | None]] = defaultdict(list)
        self._waiting = 0
        self._numbered: tuple[list[Event], Sequence[int]] = ([], ())
        self._steps: dict[type[Event], Callable[[Any], None]] = {
            Auth: self._auth,
            Delivery: self._delivery,
            Disconnect: self._login,
            Notification: self._notification,
            Queued: self._arrival,
            QueueAction: self._queue_action,
            Received: self._received,
            Reject: self._reject,
        }

    def add(self, events: list[Event], numbers: Sequence[int]) -> None:
        """Add a batch, with the places of its events in the log."""
        if not events:
            return
        self._numbered = events, numbers
        times = [event.time for event in events]
        self._see(min(times), max(times))
        steps = self._steps
        for event in events:
            kind = type(event)
            if kind is Removed:
                self.removed += 1
            elif kind is Connect:
                self.connections += 1
            else:
                step = steps.get(kind)
                if step:
                    step(event)
        self._waiting += len(events)
        if self._waiting > BATCH:
            self._count_delays()

    def _see(self, first: float, last: float) -> None:
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)

    def blank(self) -> Summary:
        """One of the same question, without any numbers."""
        return Summary()

    def payload(self) -> Payload:
        """All numbers."""
        self._count_delays()
        counts = [self.received, self.size, self.removed, self.notifications, self.connections]
        return self.first, self.last, counts, self._counters(), self._early, self.delays, self.examples

    def merge(self, payload: Payload, base: int, *, told: Mapping[int, int]) -> None:
        """Add the numbers of a part of the log that begins after `base` events."""
        first, last, counts, counters, early, delays, examples = payload
        if first is not None and last is not None:
            self._see(first, last)
        self.received += counts[0]
        self.size += counts[1]
        self.removed += counts[2]
        self.notifications += counts[3]
        self.connections += counts[4]
        for mine, its in zip(self._counters(), counters, strict=True):
            mine.update(its)
        self._early += early
        self.logins["success"] -= sum(told.values())
        for name, of_it in delays.items():
            self.delays[name].update(of_it)
        for key, (number, text) in examples.items():
            self._exemplify(key, base + number, text)

    def _counters(self) -> list[Counter[Any]]:
        return [self.logins, self.rejects, self.deliveries, self._greylisted]

    def settle(self) -> None:
        """All was added."""
        self._count_delays()
        self._take_back()

    def _count_delays(self) -> None:
        for kind, delays in self._raw.items():
            status, provider, direction, _ = kind
            self.deliveries[kind] += len(delays)
            if status == "sent":
                self.delays[_name(provider, direction)].update(delay for delay in delays if delay is not None)
        self._raw.clear()
        self._waiting = 0

    def _take_back(self) -> None:
        self._greylisted.update(kind for time, kind in self._early if self.first is not None and time >= self.first)
        for kind, count in self._greylisted.items():
            # A filter may have left the deferral out, and not what became of it.
            moved = min(count, self.deliveries[kind])
            self.deliveries[kind] -= moved
            self.deliveries[kind[0], kind[1], kind[2], GREYLISTED] += moved
        self._greylisted.clear()
        self._early.clear()

    def _auth(self, event: Auth) -> None:
        self.logins[event.result] += event.attempts

    def _login(self, event: Received | Disconnect) -> None:
        self.logins["success"] += event.logins

    def _received(self, event: Received) -> None:
        self._login(event)
        self._arrival(event)
        self.notifications += bool(event.notification)

    def _notification(self, event: Notification) -> None:
        self.notifications += 1
        self.received += event.is_arrival

    def _arrival(self, event: Queued | QueueAction | Received | Delivery) -> None:
        if event.is_arrival:
            self.received += 1
            self.size += (event.message.size or 0) if event.message else 0

    def _queue_action(self, event: QueueAction) -> None:
        self._arrival(event)
        self.removed += event.is_removal

    def _delivery(self, event: Delivery) -> None:
        kind = _KIND(event)
        self._raw[kind].append(event.delay)
        self.removed += event.is_removal
        self._arrival(event)
        if event.greylisted is not None:
            self._was_greylisted(event, event.greylisted)
        if event.status != "sent" and (event.status, event.reason or "") not in self.examples:
            self._exemplify((event.status, event.reason or ""), self._number_of(event), event.reply or "")

    def _number_of(self, event: Event) -> int:
        events, numbers = self._numbered
        return numbers[next(place for place, it in enumerate(events) if it is event)]

    def _exemplify(self, key: tuple[str, str], number: int, text: str) -> None:
        """Keep the first of the log."""
        if key not in self.examples or number < self.examples[key][0]:
            self.examples[key] = (number, text)

    def _was_greylisted(self, event: Delivery, deferral: Deferral) -> None:
        """What was counted as deferred for a vague reason has another one, if it was counted here."""
        kind: Kind = ("deferred", deferral.provider, deferral.direction, deferral.reason)
        if self.first is None or deferral.time < self.first:
            self._early.append((deferral.time, kind))
        else:
            self._greylisted[kind] += 1
        if ("deferred", GREYLISTED) not in self.examples:
            self._exemplify(("deferred", GREYLISTED), self._number_of(event), deferral.reply)

    def _reject(self, event: Reject) -> None:
        self.rejects[event.reason or "unclassified"] += 1

    # --- what is asked of the numbers ---

    def statuses(self) -> dict[str, int]:
        """Deliveries by status."""
        counts: Counter[str] = Counter()
        for (status, _, _, _), count in self.deliveries.items():
            counts[status] += count
        return {status: counts[status] for status in STATUSES}

    def providers(self) -> list[dict[str, Any]]:
        """Deliveries by who runs the destination, most first."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for (status, provider, direction, _), count in self.deliveries.items():
            counts[_name(provider, direction)][status] += count
        rows = []
        for name, of_it in sorted(counts.items(), key=lambda item: (-item[1].total(), item[0])):
            p50, p90 = self.delays[name].quantiles(0.5, 0.9)
            statuses = {status: of_it[status] for status in STATUSES}
            rows.append({"provider": name, **statuses, "delay_p50": p50, "delay_p90": p90})
        return rows

    def reasons(self) -> list[dict[str, Any]]:
        """Failed deliveries by status and reason, most first."""
        counts: Counter[tuple[str, str]] = Counter()
        for (status, _, _, reason), count in self.deliveries.items():
            if status != "sent":
                counts[status, reason or "unclassified"] += count
        return [
            {
                "status": status,
                "reason": reason,
                "count": count,
                "example": self._example(status, reason),
            }
            for (status, reason), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            if count
        ]

    def _example(self, status: str, reason: str) -> str:
        return self.examples.get((status, reason), (0, ""))[1] or self.examples.get((status, ""), (0, ""))[1]

    def delay(self) -> dict[str, float | None]:
        """Quantiles of the delays of all that was sent."""
        everything = Delays()
        for delays in self.delays.values():
            everything.update(delays)
        return dict(zip(("p50", "p90", "p99", "max"), everything.quantiles(0.5, 0.9, 0.99, 1.0), strict=True))


def _name(provider: str | None, direction: str) -> str:
    return LOCAL if direction == LOCAL else provider or OTHER
