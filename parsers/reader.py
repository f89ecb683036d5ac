"""Blocks of lines in, events out: the loop that everything else's speed depends on.

A line is a prefix and a message. Prefixes repeat: the time is mostly that of the line before, "host program[pid]" one
of a few thousand, so both are looked up and only what is new is parsed. In the log that a server keeps by itself the
prefix is a stamp. Messages without numbers of their own repeat too, as clients and relays come back: their event is
copied. For the rest, the program tells the grammar, the first characters of the message tell the few shapes it can
have. Every line read has one outcome.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any, NamedTuple

import msgspec

from parsers.clock import Clock
from parsers.events import Auth, Event, Origin
from parsers.mta import SERVERS, own_server
from parsers.prefix.stamp import find_stamp
from parsers.prefix.wrapper import read_prefix
from parsers.server import Join, Server, Table
from parsers.shape import KEY, NO_CANDIDATES, SEVERAL, Candidates
from parsers.signature import Signatures, Signer
from parsers.speaker import OTHER, Speaker, Speakers, Tally

PROTOTYPES = 8_000  # events that are kept to be copied: some MB
LONGEST_REPEAT = 300  # characters of a message whose event is kept
REPEATS = 1_000  # what `message repeated N times` may stand for
# rsyslog's and syslogd's ways to say that the same came again.
_REPEATED = re.compile(r"message repeated (\d{1,9}) times: \[ ?(.*)\]").fullmatch
_MORE_STAMP = ("+", "-", "[")  # what may follow a stamp, once an operator wants zones or pids
_LAST_REPEATED = re.compile(r".{1,300} last message repeated (\d{1,9}) times?\s*").fullmatch


class Memory(msgspec.Struct, array_like=True):
    """What a reader knows between two blocks, for the one that goes on in its place."""

    tallies: dict[str, tuple[int, int, int, int]] = {}  # parsed, ignored, unknown, malformed
    last_time: float = 0.0
    last_line: str = ""
    hour: tuple[float, bool] = (0.0, False)
    knows_signer: bool = False


class Form(NamedTuple):
    """How the lines of a log are told apart from here on; two readers of the same form read alike."""

    own: str | None  # whose own log it is
    is_wrapped: bool
    own_width: int
    width: int
    is_precise: bool
    stamp: str
    is_table: bool


# What a head ("stamp host program[pid]", or a stamp alone) stands for.
Entry = tuple[float, Speaker]


class Rows(Exception):  # noqa: N818 - nothing is wrong
    """From here on the log is a table."""


class LogReader:
    """Reads one log. Blocks come in order; a line must not be cut between them.

    `on_strange(outcome, message)` is told what was unknown or malformed. `joins` and the servers that were `met` are
    shared by the readers of logs that belong together, and so are the `signatures`, where somebody wants to know of
    them. With `mta`, only this server's lines are read.
    """

    def __init__(
        self,
        clock: Clock,
        on_strange: Callable[[str, str], None] | None = None,
        *,
        mta: str | None = None,
        joins: dict[str, Join] | None = None,
        met: set[str] | None = None,
        signatures: Signatures | None = None,
    ) -> None:
        self.clock = clock
        self.mta = mta
        self._signatures = signatures
        self.knows_signer = False  # any of the lines so far is of somebody who signs
        self.last_time = 0.0
        self.on_strange = on_strange
        self._speakers = Speakers(mta, self._remember, with_signers=signatures is not None)
        self.tallies = self._speakers.tallies
        self._heads: dict[str, Entry] = {}  # of the lines with the same stamp as the last
        self._known: Callable[[str], Entry | None] = self._heads.get  # what a head stands for that is none to enter
        self._prototypes: dict[str, Any] = {}  # events without time, origin and id, by their words
        self._read_stamp: Callable[[str], float] = clock.rfc3164
        self._width = 0  # of the stamp, in logs whose lines can be cut there
        self._is_precise = False  # stamps have a fraction, so that none comes twice
        self._stamp = ""
        self._before = ""  # the last line of the block before
        self._place = 0  # where in a block the last line was that says that the one before it came again
        self._own: Speaker | None = None  # whose own log this is
        self._own_width = 0  # of the stamps in it
        # What is of no use for certain, where to read the stamp of each line is most of the work.
        self._useless: Callable[[str, int], object] | None = None
        self._is_more: Callable[[str], object] | None = None  # a line that goes on with the one before
        self._table: Table | None = None
        self._joins = {} if joins is None else joins
        self._joined: list[Join] = []  # of the servers that were met here
        self.met = set() if met is None else met
        self._has_hearsay = False

    def read(self, block: str) -> list[Event]:  # noqa: C901, PLR0912, PLR0915 - calls cost more than all the rest
        """The events of a block's lines, in their order."""
        # Looking first whether any line ends in a blank would cost more: a search for two characters is slow.
        lines = [line.rstrip(" \r") for line in block.split("\n")]
        if not block or block[-1] == "\n":
            lines.pop()
        if self._table:
            return self._joined_up(self._rows(lines))
        events: list[Event] = []
        rows: list[str] = []
        append = events.append
        prototypes, width, known, useless = self._prototypes, self._own_width, self._known, self._useless
        self._place = 0
        for line in lines:
            if width:
                if useless and useless(line, width):
                    self._own[5].ignored += 1  # type: ignore[index]  # whose log it is is known where stamps are
                    continue
                head, message = line[:width], line[width:]
            else:
                head, _, message = line.partition(": ")
            entry = known(head)
            if entry is None:
                try:
                    entry, message = self._enter(line, head, message)
                except ValueError:
                    self._unreadable(line, lines, events)
                    continue
                except Rows:
                    rows = lines[self._find(line, lines) :]
                    break
                finally:
                    width, known, useless = self._own_width, self._known, self._useless
            time, (origin, by_start, by_lead, key, lead, tally, server) = entry
            if by_start is None:
                if server is None:
                    tally.ignored += 1
                    continue
                if type(server) is Signer:
                    tally.ignored += 1
                    self._sign(server, time, origin, message)
                    continue
                try:
                    time, origin, by_start, message = self._unwrap(time, origin, server, message)
                except ValueError:
                    self._strange("malformed", tally, message)
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
                for match, build, result, _ in shapes:
                    found = match(words)
                    if found:
                        break
            if not found:
                queue_id, _, words = message.partition(lead)
                repeats, shapes = by_lead.get(words[key], NO_CANDIDATES)
                if repeats:
                    prototype = prototypes.get(words)
                    if prototype is not None:
                        event = prototype.__copy__()
                        event.time = time
                        event.origin = origin
                        event.queue_id = queue_id
                        append(event)
                        continue
                for match, build, result, _ in shapes:
                    found = match(words)
                    if found and " " not in queue_id:
                        break
                else:
                    self._odd(line, (time, origin, tally), message, events)
                    width, known, useless = self._own_width, self._known, self._useless
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
            if result:
                if result == SEVERAL:
                    events += event
                    tally.parsed -= len(event) - 1
                    continue
                self._keep(words, event)
            append(event)
        self._before = lines[-1] if lines else self._before
        self._count(events)
        if rows:
            events += self._rows(rows)
        return self._joined_up(events)

    @property
    def knows_writer(self) -> bool:
        """Whether any of the lines so far is a mail server's."""
        return any(tally.lines for mta, tally in self.tallies.items() if mta != OTHER)

    @property
    def form(self) -> Form:
        """How lines are read from here on."""
        stamp: Any = self._read_stamp
        return Form(
            self._own[0].mta if self._own else None,
            self._own is not None and self._own[1] is None,
            self._own_width,
            self._width,
            self._is_precise,
            getattr(stamp, "func", stamp).__name__,
            self._table is not None,
        )

    def memory(self) -> Memory:
        """What the reader that goes on with this log has to know."""
        tallies = {mta: (it.parsed, it.ignored, it.unknown, it.malformed) for mta, it in self.tallies.items()}
        return Memory(tallies, self.last_time, self._before, self.clock.hour, self.knows_signer)

    def restore(self, memory: Memory) -> None:
        """Go on in the place of another reader."""
        for mta, outcomes in memory.tallies.items():
            tally = self._speakers.tally(mta)
            tally.parsed, tally.ignored, tally.unknown, tally.malformed = outcomes
            if mta in SERVERS:
                self._remember(SERVERS[mta])
        self.last_time, self._before, self.knows_signer = memory.last_time, memory.last_line, memory.knows_signer
        self.clock.go_on_from(memory.hour[0], is_again=memory.hour[1])

    def _joined_up(self, events: list[Event]) -> list[Event]:
        for join in self._joined:
            events = join.join(events)
        if self._has_hearsay and len(self.met) > 1:
            return [event for event in events if type(event) is not Auth or not event.is_hearsay]
        return events

    def _count(self, events: list[Event]) -> None:
        """Every event is of a line that was parsed, but for lines of several: those have been taken off."""
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

    # --- what stands before a message ---

    def _enter(self, line: str, head: str, message: str) -> tuple[Entry, str]:
        """What a head that was not met at this time stands for, and the line's message. Raises ValueError, Rows."""
        if not line and not self._is_more:
            return (self.last_time, self._speakers.nobody), ""
        stamp, tag = head[: self._width], head[self._width :]
        speaker = self._own or self._speakers[tag]
        if speaker is None:
            return self._begin(line)
        if self._is_precise or stamp != self._stamp:
            try:
                self.last_time = self._read_stamp(stamp)
            except ValueError:
                if not self._own:
                    raise
                return self._begin(line)
            if self._is_precise:
                return (self.last_time, speaker), message
            self._stamp = stamp
            self._heads.clear()
        entry = self._heads[head] = (self.last_time, speaker)
        return entry, message

    def _stamped(self, head: str) -> Entry | None:
        """What a stamp that comes once stands for in a server's own log; None where it is none."""
        try:
            self.last_time = self._read_stamp(head)
        except ValueError:
            return None
        return (self.last_time, self._own) if self._own else None

    def _begin(self, line: str) -> tuple[Entry, str]:
        """Read a prefix that is new. Raises ValueError where the line has none, or an impossible one; Rows."""
        bare = line.strip("\0\r\ufeff")
        server = own_server(bare, or_head=True)
        if server and self.mta in (None, server.mta):
            return self._begin_own(server, bare)
        if server:
            return (self.last_time, self._speakers.nobody), bare
        prefix = read_prefix(bare, self.clock)
        if prefix is None:
            if self.mta and find_stamp(bare):  # signs are not needed of a server that is named
                return self._begin_own(SERVERS[self.mta], bare)
            raise ValueError("no prefix")
        speaker = self._speakers.of(prefix)
        self._turn(prefix.time)
        if prefix.width:
            self._width = prefix.width
            self._is_precise = "." in bare[: prefix.width]
            self._read_stamp = self.clock.iso8601 if bare[0].isdecimal() else self.clock.rfc3164
            self._speakers.know(prefix, speaker)
        return (prefix.time, speaker), prefix.message

    def _begin_own(self, server: Server, line: str) -> tuple[Entry, str]:
        """The first line of a server's own log, or of another form of it. Raises ValueError, Rows."""
        log = server.own_log
        if log and log.table:
            self._table = log.table()
            self._remember(server)
            raise Rows
        stamp = find_stamp(line)
        if not log or not stamp:
            raise ValueError("no time")
        time, message = stamp.read(self.clock, line[: stamp.width]), line[stamp.width :]
        self._turn(time)
        is_wrapped = server.unwrap is not None and server.unwrap(message, self.clock).message != message
        self._own = self._speakers.meet(server.origin("", log.program, None), is_wrapped=is_wrapped)
        self._own_width = self._width = stamp.width
        self._is_precise = stamp.is_precise
        self._read_stamp = partial(stamp.read, self.clock)
        is_bare = stamp.is_precise and not is_wrapped
        self._known = self._stamped if stamp.is_precise else self._heads.get
        self._useless = server.grammar.useless if server.grammar and is_bare else None
        self._is_more = log.is_more
        return (time, self._own), message

    def _turn(self, time: float) -> None:
        """Begin with lines of another form than those before."""
        self.last_time = time
        self._heads.clear()
        self._stamp = ""
        self._own = self._is_more = None
        self._own_width = 0
        self._known = self._heads.get
        self._useless = None

    def _remember(self, server: Server) -> None:
        """Use the memory of a server whose lines need one."""
        self.met.add(server.mta)
        self._has_hearsay |= server.has_hearsay
        if server.join:
            join = self._joins.setdefault(server.mta, server.join())
            if join not in self._joined:
                self._joined.append(join)

    def _sign(self, signer: Signer, time: float, origin: Origin, message: str) -> None:
        self.knows_signer = True
        if self._signatures is not None:
            for signed in signer.signed(message, time, origin):
                self._signatures.note(time, signed.domain, signed.selector)

    def _unwrap(
        self, time: float, origin: Origin, server: Server | Signer, message: str
    ) -> tuple[float, Origin, dict[str, Candidates], str]:
        """Time, origin, shapes by start and message, without what the server put before it. Raises ValueError."""
        if isinstance(server, Signer) or not server.unwrap or not server.grammar:
            raise ValueError("nothing to unwrap")
        unwrapped = server.unwrap(message, self.clock)
        if unwrapped.time is not None:
            time = self.last_time = unwrapped.time
        if unwrapped.pid is not None:
            origin = self._speakers.process(origin, unwrapped.pid)
        return time, origin, server.grammar.by_start, unwrapped.message

    # --- tables ---

    def _rows(self, lines: list[str]) -> list[Event]:
        """The events of a table's lines. Each row has one outcome, however many events it gives."""
        if not self._table:
            return []
        tally = self._speakers.tally(self._table.mta)
        strange = 0

        def on_strange(outcome: str, text: str) -> None:
            nonlocal strange
            strange += 1
            self._strange(outcome, tally, text)

        events, ignored = self._table.read(lines, on_strange)
        tally.ignored += ignored
        tally.parsed += len(lines) - ignored - strange
        self.last_time = self._table.last_time or self.last_time
        return events

    # --- lines that are out of the ordinary ---

    def _odd(self, line: str, writer: tuple[float, Origin, Tally], message: str, events: list[Event]) -> None:
        """What no shape fits: a message in a wrapping of its own, or one that is not known."""
        (time, origin, tally), message = self._in_other_form(line, message) or (writer, message)
        repeated = _REPEATED(message)
        plain = repeated[2] if repeated else message.strip("\0\r\t ")
        times = min(int(repeated[1]), REPEATS) if repeated else 1
        outcome, found = understand(plain, time, origin)
        if outcome == "unknown" and is_foreign(plain, origin):
            tally.ignored += 1
        elif outcome in ("unknown", "malformed"):
            self._strange(outcome, tally, plain)
        elif not found:
            tally.ignored += 1
        else:
            self._repeat(found, times, tally, events)

    def _in_other_form(self, line: str, message: str) -> tuple[tuple[float, Origin, Tally], str] | None:
        """Who wrote a line of a server's own log whose lines begin otherwise from here on, and its message: two logs
        were put together, or the server was told to write more before its messages (a zone, a pid)."""
        bare = line.strip("\0\r\ufeff")
        if not self._own or not self._begins_otherwise(bare, message):
            return None
        try:
            (time, (origin, by_start, _, _, _, tally, server)), message = self._begin(line)
            if by_start is None and server:
                time, origin, _, message = self._unwrap(time, origin, server, message)
        except (ValueError, Rows):
            return None
        return (time, origin, tally), message

    def _begins_otherwise(self, line: str, message: str) -> bool:
        server = own_server(line)
        if server is not None:
            return message[:1] in _MORE_STAMP and self._own is not None and server.mta == self._own[0].mta
        try:
            prefix = read_prefix(line, self.clock)
        except ValueError:
            return False
        return prefix is not None and isinstance(self._speakers.of(prefix)[-1], Server)

    def _repeat(self, found: list[Event], times: int, tally: Tally, events: list[Event]) -> None:
        """One line stands for several: copies, for each is put in a context of its own."""
        events += [copy(event) for _ in range(times) for event in found]
        tally.parsed -= len(found) * times - 1

    def _unreadable(self, line: str, lines: list[str], events: list[Event]) -> None:
        """A line without a prefix: nothing but blanks, syslogd's `last message repeated`, more of the line before,
        or broken."""
        repeated = _LAST_REPEATED(line)
        if repeated:
            self._place = self._find(line, lines)
            before = lines[self._place - 1] if self._place else self._before
            self._again(before, min(int(repeated[1]), REPEATS), events)
        elif self._own and self._is_more and self._is_more(line):
            self._own[5].ignored += 1
        elif line.strip("\0\r\t "):
            self._strange("malformed", self._own[5] if self._own else self._speakers.nobody[5], line)
        else:
            self._speakers.nobody[5].ignored += 1

    def _find(self, line: str, lines: list[str]) -> int:
        """Where in a block a line stands: this one, not one that is like it."""
        place = self._place
        while lines[place] is not line:
            place += 1
        return place

    def _again(self, line: str, times: int, events: list[Event]) -> None:
        """The line before came again, syslogd says."""
        try:
            (time, (origin, by_start, _, _, _, tally, server)), message = self._begin(line)
            if by_start is None and server:
                time, origin, _, message = self._unwrap(time, origin, server, message)
        except (ValueError, Rows):
            self._speakers.nobody[5].ignored += 1
            return
        found = understand(message, time, origin)[1]
        if found:
            self._repeat(found, times, tally, events)
        else:
            tally.ignored += 1

    def _strange(self, outcome: str, tally: Tally, message: str) -> None:
        setattr(tally, outcome, getattr(tally, outcome) + 1)
        if self.on_strange:
            self.on_strange(outcome, message)


def is_foreign(message: str, origin: Origin) -> bool:
    """Whether another program of the same name says this."""
    server = SERVERS.get(origin.mta)
    return server is not None and server.is_own is not None and not server.is_own(message)


def understand(message: str, time: float, origin: Origin) -> tuple[str, list[Event]]:
    """One message's outcome, and its events where there are any: what the loop does, for the odd line."""
    server = SERVERS.get(origin.mta)
    if server is None or server.grammar is None:
        return "ignored", []
    for _, build, fields in server.grammar.matches(message):
        try:
            found = build(time, origin, *fields) if build else None
        except ValueError:
            return "malformed", []
        events = found if isinstance(found, list) else [found] if found else []
        return ("parsed" if events else "ignored"), events
    return "unknown", []
