"""Blocks of lines in, events out: the loop that everything else's speed depends on.

A line is a prefix and a message. Prefixes repeat: the time is mostly that of the line before, "host program[pid]" one
of a few thousand, so both are looked up and only what is new is parsed. Messages without numbers of their own repeat
too, as clients and relays come back: their event is copied. For the rest, the program tells the grammar, the first
characters of the message tell the few shapes it can have. Every line read has one outcome.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from copy import copy
from typing import Any

from parsers.clock import Clock
from parsers.events import Event, Origin
from parsers.mta import postfix
from parsers.prefix.syslog import Prefix
from parsers.prefix.wrapper import read_prefix
from parsers.shape import KEY, NO_CANDIDATES, Candidates

OTHER = "other"  # the `mta` of programs that are none
SPEAKERS = 20_000  # "host program[pid]" that are kept; a busy host has some hundred at a time
PROTOTYPES = 8_000  # events that are kept to be copied: some MB
LONGEST_REPEAT = 300  # characters of a message whose event is kept
REPEATS = 1_000  # what `message repeated N times` may stand for
# rsyslog's and syslogd's ways to say that the same came again.
_REPEATED = re.compile(r"message repeated (\d{1,9}) times: \[ ?(.*)\]").fullmatch
_LAST_REPEATED = re.compile(r".{1,300} last message repeated (\d{1,9}) times?\s*").fullmatch


class Tally:
    """The outcomes of the lines of one MTA."""

    __slots__ = ("ignored", "malformed", "parsed", "unknown")

    def __init__(self) -> None:
        self.parsed = 0
        self.ignored = 0
        self.unknown = 0
        self.malformed = 0

    def add(self, other: Tally) -> None:
        """Add another one's lines."""
        self.parsed += other.parsed
        self.ignored += other.ignored
        self.unknown += other.unknown
        self.malformed += other.malformed

    @property
    def lines(self) -> int:
        """All of them."""
        return self.parsed + self.ignored + self.unknown + self.malformed


# Who writes a line: origin, the shapes of its lines by start and after an id (None for programs that are not a mail
# server's), and where they are counted.
Speaker = tuple[Origin, dict[str, Candidates] | None, dict[str, Candidates], Tally]
# What a head ("stamp host program[pid]") stands for.
Entry = tuple[float, Speaker]


class LogReader:
    """Reads one log. Blocks come in order; a line must not be cut between them.

    `on_strange(outcome, message)` is told what was unknown or malformed.
    """

    def __init__(self, clock: Clock, on_strange: Callable[[str, str], None] | None = None) -> None:
        self.clock = clock
        self.tallies: dict[str, Tally] = {}
        self.last_time = 0.0
        self._on_strange = on_strange
        self._speakers: dict[str, Speaker] = {}  # by how the log words them
        self._writers: dict[tuple[str, str, int | None], Speaker] = {}  # the same, by who they are
        self._heads: dict[str, Entry] = {}  # of the lines with the same stamp as the last
        self._prototypes: dict[str, Any] = {}  # events without time, origin and id, by their words
        self._read_stamp: Callable[[str], float] = clock.rfc3164
        self._width = 0  # of the stamp, in logs whose lines can be cut there
        self._is_precise = False  # stamps have a fraction, so that none comes twice
        self._stamp = ""
        self._before = ""  # the last line of the block before
        self._place = 0  # where in a block the last line was that says that the one before it came again
        self._nobody: Speaker = (Origin(OTHER, "", "", ""), None, {}, self._tally(OTHER))

    def read(self, block: str) -> list[Event]:  # noqa: C901, PLR0912, PLR0915 - calls cost more than all the rest
        """The events of a block's lines, in their order."""
        events: list[Event] = []
        append = events.append
        heads, prototypes = self._heads, self._prototypes
        self._place = 0
        lines = block.split("\n")
        if not lines[-1]:
            lines.pop()
        if " \n" in block or "\r\n" in block or block.endswith((" ", "\r")):
            lines = [line.rstrip(" \r") for line in lines]
        for line in lines:
            head, _, message = line.partition(": ")
            entry = heads.get(head)
            if entry is None:
                try:
                    entry, message = self._enter(line, head, message)
                except ValueError:
                    self._unreadable(line, lines, events)
                    continue
            time, (origin, by_start, by_lead, tally) = entry
            if by_start is None:
                tally.ignored += 1
                continue
            words = message
            queue_id = found = None
            candidates = by_start.get(message[:KEY])
            if candidates is not None:
                repeats, shapes = candidates
                if repeats:
                    prototype = prototypes.get(words)
                    if prototype is not None:
                        event = prototype.__copy__()
                        event.time = time
                        event.origin = origin
                        append(event)
                        continue
                for match, build, repeats, _ in shapes:
                    found = match(words)
                    if found:
                        break
            if not found:
                queue_id, _, words = message.partition(": ")
                repeats, shapes = by_lead.get(words[:KEY], NO_CANDIDATES)
                if repeats:
                    prototype = prototypes.get(words)
                    if prototype is not None:
                        event = prototype.__copy__()
                        event.time = time
                        event.origin = origin
                        event.queue_id = queue_id
                        append(event)
                        continue
                for match, build, repeats, _ in shapes:
                    found = match(words)
                    if found and " " not in queue_id:
                        break
                else:
                    self._odd(message, entry, events)
                    continue
            if build is None:
                tally.ignored += 1
                continue
            try:
                fields = found.groups()
                event = build(time, origin, *fields) if queue_id is None else build(time, origin, queue_id, *fields)
            except ValueError:
                self._strange("malformed", tally, message)
                continue
            if event is None:
                tally.ignored += 1
                continue
            if repeats:
                self._keep(words, event)
            append(event)
        self._before = lines[-1] if lines else self._before
        self._count(events)
        return events

    def _count(self, events: list[Event]) -> None:
        """Every event is of a line that was parsed, but for repetitions, which `_again` has taken off."""
        if len(self.tallies) == 2:  # one server, and the programs that are none: the usual log
            mta = next(mta for mta in self.tallies if mta != OTHER)
            self.tallies[mta].parsed += len(events)
        else:
            for mta, count in Counter(event.origin.mta for event in events).items():
                self.tallies[mta].parsed += count

    def _keep(self, words: str, event: Event) -> None:
        if len(self._prototypes) >= PROTOTYPES:
            self._prototypes.clear()
        if len(words) <= LONGEST_REPEAT:
            self._prototypes[words] = copy(event)

    def _tally(self, mta: str) -> Tally:
        return self.tallies.setdefault(mta, Tally())

    def _enter(self, line: str, head: str, message: str) -> tuple[Entry, str]:
        """What a head that was not met at this time stands for, and the line's message. Raises ValueError."""
        speaker = self._speakers.get(head[self._width :])
        if speaker is None:
            return self._begin(line)
        stamp = head[: self._width]
        if self._is_precise:
            self.last_time = self._read_stamp(stamp)
            return (self.last_time, speaker), message
        if stamp != self._stamp:
            self.last_time = self._read_stamp(stamp)
            self._stamp = stamp
            self._heads.clear()
        entry = self._heads[head] = (self.last_time, speaker)
        return entry, message

    def _begin(self, line: str) -> tuple[Entry, str]:
        """Read a prefix that is new. Raises ValueError where the line has none, or an impossible one."""
        bare = line.strip("\0\r")
        prefix = read_prefix(bare, self.clock)
        if prefix is None:
            raise ValueError("no prefix")
        speaker = self._speaker(prefix)
        self.last_time = prefix.time
        self._heads.clear()
        self._stamp = ""
        if prefix.width:
            self._width = prefix.width
            self._is_precise = "." in bare[: prefix.width]
            self._read_stamp = self.clock.iso8601 if bare[0].isdecimal() else self.clock.rfc3164
            if len(self._speakers) >= SPEAKERS:
                self._speakers.clear()
            self._speakers[prefix.tag] = speaker
        return (prefix.time, speaker), prefix.message

    def _speaker(self, prefix: Prefix) -> Speaker:
        """One for each process, however its lines are wrapped: a session is followed by its origin."""
        writer = (prefix.host, prefix.program, prefix.pid)
        speaker = self._writers.get(writer)
        if speaker is None:
            if len(self._writers) >= SPEAKERS:
                self._writers.clear()
            speaker = self._writers[writer] = self._meet(postfix.origin(*writer))
        return speaker

    def _meet(self, origin: Origin | None) -> Speaker:
        if origin is None:
            return self._nobody
        return origin, postfix.GRAMMAR.by_start, postfix.GRAMMAR.by_lead, self._tally(origin.mta)

    def _odd(self, message: str, entry: Entry, events: list[Event]) -> None:
        """What no shape fits: a message in a wrapping of its own, or one that is not known."""
        time, (origin, _, _, tally) = entry
        repeated = _REPEATED(message)
        plain = repeated[2] if repeated else message.strip("\0\r\t ")
        times = min(int(repeated[1]), REPEATS) if repeated else 1
        outcome, event = understand(plain, time, origin) if plain != message or " " in message else ("unknown", None)
        if outcome in ("unknown", "malformed"):
            self._strange(outcome, tally, plain)
        elif event is None:
            tally.ignored += 1
        else:
            self._repeat(event, times, tally, events)

    def _repeat(self, event: Event, times: int, tally: Tally, events: list[Event]) -> None:
        """One line stands for several events: copies, for each is put in a context of its own."""
        events += [copy(event) for _ in range(times)]
        tally.parsed -= times - 1

    def _unreadable(self, line: str, lines: list[str], events: list[Event]) -> None:
        """A line without a prefix: nothing but blanks, syslogd's `last message repeated`, or broken."""
        repeated = _LAST_REPEATED(line)
        if repeated:
            while lines[self._place] is not line:
                self._place += 1
            before = lines[self._place - 1] if self._place else self._before
            self._again(before, min(int(repeated[1]), REPEATS), events)
        elif line.strip("\0\r\t "):
            self._strange("malformed", self._nobody[3], line)
        else:
            self._nobody[3].ignored += 1

    def _again(self, line: str, times: int, events: list[Event]) -> None:
        """The line before came again, syslogd says."""
        try:
            (time, (origin, _, _, tally)), message = self._begin(line)
        except ValueError:
            self._nobody[3].ignored += 1
            return
        event = understand(message, time, origin)[1]
        if event:
            self._repeat(event, times, tally, events)
        else:
            tally.ignored += 1

    def _strange(self, outcome: str, tally: Tally, message: str) -> None:
        setattr(tally, outcome, getattr(tally, outcome) + 1)
        if self._on_strange:
            self._on_strange(outcome, message)


def understand(message: str, time: float, origin: Origin) -> tuple[str, Event | None]:
    """One message's outcome, and its event where there is one: what the loop does, for the odd line."""
    if origin.mta == OTHER:
        return "ignored", None
    for _, build, fields in postfix.GRAMMAR.matches(message):
        try:
            event = build(time, origin, *fields) if build else None
        except ValueError:
            return "malformed", None
        return ("parsed" if event else "ignored"), event
    return "unknown", None
