"""Opening logs of any compression as streams of their bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import threading
from typing import TYPE_CHECKING

import pytest
import zstandard

from exporter.sources.compression import CORRUPT, decompressed, open_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor().compress,
}
LINES = b"".join(b"Nov 21 10:00:00 mx postfix/smtp[%d]: line \xff %d\r\n" % (n % 7, n) for n in range(50_000))


@pytest.fixture(params=PACKERS)
def pack(request: pytest.FixtureRequest) -> Callable[[bytes], bytes]:
    return PACKERS[request.param]


@pytest.fixture(params=[name for name in PACKERS if name != "plain"])
def compress(request: pytest.FixtureRequest) -> Callable[[bytes], bytes]:
    return PACKERS[request.param]


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_every_format_gives_its_bytes_whatever_its_name(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    with open_log(written(tmp_path / "mail.log", pack(LINES))) as file:
        assert file.read() == LINES


def test_lines_can_be_iterated(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    with open_log(written(tmp_path / "mail.log", pack(LINES))) as file:
        assert list(file) == LINES.splitlines(keepends=True)


def test_read1_gives_everything_in_bounded_pieces(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    with open_log(written(tmp_path / "mail.log", pack(LINES))) as file:
        pieces = list(iter(lambda: file.read1(4096), b""))
    assert b"".join(pieces) == LINES
    assert max(map(len, pieces)) <= 4096


def test_members_one_after_the_other_are_one_log(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    with open_log(written(tmp_path / "mail.log", pack(b"a\n") + pack(b"b\n"))) as file:
        assert file.read() == b"a\nb\n"


def test_an_empty_log_is_empty(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    with open_log(written(tmp_path / "mail.log", pack(b""))) as file:
        assert file.read() == b""


def test_a_skippable_frame_before_zstandard_is_skipped(tmp_path: Path) -> None:
    skippable = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"abcd"
    with open_log(written(tmp_path / "mail.log", skippable + PACKERS["zst"](b"a\n"))) as file:
        assert file.read() == b"a\n"


def test_a_cut_file_gives_what_is_whole_of_it(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    noise = os.urandom(3_000_000)
    packed = compress(noise)
    got = bytearray()
    with open_log(written(tmp_path / "mail.log", packed[: len(packed) * 2 // 3])) as file:
        try:
            while chunk := file.read1(65536):
                got += chunk
        except CORRUPT:
            pass
    assert noise.startswith(got)
    assert len(got) >= 900_000  # bzip2 packs in blocks of 900 kB


@pytest.mark.parametrize("missing", [1, 4, 1000])
def test_a_file_without_its_end_raises_one_of_the_named_errors(
    tmp_path: Path, compress: Callable[[bytes], bytes], missing: int
) -> None:
    packed = compress(LINES)
    with open_log(written(tmp_path / "mail.log", packed[:-missing])) as file, pytest.raises(CORRUPT):
        list(iter(lambda: file.read1(65536), b""))


def test_a_damaged_file_raises_one_of_the_named_errors(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    packed = bytearray(compress(LINES))
    packed[20:60] = bytes(40)
    with open_log(written(tmp_path / "mail.log", bytes(packed))) as file, pytest.raises(CORRUPT):
        file.read()


def test_a_missing_file_raises_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_log(tmp_path / "mail.log")


def test_closing_closes_the_stream_underneath(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    stream = written(tmp_path / "mail.log", pack(LINES)).open("rb")
    decompressed(stream).close()
    assert stream.closed


def test_a_pipe_is_decompressed(pack: Callable[[bytes], bytes]) -> None:
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb") as pipe:  # noqa: PTH123 - a descriptor
            pipe.write(pack(LINES))

    writer = threading.Thread(target=write)
    writer.start()
    with decompressed(io.BufferedReader(io.FileIO(reading))) as file:
        assert file.read() == LINES
    writer.join()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["", "Zeile äöü\r\n" * 60_000, "\N{MUSICAL SYMBOL G CLEF}€\n" * 9_999])
def test_text_in_utf_16_is_read_as_utf_8(tmp_path: Path, encoding: str, text: str) -> None:
    path = tmp_path / "shown.log"
    path.write_bytes(("\ufeff" + text).encode(encoding))
    assert whole(path) == text.encode()
    path.write_bytes(("\ufeff" + text).encode(encoding) + b"x")
    assert whole(path) == (text + "\N{REPLACEMENT CHARACTER}").encode()


def whole(path: Path) -> bytes:
    with open_log(path) as log:
        return b"".join(iter(lambda: log.read1(1 << 16), b""))
