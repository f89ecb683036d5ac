"""The summary in pictures: its chief numbers, and charts of traffic, outcome, providers, reasons and delays."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from mailstat.report import Chart, Figure

if TYPE_CHECKING:
    from mailstat.figures import Summary
    from mailstat.traffic import Bars, Traffic

STATUSES = ("sent", "deferred", "bounced", "expired")
BARS = 60  # of a chart over time
ROWS = 10  # of a chart by name
LEAST = 0.125  # seconds of the first bar of delays; a power of two, so that the bounds are exact
OTHERS = "all others"


def figures(document: Mapping[str, Any]) -> list[Figure]:
    """What one looks at first."""
    deliveries, delay = document["deliveries"], document["delay"]
    ended = sum(deliveries[status] for status in ("sent", "bounced", "expired"))
    return [
        Figure("received", document["messages"]["received"]),
        Figure("sent", deliveries["sent"]),
        Figure("arrived of all that ended", deliveries["sent"] / ended if ended else None, "percent"),
        Figure("deferred", deliveries["deferred"]),
        Figure("bounced or expired", deliveries["bounced"] + deliveries["expired"]),
        Figure("median delay", delay["p50"], "seconds"),
        Figure("99 % faster than", delay["p99"], "seconds"),
        Figure("rejects", document["rejects"]["total"]),
        Figure("failed logins", document["auth"]["failure"]),
    ]


def charts(document: Mapping[str, Any], summary: Summary, traffic: Traffic, zone: tzinfo) -> list[Chart]:
    """The pictures, those over time first."""
    offset = _offset(summary.last, zone)
    told = traffic.bars([*STATUSES, "received", "rejects", "failed logins"], BARS, offset=offset)
    providers, reasons = document["providers"], document["reasons"]
    return [
        _over_time("Deliveries", told, STATUSES),
        _over_time("Failures", told, STATUSES[1:]),
        _over_time("Received and rejected", told, ("received", "rejects")),
        _over_time("Failed logins", told, ("failed logins",)),
        Chart("Outcome", "ring", [""], {status: [document["deliveries"][status]] for status in STATUSES}),
        _of_delays(summary),
        _by_name("Providers", _folded(((row["provider"], row) for row in providers), STATUSES), STATUSES),
        _by_name(
            "Reasons of failures",
            _folded(((row["reason"], {row["status"]: row["count"]}) for row in reasons), STATUSES[1:]),
            STATUSES[1:],
        ),
    ]


def _offset(last: float | None, zone: tzinfo) -> float:
    moment = datetime.fromtimestamp(last or 0.0, zone).utcoffset()
    return moment.total_seconds() if moment else 0.0


def _over_time(title: str, told: Bars, names: Sequence[str]) -> Chart:
    return Chart(title, "columns", told.starts, {name: told.counts[name] for name in names}, "time")


def _of_delays(summary: Summary) -> Chart:
    """How many were sent within a delay, and not within half of it."""
    counts: Counter[int] = Counter()
    for delays in summary.delays.values():
        for delay, count in delays.items():
            counts[_power(delay)] += count
    powers = range(min(counts), max(counts) + 1) if counts else range(0)
    return Chart(
        "Delay of what was sent",
        "columns",
        [LEAST * 2.0**power for power in powers],
        {"within": [counts[power] for power in powers]},
        "seconds",
    )


def _power(delay: float) -> int:
    """How often the first bound is doubled to be no less than the delay."""
    power = 0
    while LEAST * 2.0**power < delay:
        power += 1
    return power


def _folded(rows: Iterator[tuple[str, Mapping[str, int]]], names: Sequence[str]) -> dict[str, Counter[str]]:
    """Counts by label, in the order of their sums; what is beyond the last row is one row."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for label, row in rows:
        counts[label].update({name: row[name] for name in names if name in row})
    order = sorted(counts, key=lambda label: (-counts[label].total(), label))
    found = {label: counts[label] for label in order[:ROWS]}
    for label in order[ROWS:]:
        found.setdefault(OTHERS, Counter()).update(counts[label])
    return found


def _by_name(title: str, rows: Mapping[str, Counter[str]], names: Sequence[str]) -> Chart:
    return Chart(title, "bars", list(rows), {name: [row[name] for row in rows.values()] for name in names})
