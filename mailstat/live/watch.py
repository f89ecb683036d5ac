"""The logs of this host, followed as the exporter follows them, and its queues."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from glob import iglob
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from exporter.begin import AnySource, begin, pattern_of
from exporter.source import Reading, Source, SourceMemory
from exporter.sources.feed import FeedError
from exporter.sources.file import FileTail
from exporter.sources.journal import Journal
from exporter.sources.position import HEAD_BYTES, Fingerprint, Position
from mailstat.live.pulse import WINDOWS, Pulse, Row
from parsers.clock import Clock
from parsers.reader import LogReader
from parsers.tracker import Tracker

if TYPE_CHECKING:
    from exporter.config import LogSource
    from exporter.queues.entry import Place
    from parsers.events import Event

LOOKED_BACK = 4 << 20  # bytes of what stands in a log already
BLOCK = 1 << 16
BLOCKS = 8  # of one source in a turn
QUEUE_SECONDS = 30.0  # between two scans
QUEUE_BUDGET = 10.0


class LineReader(LogReader):
    """Reads line by line, to know which line an event is from: that is told by the event's `id`."""

    def __init__(self, reading: LineReading) -> None:
        super().__init__(Clock(reading.zone, reading.now), mta=reading.mta, joins=reading.joins, met=reading.met)
        self._lines = reading.lines

    def read(self, block: str) -> list[Event]:
        """The events of a block's lines, in their order."""
        events: list[Event] = []
        for line in filter(None, block.split("\n")):
            found = super().read(line + "\n")
            self._lines.update((id(event), line) for event in found)
            events += found
        return events


@dataclass(frozen=True)
class LineReading(Reading):
    """How the lines of a source are read; `lines` are those of the last block."""

    lines: dict[int, str] = field(default_factory=dict)

    def reader(self) -> LogReader:
        """One for a log that begins."""
        return LineReader(self)


class Watch:
    """Follows files, and sources as the exporter's configuration has them, into a pulse. `source` says to people what
    is watched, `error` what is wrong with it."""

    tells_lines = True

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        zone: tzinfo,
        now: Callable[[], float],
        sources: Sequence[LogSource] = (),
        queues: Sequence[Place] = (),
        matches: Callable[[Event], bool] | None = None,
        mta: str | None = None,
    ) -> None:
        self.pulse = Pulse()
        self.error = ""
        self._now = now
        self._matches = matches
        self._tracker = Tracker()
        self._reading = reading = LineReading(zone, now, mta=mta, joins={}, met=set())
        self._sources: list[AnySource] = [
            *(Source(str(path), _tail(path), reading) for path in paths),
            *(_followed(source, reading) for source in sources),
        ]
        self.source = ", ".join(source.name for source in self._sources)
        self._queues = queues
        self._scanned = 0.0

    async def poll(self) -> bool:
        """Read what is new, as much as a turn allows; whether there is more."""
        is_more = False
        for source in self._sources:
            if not source.is_resting:
                is_more |= await self._read(source)
        self.error = "; ".join(filter(None, map(_said, self._sources)))
        await self._look_into_queues()
        return is_more

    def close(self) -> None:
        """Let go of the sources."""
        for source in self._sources:
            source.close()

    async def _read(self, source: AnySource) -> bool:
        """Read a turn's blocks; whether there is more."""
        try:
            for _ in range(BLOCKS):
                events = source.read()
                if events is None:
                    return False
                self._take(events)
                source.done()
                await asyncio.sleep(0)
        except FeedError as error:
            source.restart(str(error))
            return False
        return True

    def _take(self, events: list[Event]) -> None:
        self._tracker.follow(events)
        lines = self._reading.lines
        for event in events:
            if self._matches is None or self._matches(event):
                self.pulse.add(event, lines.get(id(event), ""))
        lines.clear()

    async def _look_into_queues(self) -> None:
        if not self._queues:
            flying = self._tracker.in_flight()
            self.pulse.queue = [(f"{mta}: in flight", (count,)) for mta, count in flying.items()]
        elif self._now() - self._scanned >= QUEUE_SECONDS:
            self._scanned = self._now()
            self.pulse.queue = await asyncio.to_thread(scanned, self._queues)


def _said(source: AnySource) -> str:
    """What is wrong with a source, and with which."""
    error = source.error or ""
    return error if not error or error.startswith(f"{source.name}:") else f"{source.name}: {error}"


def _followed(source: LogSource, reading: Reading) -> AnySource:
    """A source of the configuration, from near its end on."""
    reading = replace(reading, zone=source.timezone or reading.zone, mta=source.mta or reading.mta)
    if source.journal:
        since = reading.now() - WINDOWS[-1]
        return Source(source.name, Journal(source.journal.unit, source.journal.directory, since=since), reading)
    pattern = pattern_of(source)
    if source.file and not pattern:
        return Source(source.name, _tail(source.file), reading)
    return begin(source, reading, SourceMemory(files=dict(_ends(pattern))) if pattern else None)


def _tail(path: Path) -> FileTail:
    return FileTail(path, position=near_the_end(path), block_bytes=BLOCK)


def _ends(pattern: Path) -> Iterator[tuple[bytes, SourceMemory]]:
    """Where each file is begun with."""
    for name in iglob(str(pattern)):  # noqa: PTH207 - Path.glob takes no absolute pattern
        position = near_the_end(Path(name))
        if position:
            yield os.fsencode(name), SourceMemory(position=msgspec.to_builtins(position))


def scanned(places: Sequence[Place]) -> list[Row]:
    """The queues' messages, and the age of the oldest in seconds."""
    from exporter.queues.scan import scan  # noqa: PLC0415 - only hosts with a queue need it

    rows: list[Row] = []
    for place in places:
        found = scan(place, seconds=QUEUE_BUDGET)
        if found.backlog is None:
            rows.append((f"{place.service}: {found.error}", ()))
            continue
        now = found.backlog.now
        for queue, of in found.backlog.queues.items():
            age = max(now - of.oldest, 0.0) if of.oldest is not None else 0.0
            rows.append((f"{place.service} {queue}", (of.messages, age)))
    return rows


def near_the_end(path: Path) -> Position | None:
    """The beginning of a line so far from the end; None for the start, also of what cannot be read now."""
    try:
        with path.open("rb") as file:
            stat = path.stat()
            if stat.st_size <= LOOKED_BACK:
                return None
            head = file.read(HEAD_BYTES)
            file.seek(stat.st_size - LOOKED_BACK)
            file.readline(LOOKED_BACK)
            place = file.tell()
    except OSError:
        return None
    return Position(stat.st_dev, stat.st_ino, Fingerprint.of(head), place, stat.st_mtime_ns, stat.st_size)
