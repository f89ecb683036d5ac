"""Whether a probe is a success now, and why not: from its last dialogue and from what is written in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.probes.certificate import Certificate
from exporter.probes.failure import Failure
from exporter.probes.smtp import Result

if TYPE_CHECKING:
    from exporter.probes.ledger import Ledger
    from exporter.probes.section import Probe

_SLACK_SECONDS = 30.0  # that a probe may be behind its schedule before its success is too old


@dataclass
class Status:
    """What is known of a probe beyond its ledger; times in seconds since the epoch."""

    result: Result | None = None
    certificate: Certificate | None = None  # the last one that was shown, valid or not
    arrival_seconds: float | None = None
    mailbox_certificate: Certificate | None = None  # as the other, of the mailbox's server
    mailbox: Failure | None = None  # why the mailbox cannot be looked at
    in_junk: bool = False

    def observe(self, result: Result) -> None:
        """A dialogue is over."""
        self.result = result
        self.certificate = result.certificate or self.certificate


def failure_of(probe: Probe, status: Status, ledger: Ledger, now: float) -> Failure | None:
    """Why a probe is no success; None where it is one. Where nothing is known yet, it is none."""
    if status.result and status.result.failure:
        return status.result.failure
    if status.mailbox:
        return status.mailbox
    if probe.arrive:
        if missing := _missing(probe, ledger, now):
            return missing
        if status.in_junk:
            return Failure("arrival", "spam_folder", "the last mail is in the folder for junk")
    last = ledger.last_success(probe.name)
    if last is None:
        return Failure("arrival" if probe.arrive else "dns", "no_result", "nothing is known yet")
    return _stale(probe, last, now)


def _missing(probe: Probe, ledger: Ledger, now: float) -> Failure | None:
    oldest = ledger.oldest(probe.name)
    if oldest and now - oldest.started > probe.late_after:
        return whereabouts(ledger, oldest.id, "late", "a mail has not arrived in time")
    last = ledger.last_settled(probe.name)
    if last and last[1] == "lost":
        return whereabouts(ledger, last[0], "lost", "the last mail of which it is known is lost")
    return None


def whereabouts(ledger: Ledger, mail_id: str, reason: str, words: str) -> Failure:
    """That a mail is missing, and where it is if our log tells; if not, this is the reason."""
    where = ledger.where(mail_id)
    if where is None:
        return Failure("arrival", reason, f"{words}; nothing is known of where it is")
    return Failure("arrival", where.reason, f"{words}: {where.text}", where.reply_code, where.queue_id)


def _stale(probe: Probe, last: float, now: float) -> Failure | None:
    if probe.every is None:
        return None
    longest = probe.every * 1.5 + probe.timeout + _SLACK_SECONDS + (probe.late_after if probe.arrive else 0.0)
    if now - last > longest:
        return Failure("arrival" if probe.arrive else "dns", "stale", "no success for longer than an interval")
    return None
