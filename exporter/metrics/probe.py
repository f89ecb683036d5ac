"""What is known of the probes: the `mail_probe_…` metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.metrics_core import Metric as Family

from exporter.metrics.series import Histogram, Labels, family

if TYPE_CHECKING:
    from exporter.probes.dns.verdict import Verdict
    from exporter.probes.placement import Placement
    from exporter.probes.posture import Findings


class ProbeNumbers(NamedTuple):
    """What a probe tells of itself; times in seconds since the epoch. `failure` is phase and reason."""

    name: str
    failure: tuple[str, str] | None
    phases: dict[str, float]
    counts: dict[str, int]
    pending: int
    last_success: float | None
    certificate_expiry: float | None
    mailbox_certificate_expiry: float | None


@dataclass
class Seen:
    """What was seen from outside of each name of the configuration; nothing where nobody has looked yet."""

    findings: dict[str, Findings] = field(default_factory=dict)
    refusals: dict[str, Mapping[str, Verdict]] = field(default_factory=dict)
    placements: dict[str, Placement] = field(default_factory=dict)
    own_signature: dict[str, str] = field(default_factory=dict)


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
    yield family(
        "mail_probe_mailbox_certificate_expiry_timestamp_seconds",
        {(it.name,): it.mailbox_certificate_expiry for it in known if it.mailbox_certificate_expiry is not None},
    )
    yield family("mail_probe_failure_info", {(it.name, *it.failure): 1 for it in known if it.failure})


def collect_inspections(seen: Seen) -> Iterator[Family]:
    """The families of what is seen from outside: what nobody can tell has no value."""
    yield from _collect_placements(seen.placements, seen.own_signature)
    checks = {name: findings.checks for name, findings in seen.findings.items()}
    zones = {name: findings.zones for name, findings in seen.findings.items()}
    yield family("mail_probe_dns_check", _told(checks))
    yield family("mail_probe_dnsbl_listed", {key: 1 - valid for key, valid in _told(zones).items()})
    yield family("mail_probe_refused", _told(seen.refusals))


def _told(verdicts: Mapping[str, Mapping[str, Verdict]]) -> dict[Labels, float]:
    return {
        (name, check): float(verdict.is_valid)
        for name, of in verdicts.items()
        for check, verdict in of.items()
        if verdict.is_valid is not None
    }


def _collect_placements(placements: Mapping[str, Placement], own_signature: Mapping[str, str]) -> Iterator[Family]:
    results: dict[Labels, float] = {(name, "own_signature", result): 1.0 for name, result in own_signature.items()}
    scores: dict[Labels, float] = {}
    flags: dict[Labels, float] = {}
    for name, it in placements.items():
        results |= {(name, check, result): 1.0 for check, result in it.results.items()}
        if it.spam.score is not None:
            scores[name,] = it.spam.score
        if it.spam.is_flagged is not None:
            flags[name,] = it.spam.is_flagged
    yield family("mail_probe_authentication_result", results)
    yield family("mail_probe_spam_score", scores)
    yield family("mail_probe_spam_flagged", flags)
    yield from _collect_hops(placements)


def _collect_hops(placements: Mapping[str, Placement]) -> Iterator[Family]:
    seconds: dict[Labels, float] = {}
    skews: dict[Labels, float] = {}
    versions: dict[Labels, float] = {}
    for name, placement in placements.items():
        for place, hop in enumerate(placement.hops, 1):
            if hop.seconds is not None:
                seconds[name, str(place)] = hop.seconds
            skews[name, str(place)] = hop.skew
            versions[name, str(place), hop.tls or "none"] = 1.0
    yield family("mail_probe_hop_seconds", seconds)
    yield family("mail_probe_hop_clock_skew_seconds", skews)
    yield family("mail_probe_hop_tls_info", versions)
