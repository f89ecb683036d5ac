"""Standard input: a pipe from whatever writes a log, until it ends."""

from __future__ import annotations

import os
import select
from collections.abc import Collection, Iterator
from pathlib import Path

from exporter.sources.lines import LINE_BYTES, Lines

CHUNK_BYTES = 1 << 16
READABLE = select.POLLIN | select.POLLHUP


class Stdin:
    """Reads a descriptor to its end. It stays blocking, for others may have it too: it is asked before it is read."""

    dropped = rotations = truncations = 0

    def __init__(self, descriptor: int = 0) -> None:
        self.read_bytes = 0
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, READABLE)
        self._lines = Lines(LINE_BYTES)
        self.is_up = True

    @property
    def error(self) -> str | None:
        return None if self.is_up else "standard input has ended"

    @property
    def skipped_bytes(self) -> int:
        return self._lines.skipped_bytes

    @skipped_bytes.setter
    def skipped_bytes(self, count: int) -> None:
        self._lines.skipped_bytes = count

    @property
    def lag_bytes(self) -> int:
        return len(self._lines.pending)

    def place(self) -> object:
        """There is no way back in a pipe."""
        return None

    def paths(self) -> Collection[Path]:
        return ()

    def descriptors(self) -> Collection[int]:
        return (self._descriptor,) if self.is_up else ()

    def blocks(self) -> Iterator[bytes]:
        while self.is_up and self._poll.poll(0):
            chunk = os.read(self._descriptor, CHUNK_BYTES)
            self.is_up = bool(chunk)
            # The end of everything is also the end of a line.
            block = self._lines.feed(chunk or b"\n" * bool(self._lines.pending))
            self.read_bytes += len(block)
            if block:
                yield block

    def close(self) -> None:
        """It is not ours to close."""
