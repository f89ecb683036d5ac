"""Blocks of complete lines out of chunks of bytes."""

from __future__ import annotations

LINE_BYTES = 1024 * 1024


class Lines:
    """Cuts what is read into blocks of complete lines, and bounds the length of a line."""

    def __init__(self, line_bytes: int) -> None:
        self.pending = b""
        self.is_inside_overlong = False
        self.skipped_bytes = 0
        self._line_bytes = line_bytes

    def restart(self, *, is_inside_overlong: bool) -> None:
        self.pending = b""
        self.is_inside_overlong = is_inside_overlong

    def give_up(self, unread_bytes: int = 0) -> None:
        """Let go of a line whose end, with so many bytes, is gone."""
        self.skipped_bytes += len(self.pending) + unread_bytes
        self.pending = b""

    def feed(self, chunk: bytes) -> bytes:
        """The complete lines up to the end of the chunk, which is no longer than a line may be."""
        if self.is_inside_overlong:
            chunk = self._skip(chunk)
        first, end = chunk.find(b"\n"), chunk.rfind(b"\n") + 1
        if not end:
            return self._hold(chunk)
        if len(self.pending) + first > self._line_bytes:
            block = self._cut(self.pending + chunk[:first]) + chunk[first + 1 : end]
        else:
            block = b"".join((self.pending, memoryview(chunk)[:end]))
        self.pending = chunk[end:]
        return block

    def _hold(self, chunk: bytes) -> bytes:
        self.pending += chunk
        if len(self.pending) <= self._line_bytes:
            return b""
        block, self.pending = self._cut(self.pending), b""
        self.is_inside_overlong = True
        return block

    def _cut(self, line: bytes) -> bytes:
        self.skipped_bytes += len(line) - self._line_bytes
        return line[: self._line_bytes] + b"\n"

    def _skip(self, chunk: bytes) -> bytes:
        skipped, newline, rest = chunk.partition(b"\n")
        self.skipped_bytes += len(skipped)
        self.is_inside_overlong = not newline
        return rest
