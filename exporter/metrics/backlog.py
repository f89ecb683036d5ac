"""What waits in the queues: the `mail_queue_…` metrics, of the last scan of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.metrics_core import Metric as Family

from exporter.metrics.series import Labels, family
from exporter.queues.figure import AGES, Figures
from exporter.queues.scan import Scan

BOUNDS = (*(f"{age:g}" for age in AGES), "+Inf")


def collect(scans: Sequence[Scan], now: float) -> Iterator[Family]:
    """The families of a scrape at the moment `now`."""
    seen: dict[Labels, Figures] = {}
    causes: Counter[Labels] = Counter()
    for found in scans:
        if found.backlog is None:
            continue
        for queue, figures in found.backlog.queues.items():
            seen[found.place.mta, found.place.service, queue] = figures
        for cause, messages in found.backlog.causes.items():
            causes[found.place.mta, *cause] += messages
    yield family("mail_queue_messages", {of: it.messages for of, it in seen.items()})
    yield family("mail_queue_bytes", {of: it.size for of, it in seen.items()})
    yield family("mail_queue_oldest_age_seconds", {of: _age(it, now) for of, it in seen.items()})
    yield family(
        "mail_queue_age_seconds",
        {(*of, le): count for of, it in seen.items() for le, count in zip(BOUNDS, accumulate(it.ages), strict=True)},
    )
    yield family("mail_queue_deferred_messages", causes)
    places = [(found, (found.place.mta, found.place.service)) for found in scans]
    yield family("mail_queue_scan_duration_seconds", {of: found.duration for found, of in places})
    yield family("mail_queue_scan_success", {of: found.error is None for found, of in places})
    yield family(
        "mail_queue_scan_timestamp_seconds", {of: found.end for found, of in places if found.backlog is not None}
    )


def _age(figures: Figures, now: float) -> float:
    return 0.0 if figures.oldest is None else max(now - figures.oldest, 0.0)
