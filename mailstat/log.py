"""Log files in, batches of events out, in the order of time: what every report is made from."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from errno import EBADF
from io import BufferedReader
from pathlib import Path
from stat import S_ISREG
from time import time

from exporter.sources.compression import CORRUPT, decompressed
from exporter.sources.lines import LINE_BYTES, Lines
from parsers.clock import Clock
from parsers.events import Event
from parsers.reader import LogReader
from parsers.server import Join
from parsers.speaker import OTHER, Tally
from parsers.tracker import Tracker

BLOCK_BYTES = 1 << 16  # small enough that a block's lines and events stay in the processor's cache
STANDARD_INPUT = Path("-")
HEAD_LINES = 50  # that are looked at for the time at which a file begins


@dataclass(frozen=True)
class Selection:
    """Which events a report is about; times in seconds since the epoch, `until` itself left out."""

    since: float | None = None
    until: float | None = None
    mta: str | None = None
    where: Callable[[Event], bool] | None = None

    def of(self, events: list[Event]) -> list[Event]:
        """Those that are meant."""
        if self == Selection():
            return events
        return [event for event in events if self._has(event)]

    def _has(self, event: Event) -> bool:
        return (
            (self.since is None or event.time >= self.since)
            and (self.until is None or event.time < self.until)
            and (self.mta is None or event.origin.mta == self.mta)
            and (self.where is None or self.where(event))
        )


class Log:
    """The files of one question. `zone` and `year` are for logs that do not write theirs.

    `errors` are the files of which nothing could be read, in words, and `notes` those that are to a good part of a
    server that is not known. `on_read` is told bytes as they are stored, and `on_strange` the outcome and the message
    of lines that were not understood.
    """

    def __init__(self, paths: Sequence[Path], selection: Selection, *, zone: tzinfo, year: int | None = None) -> None:
        self.paths = paths
        self.selection = selection
        self.zone = zone
        self.year = year
        self.tracker = Tracker()
        self.joins: dict[str, Join] = {}
        self.met: set[str] = set()
        self.errors: list[str] = []
        self.notes: list[str] = []
        self.tallies: dict[str, Tally] = {}
        self.on_strange: Callable[[str, str], None] | None = None
        self.on_read: Callable[[int], None] | None = None

    def batches(self) -> Iterator[list[Event]]:
        """Events in context, a block at a time."""
        for path in self._in_order():
            try:
                with opened(path) as file:
                    yield from self._events(path, file)
            except (OSError, *CORRUPT) as error:
                self.errors.append(f"{path}: {getattr(error, 'strerror', None) or error}")

    def understood(self, path: Path, text: str) -> list[Event]:
        """The events in context of some lines of a file."""
        reader = LogReader(self._clock(path), mta=self.selection.mta, joins=self.joins, met=self.met)
        events = reader.read(text)
        self.tracker.follow(events)
        return events

    def _events(self, path: Path, file: BufferedReader) -> Iterator[list[Event]]:
        reader = LogReader(self._clock(path), self.on_strange, mta=self.selection.mta, joins=self.joins, met=self.met)
        try:
            for block in self._blocks(file):
                text = block.decode("utf-8", "surrogateescape")
                events = reader.read(text)
                self.tracker.follow(events)
                yield self.selection.of(events)
        finally:
            for mta, tally in reader.tallies.items():
                self.tallies.setdefault(mta, Tally()).add(tally)
            if self.selection.mta is None and reader.tallies[OTHER].lines and not reader.knows_writer:
                self.notes.append(f"{path}: no line of it is of a mail server")

    def _blocks(self, file: BufferedReader) -> Iterator[bytes]:
        stream, lines, told = decompressed(file), Lines(LINE_BYTES), 0
        while chunk := stream.read1(BLOCK_BYTES):
            if block := lines.feed(chunk):
                yield block
            if self.on_read and file.seekable():
                self.on_read(file.tell() - told)
                told = file.tell()
        if lines.pending:
            yield lines.pending

    def _in_order(self) -> list[Path]:
        """The files by the time of their first line; those of which that is not known come last, as they stand."""
        if len(self.paths) < 2:
            return list(self.paths)
        begins = {path: self._begin(path) for path in self.paths}
        return sorted(self.paths, key=lambda path: (begins[path] is None, begins[path] or 0.0))

    def _begin(self, path: Path) -> float | None:
        if path == STANDARD_INPUT:
            return None
        try:
            if not S_ISREG(path.stat().st_mode):  # what is read from a pipe is gone
                return None
            reader = LogReader(self._clock(path), mta=self.selection.mta, met=self.met)
            with opened(path) as file:
                head = decompressed(file).read1(BLOCK_BYTES)
        except (OSError, *CORRUPT):
            return None
        for line in head.decode("utf-8", "surrogateescape").split("\n")[:HEAD_LINES]:
            reader.read(line + "\n")
            if reader.last_time:
                return reader.last_time
        return None

    def _clock(self, path: Path) -> Clock:
        """Years are guessed from the time of a file's last change: it may be older than a year."""
        if path == STANDARD_INPUT:
            return Clock(self.zone, time, self.year)
        changed = path.stat().st_mtime
        return Clock(self.zone, lambda: changed, self.year)


def opened(path: Path) -> BufferedReader:
    """The bytes of a file as they are stored, or of standard input."""
    if path != STANDARD_INPUT:
        return path.open("rb")
    if sys.stdin is None:
        raise OSError(EBADF, os.strerror(EBADF))
    return open(sys.stdin.fileno(), "rb", closefd=False)
