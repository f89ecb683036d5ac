"""What a log adds up to: the numbers behind the summary."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
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
        self.examples: dict[tuple[str, str], str] = {}
        self._greylisted: Counter[Kind] = Counter()
        self._raw: dict[Kind, list[float | None]] = defaultdict(list)
        self._waiting = 0
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

    def add(self, events: list[Event]) -> None:
        """Add a batch."""
        if not events:
            return
        self.first = min(events[0].time, events[0].time if self.first is None else self.first)
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
        end = events[-1].time
        self.last = end if self.last is None else max(self.last, end)
        self._waiting += len(events)
        if self._waiting > BATCH:
            self.settle()

    def settle(self) -> None:
        """Count the delays that wait for it."""
        for kind, delays in self._raw.items():
            status, provider, direction, _ = kind
            self.deliveries[kind] += len(delays)
            if status == "sent":
                self.delays[_name(provider, direction)].update(delay for delay in delays if delay is not None)
        self._take_back()
        self._raw.clear()
        self._waiting = 0

    def _take_back(self) -> None:
        for kind, count in self._greylisted.items():
            # A filter may have left the deferral out, and not what became of it.
            moved = min(count, self.deliveries[kind])
            self.deliveries[kind] -= moved
            self.deliveries[kind[0], kind[1], kind[2], GREYLISTED] += moved
        self._greylisted.clear()

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
            self._was_greylisted(event.greylisted)
        if event.status != "sent" and (event.status, event.reason or "") not in self.examples:
            self.examples[event.status, event.reason or ""] = event.reply or ""

    def _was_greylisted(self, deferral: Deferral) -> None:
        """What was counted as deferred for a vague reason has another one, if it was counted here."""
        if self.first is not None and deferral.time >= self.first:
            self._greylisted["deferred", deferral.provider, deferral.direction, deferral.reason] += 1
            self.examples.setdefault(("deferred", GREYLISTED), deferral.reply)

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
                "example": self.examples.get((status, reason)) or self.examples.get((status, "")) or "",
            }
            for (status, reason), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            if count
        ]

    def delay(self) -> dict[str, float | None]:
        """Quantiles of the delays of all that was sent."""
        everything = Delays()
        for delays in self.delays.values():
            everything.update(delays)
        return dict(zip(("p50", "p90", "p99", "max"), everything.quantiles(0.5, 0.9, 0.99, 1.0), strict=True))


def _name(provider: str | None, direction: str) -> str:
    return LOCAL if direction == LOCAL else provider or OTHER
