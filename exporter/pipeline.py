"""From logs to numbers: each source is read a block at a time, in the event loop that also answers scrapes.

One thread does everything, in slices of a few milliseconds: a scrape sees all of a block's events or none of them.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from exporter.begin import AnySource, begin, is_other
from exporter.config import Config, LogSource
from exporter.metrics import backlog, log
from exporter.metrics.mail import MailMetrics
from exporter.metrics.mail import Memory as MailMemory
from exporter.metrics.series import family
from exporter.metrics.watch import Memory as WatchMemory
from exporter.queues.place import places
from exporter.queues.watch import Watch
from exporter.source import Reading, SourceMemory
from exporter.sources.feed import FeedError
from exporter.sources.wakeup import Wakeup
from exporter.state import DamagedError, State, encode
from exporter.view import SourceView
from exporter.zone import host_zone
from parsers import __version__
from parsers.events import Event
from parsers.mta import SERVERS
from parsers.server import Join
from parsers.signature import Signatures
from parsers.tracker import Memory as TrackerMemory
from parsers.tracker import Piece, Tracker

logger = logging.getLogger(__name__)

SLICE = 8  # blocks of a source between two looks at the rest of the world: some ten milliseconds
POLL_SECONDS = 0.5
SAVE_SECONDS = 5.0
YOUNG = 50_000  # objects between two looks of the garbage collector at the youngest
WATCH_SECONDS = 60.0  # between saves of what is watched
UNKEPT = "the state cannot be kept: after a restart the logs are read from their start"
FORGET_SECONDS = 90 * 86400.0  # until a log that is no more followed begins anew when it is followed again


def settle() -> None:
    """Once all is set up: have the garbage collector leave alone what stays, and look less often at what comes. What
    is made of a line refers to nothing that refers back to it, so there is little to find."""
    gc.freeze()
    gc.set_threshold(YOUNG)


def joins(memories: dict[str, object]) -> dict[str, Join]:
    """Servers' memories of half a session, as they were stored. Raises DamagedError."""
    known: dict[str, Join] = {}
    for mta, memory in memories.items():
        server = SERVERS.get(mta)
        if server and server.join:
            known[mta] = server.join()
            try:
                known[mta].restore(memory)
            except msgspec.ValidationError as error:
                raise DamagedError(f"join {mta}: {error}") from error
    return known


class Pipeline(Collector):
    """Sources, tracker and metrics. `now` gives seconds since the epoch.

    All that they know is one state, in `state_dir`, which a pipeline goes on from; without it, or where it cannot be
    used, logs are read from their start. Raises InUseError.
    """

    def __init__(self, config: Config, state_dir: Path | None, now: Callable[[], float] = time.time) -> None:
        self.version = __version__
        self.started = now()
        self.was_reloaded = True
        self.is_door_current: Callable[[], bool] = lambda: True  # whether the web configuration was taken as it is
        self.registry = CollectorRegistry()
        self.hooks: list[Callable[[list[Event]], None]] = []  # shown all events, once the tracker has seen them
        self.signatures = Signatures()
        self._now = now
        self._state_dir = state_dir
        self._tracker = Tracker()
        self._mail = MailMetrics(providers=config.labels.providers)
        self._queues = Watch(now)
        self._sources: list[AnySource] = []
        self._configs: dict[str, LogSource] = {}  # by the names of the sources
        self._known: dict[str, SourceMemory] = {}  # of all logs that were ever followed, as they were saved
        self._state = State(state_dir) if state_dir else None
        self._writing: Future[None] | None = None
        self._is_saved = True  # as far as the disk allows
        self._save_error = ""
        self._joins: dict[str, Join] = {}
        self._met: set[str] = set()
        self._is_ready = False
        self._saved = self._watched = 0.0  # when all was saved, and what is watched
        self._is_watch_saved = True
        self._restore()
        self._mind_state()
        self.configure(config)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(self)

    def configure(self, config: Config) -> None:
        """Follow the sources of a configuration; those that were followed already go on where they are."""
        zone = config.timezone or host_zone()
        labels = config.labels
        idle = labels.idle_hours * 3600.0
        self._mail.limit(providers=labels.providers, domains=labels.domains, idle_seconds=idle)
        self._mail.watch.configure(config)
        self._queues.configure(places(config.queues))
        reading = Reading(zone, self._now, joins=self._joins, met=self._met, signatures=self.signatures)
        known = {source.name: source for source in self._sources}
        for gone in known.keys() - {source.name for source in config.sources}:
            self._remember(known[gone])
            known[gone].close()
        self._sources = [self._source(source, reading, known.get(source.name)) for source in config.sources]

    def _source(self, config: LogSource, reading: Reading, known: AnySource | None) -> AnySource:
        reading = replace(reading, zone=config.timezone or reading.zone, mta=config.mta)
        if known is None or is_other(self._configs[config.name], config):
            if known:
                self._remember(known)
                known.close()
            known = begin(config, reading, self._known.get(config.name), self._state_dir)
        self._configs[config.name] = config
        known.turn_to(reading)
        return known

    def step(self) -> bool:
        """Read a slice of each source. Returns whether there was anything to read."""
        return sum(map(self._read, self._sources)) > 0

    def _read(self, source: AnySource) -> bool:
        if source.is_resting:
            return False
        try:
            return self._read_slice(source)
        except FeedError as error:
            logger.warning("a source ended: it is restarted", extra={"source": source.name, "error": str(error)})
            source.restart(str(error))
        except Exception as error:
            # A line that nobody thought of must not end what goes on with all the others.
            logger.exception("a source died: it is restarted", extra={"source": source.name})
            source.restart(f"it died of {type(error).__name__}")
        return False

    def _read_slice(self, source: AnySource) -> bool:
        for count in range(SLICE):
            events = source.read()
            if events is None:
                return count > 0
            self._tracker.follow(events)
            self._mail.observe(events)
            source.done()
            for hook in self.hooks:
                hook(events)
        return True

    async def run(self) -> None:
        """Read until cancelled; then remember where."""
        wakeup = Wakeup()
        self._queues.start()
        try:
            while True:
                is_busy = self.step()
                self._is_ready |= not is_busy
                if not 0 <= self._now() - self._saved <= SAVE_SECONDS:  # less where the clock was set back
                    self._commit()
                if is_busy:
                    await asyncio.sleep(0)
                else:
                    paths = [path for source in self._sources for path in source.paths()]
                    descriptors = [it for source in self._sources for it in source.descriptors()]
                    await wakeup.wait(paths, POLL_SECONDS, descriptors)
        finally:
            wakeup.close()
            self.close()

    async def save(self) -> None:
        """Return when all that was counted at the time of the call is on disk, as far as the disk allows."""
        writing = self._commit()
        if writing:
            with suppress(OSError):
                await asyncio.shield(asyncio.wrap_future(writing))

    def close(self) -> None:
        """Remember where reading stopped, and let go of all files."""
        self._queues.stop()
        self._watched = 0.0
        self._commit()
        for source in self._sources:
            source.close()
        if self._state:
            self._state.close()
            self._state = None

    # --- the state ---

    def _restore(self) -> None:
        """Go on from the state; from none where a part of it is damaged, for its parts belong together."""
        if not self._state:
            return
        load, load_all = self._state.load, self._state.load_all
        try:
            mail, tracker = load("mail", MailMemory), load("tracker", TrackerMemory)
            watch, signatures = load("watch", WatchMemory), load("signatures", dict[str, dict[str, float]])
            pieces, known = load_all("messages ", Piece), load_all("source ", SourceMemory)
            self._joins |= joins(load_all("join ", object))
        except DamagedError as error:
            self._state.start_over(str(error))
            return
        self._mail.restore(mail or MailMemory())
        self.signatures.restore(signatures or {})
        if watch:
            self._mail.watch.restore(watch)
        self._tracker.restore(tracker or TrackerMemory(), pieces.values())
        self._known = {name: it for name, it in known.items() if it.seen > self._now() - FORGET_SECONDS}

    def _mind_state(self) -> None:
        """Where the state cannot be kept, the next save tries again."""
        if self._state and self._state.error:
            mend = f"mailstat doctor --state-dir={shlex.quote(str(self._state_dir))}"
            logger.warning(UNKEPT, extra={"error": str(self._state.error), "see": mend})
            self._is_saved = False
            self._save_error = str(self._state.error)
            self._state_dir = None  # offset files of earlier releases cannot be read there, either

    def _remember(self, source: AnySource) -> bool:
        """Note what a source knows. Returns whether that is anything new."""
        memory, known = source.memory(), self._known.get(source.name)
        memory.seen = known.seen if known else 0.0
        if memory == known:
            return False
        memory.seen = self._now()
        self._known[source.name] = memory
        return True

    def _commit(self) -> Future[None] | None:
        """Begin to write what there is now; None where nothing has to be written."""
        self._saved = self._now()
        # All events come from sources: where none of these has anything new, nothing has.
        has_new = sum(map(self._remember, self._sources)) > 0
        self._is_watch_saved = self._is_watch_saved and not has_new
        is_due = not self._is_watch_saved and not 0 <= self._saved - self._watched < WATCH_SECONDS
        if self._state and (has_new or is_due or not self._is_saved):
            self._writing = self._state.save(self._parts() | (self._watch_part() if is_due else {}))
            self._writing.add_done_callback(self._tell)
        return self._writing

    def _watch_part(self) -> dict[str, bytes | None]:
        """What is watched is large, and of an hour: a minute of it may be lost."""
        self._watched, self._is_watch_saved = self._saved, True
        return {"watch": encode(self._mail.watch.memory())}

    def _parts(self) -> dict[str, bytes | None]:
        parts: dict[str, bytes | None] = {f"source {name}": encode(it) for name, it in self._known.items()}
        for number, piece in enumerate(self._tracker.pieces()):
            parts[f"messages {number:03}"] = encode(piece) if piece else None
        for mta, join in self._joins.items():
            parts[f"join {mta}"] = encode(join.memory())
        parts["signatures"] = encode(self.signatures.memory())
        parts["tracker"] = encode(self._tracker.memory())
        parts["mail"] = encode(self._mail.memory())
        return parts

    def _tell(self, writing: Future[None]) -> None:
        """That the state cannot be saved is logged once."""
        error = writing.exception()
        if error and self._is_saved:
            logger.warning("the state cannot be saved", extra={"error": str(error), "see": "mailstat doctor"})
        elif not error and not self._is_saved:
            logger.info("the state can be saved again")
        self._is_saved = error is None
        self._save_error = str(error or "")
        if error:
            self._is_watch_saved, self._watched = False, 0.0

    def is_ready(self) -> bool:
        """Whether what the logs held at the start has been read."""
        return self._is_ready

    def sources(self) -> Sequence[SourceView]:
        return [source.view() for source in self._sources]

    def troubles(self) -> Sequence[str]:
        """What is wrong besides the sources."""
        troubles = [] if self._is_saved else [f"The state cannot be saved: {self._save_error}"]
        if not (self.was_reloaded and self.is_door_current()):
            troubles.append("The configuration was refused when it was read again: the one before it is in force")
        return troubles

    def describe(self) -> list[Family]:
        """Nothing in advance: registering must not collect."""
        return []

    def collect(self) -> Iterator[Family]:
        """The families of a scrape."""
        yield from self._mail.collect(self._tracker.in_flight())
        yield from backlog.collect(self._queues.scans(), self._now())
        yield from log.collect(self._sources)
        yield family("mailstat_messages_dropped_total", {(): self._tracker.dropped})
        yield family("mailstat_series_dropped_total", {(name,): n for name, n in self._mail.dropped.items()})
        yield family("mailstat_state_last_save_successful", {(): float(self._is_saved)})
        is_current = self.was_reloaded and self.is_door_current()
        yield family("mailstat_config_last_reload_successful", {(): float(is_current)})
        yield family("mailstat_build_info", {(self.version,): 1})
