"""What stands at the other end of Postfix' showq socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

from exporter.queues.entry import QueueError
from exporter.queues.figure import Backlog
from exporter.queues.postfix import QUEUES
from exporter.queues.postfix_showq import read

NOW = 1_795_305_600.0
_HEAD = b"protocol\0mail_queue_list_protocol\0\0"
_ONE = (
    b"queue_name\0deferred\0queue_id\x004T1ABC\0time\x001795284947\0size\x002048\0forced_expire\x000\0"
    b"sender\0ann@example.com\0recipient\0bo@example.net\0reason\0"
    b"connect to mx.example.net[192.0.2.9]:25: timed out\0\0"
)
_TWO = (
    b"queue_name\0active\0queue_id\x004T2DEF\0time\x001795284948\0size\x00512\0sender\0\0recipient\0a@example.org\0\0"
)
SEEDS = (_HEAD + b"\0", _HEAD + _ONE + b"\0", _HEAD + _ONE + _TWO + b"\0", _ONE + b"\0", _HEAD + _ONE, b"")
WORDS = (
    b"\0\0",
    b"\0\0\0",
    b"recipient\0",
    b"reason\0",
    b"queue_id\0",
    b"time\0",
    b"size\0",
    b"queue_name\0hold\0",
    _ONE,
)


@contextmanager
def opened() -> Iterator[Callable[[bytes], object]]:
    """Each input is a reply, which comes in parts."""

    def feed(text: bytes) -> None:
        backlog = Backlog(QUEUES, NOW, 10)
        stream = BytesIO(text)
        with suppress(QueueError):
            for entry in read(lambda: stream.read(1000)):
                backlog.add(entry)

    yield feed
