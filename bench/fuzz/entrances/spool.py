"""Files in the spools of mail servers: who submits mail writes a part of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter.queues.entry import Place
from exporter.queues.scan import scan

_EXIM = (
    b"1xUpUs-0000000024t-37JL-H\nDebian-exim 100 100\n<ann@example.com>\n1795284947 0\n-received_time_usec .123\n"
    b"-helo_name client.example.net\n-frozen 1795284999\nXX\n2\nbo@example.net\nkim@example.org\n\n"
    b"010  Subject: a\n"
)
_SENDMAIL = (
    b"V8\nT1795284947\nK1795284999\nN3\nP30\nMDeferred: 451 4.7.1 later\n"
    b"S<ann@example.com>\nRPFD:<bo@example.net>\n.\n"
)
_OPENSMTPD = (
    b"version: 3\ntag: \ntype: mta\nsender: ann@example.com\nrcpt: bo@example.net\ndest: bo@example.net\n"
    b"ctime: 1795284947\nexpire: 345600\nretry: 3\nerrorline: 451 later\n"
)
_QMAIL = b"Fann@example.com\0Tbo@example.net\0Tkim@example.org\0Dold@example.org\0"
SEEDS = (_EXIM, _SENDMAIL, _OPENSMTPD, _QMAIL)
WORDS = (b"XX\n", b"-frozen ", b"\nR", b"\nS<", b"rcpt: ", b"errorline: ", b"\0T", b"ctime: ", b"-D\n", b"<>")

# Where a server would have the file, below the folder of its queue.
_FILES = {
    "exim": ("input/1xUpUs-0000000024t-37JL-H",),
    "sendmail": ("qf4AB12cd034567",),
    "opensmtpd": ("queue/ab/ab12cd34/ab12cd3412345678", "queue/ab/ab12cd34/message"),
    "qmail": ("remote/1/24", "info/1/24", "mess/1/24", "local/1/24"),
}


@contextmanager
def opened() -> Iterator[Callable[[bytes], object]]:
    """Each input is the file of a message, for every server."""
    with tempfile.TemporaryDirectory(prefix="mailstat-fuzz-") as name:
        folder = Path(name)
        for mta, files in _FILES.items():
            for file in files:
                (folder / mta / file).parent.mkdir(parents=True, exist_ok=True)

        def feed(text: bytes) -> None:
            for mta, files in _FILES.items():
                for file in files:
                    (folder / mta / file).write_bytes(text)
                found = scan(Place(mta, folder / mta, mta), seconds=60, domains=10, rest=lambda _: None)
                assert found.backlog or found.error or not text

        yield feed
