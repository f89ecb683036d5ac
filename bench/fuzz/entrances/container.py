"""Files of a container runtime: what a container prints stands in them, as it likes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from exporter.sources.container import Wrapping
from exporter.sources.lines import LINE_BYTES

SEEDS = (
    b'{"log":"Nov 22 10:00:00 mail postfix/qmgr[7]: 4T1ABC: removed\\n",'
    b'"stream":"stdout","time":"2026-11-22T10:00:00.5Z"}\n',
    b"2026-11-22T10:00:00.123456789Z stdout F Nov 22 10:00:00 mail postfix/qmgr[7]: 4T1ABC: removed\n",
    b"2026-11-22T10:00:00.1Z stderr P first half, \n2026-11-22T10:00:00.1+01:00 stderr F second half\n",
    b'{"log":"a","stream":"stderr"}\n{"log":"b\\n","stream":"stderr","time":""}\n',
)
WORDS = (
    b'{"log":"',
    b'"stream":"stdin"',
    b"\\ud800",
    b"\\u0000",
    b'"time":null',
    b" P ",
    b" F:partial ",
    b"stdout",
    b"{" * 99,
)


@contextmanager
def opened() -> Iterator[Callable[[bytes], object]]:
    """Each input is some lines of one file."""

    def feed(text: bytes) -> None:
        wrapping = Wrapping()
        for _ in range(3):
            lines = wrapping.unwrap(text + b"\n")
            assert not lines or lines.endswith(b"\n")
        assert sum(map(len, wrapping.halves.values())) <= 2 * LINE_BYTES

    yield feed
