"""Who writes the lines of a log: each process is met once, then known again by how the log words it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from parsers.events import Origin
from parsers.mta import SERVERS, origin
from parsers.prefix.syslog import Prefix
from parsers.server import Server
from parsers.shape import KEY, Candidates
from parsers.signature import Signer
from parsers.signers import SIGNERS

OTHER = "other"  # the `mta` of programs that are none
PID = 10  # digits
SPEAKERS = 5_000  # processes that are kept; a busy host has some hundred at a time


class Tally:
    """The outcomes of the lines of one MTA."""

    __slots__ = ("ignored", "malformed", "parsed", "unknown")

    def __init__(self) -> None:
        self.parsed = 0
        self.ignored = 0
        self.unknown = 0
        self.malformed = 0

    def clear(self) -> None:
        """Begin anew."""
        self.parsed = self.ignored = self.unknown = self.malformed = 0

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


# Who writes a line: origin, the shapes of its lines by start and after an id, by which part of what comes after it,
# what ends an id, and where they are counted. Without shapes by start, the server (where there is one) has to take
# off something before them, or it is no server, but who signs what one has.
Speaker = tuple[
    Origin, dict[str, Candidates] | None, dict[str, Candidates], slice, str, Tally, Server | Signer | None
]


class Speakers(dict[str, Speaker | None]):
    """The processes that write one log, by how it words them ("host program[pid]"); None for one that is new and
    like none before it. Bounded.

    With `mta`, only this server's are told apart, and the rest is nobody; so are those who sign, unless they are
    wanted. `on_met` is told of each server.
    """

    def __init__(self, mta: str | None, on_met: Callable[[Server], None], *, with_signers: bool = False) -> None:
        super().__init__()
        self.tallies: dict[str, Tally] = {}
        self._signers = SIGNERS if with_signers else {}
        self._mta = mta
        self._on_met = on_met
        self._programs: dict[str, Speaker] = {}  # one of each program's processes, by "host program"
        self._writers: dict[tuple[str, str, int | None], Speaker] = {}  # the same, by who they are
        self.nobody: Speaker = (Origin(OTHER, "", "", ""), None, {}, slice(KEY), "", self.tally(OTHER), None)

    def __missing__(self, tag: str) -> Speaker | None:
        """A new process of a program that is known: some servers fork one for each session, so they are many."""
        program, _, pid = tag.rpartition("[")
        known = self._programs.get(program)
        number = pid[:-1]
        if known is None or not number.isdecimal() or pid[-1] != "]" or len(number) > PID:
            return None
        if known is not self.nobody:
            first, by_start, by_lead, key, lead, tally, server = known
            own: Origin = first.__copy__()  # type: ignore[attr-defined]  # copy() costs as much again
            _force(own, "pid", int(number))
            known = (own, by_start, by_lead, key, lead, tally, server)
        self._keep(tag, known)
        return known

    def _keep(self, tag: str, speaker: Speaker) -> None:
        if len(self) >= SPEAKERS:
            self.clear()
        self[tag] = speaker

    def know(self, prefix: Prefix, speaker: Speaker) -> None:
        """Know a speaker again, and its program's other processes."""
        self._keep(prefix.tag, speaker)
        if prefix.pid is not None and len(self._programs) < SPEAKERS:
            self._programs[prefix.tag.rpartition("[")[0]] = speaker

    def tally(self, mta: str) -> Tally:
        """Where the lines of a server are counted."""
        return self.tallies.setdefault(mta, Tally())

    def of(self, prefix: Prefix) -> Speaker:
        """One for each process, however its lines are wrapped: a session is followed by its origin."""
        writer = (prefix.host, prefix.program, prefix.pid)
        return self._writers.get(writer) or self._write(writer, self._signer(*writer) or self.meet(origin(*writer)))

    def _signer(self, host: str, program: str, pid: int | None) -> Speaker | None:
        signer = self._signers.get(program)
        return (Origin(OTHER, host, program, program, pid), *self.nobody[1:6], signer) if signer else None

    def process(self, of: Origin, pid: int) -> Origin:
        """The same writer with its pid."""
        writer = (of.host, f"{of.service} {of.program}", pid)
        speaker = self._writers.get(writer)
        if speaker is None:
            named = Origin(of.mta, of.host, of.service, of.program, pid, of.entry)
            speaker = self._write(writer, (named, *self.nobody[1:]))
        return speaker[0]

    def _write(self, writer: tuple[str, str, int | None], speaker: Speaker) -> Speaker:
        if len(self._writers) >= SPEAKERS:
            self._writers.clear()
        self._writers[writer] = speaker
        return speaker

    def meet(self, origin: Origin | None, *, is_wrapped: bool = True) -> Speaker:
        """What is to be done with the lines of somebody new. Where `is_wrapped`, the server's own words stand behind
        something that it has to take off, if it puts something there."""
        server = SERVERS[origin.mta] if origin else None
        if origin is None or server is None or server.grammar is None or self._mta not in (None, server.mta):
            return self.nobody
        self._on_met(server)
        grammar, tally = server.grammar, self.tally(origin.mta)
        by_start = None if server.unwrap and is_wrapped else grammar.by_start
        return origin, by_start, grammar.by_lead, grammar.key, grammar.lead, tally, server


_force = msgspec.structs.force_setattr
