"""Accepts connections, gives each to HTTP, and sends away those that are too many.

Nothing is shared between connections but a place: where all are taken, the one goes that has waited longest without a
request of its own. So whoever opens connections and says nothing loses them, and a scrape has its answer.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from typing import TYPE_CHECKING, Any

from exporter.door import address
from exporter.door.visitor import House, Patience, Visitor

if TYPE_CHECKING:
    from aiohttp import web

    from exporter.door.door import Door

logger = logging.getLogger(__name__)

MOST = 512  # connections: as many as Prometheus takes
_TURN = 64  # connections that are accepted before anything else has its turn
_REST = 0.2  # seconds, where the system has no more descriptors
_SILENCE = 60.0  # seconds, once that was said
_LOOK = 0.02  # seconds, where all places are taken
_GONE = {errno.ECONNABORTED, errno.EPROTO, errno.EINTR}


class Reception:
    """What listens. `runner` is set up; it has no sites."""

    def __init__(self, runner: web.AppRunner, door: Door, most: int = MOST, patience: Patience | None = None) -> None:
        self._runner = runner
        self._door = door
        self._most = most
        self._patience = patience or Patience()
        self._house = House(door.lets_in, self._leave, self._rest, self._patience)
        self._sockets: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._arrivals: set[asyncio.Task[None]] = set()
        self._visitors: dict[Visitor, None] = {}  # who rests longest comes first
        self._silent_until = 0.0
        self.sent_away = 0

    @property
    def addresses(self) -> list[Any]:
        """Where it listens: what the sockets say of themselves."""
        return [it.getsockname() for it in self._sockets]

    @property
    def visitors(self) -> int:
        """How many there are."""
        return len(self._visitors)

    def open(self, sockets: list[socket.socket]) -> None:
        """Accept connections on these."""
        loop = asyncio.get_running_loop()
        self._sockets += sockets
        self._tasks += [loop.create_task(self._accept(it)) for it in sockets]

    async def cleanup(self) -> None:
        """Accept no more, let what is being answered have its answer, and close the rest."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        address.close(self._sockets)
        await self._runner.cleanup()
        for visitor in list(self._visitors):
            visitor.end()
        await asyncio.gather(*self._arrivals, return_exceptions=True)
        self._door.close()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        turn = 0
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as error:
                await self._mind(error)
                continue
            try:
                await self._make_room()
            except asyncio.CancelledError:
                connection.close()
                raise
            self._welcome(connection)
            turn += 1
            if not turn % _TURN:
                await asyncio.sleep(0)

    async def _mind(self, error: OSError) -> None:
        """A connection that is gone already is nobody's fault; without a descriptor somebody has to go."""
        if error.errno in _GONE:
            return
        now = asyncio.get_running_loop().time()
        if now >= self._silent_until:
            logger.warning("connections cannot be accepted", extra={"error": error.strerror, "see": "ulimit -n"})
            self._silent_until = now + _SILENCE
        await asyncio.sleep(_LOOK if self._send_one_away() else _REST)

    def _welcome(self, connection: socket.socket) -> None:
        server = self._runner.server
        assert server
        visitor = Visitor(server(), self._house, connection)
        self._visitors[visitor] = None
        arrival = asyncio.get_running_loop().create_task(self._connect(connection, visitor))
        self._arrivals.add(arrival)
        arrival.add_done_callback(self._arrivals.discard)

    async def _connect(self, connection: socket.socket, visitor: Visitor) -> None:
        """The handshake, and what goes wrong there: mostly whoever speaks no TLS, or has no certificate for us."""
        loop, tls = asyncio.get_running_loop(), self._door.tls
        seconds = self._patience.handshake if tls else None
        try:
            await loop.connect_accepted_socket(
                lambda: visitor, connection, ssl=tls, ssl_handshake_timeout=seconds, ssl_shutdown_timeout=seconds
            )
        except OSError as error:
            self._leave(visitor)
            logger.debug("a connection came to nothing", extra={"error": str(error)})

    async def _make_room(self) -> None:
        while len(self._visitors) >= self._most:
            if not self._send_one_away(self._patience.grace):
                await asyncio.sleep(_LOOK)  # all have just come, or are being answered

    def _send_one_away(self, grace: float = 0.0) -> bool:
        latest = asyncio.get_running_loop().time() - grace
        visitor = next((it for it in self._visitors if it.may_go), None)
        if visitor is None or visitor.since > latest:
            return False
        self._leave(visitor)
        self.sent_away += 1
        visitor.end()
        return True

    def _leave(self, visitor: Visitor) -> None:
        self._visitors.pop(visitor, None)

    def _rest(self, visitor: Visitor) -> None:
        if visitor in self._visitors:
            del self._visitors[visitor]
            self._visitors[visitor] = None


def opened(addresses: list[str]) -> list[socket.socket]:
    """All sockets of these addresses, listening. Raises ListenError; then none is."""
    sockets: list[socket.socket] = []
    try:
        for it in addresses:
            sockets += address.listen(it)
    except address.ListenError:
        address.close(sockets)
        raise
    return sockets
