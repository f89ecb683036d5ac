"""From logs to numbers: each source is read a block at a time, in the event loop that also answers scrapes.

One thread does everything, in slices of a few milliseconds: a scrape sees all of a block's events or none of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import tzinfo
from hashlib import sha256
from pathlib import Path

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from exporter.config import Config, FileSource
from exporter.metrics import backlog, log
from exporter.metrics.mail import MailMetrics
from exporter.metrics.series import family
from exporter.queues.place import places
from exporter.queues.watch import Watch
from exporter.sources.file import FileTail
from exporter.sources.position import Position
from exporter.view import SourceView
from exporter.zone import host_zone
from parsers import __version__
from parsers.clock import Clock
from parsers.events import Event
from parsers.reader import OTHER, LogReader, Tally
from parsers.server import Join
from parsers.tracker import Tracker

logger = logging.getLogger(__name__)

BLOCK_BYTES = 1 << 16  # small enough that a block's lines and events stay in the processor's cache
SLICE = 8  # blocks of a source between two looks at the rest of the world: some ten milliseconds
ENOUGH_LINES = 1_000  # after which a log without a mail server's line is said to be of none
POLL_SECONDS = 0.5
SAVE_SECONDS = 5.0


class Source:
    """One log: the file that is followed and the reader that understands it.

    `name` is the value of its label `source`. Without `state_dir`, where reading stopped is not remembered.
    """

    def __init__(
        self,
        config: FileSource,
        state_dir: Path | None,
        zone: tzinfo,
        now: Callable[[], float],
        joins: dict[str, Join] | None = None,
        met: set[str] | None = None,
    ) -> None:
        self.config = config
        self.name = str(config.file).encode("utf-8", "backslashreplace").decode()
        self._now = now
        self._zone = config.timezone or zone
        self._tail = FileTail(config.file, _offset_file(state_dir, config.file), block_bytes=BLOCK_BYTES)
        self._joins = joins
        self._met = met
        self._reader = self._new_reader()
        self._told: str | None = None
        self._blocks: Iterator[bytes] | None = None
        self._saved: Position | None = None
        self._is_saved = True  # as far as the disk allows

    def read(self) -> list[Event] | None:
        """The events of the next block; None where there is no more for now."""
        if self._blocks is None:
            self._blocks = self._tail.blocks()
        block = next(self._blocks, None)
        if block is None:
            self._blocks = None
            self._tell()
            return None
        text = block.decode("utf-8", "surrogateescape")
        return self._reader.read(text)

    def _new_reader(self) -> LogReader:
        return LogReader(Clock(self._zone, self._now), mta=self.config.mta, joins=self._joins, met=self._met)

    def turn_to(self, config: FileSource, zone: tzinfo) -> None:
        """Go on with other settings of the same file."""
        old_config, self.config = self.config, config
        if self._zone == (config.timezone or zone) and old_config.mta == config.mta:
            return
        self._zone = config.timezone or zone
        old, self._reader = self._reader, self._new_reader()
        self._reader.last_time = old.last_time
        for mta, tally in old.tallies.items():
            self._reader.tallies.setdefault(mta, Tally()).add(tally)

    def save(self) -> None:
        """Remember where reading stopped; that it cannot be remembered is logged, once."""
        position = self._tail.position
        if position == self._saved:
            return
        try:
            self._tail.save()
        except OSError as error:
            if self._is_saved:
                details = {"source": self.name, "error": str(error)}
                logger.warning("the position in a log cannot be saved", extra=details)
            self._is_saved = False
        else:
            self._saved, self._is_saved = position, True

    def close(self) -> None:
        """Stop following, and remember where."""
        self.save()
        self._tail.close()

    @property
    def tallies(self) -> dict[str, Tally]:
        return self._reader.tallies

    @property
    def read_bytes(self) -> int:
        return self._tail.read_bytes

    @property
    def rotations(self) -> int:
        return self._tail.rotations

    @property
    def truncations(self) -> int:
        return self._tail.truncations

    @property
    def skipped_bytes(self) -> int:
        return self._tail.skipped_bytes

    @property
    def lag_bytes(self) -> int:
        return self._tail.lag_bytes

    @property
    def lag_seconds(self) -> float:
        return max(self._now() - self.last_time, 0.0) if self.lag_bytes and self.last_time else 0.0

    @property
    def is_up(self) -> bool:
        return self._tail.is_up

    @property
    def last_time(self) -> float:
        return self._reader.last_time

    @property
    def is_of_nobody(self) -> bool:
        """Whether nothing in all of what was read is of a mail server."""
        return not self._reader.knows_writer and sum(tally.lines for tally in self.tallies.values()) >= ENOUGH_LINES

    @property
    def error(self) -> str | None:
        """Why nothing of it is read."""
        return self._tail.error or ("no line of it is of a mail server" if self.is_of_nobody else None)

    def _tell(self) -> None:
        """Log what is wrong when that changes."""
        if self.error and self.error != self._told:
            logger.warning("a log cannot be read", extra={"source": self.name, "error": self.error})
        elif self._told and not self.error:
            logger.info("a log can be read again", extra={"source": self.name})
        self._told = self.error

    def view(self) -> SourceView:
        """What people see of it."""
        lines = sum(tally.lines for tally in self.tallies.values())
        return SourceView(
            name=self.name,
            mtas=tuple(sorted(mta for mta, tally in self.tallies.items() if mta != OTHER and tally.parsed)),
            state=self._state(),
            is_up=self.is_up,
            lines=lines,
            lag_bytes=self.lag_bytes if self.is_up else None,
            lag_seconds=self.lag_seconds if self.is_up else None,
            last_event=self.last_time or None,
            error=self.error,
        )

    def _state(self) -> str:
        if not self.is_up:
            return "waiting"
        if self.is_of_nobody:
            return "not understood"
        return "reading" if self.lag_bytes else "following"


def _offset_file(state_dir: Path | None, file: Path) -> Path | None:
    """A name of its own for each log, that tells people which log it is of."""
    if state_dir is None:
        return None
    return state_dir / f"{file.name}-{sha256(bytes(file.absolute())).hexdigest()[:12]}.offset"


class Pipeline(Collector):
    """Sources, tracker and metrics. `now` gives seconds since the epoch."""

    def __init__(self, config: Config, state_dir: Path | None, now: Callable[[], float] = time.time) -> None:
        self.version = __version__
        self.started = now()
        self.was_reloaded = True
        self.registry = CollectorRegistry()
        self._now = now
        self._state_dir = state_dir
        self._tracker = Tracker()
        self._mail = MailMetrics(providers=config.labels.providers)
        self._queues = Watch(now)
        self._sources: list[Source] = []
        self._joins: dict[str, Join] = {}
        self._met: set[str] = set()
        self._is_ready = False
        self._saved = 0.0
        self.configure(config)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(self)

    def configure(self, config: Config) -> None:
        """Follow the sources of a configuration; those that were followed already go on where they are."""
        zone = config.timezone or host_zone()
        self._mail.limit(providers=config.labels.providers)
        self._mail.watch.configure(config)
        self._queues.configure(places(config.queues))
        known = {source.config.file: source for source in self._sources}
        for gone in known.keys() - {source.file for source in config.sources}:
            known[gone].close()
        self._sources = [self._source(source, zone, known.get(source.file)) for source in config.sources]

    def _source(self, config: FileSource, zone: tzinfo, known: Source | None) -> Source:
        if known is None:
            return Source(config, self._state_dir, zone, self._now, self._joins, self._met)
        known.turn_to(config, zone)
        return known

    def step(self) -> bool:
        """Read a slice of each source. Returns whether there was anything to read."""
        return sum(map(self._read, self._sources)) > 0

    def _read(self, source: Source) -> bool:
        for count in range(SLICE):
            events = source.read()
            if events is None:
                return count > 0
            self._tracker.follow(events)
            self._mail.observe(events)
        return True

    async def run(self) -> None:
        """Read until cancelled; then remember where."""
        self._queues.start()
        try:
            while True:
                is_busy = self.step()
                self._is_ready |= not is_busy
                if self._now() - self._saved > SAVE_SECONDS or not is_busy:
                    self.save()
                await asyncio.sleep(0 if is_busy else POLL_SECONDS)
        finally:
            self.close()

    def save(self) -> None:
        """Remember where reading stopped."""
        self._saved = self._now()
        for source in self._sources:
            source.save()

    def close(self) -> None:
        """Let go of all files."""
        self._queues.stop()
        for source in self._sources:
            source.close()

    def is_ready(self) -> bool:
        """Whether what the logs held at the start has been read."""
        return self._is_ready

    def sources(self) -> Sequence[SourceView]:
        return [source.view() for source in self._sources]

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
        yield family("mailstat_config_last_reload_successful", {(): float(self.was_reloaded)})
        yield family("mailstat_build_info", {(self.version,): 1})
