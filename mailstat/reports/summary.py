"""The whole of a log on one page: what came, what went, what failed and why."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from mailstat.report import Column, Report, Section
from parsers.clock import rfc3339
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
from parsers.reader import OTHER, Tally

if TYPE_CHECKING:
    from mailstat.log import Log

NAME = "summary"
HELP = "the whole log on one page: messages, deliveries, providers, reasons, rejects, logins"
DESCRIPTION = (
    "What came, what went, what failed and why. Deliveries count recipients and attempts, as the log has them: a "
    "message to three recipients that is deferred twice for one of them makes five."
)
STATUSES = ("sent", "deferred", "bounced", "expired")
OUTCOMES = ("parsed", "ignored", "unknown", "malformed")
LOCAL = "local"
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
        self._raw: dict[Kind, list[float | None]] = defaultdict(list)
        self._waiting = 0
        self._steps: dict[type[Event], Callable[[Any], None]] = {
            Auth: self._auth,
            Delivery: self._delivery,
            Disconnect: self._login,
            Queued: self._arrival,
            QueueAction: self._arrival,
            Received: self._login,
            Reject: self._reject,
        }

    def add(self, events: list[Event]) -> None:
        """Add a batch."""
        if not events:
            return
        steps = self._steps
        for event in events:
            kind = type(event)
            if kind is Removed:
                self.removed += 1
            elif kind is Connect:
                self.connections += 1
            elif kind is Notification:
                self.notifications += 1
            else:
                step = steps.get(kind)
                if step:
                    step(event)
        start, end = events[0].time, events[-1].time
        self.first = start if self.first is None else min(self.first, start)
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
        self._raw.clear()
        self._waiting = 0

    def _auth(self, event: Auth) -> None:
        self.logins[event.result] += event.attempts

    def _login(self, event: Received | Disconnect) -> None:
        self.logins["success"] += event.logins

    def _arrival(self, event: Queued | QueueAction) -> None:
        if event.is_arrival:
            self.received += 1
            self.size += (event.message.size or 0) if event.message else 0

    def _delivery(self, event: Delivery) -> None:
        kind = _KIND(event)
        self._raw[kind].append(event.delay)
        if event.status != "sent" and (event.status, event.reason or "") not in self.examples:
            self.examples[event.status, event.reason or ""] = event.reply or ""

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
        ]

    def delay(self) -> dict[str, float | None]:
        """Quantiles of the delays of all that was sent."""
        everything = Delays()
        for delays in self.delays.values():
            everything.update(delays)
        return dict(zip(("p50", "p90", "p99", "max"), everything.quantiles(0.5, 0.9, 0.99, 1.0), strict=True))


def _name(provider: str | None, direction: str) -> str:
    return LOCAL if direction == LOCAL else provider or OTHER


def make(log: Log, options: Namespace) -> Report:  # noqa: ARG001 - what every report is given
    """Read the log and add it up."""
    summary = Summary()
    for events in log.batches():
        summary.add(events)
    summary.settle()
    document = _document(summary, log.tallies, lambda time: rfc3339(time, log.zone))
    return Report(NAME, "Summary", _sections(document), document=document)


def _document(summary: Summary, tallies: Mapping[str, Tally], shown: Callable[[float], str]) -> dict[str, Any]:
    lines = Tally()
    for tally in tallies.values():
        lines.add(tally)
    first, last = (None if time is None else shown(time) for time in (summary.first, summary.last))
    return {
        "period": {"first": first, "last": last},
        "lines": {"total": lines.lines} | {outcome: getattr(lines, outcome) for outcome in OUTCOMES},
        "messages": {
            "received": summary.received,
            "bytes": summary.size,
            "removed": summary.removed,
            "notifications": summary.notifications,
        },
        "deliveries": summary.statuses(),
        "rejects": {"total": summary.rejects.total(), "by_reason": dict(summary.rejects.most_common())},
        "auth": {result: summary.logins[result] for result in ("success", "failure")},
        "connections": summary.connections,
        "delay": summary.delay(),
        "providers": summary.providers(),
        "reasons": summary.reasons(),
    }


# --- for people ---


def _sections(document: dict[str, Any]) -> list[Section]:
    period, lines, messages = document["period"], document["lines"], document["messages"]
    counts = [
        ("first event", period["first"] or "-"),
        ("last event", period["last"] or "-"),
        ("lines", _counted(lines, ("total",)) + _parts(lines, OUTCOMES)),
        ("messages received", f"{messages['received']:,}"),
        ("messages removed", f"{messages['removed']:,}"),
        ("notifications sent", f"{messages['notifications']:,}"),
        ("connections", f"{document['connections']:,}"),
        ("logins", _parts(document["auth"], ("success", "failure")).strip(" ()")),
    ]
    providers = ("provider", *STATUSES, "delay_p50", "delay_p90")
    kinds = ("text", *("number",) * 4, "seconds", "seconds")
    return [
        Section("Overview", (Column("what"), Column("value")), counts),
        _table(
            "Deliveries",
            [document["deliveries"] | {f"delay_{k}": v for k, v in document["delay"].items()}],
            (*STATUSES, "delay_p50", "delay_p90", "delay_p99", "delay_max"),
            (*("number",) * 4, *("seconds",) * 4),
        ),
        _table("Deliveries by provider", document["providers"], providers, kinds),
        _table(
            "Failures by reason",
            document["reasons"],
            ("status", "reason", "count", "example"),
            ("text", "text", "number", "text"),
        ),
        Section(
            "Rejects by reason",
            (Column("reason"), Column("count", "number")),
            list(document["rejects"]["by_reason"].items()),
        ),
    ]


def _table(
    title: str, records: Iterable[Mapping[str, Any]], names: tuple[str, ...], kinds: tuple[Any, ...]
) -> Section:
    columns = [Column(name, kind) for name, kind in zip(names, kinds, strict=True)]
    return Section(title, columns, [[record[name] for name in names] for record in records])


def _counted(counts: Mapping[str, int], names: tuple[str, ...]) -> str:
    return f"{sum(counts[name] for name in names):,}"


def _parts(counts: Mapping[str, int], names: tuple[str, ...]) -> str:
    return " (" + ", ".join(f"{counts[name]:,} {name}" for name in names) + ")"
