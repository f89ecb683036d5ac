"""The way of a message through queues, filters, hosts and servers, found without reading all of the log.

Lines are looked for as bytes; only those that have the text are read. What they say (a queue id, the id that the next
queue gave, a message-id) is looked for in the next round, until nothing new is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter.sources.compression import CORRUPT, decompressed
from mailstat.log import STANDARD_INPUT, opened
from mailstat.report import ReportError
from parsers.events import Event, Received, Removed, as_record
from parsers.tracker import Tracker

if TYPE_CHECKING:
    from mailstat.log import Log

CHUNK = 1 << 18  # bytes that are searched at once: they stay in the processor's cache
ROUNDS = 8
MOST = 40  # ids that are looked for in one round; each costs a pass
LINES = 20_000  # that are kept
SHORTEST = 5  # characters of an id that is looked for: shorter ones are everywhere
IDS = ("queue_id", "new_queue_id", "original_queue_id", "message_id")

Place = tuple[int, int]  # number of the file, and where in it the line begins
Found = dict[Place, bytes]


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
    paths = list(dict.fromkeys(log.paths))
    found: Found = {}
    wanted, searched = [text], set[str]()
    events: list[Event] = []
    for _ in range(ROUNDS):
        before = len(found)
        for number, path in enumerate(paths):
            _search(log, number, path, [_bytes(word) for word in wanted], found)
        searched.update(wanted)
        if len(found) == before:
            break
        events = _read(log, paths, found)
        wanted = _further(log, events, searched)
        if not wanted:
            break
    return stages(_related(events, text, searched))


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


def _search(log: Log, number: int, path: Path, words: list[bytes], found: Found) -> None:
    try:
        with opened(path) as file:
            for begin, block, end in _blocks(file):
                for word in words:
                    _look((number, begin), block, end, word, found)
                if len(found) > LINES:
                    raise ReportError(f"more than {LINES:,} lines have it: say more, or name fewer files")
    except (OSError, *CORRUPT) as error:
        told = f"{path}: {getattr(error, 'strerror', None) or error}"
        if told not in log.errors:
            log.errors.append(told)


def _look(place: Place, block: bytearray, size: int, word: bytes, found: Found) -> None:
    number, begin = place
    at = block.find(word, 0, size)
    while at >= 0:
        start, end = block.rfind(b"\n", 0, at) + 1, block.find(b"\n", at, size)
        end = size if end < 0 else end
        found[number, begin + start] = bytes(block[start:end])
        at = block.find(word, end, size)


def _blocks(file: BufferedReader) -> Iterator[tuple[int, bytearray, int]]:
    """Where complete lines begin, what holds them (the same each time), and how many bytes of it they are. A line
    that is longer than all that it can hold comes in pieces."""
    stream, block = decompressed(file), bytearray(CHUNK)
    room, begin, rest = memoryview(block), 0, 0
    while count := stream.readinto1(room[rest:]):
        size = rest + count
        end = block.rfind(b"\n", 0, size) + 1 or (size if size == CHUNK else 0)
        if end:
            yield begin, block, end
            begin += end
            room[: size - end] = room[end:size]
        rest = size - end
    if rest:
        yield begin, block, rest


# --- reading them ---


def _read(log: Log, paths: list[Path], found: Found) -> list[Event]:
    """The events of the lines, in the order of time. What an earlier round has read is read anew, with what is new."""
    log.tracker, log.joins = Tracker(), {}
    events: list[Event] = []
    for number, path in enumerate(paths):
        lines = [line for (of, _), line in sorted(found.items()) if of == number]
        text = b"\n".join(lines).decode("utf-8", "surrogateescape")
        if text:
            events += log.understood(path, text + "\n")
    events = log.selection.of(events)
    events.sort(key=lambda event: event.time)
    return events


def _further(log: Log, events: list[Event], searched: set[str]) -> list[str]:
    """What to look for next."""
    words = dict.fromkeys(word for event in events for word in _ids(event) if len(word) >= SHORTEST)
    new = [word for word in words if word not in searched]
    if len(new) > MOST:
        log.notes.append(f"too much belongs to this: only the last {MOST} of {len(new):,} ids are followed")
    return new[-MOST:]


def _related(events: list[Event], text: str, searched: set[str]) -> list[Event]:
    """Without lines in which an id stands by chance."""
    return [event for event in events if not searched.isdisjoint(_ids(event)) or _says(event, text)]


def _ids(event: Event) -> Iterator[str]:
    return (word for name in IDS if (word := getattr(event, name, None)))


def _says(event: Event, text: str) -> bool:
    return any(isinstance(value, str) and text in value for value in as_record(event).values())


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
