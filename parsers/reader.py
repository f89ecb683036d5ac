"""Blocks of lines in, events out: the loop that everything else's speed depends on.

A line is a prefix and a message. Prefixes repeat: the time is mostly that of the line before, "host program[pid]" one
of a few thousand, so both are looked up and only what is new is parsed. The program tells the grammar, the first
characters of the message tell the few shapes it can have. Every line read has one outcome.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from parsers.clock import Clock
from parsers.events import Event, Origin
from parsers.mta import postfix
from parsers.prefix.syslog import Prefix
from parsers.prefix.wrapper import read_prefix
from parsers.shape import KEY, Compiled

OTHER = "other"  # the `mta` of programs that are none
SPEAKERS = 20_000  # "host program[pid]" that are kept; a busy host has some hundred at a time
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


class Speaker(NamedTuple):
    """Who wrote a line, and the shapes that its lines can have; none for a program that is not a mail server's."""

    origin: Origin
    by_start: dict[str, list[Compiled]] | None
    by_lead: dict[str, list[Compiled]]
    tally: Tally


class LogReader:
    """Reads one log. Blocks come in order; a line must not be cut between them.

    `on_strange(outcome, message)` is told what was unknown or malformed.
    """

    def __init__(self, clock: Clock, on_strange: Callable[[str, str], None] | None = None) -> None:
        self.clock = clock
        self.tallies: dict[str, Tally] = {}
        self.last_time = 0.0
        self._on_strange = on_strange
        self._speakers: dict[str, Speaker] = {}
        self._read_stamp: Callable[[str], float] = clock.rfc3164
        self._width = 0  # of the stamp, in logs whose lines can be cut there
        self._before = ""
        self._nobody = Speaker(Origin(OTHER, "", "", ""), None, {}, self._tally(OTHER))

    def read(self, block: str) -> list[Event]:  # noqa: C901, PLR0912 - calls would cost more than all the rest
        """The events of a block's lines, in their order."""
        events: list[Event] = []
        append = events.append
        speakers = self._speakers
        width, stamp, time = self._width, "", self.last_time
        lines = block.split("\n")
        if not lines[-1]:
            lines.pop()
        for line in lines:
            head, _, message = line.partition(": ")
            speaker = speakers.get(head[width:])
            try:
                if speaker is None:
                    speaker, time, message = self._begin(line)
                    width = self._width
                    stamp = head[:width]
                elif head[:width] != stamp:
                    stamp = head[:width]
                    time = self._read_stamp(stamp)
            except ValueError:
                stamp = ""
                self._unreadable(line, lines, events)
                continue
            origin, by_start, by_lead, tally = speaker
            if by_start is None:
                tally.ignored += 1
                continue
            for match, build, _ in by_start.get(message[:KEY], ()):
                found = match(message)
                if found:
                    break
            else:
                at = message.find(": ") + 2
                for match, build, _ in by_lead.get(message[at : at + KEY], ()):
                    found = match(message)
                    if found:
                        break
                else:
                    events += self._odd(message, time, speaker)
                    continue
            if build is None:
                tally.ignored += 1
                continue
            try:
                event = build(time, origin, *found.groups())
            except ValueError:
                self._strange("malformed", tally, message)
                continue
            if event is None:
                tally.ignored += 1
            else:
                tally.parsed += 1
                append(event)
        self._before = lines[-1] if lines else self._before
        self.last_time = time
        return events

    def _tally(self, mta: str) -> Tally:
        return self.tallies.setdefault(mta, Tally())

    def _begin(self, line: str) -> tuple[Speaker, float, str]:
        """Read a prefix that is new. Raises ValueError where the line has none, or an impossible one."""
        prefix = read_prefix(line.strip("\0\r"), self.clock)
        if prefix is None:
            raise ValueError("no prefix")
        speaker = self._speaker(prefix)
        if prefix.width:
            self._width = prefix.width
            self._read_stamp = self.clock.iso8601 if line[0].isdecimal() else self.clock.rfc3164
            if len(self._speakers) >= SPEAKERS:
                self._speakers.clear()
            self._speakers[prefix.tag] = speaker
        return speaker, prefix.time, prefix.message

    def _speaker(self, prefix: Prefix) -> Speaker:
        origin = postfix.origin(prefix.host, prefix.program, prefix.pid)
        if origin is None:
            return self._nobody
        return Speaker(origin, postfix.GRAMMAR.by_start, postfix.GRAMMAR.by_lead, self._tally(origin.mta))

    def _odd(self, message: str, time: float, speaker: Speaker) -> list[Event]:
        """What no shape fits: a message in a wrapping of its own, or one that is not known."""
        repeated = _REPEATED(message)
        plain = repeated[2] if repeated else message.strip("\0\r\t ")
        times = min(int(repeated[1]), REPEATS) if repeated else 1
        outcome, event = understand(plain, time, speaker) if plain != message else ("unknown", None)
        if outcome in ("unknown", "malformed"):
            self._strange(outcome, speaker.tally, plain)
        elif event is None:
            speaker.tally.ignored += 1
        else:
            speaker.tally.parsed += 1
        return [event] * times if event else []

    def _unreadable(self, line: str, lines: list[str], events: list[Event]) -> None:
        """A line without a prefix: nothing but blanks, syslogd's `last message repeated`, or broken."""
        repeated = _LAST_REPEATED(line)
        if repeated:
            at = next(index for index, other in enumerate(lines) if other is line)
            again = self._again(lines[at - 1] if at else self._before)
            events += [again] * min(int(repeated[1]), REPEATS) if again else []
            self._nobody.tally.ignored += 1
        elif line.strip("\0\r\t "):
            self._strange("malformed", self._nobody.tally, line)
        else:
            self._nobody.tally.ignored += 1

    def _again(self, line: str) -> Event | None:
        """The event of the line before, which syslogd says came again."""
        try:
            speaker, time, message = self._begin(line)
        except ValueError:
            return None
        return understand(message, time, speaker)[1]

    def _strange(self, outcome: str, tally: Tally, message: str) -> None:
        setattr(tally, outcome, getattr(tally, outcome) + 1)
        if self._on_strange:
            self._on_strange(outcome, message)


def understand(message: str, time: float, speaker: Speaker) -> tuple[str, Event | None]:
    """One message's outcome, and its event where there is one: what the loop does, for the odd line."""
    if speaker.by_start is None:
        return "ignored", None
    at = message.find(": ") + 2
    starts = speaker.by_start.get(message[:KEY], [])
    for match, build, _ in starts + speaker.by_lead.get(message[at : at + KEY], []):
        found = match(message)
        if found:
            try:
                event = build(time, speaker.origin, *found.groups()) if build else None
            except ValueError:
                return "malformed", None
            return ("parsed" if event else "ignored"), event
    return "unknown", None
