"""The way of a message through queues, filters, hosts and servers, found without reading all of the log.

Lines are looked for as bytes; only those that have the text are read. What they name (a queue id, the id that the
next queue gave, a message-id) is looked for too, until nothing new is found.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter.sources.compression import CORRUPT, decompressed
from mailstat.block import Block
from mailstat.log import STANDARD_INPUT, opened
from mailstat.report import ReportError
from parsers.events import Event, Received, Removed, as_record
from parsers.tracker import Tracker

if TYPE_CHECKING:
    from mailstat.log import Log

CHUNK = 1 << 18  # bytes that are searched at once: they stay in the processor's cache
PASSES = 8
MOST = 60  # words that are looked for: each costs as much again
LINES = 20_000  # that are kept
SHORTEST = 5  # characters of an id that is looked for: shorter ones are everywhere
IDS = ("queue_id", "new_queue_id", "original_queue_id", "message_id")

Place = tuple[int, int]  # number of the file, and where in it the line begins
Range = tuple[Place, Place]  # from the first on, before the second
Found = dict[Place, bytes]
START: Place = (0, 0)
END: Place = (sys.maxsize, 0)


@dataclass
class Stage:
    """What happened to a message under one id; `following` are the ids under which it, or news of it, went on."""

    queue_id: str | None
    host: str
    message_id: str | None = None
    sender: str | None = None
    events: list[Event] = field(default_factory=list)
    following: list[str] = field(default_factory=list)
    is_over: bool = False

    def add(self, event: Event) -> None:
        """One event more."""
        self.events.append(event)
        self.is_over = type(event) is Removed
        message_id, sender, new = (getattr(event, name, None) for name in ("message_id", "sender", "new_queue_id"))
        self.message_id = self.message_id or message_id
        self.sender = sender if self.sender is None else self.sender
        if new and new not in self.following:
            self.following.append(new)

    def record(self) -> dict[str, Any]:
        """For machines: what is known of it."""
        known = {"queue_id": self.queue_id, "message_id": self.message_id, "sender": self.sender}
        return {name: value for name, value in known.items() if value is not None}


def trace(log: Log, text: str) -> list[Stage]:
    """Everything that happened to the messages that the text (an id, an address, a piece of a line) names, in the
    order of time. What is too much is left out, and `log.notes` say so. Raises ReportError."""
    if STANDARD_INPUT in log.paths:
        raise ReportError("a trace looks through its files more than once: standard input can be read only once")
    hunt = Hunt(log)
    hunt.run(text)
    return stages(_related(hunt.events(), text, hunt.known))


def stages(events: Iterable[Event]) -> list[Stage]:
    """Events by the message they are about; an id that comes again is another message."""
    current: dict[tuple[str, str], Stage] = {}
    found: list[Stage] = []
    for event in events:
        queue_id = getattr(event, "queue_id", None)
        host = event.origin.host
        stage = current.get((host, queue_id)) if queue_id else None
        if stage is None or (type(event) is Received and (stage.is_over or _has_begun(stage))):
            stage = Stage(queue_id, host)
            found.append(stage)
            if queue_id:
                current[host, queue_id] = stage
        stage.add(event)
    return found


def _has_begun(stage: Stage) -> bool:
    return any(type(event) is Received for event in stage.events)


# --- looking for lines ---


class Hunt:
    """Lines that have a text, or what such lines name. What a line names is looked for from there on at once, and
    before that in the next pass, as far back as it can be: an id that is given to a message is none before that."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.paths = list(dict.fromkeys(log.paths))
        self.known: dict[str, Place] = {}  # what is looked for, and from where on
        self.found: Found = {}
        self._begins: dict[str, Place] = {}  # where the messages begin, by id

    def run(self, text: str) -> None:
        """Look until nothing new is found. Raises ReportError where too much is."""
        self.known[text] = START
        words = {text: (START, END)}
        for _ in range(PASSES):
            words = self.look(words)
            if not words:
                return

    def events(self) -> list[Event]:
        """Of all lines that were found, in the order of time and in context."""
        self.log.tracker, self.log.joins = Tracker(), {}
        events: list[Event] = []
        for number, path in enumerate(self.paths):
            lines = [line for (of, _), line in sorted(self.found.items()) if of == number]
            events += self._read(path, lines) if lines else ()
        events.sort(key=lambda event: event.time)
        return events

    def look(self, words: dict[str, Range]) -> dict[str, Range]:
        """Look for words, each within a range; those that were met on the way, with the range before that."""
        wanted = [(_bytes(word), *within) for word, within in words.items()]
        before: dict[str, Range] = {}
        for number, path in enumerate(self.paths):
            try:
                with opened(path) as file:
                    lowest = min(lower for _, lower, _ in wanted)
                    for begin, block, size in blocks(file, lowest[1] if lowest[0] == number else 0):
                        place = (number, begin)
                        if all(upper <= place for _, _, upper in wanted):
                            return before
                        self._search(place, block, size, wanted, before)
            except (OSError, *CORRUPT) as error:
                told = f"{path}: {getattr(error, 'strerror', None) or error}"
                if told not in self.log.errors:
                    self.log.errors.append(told)
        return before

    def _search(
        self,
        place: Place,
        block: Block,
        size: int,
        wanted: list[tuple[bytes, Place, Place]],
        before: dict[str, Range],
    ) -> None:
        end = (place[0], place[1] + size)
        for word, lower, upper in wanted:  # which grow in number while they are looked for
            if not (lower < end and place < upper):
                continue
            new = _look(place, block, size, word, self.found)
            if len(self.found) > LINES:
                raise ReportError(f"more than {LINES:,} lines have it: say more, or name fewer files")
            for named, earliest in self._named(place, new).items():
                if self.is_found_by_another(named, earliest):
                    continue
                wanted.append((_bytes(named), place, END))
                if earliest < place:
                    before[named] = (earliest, place)

    def _named(self, place: Place, lines: list[bytes]) -> dict[str, Place]:
        """What is to be looked for next, and how far back."""
        new: dict[str, Place] = {}
        for event in self._read(self.paths[place[0]], lines) if lines else ():
            if type(event) is Received:
                self._begins.setdefault(event.queue_id, place)
            for name in IDS:
                word = getattr(event, name, None)
                if word and len(word) >= SHORTEST and word not in self.known:
                    new.setdefault(word, self._earliest(event, name, word))
        if len(self.known) + len(new) > MOST:
            note = f"too much belongs to this: only the first {MOST} ids are followed"
            self.log.notes += [note] if note not in self.log.notes else []
            new = dict(islice(new.items(), max(MOST - len(self.known), 0)))
        self.known.update(new)
        return new

    def is_found_by_another(self, word: str, earliest: Place) -> bool:
        """Whether a part of it is looked for already, as the queue id in a message-id that was made here."""
        return any(it in word and since <= earliest for it, since in self.known.items() if it != word)

    def _earliest(self, event: Event, name: str, word: str) -> Place:
        """Where an id can be at the earliest, in a log of one file: of what is made of a message (its next id, a
        message-id with its id in it), not before it."""
        queue_id = getattr(event, "queue_id", None) or ""
        is_made_here = name in ("queue_id", "new_queue_id") or (name == "message_id" and queue_id in word)
        if not is_made_here or len(self.paths) > 1:
            return START
        return self._begins.get(queue_id) or self.known.get(queue_id, START)

    def _read(self, path: Path, lines: list[bytes]) -> list[Event]:
        text = b"\n".join(lines).decode("utf-8", "surrogateescape")
        return self.log.selection.of(self.log.understood(path, text + "\n"))


def _look(place: Place, block: Block, size: int, word: bytes, found: Found) -> list[bytes]:
    """The lines of a block that have a word and were not found before."""
    number, begin = place
    new: list[bytes] = []
    at = block.find(word, 0, size)
    while at >= 0:
        start, end = block.bytes.rfind(b"\n", 0, at) + 1, block.bytes.find(b"\n", at, size)
        end = size if end < 0 else end
        if (number, begin + start) not in found:
            found[number, begin + start] = line = bytes(block.bytes[start:end])
            new.append(line)
        at = block.find(word, end, size)
    return new


def blocks(file: BufferedReader, begin: int) -> Iterator[tuple[int, Block, int]]:
    """Where complete lines begin, what holds them (the same each time), and how many bytes of it they are: those from
    a line's beginning on, and those before it where a file cannot be read from there on. A line that is longer than
    all that it can hold comes in pieces."""
    stream, block = decompressed(file), Block(CHUNK)
    if begin and stream is file and file.seekable():
        file.seek(begin)
    else:
        begin = 0
    room, rest = memoryview(block.bytes), 0
    while count := stream.readinto1(room[rest:]):
        size = rest + count
        end = block.bytes.rfind(b"\n", 0, size) + 1 or (size if size == CHUNK else 0)
        if end:
            yield begin, block, end
            begin += end
            room[: size - end] = room[end:size]
        rest = size - end
    if rest:
        yield begin, block, rest


# --- what lines name ---


def _related(events: list[Event], text: str, searched: Mapping[str, Place]) -> list[Event]:
    """Without lines in which an id stands by chance."""
    return [event for event in events if any(word in searched for word in _ids(event)) or _says(event, text)]


def _ids(event: Event) -> Iterator[str]:
    return (word for name in IDS if (word := getattr(event, name, None)))


def _says(event: Event, text: str) -> bool:
    return any(isinstance(value, str) and text in value for value in as_record(event).values())


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
