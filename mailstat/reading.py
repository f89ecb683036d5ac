"""A log read into a digest, in parts, by as many processes as there may be.

What comes of it is the same for any number of them. A part is read and followed by itself (`parsers.part`); where
that would not be exact, as the form of the lines, the clock or the messages before it tell, it is read once more,
after those before it. So is all that follows lines which have to be joined before anybody can follow them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from stat import S_ISREG
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from exporter.sources.compression import CORRUPT, decompressed
from mailstat.crew import Crew
from mailstat.interrupt import Interrupt
from mailstat.log import STANDARD_INPUT, text_of
from mailstat.part import PART_BYTES, Part, cut, parts_of
from parsers.events import Event
from parsers.mta import SERVERS
from parsers.part import PartTracker, Rest, absorb, agrees
from parsers.reader import Form, LogReader
from parsers.speaker import Tally

if TYPE_CHECKING:
    from io import BufferedReader

    from mailstat.log import Digest, Log, Partial

AHEAD = 2  # parts that each process has been given
JOINED = frozenset(mta for mta, server in SERVERS.items() if server.join or server.has_hearsay)


class Task(NamedTuple):
    """A part for another process; what came out of a stream stands in a file, as blocks of these lengths."""

    part: Part
    spool: str | None
    lengths: tuple[int, ...]

    def blocks(self) -> Iterator[bytes]:
        """Complete lines, a block at a time. Raises OSError."""
        if self.spool is None:
            yield from self.part.blocks()
            return
        with Path(self.spool).open("rb") as file:
            Path(self.spool).unlink()  # as long as it is open it can be read
            for length in self.lengths:
                yield file.read(length)


class Piece(NamedTuple):
    """What came of a part that was read by itself. `start` and `end` are the form of the log at its ends, `hour` is
    of its clock, `events` how many it has."""

    payload: Any
    rest: Rest
    tallies: dict[str, Tally]
    met: set[str]
    start: Form
    end: Form
    hour: tuple[float, bool]
    events: int


class Step(NamedTuple):
    """What is to be done next: a part, and who reads it (None: nobody yet), or what is wrong with its file; `is_last`
    of the file."""

    path: Path
    part: Part | None = None
    who: int | None = None
    error: Exception | None = None
    is_last: bool = False


def read_piece(log: Log, digest: Partial, task: Task) -> Piece | None:
    """Read a part by itself; None where that cannot be."""
    tracker, numbers = PartTracker(), log.selection.numbered
    reader = log.primed(task.part.path, task.part.before, is_alone=True)
    reader.on_strange = getattr(digest, "strange", None)
    start = reader.form
    try:
        for block in task.blocks():
            events, places = tracker.follow_part(reader.read(text_of(block)))
            digest.add(*numbers(events, places))
            if not JOINED.isdisjoint(reader.met):
                return None
    except OSError:
        return None
    rest, payload = tracker.rest(), digest.payload()
    return Piece(payload, rest, reader.tallies, reader.met, start, reader.form, reader.clock.hour, tracker.number)


class Reading:
    """The reading of one log."""

    def __init__(self, log: Log, digest: Digest) -> None:
        self._log = log
        self._digest = digest
        self._crew: Crew | None = None
        self._folder = ""  # where parts of streams stand for the crew
        self._number = 0  # of the events so far
        self._reader: LogReader | None = None  # of the file so far, where this process read it last
        self._last: tuple[Part, Piece] | None = None  # where another one did
        self._tallies: dict[str, Tally] = {}
        self._hour = (0.0, False)

    def run(self) -> None:
        """Read all of it, or what is read until Ctrl-C."""
        for _ in self.steps():
            pass

    def steps(self) -> Iterator[None]:
        """The same, part by part."""
        log = self._log
        with ExitStack() as stack:
            if is_long(log):
                blank = self._digest.blank
                work = lambda task: read_piece(log, blank(), task)  # noqa: E731 - a new digest for each part
                self._crew = stack.enter_context(Crew(log.jobs, work))
                self._folder = stack.enter_context(TemporaryDirectory(prefix="mailstat-"))
            interrupt = stack.enter_context(Interrupt())
            waiting: deque[Step] = deque()
            for step in self._steps():
                waiting.append(self._given(step))
                while len(waiting) > (self._crew.size * AHEAD if self._crew else 0):
                    self._do(waiting.popleft())
                    yield
                if interrupt.is_set:
                    break
            while waiting and not interrupt.is_set:
                self._do(waiting.popleft())
                yield
            log.is_interrupted = interrupt.is_set
            if interrupt.is_set:
                log.close(Path(), self._tallies)

    # --- what is to be done ---

    def _steps(self) -> Iterator[Step]:
        for path in self._log.in_order():
            try:
                with self._log.opened(path) as file:
                    for part in self._parts(path, file):
                        yield Step(path, part)
            except (OSError, *CORRUPT) as error:
                yield Step(path, error=error)
            yield Step(path, is_last=True)

    def _parts(self, path: Path, file: BufferedReader) -> Iterator[Part]:
        stream = decompressed(file)
        status = None if path == STANDARD_INPUT else path.stat()
        if stream is file and status and S_ISREG(status.st_mode):
            yield from cut(path, status.st_size)
        else:
            for part in parts_of(path, stream):
                yield part
                self._log.told(file)

    def _given(self, step: Step) -> Step:
        """The same, with who reads it."""
        if self._crew is None or step.part is None:
            return step
        part = step.part
        if part.held is None:
            return step._replace(who=self._crew.give(Task(part, None, ())))
        spool = Path(self._folder, str(part.begin))
        try:
            with spool.open("wb") as file:
                file.writelines(part.held)
        except OSError:  # no room for it there
            spool.unlink(missing_ok=True)
            return step
        task = Task(part._replace(held=None), str(spool), tuple(map(len, part.held)))
        return step._replace(who=self._crew.give(task))

    # --- doing it ---

    def _do(self, step: Step) -> None:
        if step.error:
            self._log.fail(step.path, step.error)
        elif step.is_last:
            self._log.close(step.path, self._tallies)
            self._reader, self._last, self._tallies, self._hour = None, None, {}, (0.0, False)
        elif step.part:
            piece = self._crew.result_of(step.who) if self._crew and step.who is not None else None
            if piece and self._agrees(piece):
                self._take(step.part, piece)
            else:
                self._read(step.part)
            if step.part.held is None:
                self._log.add_read((step.part.end or step.path.stat().st_size) - step.part.begin)

    def _agrees(self, piece: Piece) -> bool:
        """Whether a part that was read by itself is what it would be after those before it."""
        form = self._reader.form if self._reader else self._last[1].end if self._last else piece.start
        hour = self._reader.clock.hour if self._reader else self._hour
        is_one_hour = (0.0, False) in (hour, piece.hour)
        return not self._log.joins and form == piece.start and is_one_hour and agrees(self._log.tracker, piece.rest)

    def _take(self, part: Part, piece: Piece) -> None:
        base, numbered, late = self._number, self._log.selection.numbered, self._digest.blank()
        told = absorb(self._log.tracker, piece.rest, lambda events, places: late.add(*numbered(events, places)))
        self._digest.merge(piece.payload, base, told=told)
        self._digest.merge(late.payload(), base, told={})
        self._number += piece.events
        self._log.met |= piece.met
        self._count(piece.tallies)
        self._hour = max(self._hour, piece.hour)
        if self._reader:
            self._hour, self._reader = max(self._reader.clock.hour, piece.hour), None
        self._last = (part, piece)

    def _read(self, part: Part) -> None:
        """Read a part after those before it."""
        reader = self._reader = self._reader or self._reader_of(part)
        for block in part.blocks():
            self._add_all(reader.read(text_of(block)))
        self._count(reader.tallies)
        for tally in reader.tallies.values():
            tally.clear()

    def _reader_of(self, part: Part) -> LogReader:
        """One that knows what it would know, had it read all before."""
        reader = self._log.primed(part.path, part.before)
        if self._last:
            before, piece = self._last
            if reader.form != piece.end:
                reader = self._log.primed(part.path, before.before)
                for block in before.blocks():
                    reader.read(text_of(block))
                for tally in reader.tallies.values():
                    tally.clear()
        reader.clock.go_on_from(self._hour[0], is_again=self._hour[1])
        reader.on_strange = getattr(self._digest, "strange", None)
        return reader

    def _add_all(self, events: list[Event]) -> None:
        self._log.tracker.follow(events)
        self._add(events, range(self._number, self._number + len(events)))
        self._number += len(events)

    def _add(self, events: list[Event], numbers: Any) -> None:
        self._digest.add(*self._log.selection.numbered(events, numbers))

    def _count(self, tallies: dict[str, Tally]) -> None:
        for mta, tally in tallies.items():
            self._tallies.setdefault(mta, Tally()).add(tally)


def is_long(log: Log) -> bool:
    """Whether there is so much to read that several processes have something to do."""
    if log.jobs < 2 or log.year is not None:  # which goes on from line to line
        return False
    try:
        sizes = [path.stat().st_size for path in log.paths if path != STANDARD_INPUT]
    except OSError:
        return False
    return STANDARD_INPUT in log.paths or sum(sizes) > PART_BYTES // 8
