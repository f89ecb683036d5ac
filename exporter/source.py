"""A source: where lines come from, and the reader that understands them; what both know outlives the process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any, Protocol

import msgspec

from exporter.metrics.log import LogNumbers
from exporter.sources.container import Wrapping
from exporter.sources.feed import Feed
from exporter.view import SourceView
from parsers.clock import Clock
from parsers.events import Event
from parsers.reader import LogReader
from parsers.reader import Memory as ReaderMemory
from parsers.server import Join
from parsers.signature import Signatures
from parsers.speaker import OTHER, Tally

logger = logging.getLogger(__name__)

ENOUGH_LINES = 1_000  # after which a log without a mail server's line is said to be of none
LONGEST_REST = 60.0  # seconds until a source that died is tried again


class SourceMemory(msgspec.Struct):
    """How far a source was read, and what was counted of it until then. `seen` is when that was.

    `position` is what its feed calls its place, in plain values; `files` are those of a source
    that has several, by their paths.
    """

    position: Any = None
    read_bytes: int = 0
    rotations: int = 0
    truncations: int = 0
    skipped_bytes: int = 0
    reader: ReaderMemory = msgspec.field(default_factory=ReaderMemory)
    restarts: int = 0
    seen: float = 0.0
    dropped: int = 0
    halves: dict[str, bytes] = {}
    files: dict[bytes, SourceMemory] = {}


@dataclass(frozen=True)
class Reading:
    """How the lines of a source are read. `joins`, `met` and `signatures` are shared by all sources."""

    zone: tzinfo
    now: Callable[[], float]
    mta: str | None = None
    joins: dict[str, Join] | None = None
    met: set[str] | None = None
    signatures: Signatures | None = None

    def reader(self) -> LogReader:
        """One for a log that begins."""
        clock = Clock(self.zone, self.now)
        return LogReader(clock, mta=self.mta, joins=self.joins, met=self.met, signatures=self.signatures)


class Figures(LogNumbers, Protocol):
    """What a source tells of itself, and what people have to know besides the metrics."""

    @property
    def error(self) -> str | None: ...
    @property
    def is_of_nobody(self) -> bool: ...


class Source:
    """One log: the feed that it comes from and the reader that understands it.

    `name` is the value of its label `source`. It goes on from what a source of this name knew; its feed has to be
    made with the position that stands there.
    """

    def __init__(
        self,
        name: str,
        feed: Feed,
        reading: Reading,
        memory: SourceMemory | None = None,
        *,
        is_wrapped: bool = False,
    ) -> None:
        self.name = name
        self.restarts = 0
        self._feed = feed
        self._reading = reading
        self._now = reading.now
        self._reader = reading.reader()
        self._wrapping = Wrapping(memory.halves if memory else None) if is_wrapped else None
        self._teller = Teller()
        self._blocks: Iterator[bytes] | None = None
        self._failure: str | None = None  # why it died, while nothing was read since
        self._failures = 0
        self._resting_until = 0.0
        self._block_bytes = 0  # of the block that is being read
        if memory:
            self._restore(memory)

    def read(self) -> list[Event] | None:
        """The events of the next block; None where there is no more for now. Raises FeedError."""
        if self._blocks is None:
            self._blocks = self._feed.blocks()
        block = next(self._blocks, None)
        if block is None:
            self._blocks = None
            self._teller.tell(self)
            return None
        self._block_bytes = len(block)
        return self._reader.read(self._unwrapped(block).decode("utf-8", "surrogateescape"))

    def _unwrapped(self, block: bytes) -> bytes:
        if self._wrapping is None:
            return block
        before = self._wrapping.skipped_bytes
        block = self._wrapping.unwrap(block)
        self._feed.skipped_bytes += self._wrapping.skipped_bytes - before
        return block

    def done(self) -> None:
        """The events that were read last are counted."""
        self._block_bytes = self._failures = 0
        self._failure = None

    def turn_to(self, reading: Reading) -> None:
        """Go on with other settings of the same log."""
        if (self._reading.zone, self._reading.mta) == (reading.zone, reading.mta):
            return
        self._reading = reading
        old, self._reader = self._reader, reading.reader()
        self._reader.last_time = old.last_time
        add(self._reader.tallies, old.tallies)

    def memory(self) -> SourceMemory:
        """What the source has to know that goes on in the place of this one."""
        return SourceMemory(
            position=self._feed.place(),
            read_bytes=self.read_bytes,
            rotations=self.rotations,
            truncations=self.truncations,
            skipped_bytes=self.skipped_bytes,
            reader=self._reader.memory(),
            restarts=self.restarts,
            dropped=self.dropped,
            halves=dict(self._wrapping.halves) if self._wrapping else {},
        )

    def _restore(self, memory: SourceMemory) -> None:
        feed = self._feed
        feed.read_bytes, feed.rotations, feed.truncations = memory.read_bytes, memory.rotations, memory.truncations
        feed.skipped_bytes, feed.dropped = memory.skipped_bytes, memory.dropped
        self._reader.restore(memory.reader)
        self.restarts = memory.restarts

    def restart(self, why: str) -> None:
        """Begin anew behind the block that could not be read, after a pause that grows until one can be."""
        self.restarts += 1
        self._failures += 1
        self._failure = why
        self._resting_until = self._now() + min(2.0**self._failures, LONGEST_REST)
        self._feed.skipped_bytes += self._block_bytes
        self._block_bytes = 0
        self._blocks = None
        self._feed.close()
        old, self._reader = self._reader, self._reading.reader()
        self._reader.restore(old.memory())

    @property
    def is_resting(self) -> bool:
        """Whether it died just now."""
        return 0 < self._resting_until - self._now() <= LONGEST_REST  # longer only where the clock was set back

    def close(self) -> None:
        """Stop following."""
        self._feed.close()

    def paths(self) -> Collection[Path]:
        """Files whose change means that there is more to read."""
        return self._feed.paths()

    def descriptors(self) -> Collection[int]:
        """What is readable when there is more to read."""
        return () if self.is_resting else self._feed.descriptors()

    @property
    def tallies(self) -> dict[str, Tally]:
        return self._reader.tallies

    @property
    def read_bytes(self) -> int:
        return self._feed.read_bytes

    @property
    def rotations(self) -> int:
        return self._feed.rotations

    @property
    def truncations(self) -> int:
        return self._feed.truncations

    @property
    def skipped_bytes(self) -> int:
        return self._feed.skipped_bytes

    @property
    def dropped(self) -> int:
        return self._feed.dropped

    @property
    def lag_bytes(self) -> int:
        return self._feed.lag_bytes

    @property
    def lag_seconds(self) -> float:
        return max(self._now() - self.last_time, 0.0) if self.lag_bytes and self.last_time else 0.0

    @property
    def is_up(self) -> bool:
        return self._feed.is_up

    @property
    def last_time(self) -> float:
        return self._reader.last_time

    @property
    def is_of_nobody(self) -> bool:
        """Whether nothing in all of what was read is of a mail server, or of who signs what one has."""
        return is_of_nobody(self.tallies) and not self._reader.knows_signer

    @property
    def error(self) -> str | None:
        """Why nothing of it is read."""
        return self.failure or nobody(self)

    @property
    def failure(self) -> str | None:
        """Why nothing of it can be read."""
        return self._failure or self._feed.error

    def view(self) -> SourceView:
        """What people see of it."""
        return view_of(self)


class Teller:
    """Logs what is wrong with a source when that changes."""

    def __init__(self) -> None:
        self._told: str | None = None

    def tell(self, source: Figures) -> None:
        """Say it, if it is new."""
        error = source.error
        if error and error != self._told:
            logger.warning("a log cannot be read", extra={"source": source.name, "error": error})
        elif self._told and not error:
            logger.info("a log can be read again", extra={"source": source.name})
        self._told = error


def add(tallies: dict[str, Tally], more: dict[str, Tally]) -> None:
    """Add the lines of some tallies to others."""
    for mta, tally in more.items():
        tallies.setdefault(mta, Tally()).add(tally)


def lines_of(tallies: Iterable[Tally]) -> int:
    """All lines."""
    return sum(tally.lines for tally in tallies)


def is_of_nobody(tallies: dict[str, Tally]) -> bool:
    """Whether of so many lines not one is of a mail server."""
    knows_writer = any(tally.lines for mta, tally in tallies.items() if mta != OTHER)
    return not knows_writer and lines_of(tallies.values()) >= ENOUGH_LINES


def nobody(source: Figures) -> str | None:
    """The error of a log without a mail server's line."""
    return "no line of it is of a mail server" if source.is_of_nobody else None


def view_of(source: Figures) -> SourceView:
    """What people see of a source."""
    tallies = source.tallies
    return SourceView(
        name=source.name,
        mtas=tuple(sorted(mta for mta, tally in tallies.items() if mta != OTHER and tally.parsed)),
        state=_state(source),
        is_up=source.is_up,
        lines=lines_of(tallies.values()),
        lag_bytes=source.lag_bytes if source.is_up else None,
        lag_seconds=source.lag_seconds if source.is_up else None,
        last_event=source.last_time or None,
        error=source.error,
    )


def _state(source: Figures) -> str:
    if not source.is_up:
        return "waiting"
    if source.is_of_nobody:
        return "not understood"
    return "reading" if source.lag_bytes else "following"
