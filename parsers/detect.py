"""Which mail server wrote a log, told from its first lines.

Cheap signs are enough: the program that syslog names, or the form of the lines of a server that keeps a log of its
own. They tell the servers that no grammar reads yet, too, so that people hear what they have there.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC

from parsers.clock import Clock
from parsers.mta import SERVERS, own_server
from parsers.prefix.syslog import Prefix
from parsers.prefix.wrapper import read_prefix

LINES = 5_000  # that are looked at: some mail servers share their log with talkative neighbours
SIGNS_ENOUGH = 200  # lines of servers other than Dovecot that tell whose log it is
LINE_LENGTH = 8_192  # characters of a line that are looked at; records of the journal are long
READ = frozenset(mta for mta, server in SERVERS.items() if server.is_read)


class Detector:
    """Knows whose log it is told, from the start on, in blocks of complete lines.

    After some lines it knows enough, and listens no more.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lines_left = LINES
        self._clock = Clock(UTC, lambda: 0.0)  # what the time is does not matter here

    def feed(self, block: str) -> None:
        """Look at the lines of the next block, unless enough is known."""
        if self._lines_left <= 0:
            return
        for line in block.split("\n", self._lines_left)[: self._lines_left]:
            self._lines_left -= 1
            mta = self._writer(line[:LINE_LENGTH].strip("\0\r\ufeff "))
            if mta:
                self._counts[mta] += 1
            if self._counts.total() - self._counts["dovecot"] >= SIGNS_ENOUGH:
                self._lines_left = 0
                return

    @property
    def mta(self) -> str | None:
        """The server that wrote most of the lines that are a server's, as far as is known; None where none has.

        Dovecot is the neighbour of every server, and talks more than some: the log is its own where it is alone.
        """
        ranked = [mta for mta, _ in self._counts.most_common()]
        return next((mta for mta in ranked if mta != "dovecot"), ranked[0] if ranked else None)

    @property
    def unread(self) -> str | None:
        """In words what log this is, where its server is known and no grammar reads it: `an Exim log: …`."""
        mta = self.mta
        if mta is None or mta in READ:
            return None
        name = SERVERS[mta].name
        article = "an" if name[0] in "AEIO" else "a"
        read = " and ".join(server.name for server in SERVERS.values() if server.is_read)
        return f"{article} {name} log: this release reads {read}"

    def _writer(self, line: str) -> str | None:
        server = own_server(line)
        prefix = None if server else self._prefix(line)
        if prefix:
            said = (prefix.program, prefix.message)
            server = next((server for server in SERVERS.values() if server.is_said_by(*said)), None)
        return server.mta if server else None

    def _prefix(self, line: str) -> Prefix | None:
        try:
            return read_prefix(line, self._clock)
        except ValueError:  # an impossible time
            return None
