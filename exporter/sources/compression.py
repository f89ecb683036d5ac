"""Logs as they lie on disk: plain, gzip, bzip2, xz, zstandard or UTF-16, as their first bytes tell."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import zstandard

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES = 256 * 1024
ZSTD_BYTES = 1024  # unpacked at once: at the format's limit (128 kB out of 4 bytes) they become 32 MB

# What reading a compressed stream that is cut short or damaged raises; gzip and bz2 also raise plain OSError.
CORRUPT = (EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


class _Reader(Protocol):
    def read1(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


def open_log(path: str | Path) -> io.BufferedReader:
    """Open a log for reading its uncompressed bytes, in order; a compressed one cannot seek.

    Opening raises OSError. Reading raises one of ``CORRUPT`` where a compressed file is damaged or
    incomplete, after everything before that place was delivered through ``read1`` (``read`` may lose it).
    """
    return decompressed(Path(path).open("rb"))


def decompressed(stream: io.BufferedReader) -> io.BufferedReader:
    """The uncompressed bytes of a stream (a pipe will do), which is the stream itself if it is plain.

    Closing the result closes the stream.
    """
    reader = _reader(stream)
    if reader is None:
        return stream
    return io.BufferedReader(_Decompressed(stream, reader), BUFFER_BYTES)


def _reader(stream: io.BufferedReader) -> _Reader | None:
    magic = stream.peek(6)[:6]
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(stream)
    if magic.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(stream)
    # pzstd puts a skippable frame (RFC 8878, 3.1.2) before the first one.
    if magic.startswith((b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18")):
        return _Zstandard(stream)
    if magic.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _Utf16(stream)
    return None


class _Utf16:
    """Text in UTF-16, as PowerShell writes what it shows, in UTF-8; what is broken is replaced."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-16")("replace")

    def read1(self, size: int, /) -> bytes:
        while raw := self._stream.read1(max(size // 3, 1)):  # a unit of two bytes is three in UTF-8 at most
            if text := self._decoder.decode(raw):
                return text.encode("utf-8", "replace")
        return self._decoder.decode(b"", final=True).encode("utf-8", "replace")

    def close(self) -> None:
        """Nothing of its own is open."""


class _Zstandard:
    """Frame after frame; zstandard's own reader takes a file that is cut for a whole one."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._plain = io.BytesIO()
        self._packed = b""
        self._is_inside = False

    def read1(self, size: int, /) -> bytes:
        while not (piece := self._plain.read(size)):
            packed = self._packed or self._stream.read1(ZSTD_BYTES)
            if not packed and self._is_inside:
                raise EOFError("Compressed file ended before the end of a frame was reached")
            if not packed:
                return b""
            self._unpack(packed)
        return piece

    def _unpack(self, packed: bytes) -> None:
        self._plain = io.BytesIO(self._frame.decompress(packed))
        self._is_inside, self._packed = not self._frame.eof, b""
        if self._frame.eof:
            self._packed = self._frame.unused_data
            self._frame = zstandard.ZstdDecompressor().decompressobj()

    def close(self) -> None:
        self._plain.close()


class _Decompressed(io.RawIOBase):
    """A decompressor that owns the file it reads: those of the standard library leave it open."""

    def __init__(self, stream: io.BufferedReader, reader: _Reader) -> None:
        self._stream = stream
        self._reader = reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        # Not read(): it drops what it has when it meets the damaged end of a file.
        chunk = self._reader.read1(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        if not self.closed:
            self._reader.close()
            self._stream.close()
        super().close()
