"""A connection to a server that may be hostile: lines of bounded length, answers of bounded size, TLS by demand.

Not asyncio's streams: what came before STARTTLS must be known to be nothing (a byte of it would be an injection,
RFC 3207 6), a connection is bound to a source address, and every answer has a budget of bytes, TLS's own included.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from exporter.probes.failure import ProbeError
from exporter.probes.schedule import CONCURRENT

_CHUNK = 16384  # bytes of one read: one TLS record
# As many as there are dialogues: those whose DNS is dead must not keep the others from theirs.
_RESOLVERS = ThreadPoolExecutor(CONCURRENT, thread_name_prefix="resolver")
_HANDSHAKE_BUDGET = 1 << 18  # bytes that a server may take for a handshake: long chains have some ten thousand


class Link:
    """A connected socket. All methods may raise OSError and ProbeError; none has a deadline of its own."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._tls: ssl.SSLObject | None = None
        self._handshake: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._budget = 0

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session, once there is one."""
        return self._tls

    @property
    def handshake(self) -> ssl.SSLObject | None:
        """The TLS session that there is or was to be, once it was begun."""
        return self._handshake

    @property
    def has_unread(self) -> bool:
        """Whether there is more than what was asked for."""
        return bool(self._buffer)

    def allow(self, size: int) -> None:
        """So many bytes may come from now on, those of TLS included."""
        self._budget = size

    async def write(self, what: bytes) -> None:
        """Send all of it."""
        if self._tls is None:
            await self._loop.sock_sendall(self._socket, what)
            return
        for start in range(0, len(what), _CHUNK):
            self._tls.write(what[start : start + _CHUNK])
            await self._flush()

    async def line(self, limit: int) -> bytes:
        """The next line, its line end left out; ProbeError where it is longer than `limit` or the peer is gone."""
        seen = 0
        while (end := self._buffer.find(b"\n", seen)) < 0:
            seen = len(self._buffer)
            if seen > limit:
                raise ProbeError("protocol_error", f"a line of more than {limit} bytes")
            await self._more()
        if end > limit:
            raise ProbeError("protocol_error", f"a line of more than {limit} bytes")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r")

    async def exactly(self, size: int) -> bytes:
        """The next bytes."""
        while len(self._buffer) < size:
            await self._more()
        what = bytes(self._buffer[:size])
        del self._buffer[:size]
        return what

    async def readable(self, seconds: float) -> bool:
        """Whether there is something to read within so many seconds; nothing is read, so nothing can be lost."""
        if self._buffer or self._incoming.pending or (self._tls and self._tls.pending()):
            return True
        ready = asyncio.Event()
        self._loop.add_reader(self._socket, ready.set)
        try:
            async with asyncio.timeout(seconds):
                await ready.wait()
        except TimeoutError:
            return False
        finally:
            self._loop.remove_reader(self._socket)
        return True

    async def skip(self, size: int) -> None:
        """Let bytes go by without keeping them."""
        while size:
            if not self._buffer:
                await self._more()
            step = min(size, len(self._buffer))
            del self._buffer[:step]
            size -= step

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> None:
        """Shake hands. ProbeError where the server sent something before it in the clear."""
        if self._buffer:
            raise ProbeError("protocol_error", "text in the clear after STARTTLS")
        self._budget = _HANDSHAKE_BUDGET
        tls = self._handshake = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._receive()
            except ssl.SSLError:
                await self._flush()  # the alert, so that the server's log tells why
                raise
            else:
                break
        await self._flush()
        self._tls = tls

    def close(self) -> None:
        """Let go of it, without waiting for anything."""
        self._socket.close()

    async def _more(self) -> None:
        """Some more bytes in the buffer."""
        if self._tls is None:
            self._buffer += await self._raw()
            return
        while True:
            try:
                what = self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._receive()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                raise _lost() from None
            else:
                if not what:
                    raise _lost()
                self._buffer += what
                return

    async def _raw(self) -> bytes:
        await asyncio.sleep(0)  # a flood is read without waiting: others shall have their turn
        what = await self._loop.sock_recv(self._socket, _CHUNK)
        if not what:
            raise _lost()
        self._budget -= len(what)
        if self._budget < 0:
            raise ProbeError("protocol_error", "the answer has no end")
        return what

    async def _receive(self) -> None:
        self._incoming.write(await self._raw())

    async def _flush(self) -> None:
        if what := self._outgoing.read():
            await self._loop.sock_sendall(self._socket, what)


def _lost() -> ProbeError:
    return ProbeError("lost", "the server closed the connection")


async def resolve(server: str, port: int, family: str) -> list[tuple[socket.AddressFamily, str]]:
    """The addresses of a server, in the order to try them; `family` is any, ipv4 or ipv6. Raises OSError."""
    kind = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}.get(family, socket.AF_UNSPEC)
    look_up = functools.partial(socket.getaddrinfo, server, port, family=kind, type=socket.SOCK_STREAM)
    infos = await asyncio.get_running_loop().run_in_executor(_RESOLVERS, look_up)
    return [(info[0], str(info[4][0])) for info in infos]


async def connect(
    addresses: list[tuple[socket.AddressFamily, str]], port: int, source: str | None, deadline: float
) -> tuple[Link, str]:
    """A link to the first address that answers, and that address.

    Each has a fair share of the time until `deadline` (of the loop's clock). Raises the last one's OSError.
    """
    loop = asyncio.get_running_loop()
    for left in range(len(addresses), 0, -1):
        family, address = addresses[-left]
        until = loop.time() + (deadline - loop.time()) / left
        try:
            async with asyncio.timeout_at(until if left > 1 else None):
                return await _connect(family, address, port, source), address
        except OSError:  # TimeoutError is one
            if left == 1:
                raise
    raise socket.gaierror("no address")


async def _connect(family: socket.AddressFamily, address: str, port: int, source: str | None) -> Link:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        if source:
            made.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(made, (address, port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        made.close()
        raise
    return Link(made)


def tls_context(ca_file: Path | None, *, is_verified: bool) -> ssl.SSLContext:
    """How TLS is done: with the host's trusted authorities or those of a file. Raises ProbeError where that cannot be
    read, which is no fault of the server."""
    try:
        return _tls_context(ca_file, ca_file.stat().st_mtime_ns if ca_file else 0, is_verified)
    except ssl.SSLError:
        raise ProbeError("internal", f"{ca_file}: no certificates in it (PEM)") from None
    except OSError as error:
        raise ProbeError("internal", f"{ca_file}: {error.strerror}") from None


@functools.lru_cache(maxsize=32)  # reading all authorities of a host takes longer than a probe
def _tls_context(ca_file: Path | None, _changed: int, is_verified: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    if not is_verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
