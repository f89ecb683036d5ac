"""A syslog server: UDP (RFC 5426), TCP (RFC 6587), TLS (RFC 5425) and a unix socket such as /dev/log.

All sockets are read by turns, and only when somebody asks for lines: where they come faster than they are read, a
sender over TCP, TLS or a unix socket waits. UDP cannot wait: the kernel drops, and counts what it dropped.
"""

from __future__ import annotations

import errno
import logging
import os
import selectors
import socket
import ssl
import stat
import struct
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple, Protocol

from exporter.sources.address import Address, Network, shown_address
from exporter.sources.feed import FeedError
from exporter.sources.frame import FRAME_BYTES, Frames, line_of
from parsers.clock import rfc3339
from parsers.memo import Memo

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 16
DATAGRAMS = 200  # that are read from a socket before it is another one's turn
BUFFER_BYTES = 8 << 20  # what we ask the kernel to hold of UDP; it gives what net.core.rmem_max allows
BACKLOG = 64
HANDSHAKE_SECONDS = 10.0
SO_MEMINFO, MEMINFO_DROPS = 55, 8  # asm-generic/socket.h, linux/sock_diag.h
WAITS = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Terms(NamedTuple):
    """Who may send, how much, and how long a connection may be silent."""

    allow: tuple[Network, ...] = ()
    clients: int = 100
    frame_bytes: int = FRAME_BYTES
    idle_seconds: float = 3600.0


class Certificate(NamedTuple):
    """What the server shows, and whose clients it wants, if any, in PEM."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None


class _Socket(Protocol):
    """One of the sockets that are watched."""

    def receive(self) -> list[bytes]:
        """The lines that came. Raises OSError where it is of no more use."""
        ...

    def close(self) -> None: ...


class Syslog:
    """Listens at one address from the first time that it is asked for lines."""

    rotations = truncations = 0

    def __init__(
        self,
        address: Address,
        now: Callable[[], float],
        terms: Terms | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        self.read_bytes = self.skipped_bytes = self.dropped = 0
        self.error: str | None = None
        self.address = address
        self.terms = terms or Terms()
        self.now = now
        self._certificate = certificate
        self._selector: selectors.DefaultSelector | None = None
        self._server: _Datagrams | _Connections | None = None

    @property
    def is_up(self) -> bool:
        return self._server is not None

    @property
    def lag_bytes(self) -> int:
        """Nobody tells what waits in the sockets."""
        return 0

    @property
    def port(self) -> int:
        """Where it listens in the end, if 0 was asked for."""
        return int(self._server.socket.getsockname()[1]) if self._server else 0

    def place(self) -> object:
        """There is no way back: what was received is received."""
        return None

    def paths(self) -> Collection[Path]:
        return ()

    def descriptors(self) -> Collection[int]:
        # A selector becomes readable itself as soon as one of its sockets does (epoll(7)).
        fileno = getattr(self._selector, "fileno", None)
        return (fileno(),) if fileno else ()

    def blocks(self) -> Iterator[bytes]:
        selector, server = self._open()
        while True:
            lines = self._receive(selector)
            server.look()
            if not lines:
                return
            block = b"".join(lines)
            self.read_bytes += len(block)
            yield block

    def _receive(self, selector: selectors.DefaultSelector) -> list[bytes]:
        lines: list[bytes] = []
        for key, _ in selector.select(0):
            one: _Socket = key.data
            try:
                lines += one.receive()
            except OSError as error:
                one.close()
                logger.debug("a syslog client is gone", extra={"error": str(error)})
        return lines

    def close(self) -> None:
        """Listen no more, and let go of all clients."""
        if self._selector is None:
            return
        for key in list(self._selector.get_map().values()):
            key.data.close()
        self._selector.close()
        self._selector = self._server = None

    def _open(self) -> tuple[selectors.DefaultSelector, _Datagrams | _Connections]:
        if self._selector and self._server:
            return self._selector, self._server
        try:
            wrap = _tls(self._certificate) if self.address.scheme == "tls" else None
            server = listen(self.address)
        except (OSError, ValueError) as error:
            raise FeedError(f"{shown_address(self.address)}: {getattr(error, 'strerror', None) or error}") from None
        self._selector = selectors.DefaultSelector()
        made = _Connections if self.address.scheme in ("tcp", "tls") else _Datagrams
        self._server = made(self, server, self._selector, wrap)
        return self._selector, self._server


def listen(address: Address) -> socket.socket:
    """A bound socket that does not block. Raises OSError."""
    if address.scheme == "unix":
        return _listen_unix(address.path)
    kind = socket.SOCK_DGRAM if address.scheme == "udp" else socket.SOCK_STREAM
    flags = socket.AI_PASSIVE
    family, _, _, _, name = socket.getaddrinfo(address.host or None, address.port, type=kind, flags=flags)[0]
    if not address.host and socket.has_dualstack_ipv6():
        family, name = socket.AF_INET6, ("::", address.port)
    made = socket.socket(family, kind)
    try:
        made.setblocking(False)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(address.host)))
        if kind == socket.SOCK_DGRAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            made.bind(name)
        else:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(name)
            made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def _listen_unix(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        _remove_stale(path)
        made.bind(path)
        Path(path).chmod(0o666)  # as /dev/log: the rights of its folder tell who gets there
    except OSError:
        made.close()
        raise
    return made


def _remove_stale(path: str) -> None:
    """Take away the socket that a process left which was killed; one that somebody listens at stays."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                Path(path).unlink()


def _tls(certificate: Certificate | None) -> Callable[[socket.socket], socket.socket]:
    """What begins TLS with a client; a certificate that was renewed is read again. Raises OSError, ValueError."""
    if certificate is None:
        raise ValueError("no certificate")
    files = [file for file in certificate if file]
    context, seen = _context(certificate), _seen(files)

    def wrap(client: socket.socket) -> socket.socket:
        nonlocal context, seen
        if seen != (now := _seen(files)):
            with suppress(OSError, ValueError):  # being written: the old one is good until then
                context, seen = _context(certificate), now
        return context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)

    return wrap


def _seen(files: list[Path]) -> list[tuple[int, int] | None]:
    return [(found.st_ino, found.st_mtime_ns) if (found := _status(file)) else None for file in files]


def _status(file: Path) -> os.stat_result | None:
    with suppress(OSError):
        return file.stat()
    return None


def _context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    if certificate.client_ca_file:
        context.load_verify_locations(certificate.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class _Door:
    """Who may come in."""

    def __init__(self, networks: tuple[Network, ...]) -> None:
        self._networks = networks
        self._known: Memo[str, bool] = Memo(self._is_allowed, most=1000)

    def admits(self, host: str) -> bool:
        return not self._networks or self._known[host]

    def _is_allowed(self, host: str) -> bool:
        address = ip_address(host.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self._networks)


class _Datagrams:
    """UDP, or a unix socket whose senders are all of this host."""

    def __init__(
        self,
        feed: Syslog,
        server: socket.socket,
        selector: selectors.BaseSelector,
        _: object = None,
    ) -> None:
        self.socket = server
        self._feed = feed
        self._selector = selector
        self._door = _Door(feed.terms.allow)
        self._before = feed.dropped
        self._own = socket.gethostname().partition(".")[0].encode()
        selector.register(server, selectors.EVENT_READ, self)

    def receive(self) -> list[bytes]:
        lines: list[bytes] = []
        feed, limit, receive = self._feed, self._feed.terms.frame_bytes, self.socket.recvfrom
        stamp = stamp_of(feed.now())
        for _ in range(DATAGRAMS):
            try:
                frame, sender = receive(CHUNK_BYTES)
            except WAITS:
                break
            host = self._own if not isinstance(sender, tuple) else plain(sender[0]).encode()
            if isinstance(sender, tuple) and not self._door.admits(sender[0]):
                feed.skipped_bytes += len(frame)
                continue
            feed.skipped_bytes += max(0, len(frame) - limit)
            if frame.strip(b"\0\r\n "):
                lines.append(line_of(frame[:limit], host, stamp))
        return lines

    def look(self) -> None:
        """Ask the kernel what it had no room for."""
        with suppress(OSError, struct.error):
            told = self.socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * (MEMINFO_DROPS + 1))
            self._feed.dropped = self._before + struct.unpack_from("I", told, 4 * MEMINFO_DROPS)[0]

    def close(self) -> None:
        self._selector.unregister(self.socket)
        name = self.socket.getsockname()
        self.socket.close()
        if isinstance(name, str):
            with suppress(OSError):
                Path(name).unlink()


class _Connections:
    """TCP, with TLS or without: accepts as many clients as may be there at once."""

    def __init__(
        self,
        feed: Syslog,
        server: socket.socket,
        selector: selectors.BaseSelector,
        wrap: Callable[[socket.socket], socket.socket] | None,
    ) -> None:
        self.socket = server
        self.feed = feed
        self.clients: dict[_Client, float] = {}  # and when they were last heard of
        self._selector = selector
        self._wrap = wrap
        self._door = _Door(feed.terms.allow)
        self._is_full = False
        selector.register(server, selectors.EVENT_READ, self)

    def receive(self) -> list[bytes]:
        """Let in who waits; that gives no line yet."""
        for _ in range(BACKLOG):
            try:
                client, (host, *_more) = self.socket.accept()
            except WAITS:
                break
            except OSError as error:
                if error.errno in NO_ROOM:
                    logger.warning("a syslog client cannot be let in", extra={"error": error.strerror})
                break
            if self._may_enter(host):
                self._admit(client, host)
            else:
                client.close()
        return []

    def _may_enter(self, host: str) -> bool:
        is_full = len(self.clients) >= self.feed.terms.clients
        if is_full and not self._is_full:
            logger.warning("too many syslog clients: others are turned away", extra={"clients": len(self.clients)})
        self._is_full = is_full
        return not is_full and self._door.admits(host)

    def _admit(self, client: socket.socket, host: str) -> None:
        try:
            client.setblocking(False)
            stream = self._wrap(client) if self._wrap else client
        except (OSError, ValueError):
            client.close()
            return
        made = _Client(self, stream, host)
        self.clients[made] = self.feed.now()
        self._selector.register(stream, selectors.EVENT_READ, made)

    def look(self) -> None:
        """Close what was silent for too long."""
        now, idle = self.feed.now(), self.feed.terms.idle_seconds
        for client, since in list(self.clients.items()):
            if now - since > (idle if client.is_in else min(idle, HANDSHAKE_SECONDS)):
                client.close()

    def leave(self, client: _Client) -> None:
        """A client is gone."""
        self.clients.pop(client, None)
        self._selector.unregister(client.socket)
        client.socket.close()

    def close(self) -> None:
        self._selector.unregister(self.socket)
        self.socket.close()


class _Client:
    """One connection. It `is_in` once it has sent a whole message."""

    def __init__(self, door: _Connections, stream: socket.socket, host: str) -> None:
        self.socket = stream
        self.is_in = False
        self._door = door
        self._host = plain(host).encode()
        self._frames = Frames(door.feed.terms.frame_bytes)
        self._must_shake = isinstance(stream, ssl.SSLSocket)

    def receive(self) -> list[bytes]:
        """Lines out of the next bytes. Raises OSError at the end."""
        try:
            self._shake_hands()
            chunk = self._read()
        except WAITS:
            return []
        if not chunk:
            raise ConnectionError("the end")
        feed = self._door.feed
        before = self._frames.skipped_bytes
        frames = self._frames.feed(chunk)
        feed.skipped_bytes += self._frames.skipped_bytes - before
        if frames or self.is_in:
            self._door.clients[self] = feed.now()
        self.is_in |= bool(frames)
        stamp = stamp_of(feed.now())
        return [line_of(frame, self._host, stamp) for frame in frames]

    def _read(self) -> bytes:
        """The next bytes, and with them all that TLS has decrypted: no selector tells of that."""
        stream = self.socket
        chunk = stream.recv(CHUNK_BYTES)
        while chunk and isinstance(stream, ssl.SSLSocket) and (more := stream.pending()):
            chunk += stream.recv(more)
        return chunk

    def _shake_hands(self) -> None:
        if self._must_shake:
            self.socket.do_handshake()  # type: ignore[attr-defined]  # an SSLSocket
            self._must_shake = False

    def close(self) -> None:
        before = self._frames.skipped_bytes
        self._frames.give_up()
        self._door.feed.skipped_bytes += self._frames.skipped_bytes - before
        self._door.leave(self)


def plain(host: str) -> str:
    """An address without its zone, and one of IPv4 as such."""
    return host.partition("%")[0].removeprefix("::ffff:")


def stamp_of(now: float) -> bytes:
    """What stands before a message that says no time."""
    return rfc3339(round(now)).encode()
