"""A source of many files: those of a pattern or of a directory, as they come and go."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from glob import iglob
from pathlib import Path

import msgspec

from exporter.source import Reading, Source, SourceMemory, Teller, add, is_of_nobody, nobody, view_of
from exporter.sources.file import FileTail
from exporter.sources.position import Position
from exporter.sources.rotation import head, logs_of
from exporter.view import SourceView
from parsers.events import Event
from parsers.reader import Memory as ReaderMemory
from parsers.speaker import Tally

BLOCK_BYTES = 1 << 16
LOOK_SECONDS = 2.0  # between two looks at which files there are
QUIET_LOOKS = 30  # after which a file that does not change is closed until it does

Signature = tuple[int, ...]


@dataclass
class Member:
    """A file that is open. `quiet` are the looks since it changed last."""

    source: Source
    tail: FileTail
    signature: Signature = ()
    quiet: int = 0


@dataclass
class Sleeper:
    """A file that was read to its end. Its counts are the group's."""

    memory: SourceMemory
    signature: Signature = ()


@dataclass
class Counts:
    """What was counted of files that are not open now."""

    read_bytes: int = 0
    rotations: int = 0
    truncations: int = 0
    skipped_bytes: int = 0
    restarts: int = 0
    last_time: float = 0.0
    tallies: dict[str, Tally] = field(default_factory=dict)

    def absorb(self, source: Source) -> None:
        """Take over what a source has counted."""
        self.read_bytes += source.read_bytes
        self.rotations += source.rotations
        self.truncations += source.truncations
        self.skipped_bytes += source.skipped_bytes
        self.restarts += source.restarts
        self.last_time = max(self.last_time, source.last_time)
        add(self.tallies, source.tallies)


class Group:
    """Follows the files whose names match, each with a reader of its own, and adds up what they tell.

    `most` files are followed, those that were written last. A rotated file belongs to its log; two names of one file
    are one; one that is renamed goes on under its new name.
    """

    dropped = 0

    def __init__(
        self, name: str, pattern: Path, reading: Reading, memory: SourceMemory | None, *, most: int, is_wrapped: bool
    ) -> None:
        self.name = name
        self._pattern = str(pattern)
        self._reading = reading
        self._most = most
        self._is_wrapped = is_wrapped
        self._open: dict[Path, Member] = {}
        self._asleep: dict[Path, Sleeper] = {}
        self._count = Counts()
        self._teller = Teller()
        self._found: dict[Path, os.stat_result] = {}
        self._too_many = 0
        self._looked: float | None = None
        self._turn: Iterator[Member] | None = None
        self._current: Member | None = None
        if memory:
            self._restore(memory)

    def read(self) -> list[Event] | None:
        """The events of the next block of any file; None where there is no more for now."""
        if self._turn is None:
            self._look()
            self._turn = iter(list(self._open.values()))
            self._current = next(self._turn, None)
        while self._current is not None:
            events = None if self._current.source.is_resting else self._current.source.read()
            if events is not None:
                return events
            self._current = next(self._turn, None)
        self._turn = None
        return None

    def done(self) -> None:
        """The events that were read last are counted."""
        if self._current:
            self._current.source.done()

    def restart(self, why: str) -> None:
        """Begin anew with the file that could not be read; the others go on."""
        if self._current:
            self._current.source.restart(why)

    @property
    def is_resting(self) -> bool:
        """Files rest, each by itself."""
        return False

    def turn_to(self, reading: Reading) -> None:
        """Go on with other settings."""
        self._reading = reading
        for member in self._open.values():
            member.source.turn_to(reading)

    def close(self) -> None:
        """Stop following."""
        for member in self._open.values():
            member.source.close()

    def paths(self) -> Collection[Path]:
        """Files that may change at any moment."""
        return self._open.keys()

    def descriptors(self) -> Collection[int]:
        """There are none to wait for."""
        return ()

    # --- which files there are ---

    def _look(self) -> None:
        now = self._reading.now()
        if self._looked is not None and 0 <= now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        self._found = self._files()
        self._rename()
        for path, status in self._found.items():
            self._wake(path, _signature(status))
        for path, member in list(self._open.items()):
            self._may_sleep(path, member)
        self._forget()
        self._teller.tell(self)

    def _files(self) -> dict[Path, os.stat_result]:
        """The files that are to be followed, in the order in which they were written last."""
        matched = {path: status for name in self._names() if (status := _status(path := Path(name)))}
        known = matched.keys() | self._open.keys() | self._asleep.keys()
        by_inode: dict[tuple[int, int], Path] = {}
        for path in sorted(matched):
            if not any(log in known for log in logs_of(path)):
                by_inode.setdefault((matched[path].st_dev, matched[path].st_ino), path)
        newest = sorted(by_inode.values(), key=lambda path: (matched[path].st_mtime_ns, path))
        self._too_many = max(0, len(newest) - self._most)
        return {path: matched[path] for path in newest[-self._most :]}

    def _names(self) -> Iterator[str]:
        return iglob(self._pattern)  # noqa: PTH207 - Path.glob takes no absolute pattern, and hidden files, too

    def _wake(self, path: Path, signature: Signature) -> None:
        """Follow a file that is new, or that changed since it was closed."""
        sleeper = self._asleep.get(path)
        if path in self._open or (sleeper and sleeper.signature == signature):
            return
        memory = self._asleep.pop(path).memory if sleeper else SourceMemory()
        tail = FileTail(path, position=position_of(memory), block_bytes=BLOCK_BYTES)
        source = Source(str(path), tail, self._reading, memory, is_wrapped=self._is_wrapped)
        self._open[path] = Member(source, tail)

    def _may_sleep(self, path: Path, member: Member) -> None:
        """Close a file that was read to its end, and has been quiet, or gone, for a while."""
        status = self._found.get(path)
        signature = _signature(status) if status else ()
        is_quiet = signature == member.signature and not member.tail.lag_bytes and not member.source.is_resting
        member.quiet = member.quiet + 1 if is_quiet else 0
        member.signature = signature
        if member.quiet >= QUIET_LOOKS and (status is None or member.tail.is_up):
            self._asleep[path] = Sleeper(self._let_go(path), signature)

    def _let_go(self, path: Path) -> SourceMemory:
        """Close a file. Returns where it was, without its counts, which are the group's now."""
        member = self._open.pop(path)
        self._count.absorb(member.source)
        member.source.close()
        return bare(member.source.memory())

    def _forget(self) -> None:
        """Of files that are gone, the latest are remembered: they may come back."""
        gone = [path for path in self._asleep if path not in self._found]
        for path in gone[: max(0, len(gone) - self._most)]:
            del self._asleep[path]

    # --- files that are renamed to what is no name of a rotated log ---

    def _rename(self) -> None:
        strange = [path for path, status in self._found.items() if not self._is_at(path, status)]
        places = self._places() if strange else {}
        moves: dict[Path, SourceMemory] = {}
        for path in strange:
            status = self._found[path]
            old, position = places.get((status.st_dev, status.st_ino), (path, None))
            if old != path and position and _is_of(position, path):
                moves[path] = self._moved(old, position)
        for path, memory in moves.items():
            if path in self._open:
                self._let_go(path)
            self._asleep[path] = Sleeper(memory)

    def _is_at(self, path: Path, status: os.stat_result) -> bool:
        """Whether a name leads to the file that was read under it."""
        member, sleeper = self._open.get(path), self._asleep.get(path)
        if member:
            position = member.tail.position
            return position is None or position.is_at(device=status.st_dev, inode=status.st_ino)
        return sleeper is not None and sleeper.signature[:2] == (status.st_dev, status.st_ino)

    def _places(self) -> dict[tuple[int | None, int], tuple[Path, Position]]:
        """Which file was read how far, by device and inode."""
        places: dict[tuple[int | None, int], tuple[Path, Position]] = {}
        for path, sleeper in self._asleep.items():
            if position := position_of(sleeper.memory):
                places[position.device, position.inode] = path, position
        for path, member in self._open.items():
            for position in (member.tail.left, member.tail.position):
                if position:
                    places[position.device, position.inode] = path, position
        return places

    def _moved(self, old: Path, position: Position) -> SourceMemory:
        """What is known of a file that had another name; under that one, another file begins."""
        member = self._open.get(old)
        if member and member.tail.position == position:
            return self._let_go(old)
        sleeper = self._asleep.get(old)
        if sleeper and position_of(sleeper.memory) == position:
            return self._asleep.pop(old).memory
        return SourceMemory(position=msgspec.to_builtins(position))

    # --- what is known of all of them ---

    def memory(self) -> SourceMemory:
        """What the group has to know that goes on in the place of this one."""
        tallies = {mta: (it.parsed, it.ignored, it.unknown, it.malformed) for mta, it in self.tallies.items()}
        memories = {path: sleeper.memory for path, sleeper in self._asleep.items()}
        memories |= {path: bare(member.source.memory()) for path, member in self._open.items()}
        return SourceMemory(
            read_bytes=self.read_bytes,
            rotations=self.rotations,
            truncations=self.truncations,
            skipped_bytes=self.skipped_bytes,
            reader=ReaderMemory(tallies, self.last_time),
            restarts=self.restarts,
            files={os.fsencode(path): memory for path, memory in memories.items()},
        )

    def _restore(self, memory: SourceMemory) -> None:
        count = self._count
        count.read_bytes, count.rotations, count.truncations = memory.read_bytes, memory.rotations, memory.truncations
        count.skipped_bytes, count.restarts = memory.skipped_bytes, memory.restarts
        count.last_time = memory.reader.last_time
        for mta, (parsed, ignored, unknown, malformed) in memory.reader.tallies.items():
            tally = count.tallies[mta] = Tally()
            tally.parsed, tally.ignored, tally.unknown, tally.malformed = parsed, ignored, unknown, malformed
        self._asleep = {Path(os.fsdecode(path)): Sleeper(it) for path, it in memory.files.items()}

    @property
    def _sources(self) -> Iterator[Source]:
        return (member.source for member in self._open.values())

    @property
    def tallies(self) -> dict[str, Tally]:
        whole: dict[str, Tally] = {}
        add(whole, self._count.tallies)
        for source in self._sources:
            add(whole, source.tallies)
        return whole

    @property
    def read_bytes(self) -> int:
        return self._count.read_bytes + sum(it.read_bytes for it in self._sources)

    @property
    def rotations(self) -> int:
        return self._count.rotations + sum(it.rotations for it in self._sources)

    @property
    def truncations(self) -> int:
        return self._count.truncations + sum(it.truncations for it in self._sources)

    @property
    def skipped_bytes(self) -> int:
        return self._count.skipped_bytes + sum(it.skipped_bytes for it in self._sources)

    @property
    def restarts(self) -> int:
        return self._count.restarts + sum(it.restarts for it in self._sources)

    @property
    def lag_bytes(self) -> int:
        return sum(it.lag_bytes for it in self._sources)

    @property
    def lag_seconds(self) -> float:
        return max((it.lag_seconds for it in self._sources), default=0.0)

    @property
    def last_time(self) -> float:
        return max((it.last_time for it in self._sources), default=0.0) or self._count.last_time

    @property
    def is_up(self) -> bool:
        """Whether there are files, and all of them can be read."""
        return bool(self._found) and self._failure is None

    @property
    def _failure(self) -> str | None:
        """Why one of the files cannot be read."""
        failures = (self._open[path].source.failure for path in self._found if path in self._open)
        return next(filter(None, failures), None)

    @property
    def is_of_nobody(self) -> bool:
        """Whether nothing in all of what was read is of a mail server."""
        return is_of_nobody(self.tallies)

    @property
    def error(self) -> str | None:
        """Why nothing of it is read, or not all."""
        if not self._found:
            return "no such file"
        too_many = f"{self._too_many} files more than are followed" if self._too_many else None
        return self._failure or too_many or nobody(self)

    def view(self) -> SourceView:
        """What people see of it."""
        return view_of(self)


def position_of(memory: SourceMemory | None) -> Position | None:
    """The place in a file; None where there is none, or it is that of something else."""
    with suppress(msgspec.ValidationError):
        return msgspec.convert(memory.position, Position | None) if memory else None
    return None


def _is_of(position: Position, path: Path) -> bool:
    """Whether a file starts like that of a position."""
    return position.fingerprint.length > 0 and position.fingerprint.matches(head(path))


def bare(memory: SourceMemory) -> SourceMemory:
    """A place without what was counted up to there."""
    known = memory.reader
    reader = ReaderMemory({}, known.last_time, known.last_line, known.hour)
    return SourceMemory(position=memory.position, reader=reader, halves=memory.halves)


def _status(path: Path) -> os.stat_result | None:
    """That of a file; None for anything else."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _signature(status: os.stat_result) -> Signature:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
