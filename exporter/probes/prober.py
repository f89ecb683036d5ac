"""The probes of the configuration: runs them when they are due, looks where their mail arrives, and tells of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import TypeVar

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from exporter.metrics.probe import ProbeNumbers, collect
from exporter.metrics.series import Histogram
from exporter.probes.arrival import Arrivals, Found
from exporter.probes.failure import Failure, ProbeError, explain, without_addresses
from exporter.probes.ledger import Arrival, Ledger
from exporter.probes.limit import Allowance
from exporter.probes.log import Accepted, Step, follow, ours, queue_id_in
from exporter.probes.mailbox import Mailbox, mailbox
from exporter.probes.message import Key, Mail, named, whose
from exporter.probes.run import Outcome, send_probe
from exporter.probes.schedule import CONCURRENT, starts
from exporter.probes.section import Arrive, Probe, SecretError, Send
from exporter.probes.status import Status, failure_of, whereabouts
from exporter.queues.entry import Attempt
from exporter.view import ProbeView
from parsers.events import Event

logger = logging.getLogger(__name__)

Seen = TypeVar("Seen")

_IDLE_SECONDS = 60.0  # between two looks into a mailbox while no mail is awaited: one that was lost may come
_VISIT_SECONDS = 60.0  # that a look may take
_PRUNE_SECONDS = 3600.0
_SKEW_SECONDS = 300.0  # by which a mailbox may be wrong about the time of an arrival


class Prober(Collector):
    """Runs probes. `now` gives seconds since the epoch. Without `state_dir` nothing survives a restart."""

    def __init__(self, probes: Iterable[Probe], state_dir: Path | None, now: Callable[[], float] = time.time) -> None:
        self.probes: dict[str, Probe] = {}
        self.arrivals = Arrivals()
        self.is_log_read: Callable[[], bool] = lambda: True
        self.next_attempt: Callable[[str, float], Attempt | None] = lambda _queue_id, _now: None
        self._now = now
        self._state_dir = state_dir
        self._key: Key | None = None
        self._ledger: Ledger | None = None
        self._allowance = Allowance()
        self._accepted = Accepted()
        self._statuses: dict[str, Status] = {}
        self._roundtrips = Histogram("mail_probe_roundtrip_seconds")
        self._changed = asyncio.Event()
        self._free = asyncio.Semaphore(CONCURRENT)
        self.configure(probes)

    def configure(self, probes: Iterable[Probe]) -> None:
        """Go on with these probes."""
        self.probes = {probe.name: probe for probe in probes}
        self._statuses = {name: self._statuses.get(name) or Status() for name in self.probes}
        self._changed.set()

    @property
    def key(self) -> Key:
        """The key of the tokens; one for this run alone where it cannot be kept."""
        if self._key is None:
            try:
                self._key = Key.in_folder(self._state_dir)
            except OSError as error:
                logger.warning("the key of the probes cannot be kept", extra={"error": str(error)})
                self._key = Key.in_folder(None)
        return self._key

    @property
    def ledger(self) -> Ledger:
        """The ledger, in memory where it cannot be kept."""
        if self._ledger is None:
            self._ledger = _open_ledger(self._state_dir)
            for recipient, started in self._ledger.since(self._now() - 3600):
                self._allowance.note(recipient, started)
            for queue_id, mail_id, probe in self._ledger.queued():
                self._accepted.note(queue_id, mail_id, self.key.token(probe, mail_id))
        return self._ledger

    def status(self, probe: Probe) -> Status:
        """What is known of this probe."""
        return self._statuses[probe.name]

    def views(self) -> list[ProbeView]:
        """What people see of the probes that are run."""
        return self._of_each(self._view)

    def _of_each(self, look: Callable[[Probe], Seen]) -> list[Seen]:
        """What is seen of the probes that are run. A ledger that can no longer be read is opened anew: what it does
        not tell must not keep the metrics of the logs from whoever asks."""
        scheduled = [probe for probe in self.probes.values() if probe.every]
        try:
            return [look(probe) for probe in scheduled]
        except sqlite3.Error as error:
            logger.warning("the ledger of the probes cannot be read", extra={"error": str(error)})
            self.close()
            return [look(probe) for probe in scheduled]

    def _view(self, probe: Probe) -> ProbeView:
        failure = failure_of(probe, self._statuses[probe.name], self.ledger, self._now())
        return ProbeView(
            name=probe.name,
            pending=self.ledger.pending(probe.name) if probe.arrive else 0,
            last_success=self.ledger.last_success(probe.name),
            reason=f"{failure.phase}: {failure.reason}" if failure else None,
            failure=without_addresses(self.told(failure).text) if failure else None,
        )

    def told(self, failure: Failure) -> Failure:
        """A failure for people: of a mail in our own queue it tells when that is tried again."""
        attempt = self.next_attempt(failure.queue_id, self._now()) if failure.queue_id else None
        if attempt is None:
            return failure
        at = datetime.fromtimestamp(attempt.time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        when = attempt.words.format(at) if attempt.time > self._now() else "as soon as the queue is run"
        return failure._replace(text=f"{failure.text}; next attempt {when}")

    async def send(self, probe: Probe, send: Send, seconds: float | None = None) -> Outcome:
        """Run the dialogue of a probe for whoever asks; the ledger knows no more than that a mail went out."""
        now = self._now()
        outcome = await self._send(probe, send, now, lambda _: None, seconds)
        if outcome.result.may_be_sent:
            with _logged(probe.name):
                self.ledger.request(send.to or "", now)
        return outcome

    async def _send(
        self, probe: Probe, send: Send, now: float, begin: Callable[[Mail], None], seconds: float | None = None
    ) -> Outcome:
        """Run a dialogue, within the limit of its destination; `begin` is called before a mail is sent."""
        is_allowed = False

        def before(mail: Mail) -> None:
            nonlocal is_allowed
            self._allow(send.to or "", now)
            is_allowed = True
            begin(mail)

        outcome = await send_probe(probe, send, self.key, self._now, seconds, before)
        if is_allowed and not outcome.result.may_be_sent:
            self._allowance.give_back(send.to or "", now)
        return outcome

    async def run(self) -> None:
        """Run what is due and look for what arrives, until cancelled. When the configuration changes, what it leaves
        as it was goes on: no dialogue is broken off, no interval begins anew."""
        tasks: dict[Probe | Arrive, asyncio.Task[None]] = {}
        pruning = asyncio.create_task(self._prune())
        try:
            while True:
                self._changed.clear()
                await _stop([tasks.pop(key) for key in tasks.keys() - self._wanted()])
                for key in self._wanted() - tasks.keys():
                    work = self._watch(key) if isinstance(key, Arrive) else self._schedule(key)
                    tasks[key] = asyncio.create_task(work)
                await self._changed.wait()
        finally:
            await _stop([pruning, *tasks.values()])

    def _wanted(self) -> set[Probe | Arrive]:
        """What there is a task for: each probe that is scheduled, and each of their mailboxes."""
        scheduled = [probe for probe in self.probes.values() if probe.every]
        return {*scheduled, *(probe.arrive for probe in scheduled if probe.arrive)}

    def close(self) -> None:
        """Let go of the ledger."""
        if self._ledger:
            self._ledger.close()
            self._ledger = None

    async def run_once(self, probe: Probe) -> Outcome:
        """Run a probe as when it is due: the ledger knows, and so do the metrics."""
        now = self._now()
        begun: list[str] = []

        def begin(mail: Mail) -> None:
            self._begin(probe, mail, now)
            begun.append(mail.id)

        try:
            outcome = await self._send(probe, probe.send, now, begin)
        except BaseException:
            for mail_id in begun:
                self.ledger.abandon(mail_id)
            raise
        self._told(probe, outcome.result.failure)
        if probe.name in self._statuses:
            self._statuses[probe.name].observe(outcome.result)
        self._settle(probe, outcome, is_begun=bool(begun))
        return outcome

    def _begin(self, probe: Probe, mail: Mail, now: float) -> None:
        try:
            self.ledger.begin(mail.id, probe.name, probe.send.to or "", now)
        except sqlite3.Error as error:
            raise ProbeError("internal", f"the ledger cannot be written: {error}") from None

    def _settle(self, probe: Probe, outcome: Outcome, *, is_begun: bool) -> None:
        if outcome.mail and is_begun:
            self.ledger.settle(outcome.mail.id, is_sent=outcome.result.is_sent)
            if queue_id := queue_id_in(outcome.result.reply):
                self._accepted.note(queue_id, outcome.mail.id, self.key.token(probe.name, outcome.mail.id))
        elif outcome.result.failure:
            self.ledger.failed_before(probe.name)
        if outcome.result.failure is None and not probe.arrive:
            self.ledger.succeeded(probe.name, self._now())

    def _told(self, probe: Probe, failure: Failure | None) -> None:
        """Log it when a probe begins to fail, or is well again."""
        before = self._statuses.get(probe.name, Status()).result
        had = before.failure if before else None
        if failure and (had is None or had[:2] != failure[:2]):
            extra = {
                "probe": probe.name,
                "phase": failure.phase,
                "reason": failure.reason,
                "error": without_addresses(failure.text),
            }
            logger.warning("a probe fails", extra=extra)
        elif had and not failure:
            logger.info("a probe is well again", extra={"probe": probe.name})

    async def _schedule(self, probe: Probe) -> None:
        assert probe.every is not None, "only what has an interval is scheduled"
        loop = asyncio.get_running_loop()
        ahead = loop.time() - self._now()  # taken once: a clock that is set runs no probe twice
        for due in starts(probe.name, probe.every, self._now(), Random()):  # noqa: S311 - jitter
            await asyncio.sleep(max(due + ahead - loop.time(), 0.0))
            if loop.time() - due - ahead > probe.every:
                continue  # what was missed is not made up for: the destination would get it all at once
            async with self._free:
                with _logged(probe.name):
                    await self.run_once(probe)

    async def _watch(self, arrive: Arrive) -> None:
        """Look into a mailbox as often as it is worth it."""
        box = mailbox(arrive)
        try:
            while True:
                rest = _IDLE_SECONDS
                with _logged(""):
                    rest = await self._look_and_wait(box, arrive)
                await asyncio.sleep(rest)
        finally:
            box.close()
            await box.closed()

    async def _look_and_wait(self, box: Mailbox, arrive: Arrive) -> float:
        """One look, and the time after it until the next is worth it; how long to rest besides."""
        loop = asyncio.get_running_loop()
        mine = [probe for probe in self.probes.values() if probe.arrive == arrive]
        if not await self.look(box, mine):
            return _IDLE_SECONDS  # asking for a login again and again is how to be locked out
        until = loop.time() + _IDLE_SECONDS
        while not await box.wait(arrive.every) and loop.time() < until:
            if any(self.ledger.pending(probe.name) for probe in mine):
                break
        return 0.0

    async def _prune(self) -> None:
        while True:
            if self.probes or (self._state_dir and _file_of(self._state_dir).exists()):
                with _logged(""):
                    self.ledger.prune(self._now())
            await asyncio.sleep(_PRUNE_SECONDS)

    async def look(self, box: Mailbox, probes: list[Probe]) -> bool:
        """Look into the mailbox of these probes once; only then is lost what is not there. Whether that could be."""
        if not self.is_log_read() and any(probe.arrive and probe.arrive.log for probe in probes):
            return True  # what arrived while nobody followed the log would be lost
        began = self._now()
        failure = None
        try:
            async with asyncio.timeout(_VISIT_SECONDS):
                await box.visit(self.take)
        except (OSError, UnicodeError, ProbeError, SecretError) as error:
            told = ProbeError("no_secret", str(error)) if isinstance(error, SecretError) else explain(error)
            failure = Failure("arrival", f"mailbox_{told.reason}", told.text)
        for probe in probes:
            status = self._statuses.get(probe.name)
            if status is None:
                continue
            if failure and not status.mailbox:
                extra = {"probe": probe.name, "reason": failure.reason, "error": without_addresses(failure.text)}
                logger.warning("the mailbox of a probe cannot be looked at", extra=extra)
            status.mailbox = failure
            status.mailbox_certificate = box.certificate
            if failure is None:
                self._lose(probe, began)
        return failure is None

    def _lose(self, probe: Probe, began: float) -> None:
        for mail_id in self.ledger.lose(probe.name, began - probe.lost_after):
            failure = whereabouts(self.ledger, mail_id, "lost", "it has not arrived")
            extra = {"probe": probe.name, "id": mail_id, "error": without_addresses(failure.text)}
            logger.warning("a probe mail is lost", extra=extra)

    def take(self, found: Found) -> bool:
        """A mail is in a mailbox: write it down, if it is ours. Whether it is, and need not be there any more."""
        known = whose(found.raw, self.key) or self._named(found.message_id)
        if known is None:
            return False
        name, mail_id = known
        self.arrived(name, mail_id, found)
        return True

    def _named(self, message_id: str) -> tuple[str, str] | None:
        """The probe and the id of a mail with a Message-ID of ours."""
        told = named(message_id)
        row = self.ledger.probe_of(told[0]) if told else None
        return (row[0], told[0]) if told and row and self.key.is_ours(row[0], *told) else None

    def arrived(self, name: str, mail_id: str, found: Found) -> None:
        """This mail of a probe arrived."""
        probe, row = self.probes.get(name), self.ledger.probe_of(mail_id)
        if probe is None or row is None:
            return
        started = row[1]
        arrived = found.arrived if started - _SKEW_SECONDS < found.arrived <= self._now() else self._now()
        seconds = max(arrived - started, 0.0)
        was = self.ledger.arrive(mail_id, found.place, arrived, probe.late_after, is_junk=found.is_junk)
        if was is not Arrival.FIRST:
            return
        self._roundtrips.observe((name,), seconds)
        status = self._statuses[name]
        status.arrival_seconds = seconds
        status.in_junk = found.is_junk
        if seconds <= probe.late_after and not found.is_junk:
            self.ledger.succeeded(name, arrived)
        if seconds > probe.lost_after:
            logger.warning("a probe mail that was counted lost arrived", extra={"probe": name, "seconds": seconds})
        if found.raw:
            self.arrivals.observe(name, found)

    def follow(self, events: list[Event]) -> None:
        """The events of the followed logs: what they say of our mail."""
        if not self.probes:
            return
        with contextlib.suppress(sqlite3.Error):
            _ = self.ledger  # which knows what mails are called that were sent before a restart
        for step in follow(events, self._accepted):
            try:
                self._follow(step)
            except sqlite3.Error as error:  # a full disk must not keep the log from being read
                details = {"error": str(error)}
                logger.warning("what the log says of a probe's mail cannot be written down", extra=details)

    def _follow(self, step: Step) -> None:
        row = self.ledger.probe_of(step.mail_id)
        probe = self.probes.get(row[0]) if row else None
        if probe is None or not ours(step, probe.name, self.key):
            return
        if step.is_attempt or self.ledger.where(step.mail_id) is None:
            self.ledger.locate(step.mail_id, step.where)
        if step.is_delivered and probe.arrive and probe.arrive.log:
            found = Found(b"", "", is_junk=False, place=step.place, arrived=step.time)
            self.arrived(probe.name, step.mail_id, found)

    def describe(self) -> list[Family]:
        """Nothing in advance: registering must not collect."""
        return []

    def collect(self) -> Iterator[Family]:
        """The families of a scrape."""
        yield from collect(self._of_each(self._numbers), self._roundtrips)

    def _numbers(self, probe: Probe) -> ProbeNumbers:
        status = self._statuses[probe.name]
        failure = failure_of(probe, status, self.ledger, self._now())
        phases = dict(status.result.phases) if status.result else {}
        if status.arrival_seconds is not None:
            phases["arrival"] = status.arrival_seconds
        return ProbeNumbers(
            name=probe.name,
            failure=failure[:2] if failure else None,
            phases=phases,
            counts=self.ledger.counts(probe.name),
            pending=self.ledger.pending(probe.name) if probe.arrive else 0,
            last_success=self.ledger.last_success(probe.name),
            certificate_expiry=status.certificate.expiry if status.certificate else None,
            mailbox_certificate_expiry=status.mailbox_certificate.expiry if status.mailbox_certificate else None,
        )

    def _allow(self, to: str, now: float) -> None:
        _ = self.ledger  # which knows of the mails before a restart
        if not self._allowance.take(to, now):
            raise ProbeError("own_limit", "so many mails went there in the last hour that this one is not sent")


async def _stop(tasks: Iterable[asyncio.Task[None]]) -> None:
    stopped = list(tasks)
    for task in stopped:
        task.cancel()
    await asyncio.gather(*stopped, return_exceptions=True)


@contextlib.contextmanager
def _logged(name: str) -> Iterator[None]:
    """One probe's trouble with the ledger or the mailbox must not end the probes."""
    try:
        yield
    except Exception:
        logger.exception("a probe could not be run", extra={"probe": name})


def _file_of(state_dir: Path) -> Path:
    return state_dir / "probes.db"


def _open_ledger(state_dir: Path | None) -> Ledger:
    try:
        ledger = Ledger(_file_of(state_dir) if state_dir else None)
        ledger.resume()
    except (sqlite3.Error, OSError) as error:
        logger.warning("the ledger of the probes cannot be kept", extra={"error": str(error)})
        return Ledger(None)
    return ledger
