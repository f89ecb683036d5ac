"""Files cut into parts: so many bytes, from the beginning of a line to the end of one.

Where a file is cut, and into which blocks a part falls, follows from the file alone, never from who reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

from exporter.sources.compression import CORRUPT
from exporter.sources.lines import LINE_BYTES, Lines

BLOCK_BYTES = 1 << 16  # small enough that a block's lines and events stay in the processor's cache
PART_BYTES = 1 << 23  # long enough that few messages began before it


class Part(NamedTuple):
    """Bytes of a file, to its end where there is no `end`. `before` is the line before them, empty at the beginning
    of a file. What came out of a stream is there as blocks, and stands in no file."""

    path: Path
    begin: int
    end: int | None
    before: bytes
    held: tuple[bytes, ...] | None = None

    def blocks(self) -> Iterator[bytes]:
        """Complete lines, a block at a time. Raises OSError."""
        if self.held is not None:
            yield from self.held
            return
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.begin)
            lines, place = Lines(LINE_BYTES), self.begin
            while chunk := file.read(self._length(place)):
                place += len(chunk)
                if block := lines.feed(chunk):
                    yield block
            if lines.pending:
                yield lines.pending

    def _length(self, place: int) -> int:
        """Up to the next place where a block ends."""
        next_place = (place // BLOCK_BYTES + 1) * BLOCK_BYTES
        return (next_place if self.end is None else min(next_place, self.end)) - place


def cut(path: Path, size: int) -> Iterator[Part]:
    """The parts of a plain file of that size. Raises OSError."""
    begin, before = 0, b""
    with path.open("rb") as file:
        for place in range(PART_BYTES, size, PART_BYTES):
            end, line = _line_end(file, place)
            if end > begin:
                yield Part(path, begin, end, before)
                begin, before = end, line
    yield Part(path, begin, None, before)


def _line_end(file: BufferedReader, place: int) -> tuple[int, bytes]:
    """Where the last line before a place ends, and that line; 0 where it is not found in a block."""
    start = place - BLOCK_BYTES
    file.seek(start)
    chunk = file.read(BLOCK_BYTES)
    end = chunk.rfind(b"\n") + 1
    return (start + end, last_line(chunk[:end])) if end else (0, b"")


def last_line(block: bytes) -> bytes:
    """The last line of a block, with its end."""
    return block[block.rfind(b"\n", 0, len(block) - 1) + 1 :]


def blocks_of(stream: BufferedReader) -> Iterator[bytes]:
    """Complete lines of a stream, a block at a time. Raises what reading it raises."""
    lines = Lines(LINE_BYTES)
    while chunk := stream.read1(BLOCK_BYTES):
        if block := lines.feed(chunk):
            yield block
    if lines.pending:
        yield lines.pending


def parts_of(path: Path, stream: BufferedReader) -> Iterator[Part]:
    """The parts of a stream, each as it is read. Raises what reading it raises, when all before was given."""
    begin, size, before, held = 0, 0, b"", list[bytes]()
    try:
        for block in blocks_of(stream):
            held.append(block)
            size += len(block)
            if size >= PART_BYTES:
                yield Part(path, begin, begin + size, before, tuple(held))
                begin, size, before, held = begin + size, 0, last_line(block), []
    except CORRUPT:
        if held:
            yield Part(path, begin, None, before, tuple(held))
        raise
    if held:
        yield Part(path, begin, None, before, tuple(held))
