"""What the exporter listens on: `host:port`, `[::1]:port`, `:port`, `unix:/path`."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path

BACKLOG = 1024  # connections that the system keeps while the loop is busy: one more has to try again a second later
_RIGHTS = 0o660  # of a socket: the group may scrape
_UNIX = "unix:"


class ListenError(Exception):
    """An address cannot be listened on; the message says which and why."""


def listen(address: str) -> list[socket.socket]:
    """The sockets of an address, listening: of `:port` one for each family. Raises ListenError."""
    try:
        if address.startswith(_UNIX):
            return [_unix(address, Path(address.removeprefix(_UNIX)))]
        return _internet(address)
    except OSError as error:
        raise ListenError(f"cannot listen on {address}: {_reason(error)}") from None


def _internet(address: str) -> list[socket.socket]:
    host, port = _endpoint(address)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, place in dict.fromkeys(found):
            try:
                sockets.append(_tcp(family, place))
            except OSError as error:
                # A kernel without IPv6, or where it is turned off, still resolves the wildcard to it.
                if host or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    except OSError:
        close(sockets)
        raise
    return sockets


def _tcp(family: int, place: tuple[str | int, ...] | tuple[int, bytes]) -> socket.socket:
    made = socket.create_server(place, family=family, backlog=BACKLOG)
    made.setblocking(False)
    return made


def _unix(address: str, path: Path) -> socket.socket:
    if not path.is_absolute() or "\0" in str(path):
        raise ListenError(f"cannot listen on {address}: expected unix: and a path that begins with /")
    _remove_stale(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.bind(str(path))
        path.chmod(_RIGHTS)
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def _remove_stale(path: Path) -> None:
    """A socket that nobody listens on is what a process leaves that was killed."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.settimeout(1.0)
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)


def close(sockets: list[socket.socket]) -> None:
    """Listen no more."""
    for it in sockets:
        with suppress(OSError):
            if it.family == socket.AF_UNIX and (name := it.getsockname()):
                Path(name).unlink(missing_ok=True)
        it.close()


def _endpoint(address: str) -> tuple[str | None, int]:
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""  # an IPv6 address without brackets: its last group is no port
    if not colon or not (port.isascii() and port.isdigit()) or int(port[:6]) > 65535:
        raise ListenError(f"cannot listen on {address}: expected host:port, :port, [address]:port or unix:/path")
    return host or None, int(port)


def _reason(error: OSError) -> str:
    """The system's words alone, without the address as a tuple."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)
