"""Whether a probe is a success now, and why not: from its last dialogue and from what is written in the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.probes.smtp import Failure, Result

if TYPE_CHECKING:
    from exporter.probes.ledger import Ledger
    from exporter.probes.section import Probe

_SLACK_SECONDS = 30.0  # that a probe may be behind its schedule before its success is too old


@dataclass
class Status:
    """What is known of a probe beyond its ledger; times in seconds since the epoch."""

    result: Result | None = None
    arrival_seconds: float | None = None
    mailbox: Failure | None = None  # why the mailbox cannot be looked at
    in_junk: bool = False
    whereabouts: dict[str, Failure] = field(default_factory=dict)  # of mails that wait, as our own log tells

    def certificate_expiry(self) -> float | None:
        """When the certificate of the last dialogue expires."""
        return self.result.certificate.expiry if self.result and self.result.certificate else None


def failure_of(probe: Probe, status: Status, ledger: Ledger, now: float) -> Failure | None:
    """Why a probe is no success; None where it is one. Where nothing is known yet, it is none."""
    if status.result and status.result.failure:
        return status.result.failure
    if status.mailbox:
        return status.mailbox
    if probe.arrive:
        if missing := _missing(probe, status, ledger, now):
            return missing
        if status.in_junk:
            return Failure("arrival", "spam_folder", "the last mail is in the folder for junk")
    last = ledger.last_success(probe.name)
    if last is None:
        return Failure("arrival" if probe.arrive else "dns", "no_result", "nothing is known yet")
    return _stale(probe, last, now)


def _missing(probe: Probe, status: Status, ledger: Ledger, now: float) -> Failure | None:
    waiting = ledger.waiting(probe.name)
    overdue = next((mail for mail in waiting if now - mail.started > probe.late_after), None)
    if overdue:
        late = Failure("arrival", "late", "a mail has not arrived in time; nothing is known of where it is")
        return status.whereabouts.get(overdue.id, late)
    if ledger.last_state(probe.name) == "lost":
        return Failure("arrival", "lost", "the last mail of which it is known is lost")
    return None


def _stale(probe: Probe, last: float, now: float) -> Failure | None:
    if probe.every is None:
        return None
    longest = probe.every * 1.5 + probe.timeout + _SLACK_SECONDS + (probe.late_after if probe.arrive else 0.0)
    if now - last > longest:
        return Failure("arrival" if probe.arrive else "dns", "stale", "no success for longer than an interval")
    return None
