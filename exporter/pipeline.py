"""From logs to numbers: each source is read a block at a time, in the event loop that also answers scrapes.

One thread does everything, in slices of a few milliseconds: a scrape sees all of a block's events or none of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import tzinfo
from hashlib import sha256
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from exporter.config import Config, FileSource
from exporter.metrics import backlog, log
from exporter.metrics.mail import MailMetrics
from exporter.metrics.mail import Memory as MailMemory
from exporter.metrics.series import family
from exporter.queues.place import places
from exporter.queues.watch import Watch
from exporter.sources.file import FileTail
from exporter.sources.position import Position, forget
from exporter.sources.wakeup import Wakeup
from exporter.state import DamagedError, State, encode
from exporter.view import SourceView
from exporter.zone import host_zone
from parsers import __version__
from parsers.clock import Clock
from parsers.events import Event
from parsers.reader import LogReader
from parsers.reader import Memory as ReaderMemory
from parsers.server import Join
from parsers.speaker import OTHER, Tally
from parsers.tracker import Memory as TrackerMemory
from parsers.tracker import Piece, Tracker

logger = logging.getLogger(__name__)

BLOCK_BYTES = 1 << 16  # small enough that a block's lines and events stay in the processor's cache
SLICE = 8  # blocks of a source between two looks at the rest of the world: some ten milliseconds
ENOUGH_LINES = 1_000  # after which a log without a mail server's line is said to be of none
POLL_SECONDS = 0.5
SAVE_SECONDS = 5.0
LONGEST_REST = 60.0  # seconds until a source that died is tried again
FORGET_SECONDS = 90 * 86400.0  # until a log that is no more followed begins anew when it is followed again


class SourceMemory(msgspec.Struct):
    """How far a log was read, and what was counted of it until then. `seen` is when that was."""

    position: Position | None
    read_bytes: int
    rotations: int
    truncations: int
    skipped_bytes: int
    reader: ReaderMemory
    restarts: int = 0
    seen: float = 0.0


class Source:
    """One log: the file that is followed and the reader that understands it.

    `name` is the value of its label `source`. It goes on from what a source of this name knew; where none did, from
    the offset file that an earlier release or pygtail left.
    """

    def __init__(
        self,
        config: FileSource,
        state_dir: Path | None,
        zone: tzinfo,
        now: Callable[[], float],
        joins: dict[str, Join] | None = None,
        met: set[str] | None = None,
        memory: SourceMemory | None = None,
    ) -> None:
        self.config = config
        self.name = source_name(config)
        self._now = now
        self._zone = config.timezone or zone
        self._tail = FileTail(
            config.file,
            state_dir and _offset_file(state_dir, config.file),
            position=memory.position if memory else None,
            block_bytes=BLOCK_BYTES,
        )
        self._joins = joins
        self._met = met
        self._reader = self._new_reader()
        self._told: str | None = None
        self._blocks: Iterator[bytes] | None = None
        self.restarts = 0
        self._failures = 0  # since something was read
        self._resting_until = 0.0
        self._block_bytes = 0  # of the block that is being read
        if memory:
            self._restore(memory)

    def read(self) -> list[Event] | None:
        """The events of the next block; None where there is no more for now."""
        if self._blocks is None:
            self._blocks = self._tail.blocks()
        block = next(self._blocks, None)
        if block is None:
            self._blocks = None
            self._tell()
            return None
        self._block_bytes = len(block)
        text = block.decode("utf-8", "surrogateescape")
        return self._reader.read(text)

    def done(self) -> None:
        """The events that were read last are counted."""
        self._block_bytes = self._failures = 0

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

    def memory(self) -> SourceMemory:
        """What the source has to know that goes on in the place of this one."""
        counts = (self.read_bytes, self.rotations, self.truncations, self.skipped_bytes)
        return SourceMemory(self._tail.position, *counts, self._reader.memory(), self.restarts)

    def _restore(self, memory: SourceMemory) -> None:
        self._tail.read_bytes, self._tail.rotations = memory.read_bytes, memory.rotations
        self._tail.truncations, self._tail.skipped_bytes = memory.truncations, memory.skipped_bytes
        self._reader.restore(memory.reader)
        self.restarts = memory.restarts

    def restart(self) -> None:
        """Begin anew behind the block that could not be read, after a pause that grows until one can be."""
        self.restarts += 1
        self._failures += 1
        self._resting_until = self._now() + min(2.0**self._failures, LONGEST_REST)
        self._tail.skipped_bytes += self._block_bytes
        self._block_bytes = 0
        self._blocks = None
        self._tail.close()
        old, self._reader = self._reader, self._new_reader()
        self._reader.restore(old.memory())

    @property
    def is_resting(self) -> bool:
        """Whether it died just now."""
        return self._now() < self._resting_until

    def close(self) -> None:
        """Stop following."""
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


def source_name(config: FileSource) -> str:
    """The value of the label `source`: the name of the file, with what is no text in it escaped."""
    return str(config.file).encode("utf-8", "backslashreplace").decode()


def _offset_file(state_dir: Path, file: Path) -> Path:
    """Where releases without a state kept the position in a log."""
    return state_dir / f"{file.name}-{sha256(bytes(file.absolute())).hexdigest()[:12]}.offset"


def _open(folder: Path | None) -> State | None:
    try:
        return State(folder) if folder else None
    except OSError as error:
        logger.warning("after a restart the logs will be read from their start", extra={"error": str(error)})
        return None


class Pipeline(Collector):
    """Sources, tracker and metrics. `now` gives seconds since the epoch.

    All that they know is one state, in `state_dir`, which a pipeline goes on from; without it, or where it cannot be
    used, logs are read from their start. Raises InUseError.
    """

    def __init__(self, config: Config, state_dir: Path | None, now: Callable[[], float] = time.time) -> None:
        self.version = __version__
        self.started = now()
        self.was_reloaded = True
        self.registry = CollectorRegistry()
        self.hooks: list[Callable[[list[Event]], None]] = []  # shown all events, once the tracker has seen them
        self._now = now
        self._state_dir = state_dir
        self._tracker = Tracker()
        self._mail = MailMetrics(providers=config.labels.providers)
        self._queues = Watch(now)
        self._sources: list[Source] = []
        self._known: dict[str, SourceMemory] = {}  # of all logs that were ever followed, as they were saved
        self._state = _open(state_dir)
        self._writing: Future[None] | None = None
        self._is_saved = True  # as far as the disk allows
        self._joins: dict[str, Join] = {}
        self._met: set[str] = set()
        self._is_ready = False
        self._saved = 0.0
        self._restore()
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
        known = {source.config.file: source for source in self._sources}
        for gone in known.keys() - {source.file for source in config.sources}:
            self._remember(known[gone])
            known[gone].close()
        self._sources = [self._source(source, zone, known.get(source.file)) for source in config.sources]

    def _source(self, config: FileSource, zone: tzinfo, known: Source | None) -> Source:
        if known is None:
            memory = self._known.get(source_name(config))
            if memory and self._state_dir:
                forget(_offset_file(self._state_dir, config.file))  # what it said is in the state
            return Source(config, self._state_dir, zone, self._now, self._joins, self._met, memory)
        known.turn_to(config, zone)
        return known

    def step(self) -> bool:
        """Read a slice of each source. Returns whether there was anything to read."""
        return sum(map(self._read, self._sources)) > 0

    def _read(self, source: Source) -> bool:
        if source.is_resting:
            return False
        try:
            return self._read_slice(source)
        except Exception:
            # A line that nobody thought of must not end what goes on with all the others.
            logger.exception("a source died: it is restarted", extra={"source": source.name})
            source.restart()
            return False

    def _read_slice(self, source: Source) -> bool:
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
                if self._now() - self._saved > SAVE_SECONDS:
                    self._commit()
                if is_busy:
                    await asyncio.sleep(0)
                else:
                    await wakeup.wait([source.config.file for source in self._sources], POLL_SECONDS)
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
            pieces, known = load_all("messages ", Piece), load_all("source ", SourceMemory)
        except DamagedError as error:
            self._state.start_over(str(error))
            return
        self._mail.restore(mail or MailMemory())
        self._tracker.restore(tracker or TrackerMemory(), pieces.values())
        self._known = {name: it for name, it in known.items() if it.seen > self._now() - FORGET_SECONDS}

    def _remember(self, source: Source) -> bool:
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
        if self._state and (has_new or not self._is_saved):
            self._writing = self._state.save(self._parts())
            self._writing.add_done_callback(self._tell)
        return self._writing

    def _parts(self) -> dict[str, bytes | None]:
        parts: dict[str, bytes | None] = {f"source {name}": encode(it) for name, it in self._known.items()}
        for number, piece in enumerate(self._tracker.pieces()):
            parts[f"messages {number:03}"] = encode(piece) if piece else None
        parts["tracker"] = encode(self._tracker.memory())
        parts["mail"] = encode(self._mail.memory())
        return parts

    def _tell(self, writing: Future[None]) -> None:
        """That the state cannot be saved is logged once."""
        error = writing.exception()
        if error and self._is_saved:
            logger.warning("the state cannot be saved", extra={"error": str(error)})
        elif not error and not self._is_saved:
            logger.info("the state can be saved again")
        self._is_saved = error is None

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
        yield family("mailstat_state_last_save_successful", {(): float(self._is_saved)})
        yield family("mailstat_config_last_reload_successful", {(): float(self.was_reloaded)})
        yield family("mailstat_build_info", {(self.version,): 1})
