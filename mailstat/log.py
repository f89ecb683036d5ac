"""Log files in, events out, in the order of time: what every report is made from.

A report that adds events up is a digest, for which several processes can read (`mailstat.reading`).
"""

# ruff: noqa: PLC0415 - who finds the answer in the cache must not wait for those that read

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from errno import EBADF
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from stat import S_ISREG
from time import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from mailstat.cache import Cache
    from parsers.clock import Clock
    from parsers.events import Event
    from parsers.reader import LogReader
    from parsers.server import Join
    from parsers.speaker import Tally
    from parsers.tracker import Tracker

STANDARD_INPUT = Path("-")
HEAD_LINES = 50  # that are looked at for the time at which a file begins


class Partial(Protocol):
    """What a report makes of the events of a part of the log, in a process of its own."""

    def add(self, events: list[Event], numbers: Sequence[int]) -> None:
        """Add events, as they are now, with their places in the log."""

    def payload(self) -> Any:
        """All that was added."""


class Digest(Protocol):
    """What a report makes of events. Where it has a method `strange`, as what is `blank` has then too, that is told
    the outcome and the message of each line that was not understood, in the order of the log."""

    def add(self, events: list[Event], numbers: Sequence[int]) -> None:
        """Add events, as they are now, with their places in the log."""

    def blank(self) -> Partial:
        """One for a part of the log."""

    def merge(self, payload: Any, base: int, *, told: Mapping[int, int]) -> None:
        """Add what was made of events of a part, whose numbers begin at `base`; of one part that may be several. Of
        the events with the numbers `told`, counted from there too, the session was told of before, and so were so
        many logins."""


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

    def numbered(self, events: list[Event], numbers: Sequence[int]) -> tuple[list[Event], Sequence[int]]:
        """Those that are meant, with their numbers."""
        if self == Selection():
            return events, numbers
        meant = [(event, number) for event, number in zip(events, numbers, strict=True) if self._has(event)]
        return [event for event, _ in meant], [number for _, number in meant]

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
    server that is not known, or were named before. `on_read` is told bytes as they are stored. After Ctrl-C, no more
    is read, and it `is_interrupted`.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        selection: Selection,
        *,
        zone: tzinfo,
        year: int | None = None,
        jobs: int = 1,
    ) -> None:
        self.paths, self.notes = distinct(paths)
        self.selection = selection
        self.zone = zone
        self.year = year
        self.jobs = jobs
        self.cache: Cache | None = None
        self.joins: dict[str, Join] = {}
        self.met: set[str] = set()
        self.errors: list[str] = []
        self.tallies: dict[str, Tally] = {}
        self.on_read: Callable[[int], None] | None = None
        self.is_interrupted = False
        self._place = 0  # in the file that is read

    @property
    def is_whole(self) -> bool:
        """Whether all was read, and nothing was to be said of it."""
        return not (self.errors or self.notes or self.is_interrupted)

    @cached_property
    def tracker(self) -> Tracker:
        """Who knows the messages in flight."""
        from parsers.tracker import Tracker

        return Tracker()

    def batches(self) -> Iterator[list[Event]]:
        """Events in context, a block at a time."""
        from exporter.sources.compression import CORRUPT, decompressed
        from mailstat.part import blocks_of

        for path in self.in_order():
            reader = None
            try:
                with self.opened(path) as file:
                    reader = self.reader(path)
                    for block in blocks_of(decompressed(file)):
                        events = reader.read(text_of(block))
                        self.tracker.follow(events)
                        yield self.selection.of(events)
                        self.told(file)
            except (OSError, *CORRUPT) as error:
                self.fail(path, error)
            finally:
                self.close(path, reader.tallies if reader else {})

    def read(self, digest: Digest) -> None:
        """Give all events to a digest."""
        from mailstat.reading import Reading

        Reading(self, digest).run()

    def understood(self, path: Path, text: str) -> list[Event]:
        """The events in context of some lines of a file."""
        reader = self.reader(path)
        events = reader.read(text)
        self.tracker.follow(events)
        return events

    def reader(self, path: Path) -> LogReader:
        """A reader for a file from its beginning on."""
        from parsers.reader import LogReader

        return LogReader(self.clock(path), mta=self.selection.mta, joins=self.joins, met=self.met)

    def primed(self, path: Path, before: bytes, *, is_alone: bool = False) -> LogReader:
        """A reader for a file that goes on after a line; one that is alone shares nothing with others."""
        from parsers.reader import LogReader

        joins, met = ({}, set()) if is_alone else (self.joins, self.met)
        reader = LogReader(self.clock(path), mta=self.selection.mta, joins=joins, met=met)
        if before:
            reader.read(text_of(before))
            for tally in reader.tallies.values():
                tally.clear()
        return reader

    def opened(self, path: Path) -> BufferedReader:
        """A file that is read from its beginning on. Raises OSError."""
        self._place = 0
        return opened(path)

    def fail(self, path: Path, error: Exception) -> None:
        """Remember what could not be read."""
        self.errors.append(f"{title(path)}: {getattr(error, 'strerror', None) or error}")

    def close(self, path: Path, tallies: dict[str, Tally]) -> None:
        """Count the lines of a file that was read."""
        from parsers.speaker import OTHER, Tally

        for mta, tally in tallies.items():
            self.tallies.setdefault(mta, Tally()).add(tally)
        is_foreign = not any(tally.lines for mta, tally in tallies.items() if mta != OTHER)
        if self.selection.mta is None and is_foreign and OTHER in tallies and tallies[OTHER].lines:
            self.notes.append(f"{title(path)}: no line of it is of a mail server")

    def told(self, file: BufferedReader) -> None:
        """Say how far a file was read."""
        if self.on_read and file.seekable():
            place = file.tell()
            self.on_read(place - self._place)
            self._place = place

    def add_read(self, size: int) -> None:
        """Say how much more of a file was read."""
        if self.on_read:
            self.on_read(size)

    def in_order(self) -> list[Path]:
        """The files by the time of their first line; those of which that is not known come last, as they stand."""
        if len(self.paths) < 2:
            return list(self.paths)
        begins = {path: self._begin(path) for path in self.paths}
        return sorted(self.paths, key=lambda path: (begins[path] is None, begins[path] or 0.0))

    def _begin(self, path: Path) -> float | None:
        from exporter.sources.compression import CORRUPT, decompressed
        from mailstat.part import BLOCK_BYTES
        from parsers.reader import LogReader

        if path == STANDARD_INPUT:
            return None
        try:
            if not S_ISREG(path.stat().st_mode):  # what is read from a pipe is gone
                return None
            reader = LogReader(self.clock(path), mta=self.selection.mta, met=self.met)
            with opened(path) as file:
                head = decompressed(file).read1(BLOCK_BYTES)
        except (OSError, *CORRUPT):
            return None
        for line in head.decode("utf-8", "surrogateescape").split("\n")[:HEAD_LINES]:
            reader.read(line + "\n")
            if reader.last_time:
                return reader.last_time
        return None

    def clock(self, path: Path) -> Clock:
        """Years are guessed from the time of a file's last change: it may be older than a year."""
        from parsers.clock import Clock

        if path == STANDARD_INPUT:
            return Clock(self.zone, time, self.year)
        changed = path.stat().st_mtime
        return Clock(self.zone, lambda: changed, self.year)


def distinct(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The files, each once, by whatever names it was given; and in words, which were left out."""
    names: dict[object, Path] = {}
    notes = []
    for path in paths:
        mark = identity(path)
        if mark not in names:
            names[mark] = path
        elif path == names[mark]:
            notes.append(f"{title(path)}: named twice, read once")
        else:
            notes.append(f"{path}: the same file as {names[mark]}, read once")
    return list(names.values()), notes


def identity(path: Path) -> object:
    """What a file has, whatever its name."""
    if path == STANDARD_INPUT:
        return path
    try:
        status = path.stat()
    except (OSError, ValueError):  # it will be named when it is to be read
        return path
    return status.st_dev, status.st_ino


def title(path: Path) -> str:
    """What people call a file."""
    return "standard input" if path == STANDARD_INPUT else str(path)


def text_of(block: bytes) -> str:
    """What stands in a log; a byte that is not UTF-8 is kept in the form of half a character."""
    return block.decode("utf-8", "surrogateescape")


def opened(path: Path) -> BufferedReader:
    """The bytes of a file as they are stored, or of standard input."""
    if path != STANDARD_INPUT:
        return path.open("rb")
    if sys.stdin is None:
        raise OSError(EBADF, os.strerror(EBADF))
    return open(sys.stdin.fileno(), "rb", closefd=False)
