"""Syslog messages of a connection and of datagrams, and what they make of a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC

from exporter.sources.frame import FRAME_BYTES, Frames, line_of
from parsers.clock import Clock
from parsers.reader import LogReader

NOW = 1_795_305_600.0
# Bytes. Each line costs some ten microseconds, and the shortest has two bytes: more would measure their number.
LONGEST = 1 << 13
_OLD = b"<22>Nov 22 10:00:00 mail postfix/qmgr[7]: 4T1ABC: removed"
_NEW = (
    b'<22>1 2026-11-22T10:00:00.5Z mail postfix/smtp 7 - [a@1 b="c\\"]"] '
    b"\xef\xbb\xbf4T1ABC: to=<a@example.com>, status=sent (ok)"
)
SEEDS = (
    _OLD + b"\n" + _NEW + b"\n",
    b"%d %s%d %s" % (len(_OLD), _OLD, len(_NEW), _NEW),
    b"%d %s" % (len(_OLD), _OLD) + _NEW + b"\n",
    b"postfix/qmgr[7]: 4T1ABC: removed\n",
    b"<22>postfix/qmgr: a\0b\n<191>x\n",
)
WORDS = (
    b"<22>",
    b"<999>",
    b"9999999 ",
    b"10000000 ",
    b"1 ",
    b"0 ",
    b"70000 ",
    b"<22>1 - - - - - -",
    b"\0",
    b"\n",
    _OLD,
)


@contextmanager
def opened() -> Iterator[Callable[[bytes], object]]:
    """Each input is what a connection sends, in parts of any length; and once more a datagram."""

    def feed(sent: bytes) -> None:
        text = sent[:LONGEST]
        frames = Frames()
        found = [frame for start in range(0, len(text), 97) for frame in frames.feed(text[start : start + 97])]
        frames.give_up()
        assert all(len(frame) <= FRAME_BYTES for frame in found)
        assert sum(map(len, found)) + frames.skipped_bytes <= len(text)
        lines = [line_of(frame, b"mail", b"2026-11-22T10:00:00+00:00") for frame in (*found, text)]
        assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
        LogReader(Clock(UTC, lambda: NOW)).read(b"".join(lines).decode("utf-8", "surrogateescape"))

    yield feed
