r"""Postfix' queue as its showq service tells it: to those in the group `postdrop`, and over TCP where that is set up.

The reply is a row of attributes, `name\0value\0`. An empty name ends a message, and once more the list
(src/showq/showq.c, src/util/attr_print0.c; the names since Postfix 3.0). Who connects sends nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing

from exporter.queues.entry import LONGEST_REASON, MOST_RECIPIENTS, Entry, QueueError, Recipient

CHUNK = 1 << 16
LONGEST = 1 << 16  # bytes of a name or a value; Postfix' own limit is below
SECONDS = 30.0  # of silence


def entries(address: str) -> Iterator[Entry]:
    """The messages in the queue, asked at a socket: a path, or HOST:PORT. Raises QueueError, OSError."""
    with closing(_connect(address)) as peer:
        yield from read(lambda: peer.recv(CHUNK))


def read(receive: Callable[[], bytes]) -> Iterator[Entry]:
    """The messages of a reply, of which `receive` gives a part and b"" at its end.

    Raises QueueError where it is no such reply or ends too early.
    """
    tokens = _tokens(receive)
    fields: dict[bytes, bytes] = {}
    recipients: list[Recipient] = []
    for name in tokens:
        if name:
            _take(name, next(tokens), fields, recipients)
        elif fields:
            if b"queue_id" in fields:
                yield _entry(fields, recipients)
            fields, recipients = {}, []
        else:
            return


def _connect(address: str) -> socket.socket:
    if address.startswith("/"):
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.settimeout(SECONDS)
        try:
            peer.connect(address)
        except OSError:
            peer.close()
            raise
        return peer
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS)


def _tokens(receive: Callable[[], bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := receive():
        *whole, rest = (rest + chunk).split(b"\0")
        if len(rest) > LONGEST:
            raise QueueError("the reply is not that of showq")
        yield from whole
    raise QueueError("the reply of showq is cut, or is something else")


def _take(name: bytes, value: bytes, fields: dict[bytes, bytes], recipients: list[Recipient]) -> None:
    if name == b"recipient":
        if len(recipients) < MOST_RECIPIENTS:
            recipients.append(Recipient(_text(value)))
    elif name == b"reason":
        if recipients and not recipients[-1].reason:
            recipients[-1] = Recipient(recipients[-1].address, _text(value))
    elif name in _FIELDS:
        fields[name] = value
    else:
        fields.setdefault(b"", b"")  # a record with something we do not know is not the end of the list


_FIELDS = frozenset({b"queue_name", b"queue_id", b"time", b"size", b"sender"})


def _entry(fields: dict[bytes, bytes], recipients: list[Recipient]) -> Entry:
    return Entry(
        _text(fields[b"queue_id"]),
        _text(fields.get(b"queue_name", b"")),
        _number(fields.get(b"size", b"")),
        _number(fields.get(b"time", b"")),
        _text(fields.get(b"sender", b"")),
        tuple(recipients),
    )


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 18:
        raise QueueError("a number in the reply of showq is none")
    return int(digits)


def _text(value: bytes) -> str:
    return value[:LONGEST_REASON].decode("utf-8", "replace")
