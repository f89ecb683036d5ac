"""What each folder of `parsers/mta` says of its mail server: how its log is told, who writes it, what it means."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from parsers.clock import Clock
from parsers.events import Event, Origin
from parsers.shape import Grammar


class Strange(Protocol):
    """Is told the outcome (`unknown`, `malformed`) and the text of each line that was not understood."""

    def __call__(self, outcome: str, text: str, /) -> None: ...


class Table(Protocol):
    """Reads a log whose lines are rows under a header, and keeps what it knows of the header between blocks.

    `last_time` is that of the last row, which need not have an event; 0 where none was read.
    """

    mta: str
    last_time: float

    def read(self, lines: list[str], strange: Strange) -> tuple[list[Event], int]:
        """The events of some lines, and how many of the lines are of no use. `strange` is told once for each line
        that could not be understood; all the others gave events."""


class Join(Protocol):
    """Remembers, in bounded memory, what one line says that a later one needs: a session, a delivery's number.

    One is used for all logs that are read together, and it is given the events of other servers too; they come in
    the order of each log. What only is to be remembered may be an event of a kind of the server's own.
    """

    def join(self, events: list[Event]) -> list[Event]:
        """The same events with what was remembered filled in; those left out that only were to be remembered."""

    def memory(self) -> object:
        """What it remembers, for the one that goes on in its place, in what msgspec can write: where there is much,
        the latest of it."""
        ...

    def restore(self, memory: object) -> None:
        """Know what another one knew, which was read again without its types. Raises msgspec.ValidationError."""


class OwnLog(NamedTuple):
    """The log that a server writes by itself, without syslog: a time stamp and a message (`parsers.prefix.stamp`).

    `is_line` tells a line of it, stamp and all. `is_more` tells a line that only goes on with the one before (part of
    an entry of several lines). `program` is the program of its origin. A server whose lines are rows has a `table`;
    `is_head` tells a line that begins such a log, and others as well, which the table leaves alone.
    """

    is_line: Callable[[str], object]
    program: str = ""
    is_more: Callable[[str], object] | None = None
    table: Callable[[], Table] | None = None
    is_head: Callable[[str], object] | None = None


class Unwrapped(msgspec.Struct, gc=False):
    """A message without what its server put before it: a second time stamp (None: it has none), a pid."""

    message: str
    time: float | None = None
    pid: int | None = None


class Server(NamedTuple):
    """A mail server. `name` is how its people write it; each of the `samples` is taken for this server's alone.

    `origin(host, program, pid)` tells who wrote a line, None where the program is not of this server. A server
    without a `grammar` has a table.

    `unwrap(message, clock)` takes off what stands before the message itself, behind any prefix; it raises ValueError
    where that is broken. Without `says_removed`, a message leaves the queue with its last recipient, silently.
    With `says_login`, who authenticates has a line of its own, so that a message's client is no sign of one.
    Where other programs have its name, or its own configuration may write what it likes among its lines, or it traces
    its steps there, `is_own` tells its messages from those: what is not, and has no shape, is of no use. With
    `has_hearsay`, some of its lines tell of another server's clients: they count where no other server's log is read
    with it.
    """

    mta: str
    name: str
    samples: tuple[str, ...]
    origin: Callable[[str, str, int | None], Origin | None]
    grammar: Grammar | None = None
    own_log: OwnLog | None = None
    unwrap: Callable[[str, Clock], Unwrapped] | None = None
    join: Callable[[], Join] | None = None
    says_removed: bool = True
    says_login: bool = False
    is_own: Callable[[str], object] | None = None
    has_hearsay: bool = False
