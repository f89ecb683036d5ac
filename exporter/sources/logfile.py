"""One open log file: the live one, which grows and may be truncated, or a rotated one, perhaps compressed."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from exporter.sources.compression import CORRUPT, decompressed
from exporter.sources.position import HEAD_BYTES, Fingerprint, Position

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

_SKIP_BYTES = 256 * 1024


class LogFile:
    """Reads forward from ``offset`` (uncompressed bytes), and notices when its content was replaced.

    Opening raises OSError. ``is_copy`` is for the one who reads: a copy that was made before a truncation.
    """

    def __init__(self, path: Path, *, is_live: bool) -> None:
        self.path = path
        self.offset = 0
        self.is_copy = False
        self.is_inside_line = False
        self._file = path.open("rb")
        # The live log is what the programs write, whatever it starts with.
        self._stream = self._file if is_live else decompressed(self._file)
        self._is_packed = self._stream is not self._file
        self._is_corrupt = False
        self._modified = self.status().st_mtime_ns  # while its content was what was read: looked at before that
        # Taken once, now: a truncation from here on shows, even before the first read.
        self._head = b"" if self._is_packed else self._bytes_at(0, HEAD_BYTES)
        self.size = 0  # the same, of the uncompressed bytes; that of the whole where this is a copy

    def close(self) -> None:
        self._stream.close()

    def status(self) -> os.stat_result:
        self._status = os.fstat(self._file.fileno())
        return self._status

    def is_at(self, *, device: int, inode: int) -> bool:
        return (device, inode) == (self._status.st_dev, self._status.st_ino)

    def is_inode_of(self, position: Position) -> bool:
        return position.is_at(device=self._status.st_dev, inode=self._status.st_ino)

    @property
    def is_empty(self) -> bool:
        """Whether this plain file had nothing yet; only its time tells it from another, and that may be too early
        while a file is being truncated."""
        return not self._is_packed and not self._head

    @property
    def unread_bytes(self) -> int:
        """As of the last look; of a compressed file it is not known."""
        return 0 if self._is_packed else max(0, self._status.st_size - self.offset)

    def position(self, offset: int) -> Position:
        status = self._status
        return Position(
            status.st_dev, status.st_ino, Fingerprint.of(self._head), offset, self._modified, max(self.size, offset)
        )

    def holds(self, position: Position) -> bool:
        """Whether this plain file starts like that of the position, and is as long."""
        return self.status().st_size >= position.offset and position.fingerprint.matches(self._head)

    def goes_on_from(self, copy: LogFile) -> bool:
        """Whether what was read of another file, up to where it is read, was copied from this plain one."""
        start = max(0, copy.offset - HEAD_BYTES)
        last = copy._bytes_at(start, copy.offset - start)
        return (
            not copy._is_packed
            and self.holds(copy.position(copy.offset))
            and last == self._bytes_at(start, len(last))
        )

    def has_more(self) -> bool:
        """Whether a plain file has grown since it was read; a compressed one does not."""
        return not self._is_packed and self.status().st_size > self.offset

    def go_to(self, offset: int) -> None:
        """Go to a place in a file just opened, or to the end of one that is shorter."""
        if self._is_packed:
            self._skip_to(offset)
            return
        self.offset = min(offset, self._status.st_size)
        self.is_inside_line = self.offset > 0 and self._bytes_at(self.offset - 1, 1) != b"\n"

    def read(self, size: int) -> bytes:
        """The next bytes, empty at the end; they count when they are accepted."""
        if not self._is_packed:
            return self._bytes_at(self.offset, size)
        try:
            return b"" if self._is_corrupt else self._stream.read1(size)
        except CORRUPT as error:
            logger.warning("%s: damaged after byte %d (%s): the rest is lost", self.path, self.offset, error)
            self._is_corrupt = True
            return b""

    def accept(self, chunk: bytes) -> None:
        if self.offset <= len(self._head) < HEAD_BYTES:
            self._head += chunk[len(self._head) - self.offset : HEAD_BYTES - self.offset]
        self.offset += len(chunk)

    def is_intact(self) -> bool:
        """Whether what was read is still there; asked after reading, it vouches for what was just read."""
        if self._is_packed:
            return True
        status = self.status()
        if status.st_size < self.offset or self._bytes_at(0, len(self._head)) != self._head:
            return False
        if self._head or not status.st_size:
            self._modified = status.st_mtime_ns
        if self._head:  # else nothing tells whether this is what was read, or what came after it
            self.size = max(self.size, status.st_size)
        return True

    @property
    def missing_bytes(self) -> int:
        """What it should have behind its end."""
        return max(0, self.size - self.offset)

    def _bytes_at(self, offset: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), size, offset)

    def _skip_to(self, offset: int) -> None:
        while self.offset < offset and (chunk := self.read(min(_SKIP_BYTES, offset - self.offset))):
            self.accept(chunk)
            self.is_inside_line = not chunk.endswith(b"\n")
