"""What is known of the probes: the `mail_probe_…` metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from prometheus_client.metrics_core import Metric as Family

from exporter.metrics.series import Histogram, family


class ProbeNumbers(NamedTuple):
    """What a probe tells of itself; times in seconds since the epoch. `failure` is phase and reason."""

    name: str
    failure: tuple[str, str] | None
    phases: dict[str, float]
    counts: dict[str, int]
    pending: int
    last_success: float | None
    certificate_expiry: float | None


def collect(probes: Iterable[ProbeNumbers], roundtrips: Histogram) -> Iterator[Family]:
    """The families of a scrape."""
    known = list(probes)
    yield family("mail_probe_success", {(it.name,): float(it.failure is None) for it in known})
    yield family(
        "mail_probe_phase_seconds",
        {(it.name, phase): seconds for it in known for phase, seconds in it.phases.items()},
    )
    yield roundtrips.family()
    yield family(
        "mail_probe_messages_total",
        {(it.name, result): mails for it in known for result, mails in it.counts.items()},
    )
    yield family("mail_probe_pending_messages", {(it.name,): it.pending for it in known})
    yield family(
        "mail_probe_last_success_timestamp_seconds",
        {(it.name,): it.last_success for it in known if it.last_success is not None},
    )
    yield family(
        "mail_probe_certificate_expiry_timestamp_seconds",
        {(it.name,): it.certificate_expiry for it in known if it.certificate_expiry is not None},
    )
    yield family("mail_probe_failure_info", {(it.name, *it.failure): 1 for it in known if it.failure})
