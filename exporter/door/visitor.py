"""One connection, from the moment when it is accepted: what it may take, of time above all."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler


@dataclass(frozen=True)
class Patience:
    """Seconds that a client has: to shake hands, to send the head of a request, to take the answer; and `grace`,
    where others wait for its place."""

    handshake: float = 10.0
    request: float = 10.0
    answer: float = 30.0
    grace: float = 0.25


class House(NamedTuple):
    """What all visitors of a place share: `lets_in` looks at the certificate, `leave` and `rest` are told of those
    who go, and of those who have their answer."""

    lets_in: Callable[[asyncio.BaseTransport], bool]
    leave: Callable[[Visitor], None]
    rest: Callable[[Visitor], None]
    patience: Patience


class Visitor(asyncio.Protocol):
    """Stands between the connection and the protocol that speaks HTTP, and ends what takes too long."""

    def __init__(self, inner: asyncio.Protocol, house: House, connection: socket.socket) -> None:
        self._inner = inner
        self._house = house
        self._connection = connection
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.is_served = False
        self.since = asyncio.get_running_loop().time()  # that it waits for nothing of ours

    def end(self) -> None:
        """Send away, whatever is going on."""
        if self._transport:
            self._transport.abort()
        else:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)  # the handshake ends by itself

    # --- what the connection tells ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake, where there is one, is done."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._house.lets_in(transport):
            self._inner = asyncio.Protocol()
            transport.abort()
            return
        self._inner.connection_made(transport)
        self._wait(self._house.patience.request, transport.abort)

    def data_received(self, data: bytes) -> None:
        """A part of a request, which has to become a whole one in time."""
        if self._timer is None and not self.is_served and self._transport:
            self._wait(self._house.patience.request, self._transport.abort)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """The client sends no more."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """The client takes nothing for now."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """The client goes on."""
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._stop_waiting()
        self._house.leave(self)
        self._inner.connection_lost(exc)

    # --- what the application tells ---

    def begin(self) -> None:
        """There is a whole request, and what it asks for is being made."""
        self.is_served = True
        self._stop_waiting()

    def answered(self) -> None:
        """The answer is on its way."""
        self.is_served = False
        self.since = asyncio.get_running_loop().time()
        self._house.rest(self)
        self._wait(self._house.patience.answer, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._transport and self._transport.get_write_buffer_size():
            self._transport.abort()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_waiting()
        self._timer = asyncio.get_running_loop().call_later(seconds, then)

    def _stop_waiting(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


@web.middleware
async def attend(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell the visitor, where it is one, that its request is being answered."""
    visitor = request.transport.get_protocol() if request.transport else None
    if not isinstance(visitor, Visitor):
        return await handler(request)
    visitor.begin()
    try:
        return await handler(request)
    finally:
        visitor.answered()
