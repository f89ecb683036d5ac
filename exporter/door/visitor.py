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
    who go, and of those who have their answer or send no more."""

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
        self._request: web.Request | None = None  # that is being answered
        self._is_asking = False  # it sent what is not known to be a request
        self.sends_no_more = False  # but may wait for an answer
        self.since = asyncio.get_running_loop().time()  # that it waits for nothing of ours

    @property
    def may_go(self) -> bool:
        """Whether it can be sent away for others. One that is gone looks like one that sends no more."""
        return self._request is None or self.sends_no_more

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
        if self._request is None or self._request.content.is_eof():
            self._is_asking = True
        if self._timer is None and self._request is None and self._transport:
            self._wait(self._house.patience.request, self._transport.abort)
        self._inner.data_received(data)

    def eof_received(self) -> bool:
        """The client sends no more. What it asked for it shall have, but over TLS, of which asyncio closes both
        halves at once."""
        assert self._transport
        if self._transport.get_extra_info("ssl_object") or not self._has_asked():
            return False
        self.sends_no_more = True
        self._rest()
        if self._request is None:
            self._wait(self._house.patience.grace, self._finish)
        return True

    def _has_asked(self) -> bool:
        """Whether it may have sent a whole request that has no answer: HTTP begins to answer what it has soon."""
        return self._is_asking if self._request is None else self._request.content.is_eof()

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

    def begin(self, request: web.Request) -> None:
        """There is the whole head of a request, and what it asks for is being made."""
        self._request = request
        self._is_asking = False
        self._stop_waiting()
        if self.sends_no_more and not self._has_asked():
            self.end()

    def answered(self) -> None:
        """The answer is on its way."""
        self._request = None
        self._rest()
        self._wait(self._house.patience.answer, self._look)

    def _rest(self) -> None:
        """From now on it waits, and others may be let in for it."""
        self.since = asyncio.get_running_loop().time()
        self._house.rest(self)

    def _look(self) -> None:
        self._timer = None
        assert self._transport
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        elif self._is_asking:
            self._wait(self._house.patience.request, self._transport.abort)

    def _finish(self) -> None:
        """What it sent was no whole request; it may be taking the answer to another."""
        assert self._transport
        self._transport.close()
        self._wait(self._house.patience.answer, self._transport.abort)

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
    visitor.begin(request)
    try:
        response = await handler(request)
    finally:
        visitor.answered()
    if visitor.sends_no_more:
        response.force_close()
    return response
