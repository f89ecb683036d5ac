"""Following a log file, on real files that are really rotated."""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma
import os
import random
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard
from pygtail import Pygtail

from exporter.sources import position as state
from exporter.sources import rotation
from exporter.sources.file import FileTail
from exporter.sources.logfile import LogFile
from tests.tick import tick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor().compress,
}


class Reader:
    """Polls a log, either with one tail all the time or with a new one, restored from disk, for each poll."""

    def __init__(self, log: Path, offset_file: Path, *, restarts: bool) -> None:
        self.log, self.offset_file, self.restarts = log, offset_file, restarts
        self.tail = FileTail(log, offset_file)

    def poll(self) -> bytes:
        if self.restarts:
            self.restart()
        delivered = b"".join(self.tail.blocks())
        self.tail.save()
        return delivered

    def restart(self) -> None:
        self.tail.save()
        self.tail.close()
        self.tail = FileTail(self.log, self.offset_file)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path / "log" / "mail.log"


@pytest.fixture
def public_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def offset_file(tmp_path: Path) -> Path:
    return tmp_path / "offset"


@pytest.fixture(params=["running", "restarted"])
def reader(log: Path, offset_file: Path, request: pytest.FixtureRequest) -> Iterator[Reader]:
    reader = Reader(log, offset_file, restarts=request.param == "restarted")
    yield reader
    reader.tail.close()


def append(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


def beside(log: Path, suffix: str) -> Path:
    return log.with_name(log.name + suffix)


def rename(log: Path, suffix: str) -> None:
    tick()
    log.rename(beside(log, suffix))


def copytruncate(log: Path, suffix: str) -> None:
    tick()
    shutil.copyfile(log, beside(log, suffix))
    os.truncate(log, 0)
    tick()


def pack(path: Path, form: str, to: Path | None = None) -> None:
    """Compress as the tools do: a new inode, the old time (bzip2: whole seconds), and the plain file goes at last."""
    packed = to or path.with_name(f"{path.name}.{form}")
    packed.write_bytes(PACKERS[form](path.read_bytes()))
    shutil.copystat(path, packed)
    if form == "bz2":
        os.utime(packed, (int(path.stat().st_atime), int(path.stat().st_mtime)))
    path.unlink()


# What pygtail 0.14 does wrong or raises at, as tried, and where it is tried here.
FAILURES = {
    "two rotations by name between two polls": "test_two_rotations_between_two_polls",
    "copied and cut, and grown beyond the old offset since": "test_copytruncate_then_grown_beyond_the_old_offset",
    "copied and cut, and still smaller": "test_copytruncate_then_smaller",
    "copied and cut while the file is open": "test_copytruncate_with_a_log_that_was_empty_between_two_polls",
    "cut without a copy, beside an old file": "test_truncation_without_a_copy_beside_an_old_file",
    "an inode that is used again": "test_a_reused_inode_is_another_file",
    "renamed and packed at once": "test_rotations_with_compression",
    "a packed file gives the same kind of lines as a plain one": "test_the_half_read_file_is_compressed",
    "other packers, dates with hours": "test_names_that_rotation_gives",
    "a directory for old logs": "test_a_directory_for_old_logs",
    "renamed to a name that nobody knows": "test_a_log_rotated_to_an_unknown_name_is_read_anew",
    "half a line": "test_a_half_written_line_waits_for_its_end",
    "an offset file that is broken, or empty": "test_a_bad_offset_file_starts_over",
    "bytes that are no UTF-8, and carriage returns": "test_bytes_are_delivered_as_they_are",
    "no log for a moment": "test_a_log_that_is_missing_for_a_moment_is_drained_and_waited_for",
    "killed before the end was reached": "test_a_save_in_the_middle_repeats_nothing",
}


def test_each_failure_of_others_is_tried() -> None:
    assert len(FAILURES) == 16
    assert [name for name in FAILURES.values() if not callable(globals().get(name))] == []


# --- plain following


def test_what_is_appended_is_delivered_once(log: Path, reader: Reader) -> None:
    append(log, b"a1\na2\n")
    assert reader.poll() == b"a1\na2\n"
    assert reader.poll() == b""
    append(log, b"a3\n")
    assert reader.poll() == b"a3\n"


def test_a_half_written_line_waits_for_its_end(log: Path, reader: Reader) -> None:
    append(log, b"a1\na2 pa")
    assert reader.poll() == b"a1\n"
    append(log, b"rt")
    assert reader.poll() == b""
    append(log, b"ial\n")
    assert reader.poll() == b"a2 partial\n"


def test_bytes_are_delivered_as_they_are(log: Path, reader: Reader) -> None:
    text = b"\xff\xfe bad\r\ncr\rlf\r\n\x00nul\n\xe2\x80\xa8separator\x0b\x0c\x1c\n\n"
    append(log, text)
    assert reader.poll() == text


def test_blocks_end_with_a_line_and_are_no_longer_than_asked(log: Path) -> None:
    text = b"".join(b"line %d\n" % number for number in range(5000))
    append(log, text)
    blocks = list(FileTail(log, block_bytes=4096).blocks())
    assert b"".join(blocks) == text
    assert all(block.endswith(b"\n") for block in blocks)
    assert max(map(len, blocks)) <= 4096 + len(b"line 4999\n")


@pytest.mark.parametrize("pieces", [1, 7, 50])
def test_an_overlong_line_is_cut_once_and_the_rest_counted(log: Path, reader: Reader, pieces: int) -> None:
    length = 3_000_000
    line = b"x" * length
    append(log, b"before\n")
    delivered = reader.poll()
    skipped = 0
    for number in range(pieces):
        append(log, line[number * length // pieces : (number + 1) * length // pieces])
        delivered += reader.poll()
        skipped, previous = skipped + reader.tail.skipped_bytes, skipped
        if not reader.restarts:
            skipped -= previous
    append(log, b"\nafter\n")
    delivered += reader.poll()
    assert delivered == b"before\n" + b"x" * 1024 * 1024 + b"\nafter\n"
    assert skipped == length - 1024 * 1024


@pytest.mark.parametrize("length", [63, 64, 65, 66, 127, 128, 129, 200])
def test_a_line_is_cut_only_above_the_bound(log: Path, length: int) -> None:
    append(log, b"x" * length + b"\ny\n")
    tail = FileTail(log, line_bytes=64, block_bytes=64)
    assert tail.read() == b"x" * min(length, 64) + b"\ny\n"
    assert tail.skipped_bytes == max(0, length - 64)
    assert tail.read_bytes + tail.skipped_bytes == length + 3


def test_lines_written_between_construction_and_first_poll_are_read_from_the_end(
    log: Path, offset_file: Path
) -> None:
    append(log, b"old\nhal")
    tail = FileTail(log, offset_file, from_end=True)
    append(log, b"f\nnew\n")
    assert tail.read() == b"new\n"


def test_from_end_does_not_pass_over_a_file_that_appears_later(log: Path, offset_file: Path) -> None:
    tail = FileTail(log, offset_file, from_end=True)
    append(log, b"new\n")
    assert tail.read() == b"new\n"


def test_from_end_is_for_the_first_start_only(log: Path, offset_file: Path) -> None:
    append(log, b"old\n")
    tail = FileTail(log, offset_file, from_end=True)
    tail.save()
    append(log, b"new\n")
    assert FileTail(log, offset_file, from_end=True).read() == b"new\n"


# --- counters and state


def test_counters_tell_what_was_read_and_what_is_left(log: Path) -> None:
    append(log, b"0123456\n" * 1000)
    tail = FileTail(log, block_bytes=800)
    blocks = tail.blocks()
    next(blocks)
    assert (tail.read_bytes, tail.lag_bytes) == (800, 7200)
    assert sum(map(len, blocks)) == 7200
    assert (tail.read_bytes, tail.lag_bytes, tail.is_up, tail.error) == (8000, 0, True, None)


def test_lag_has_the_rotated_file_and_the_new_one(log: Path) -> None:
    append(log, b"a\n" * 100)
    tail = FileTail(log, block_bytes=20)
    next(tail.blocks())
    rename(log, ".1")
    append(log, b"b\n" * 50)
    next(tail.blocks())
    assert tail.lag_bytes == 160 + 100
    tail.read()
    assert (tail.lag_bytes, tail.rotations) == (0, 1)


def test_a_poll_that_was_broken_off_goes_on(log: Path) -> None:
    text = b"".join(b"%d\n" % number for number in range(1000))
    append(log, text)
    tail = FileTail(log, block_bytes=100)
    delivered = b""
    while block := next(tail.blocks(), b""):
        delivered += block
    assert delivered == text


def test_a_missing_log_is_waited_for(log: Path, reader: Reader) -> None:
    assert (reader.poll(), reader.tail.is_up) == (b"", False)
    assert "No such file" in str(reader.tail.error)
    append(log, b"a\n")
    assert (reader.poll(), reader.tail.is_up, reader.tail.error) == (b"a\n", True, None)


def test_a_log_that_is_missing_for_a_moment_is_drained_and_waited_for(log: Path, reader: Reader) -> None:
    append(log, b"a1\n")
    reader.poll()
    append(log, b"a2\n")
    rename(log, ".1")
    assert reader.poll() == b"a2\n"
    assert not reader.tail.is_up
    append(beside(log, ".1"), b"a3\n")
    assert reader.poll() == b"a3\n"
    append(log, b"b1\n")
    assert reader.poll() == b"b1\n"


def test_a_directory_in_its_place_is_an_error_until_it_is_gone(log: Path, reader: Reader) -> None:
    log.mkdir()
    assert reader.poll() == b""
    assert "not a regular file" in str(reader.tail.error)
    log.rmdir()
    append(log, b"a\n")
    assert reader.poll() == b"a\n"


def test_a_named_pipe_does_not_block(log: Path, reader: Reader) -> None:
    os.mkfifo(log)
    assert reader.poll() == b""
    assert not reader.tail.is_up


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read")
def test_an_unreadable_log_says_why_and_is_read_when_it_may_be(public_directory: Path) -> None:
    log = public_directory / "mail.log"
    append(log, b"a\n")
    log.chmod(0)
    tail = FileTail(log)
    os.seteuid(65534)
    try:
        assert [tail.read(), tail.read(), tail.read()] == [b"", b"", b""]
        assert not tail.is_up
        assert "Permission denied" in str(tail.error)
    finally:
        os.seteuid(0)
    log.chmod(0o644)
    assert tail.read() == b"a\n"
    assert (tail.is_up, tail.error) == (True, None)


def test_a_loop_of_links_says_why(log: Path) -> None:
    log.symlink_to(log.name)
    tail = FileTail(log)
    assert tail.read() == b""
    assert "symbolic links" in str(tail.error)


# --- rotation by renaming


def test_a_log_that_becomes_a_loop_of_links_says_why(log: Path, reader: Reader) -> None:
    log.write_bytes(b"1\n")
    assert reader.poll() == b"1\n"
    log.unlink()
    log.symlink_to(log.name)
    assert reader.poll() == b""
    assert reader.tail.error is not None


def test_the_rotated_file_is_drained_before_the_new_one(log: Path, reader: Reader) -> None:
    append(log, b"a1\n")
    assert reader.poll() == b"a1\n"
    append(log, b"a2\n")
    rename(log, ".1")
    append(log, b"b1\n")
    assert reader.poll() == b"a2\nb1\n"
    assert reader.tail.rotations == 1


def test_what_the_writer_adds_to_the_renamed_file_is_read_while_the_new_one_is_empty(
    log: Path, reader: Reader
) -> None:
    append(log, b"a1\n")
    reader.poll()
    rename(log, ".1")
    log.touch()
    for number in (b"2", b"3", b"4"):
        assert reader.poll() == b""
        append(beside(log, ".1"), b"a%s\n" % number)
        assert reader.poll() == b"a%s\n" % number
    append(beside(log, ".1"), b"a5\n")
    append(log, b"b1\n")
    assert reader.poll() == b"a5\nb1\n"


def test_two_rotations_between_two_polls(log: Path, reader: Reader) -> None:
    append(log, b"a1\n")
    reader.poll()
    append(log, b"b1\n")
    rename(log, ".2")
    append(log, b"c1\n")
    rename(log, ".1")
    append(log, b"d1\n")
    assert reader.poll() == b"b1\nc1\nd1\n"
    assert reader.poll() == b""


def test_a_log_that_is_rotated_while_its_generations_are_listed(
    log: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the log's path led to at the start of a poll is one of them at its end."""
    append(log, b"a1\n")
    reader.poll()
    append(log, b"a2\n")
    rename(log, "-20250101")
    append(log, b"b1\n")
    listed = rotation.generations

    def list_late(*arguments: Path) -> rotation.Generations:
        if not beside(log, "-20250102").exists():
            rename(log, "-20250102")
            append(log, b"c1\n")
            rename(log, "-20250103")
            append(log, b"d1\n")
        return listed(*arguments)

    monkeypatch.setattr("exporter.sources.file.generations", list_late)
    assert reader.poll() + reader.poll() == b"a2\nb1\nc1\nd1\n"


def test_two_rotations_of_which_the_last_left_an_empty_log(log: Path, reader: Reader) -> None:
    append(log, b"a1\n")
    reader.poll()
    rename(log, ".2")
    append(log, b"b1\n")
    rename(log, ".1")
    log.touch()
    assert reader.poll() == b"b1\n"
    append(log, b"c1\n")
    assert reader.poll() == b"c1\n"


@pytest.mark.parametrize("form", PACKERS)
@pytest.mark.parametrize("packed", [1, 2, 3])
def test_rotations_with_compression(log: Path, reader: Reader, form: str, packed: int) -> None:
    append(log, b"a1\n")
    reader.poll()
    append(log, b"a2\n")
    for number, line in ((3, b"b1\n"), (2, b"c1\n"), (1, b"d1\n")):
        rename(log, f".{number}")
        append(log, line)
    for number in range(4 - packed, 4):
        pack(beside(log, f".{number}"), form)
    assert reader.poll() == b"a2\nb1\nc1\nd1\n"
    assert reader.poll() == b""
    assert reader.tail.error is None


def test_the_half_read_file_is_compressed(log: Path, offset_file: Path) -> None:
    text = b"".join(b"Nov 21 10:00:00 line %d\n" % number for number in range(50_000))
    append(log, text)
    tail = FileTail(log, offset_file)
    delivered = b"".join(block for _, block in zip(range(2), tail.blocks(), strict=False))
    tail.save()
    tail.close()
    rename(log, ".1")
    append(log, b"new\n")
    pack(beside(log, ".1"), "gz")
    tail = FileTail(log, offset_file)
    blocks = tail.blocks()
    delivered += next(blocks)
    tail.save()  # in the middle of the compressed file
    del blocks
    tail.close()
    assert delivered + FileTail(log, offset_file).read() == text + b"new\n"


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("-20241231", "-20250101"),
        ("-2024123123", "-2025010100"),
        ("-20241231-1735603200", "-20241231-1735606800"),
        (".2024-12-31", ".2025-01-01"),
        (".20241231-235959", ".20250101-000000"),
        ("-20241231.gz", "-20250101"),
        ("-2024123123.xz", "-2025010100.xz"),
        (".1.gz", ".0"),
        (".10", ".9"),
        (".02.bz2", ".01"),
        ("20241231", "20250101"),
    ],
)
def test_names_that_rotation_gives(log: Path, reader: Reader, older: str, newer: str) -> None:
    append(log, b"a1\n")
    reader.poll()
    append(log, b"a2\n")
    for suffix, line in ((older, b"b1\n"), (newer, b"c1\n")):
        plain, _, form = suffix.rpartition(".")
        rename(log, plain if form in PACKERS else suffix)
        if form in PACKERS:
            pack(beside(log, plain), form)
        append(log, line)
    assert reader.poll() == b"a2\nb1\nc1\n"


def test_names_that_keep_the_extension(log: Path, reader: Reader) -> None:
    append(log, b"a1\n")
    reader.poll()
    append(log, b"a2\n")
    rename(log, "")
    log.rename(log.with_name("mail.2.log"))
    append(log, b"b1\n")
    log.rename(log.with_name("mail.1.log"))
    pack(log.with_name("mail.2.log"), "gz")
    append(log, b"c1\n")
    assert reader.poll() == b"a2\nb1\nc1\n"


def test_a_directory_for_old_logs(log: Path, reader: Reader) -> None:
    old = log.parent / "old" / log.name
    old.parent.mkdir()
    append(log, b"a1\n")
    reader.poll()
    append(log, b"a2\n")
    log.rename(beside(old, "-20241231"))
    append(log, b"b1\n")
    log.rename(beside(old, "-20250101"))
    pack(beside(old, "-20241231"), "gz")
    append(log, b"c1\n")
    assert reader.poll() == b"a2\nb1\nc1\n"


def test_a_link_to_the_log_is_rotated_where_the_log_is(log: Path, offset_file: Path) -> None:
    link = log.parent / "link"
    link.symlink_to(log.name)
    append(log, b"a1\n")
    reader = Reader(link, offset_file, restarts=True)
    reader.poll()
    append(log, b"a2\n")
    rename(log, ".1")
    append(log, b"b1\n")
    assert reader.poll() == b"a2\nb1\n"


def test_a_link_that_is_turned_to_the_log_of_the_day(log: Path, reader: Reader) -> None:
    for day, lines in (("-20241230", b"a1\n"), ("-20241231", b"b1\n"), ("-20250101", b"c1\n")):
        tick()
        append(beside(log, day), lines)
        log.unlink(missing_ok=True)
        log.symlink_to(beside(log, day).name)
        assert reader.poll() == lines


def test_a_file_of_a_former_scheme_is_left_alone(log: Path, reader: Reader) -> None:
    append(beside(log, ".0"), b"OLD0\n")
    append(beside(log, ".1"), b"OLD1\n")
    append(beside(log, "-20990101"), b"OLD2\n")
    tick()
    append(log, b"a1\n")
    assert reader.poll() == b"a1\n"
    append(log, b"a2\n")
    rename(log, "-20250101")
    append(log, b"b1\n")
    assert reader.poll() == b"a2\nb1\n"


def test_other_logs_are_not_taken_for_rotated_ones(log: Path, reader: Reader) -> None:
    append(log, b"a1\n")
    reader.poll()
    log.unlink()
    for name in ("mail.log.offset", "mail.logs", "mail-2.log", "mail.log.1~", "mail.log.1.tmp", "mail.log.d"):
        append(log.with_name(name), b"OTHER\n")
    append(log, b"b1\n")
    assert reader.poll() == b"b1\n"


def test_plain_and_packed_at_once_are_read_once(log: Path, reader: Reader) -> None:
    append(log, b"a1\n")
    reader.poll()
    rename(log, ".2")
    append(log, b"b1\n" * 1000)
    rename(log, ".1")
    packed = gzip.compress(beside(log, ".1").read_bytes())
    beside(log, ".1.gz").write_bytes(packed[: len(packed) // 2])
    append(log, b"c1\n")
    assert reader.poll() == b"b1\n" * 1000 + b"c1\n"


def test_a_damaged_archive_is_passed_over_with_a_warning(
    log: Path, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    append(log, b"a1\n")
    reader.poll()
    rename(log, ".2")
    append(log, b"".join(b"%d\n" % number for number in range(100_000)))
    rename(log, ".1")
    pack(beside(log, ".1"), "gz")
    packed = beside(log, ".1.gz")
    os.truncate(packed, packed.stat().st_size // 2)
    append(log, b"c1\n")
    delivered = reader.poll()
    assert delivered.startswith(b"0\n1\n2\n")
    assert delivered.endswith(b"c1\n")
    assert "damaged after byte" in caplog.text


def test_when_the_rotated_file_is_gone_what_came_later_is_read(log: Path, offset_file: Path) -> None:
    append(log, b"a1\n")
    reader = Reader(log, offset_file, restarts=True)
    reader.poll()
    rename(log, ".2")
    append(log, b"b1\n")
    rename(log, ".1")
    append(log, b"c1\n")
    beside(log, ".2").unlink()
    assert reader.poll() == b"b1\nc1\n"


def test_a_log_rotated_to_an_unknown_name_is_read_anew(log: Path, reader: Reader) -> None:
    append(log, b"a1\na2\n")
    reader.poll()
    rename(log, "-kept-by-hand")
    append(log, b"n0\n")
    assert reader.poll() == b"n0\n"
    append(log, b"n1\n")
    assert reader.poll() == b"n1\n"


def test_the_open_file_is_drained_even_when_it_was_removed(log: Path) -> None:
    append(log, b"a1\n")
    tail = FileTail(log)
    tail.read()
    append(log, b"a2\n")
    log.unlink()
    append(log, b"b1\n")
    assert tail.read() == b"a2\nb1\n"


def test_a_line_broken_by_rotation_is_joined(log: Path, reader: Reader) -> None:
    append(log, b"a1\nha")
    assert reader.poll() == b"a1\n"
    rename(log, ".1")
    append(log, b"l")
    assert reader.poll() == b""
    append(log, b"f\nb1\n")
    assert reader.poll() == b"half\nb1\n"


# --- the same inode, another file


def reuse_inode(log: Path, text: bytes) -> None:
    """Write a new log under the inode of the old one: the file system does so by itself, if it likes."""
    inode = log.stat().st_ino
    log.unlink()
    for _ in range(50):
        append(log, text)
        if log.stat().st_ino == inode:
            return
        log.rename(beside(log, ".discard"))
        beside(log, ".discard").unlink()
    pytest.skip("the file system does not reuse inodes at once")


def test_a_reused_inode_is_another_file(log: Path, offset_file: Path) -> None:
    append(log, b"a0\na1\na2\n")
    reader = Reader(log, offset_file, restarts=True)
    reader.poll()
    reader.tail.close()
    reuse_inode(log, b"n0\nn1\nn2\nn3\nn4\n")
    assert reader.poll() == b"n0\nn1\nn2\nn3\nn4\n"


def test_a_reused_inode_by_the_state_on_disk(log: Path, offset_file: Path) -> None:
    append(log, b"a0\na1\na2\n")
    reader = Reader(log, offset_file, restarts=True)
    reader.poll()
    old = reader.tail.position
    append(log, b"a3\n")
    rename(log, ".1")
    pack(beside(log, ".1"), "gz")
    append(log, b"n0\nn1\nn2\nn3\nn4\n")
    assert old is not None
    state.save(offset_file, state.Position(old.device, log.stat().st_ino, old.fingerprint, old.offset, old.modified))
    assert FileTail(log, offset_file).read() == b"a3\nn0\nn1\nn2\nn3\nn4\n"


@pytest.mark.parametrize("form", ["", *PACKERS])
@pytest.mark.parametrize("holder", ["the log", "a rotated file"])
def test_an_inode_is_reused_of_a_log_that_was_empty_when_it_was_seen(
    log: Path, offset_file: Path, form: str, holder: str
) -> None:
    """Nothing tells such a log from another one: what was written after it was seen is read, oldest first."""
    log.touch()
    append(beside(log, ".4"), b"before\n")
    os.utime(beside(log, ".4"), (1, 1))
    tail = FileTail(log, offset_file)
    assert tail.read() == b""
    old = tail.position
    tail.close()
    assert old is not None
    for number, line in ((3, b"a1\n"), (2, b"b1\n"), (1, b"c1\n")):
        tick()
        append(log, line)
        rename(log, f".{number}")
    if form:
        pack(beside(log, ".3"), form)
        pack(beside(log, ".2"), "bz2")
    append(log, b"d1\n")
    inode = (log if holder == "the log" else beside(log, ".1")).stat().st_ino
    seen = old.modified - 2 * 10**9 * (form == "bz2")  # not in the second in which bzip2 packs
    state.save(offset_file, state.Position(old.device, inode, old.fingerprint, 0, seen))
    tail = FileTail(log, offset_file)
    assert tail.read() == b"a1\nb1\nc1\nd1\n"
    assert (tail.rotations, tail.truncations, tail.skipped_bytes) == (3, 0, 0)


def test_a_log_that_was_empty_when_it_was_seen_goes_on_where_it_is(log: Path, offset_file: Path) -> None:
    append(beside(log, ".1"), b"before\n")
    tick()
    log.touch()
    reader = Reader(log, offset_file, restarts=True)
    assert reader.poll() == b""
    append(log, b"a1\n")
    assert reader.poll() == b"a1\n"
    reader.tail.close()


def test_an_empty_log_that_is_gone_is_not_an_old_file_with_its_inode(log: Path, offset_file: Path) -> None:
    append(beside(log, ".2"), b"before\n")
    tick()
    log.touch()
    reader = Reader(log, offset_file, restarts=True)
    reader.poll()
    old = reader.tail.position
    reader.tail.close()
    assert old is not None
    log.unlink()
    append(log, b"a1\n")
    inode = beside(log, ".2").stat().st_ino
    state.save(offset_file, state.Position(old.device, inode, old.fingerprint, 0, old.modified))
    assert FileTail(log, offset_file).read() == b"a1\n"


def test_an_empty_log_is_found_in_a_directory_for_old_logs(log: Path, reader: Reader) -> None:
    log.touch()
    reader.poll()
    append(log, b"a1\n")
    (log.parent / "old").mkdir()
    log.rename(beside(log.parent / "old" / log.name, ".1"))
    append(log, b"b1\n")
    assert reader.poll() == b"a1\nb1\n"


def test_what_is_written_while_a_log_is_found_empty_was_not_there(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer may come between the read that finds nothing and the look at the time."""
    log.touch()
    seen = log.stat().st_mtime_ns
    read = LogFile.read

    def read_and_be_late(file: LogFile, size: int) -> bytes:
        chunk = read(file, size)
        tick()
        append(log, b"a1\n")
        return chunk

    tail = FileTail(log)
    monkeypatch.setattr(LogFile, "read", read_and_be_late)
    assert next(tail.blocks(), b"") == b""
    assert tail.position
    assert (tail.position.offset, tail.position.modified) == (0, seen)
    monkeypatch.undo()
    assert tail.read() == b"a1\n"


def test_a_log_under_a_new_inode_and_device_goes_on(log: Path, offset_file: Path) -> None:
    append(log, b"a1\n")
    reader = Reader(log, offset_file, restarts=True)
    reader.poll()
    old = reader.tail.position
    assert old is not None
    append(log, b"a2\n")
    state.save(offset_file, state.Position(12345, 67890, old.fingerprint, old.offset, old.modified))
    assert FileTail(log, offset_file).read() == b"a2\n"


# --- rotation by copying and truncating


def test_copytruncate_then_smaller(log: Path, reader: Reader) -> None:
    append(log, b"a1\na2\na3\n")
    reader.poll()
    append(log, b"b1\n")
    copytruncate(log, ".1")
    append(log, b"c0\n")
    assert reader.poll() == b"b1\nc0\n"
    assert reader.tail.truncations == 1
    append(log, b"c1\n")
    assert reader.poll() == b"c1\n"


def test_copytruncate_then_grown_beyond_the_old_offset(log: Path, reader: Reader) -> None:
    append(log, b"a1\n")
    reader.poll()
    append(log, b"b1\n")
    copytruncate(log, ".1")
    lines = b"".join(b"c%d\n" % number for number in range(10))
    append(log, lines)
    assert reader.poll() == b"b1\n" + lines


def test_copytruncate_then_grown_to_the_very_size(log: Path, reader: Reader) -> None:
    append(log, b"a1\n")
    for _ in range(4):
        reader.poll()
    copytruncate(log, ".1")
    append(log, b"b1\n")
    assert reader.poll() == b"b1\n"


def test_copytruncate_while_the_log_stays_empty_for_a_while(log: Path, reader: Reader) -> None:
    append(log, b"a1\n")
    reader.poll()
    append(log, b"a2\n")
    copytruncate(log, ".1")
    assert reader.poll() == b"a2\n"
    assert reader.poll() == b""
    append(log, b"b1\n")
    assert reader.poll() == b"b1\n"


@pytest.mark.parametrize("form", PACKERS)
def test_copytruncate_twice_with_compression(log: Path, reader: Reader, form: str) -> None:
    append(log, b"a1\n")
    reader.poll()
    append(log, b"a2\n")
    copytruncate(log, ".2")
    pack(beside(log, ".2"), form)
    append(log, b"b1\n")
    copytruncate(log, ".1")
    append(log, b"c1\n")
    assert reader.poll() == b"a2\nb1\nc1\n"


def test_copytruncate_with_a_log_that_was_empty_between_two_polls(log: Path, reader: Reader) -> None:
    append(log, b"a1\n")
    reader.poll()
    copytruncate(log, ".2")
    assert reader.poll() == b""
    append(log, b"b1\n")
    copytruncate(log, ".1")
    assert reader.poll() == b"b1\n"
    append(log, b"c1\n")
    assert reader.poll() == b"c1\n"


def test_truncation_to_the_same_size_within_one_tick_of_the_clock(log: Path) -> None:
    append(log, b"a1\n")
    tail = FileTail(log)
    tail.read()
    append(log, b"a2\n")
    tail.read()
    written = log.stat()
    os.truncate(log, 0)
    append(log, b"b1\nb2\n")
    os.utime(log, ns=(written.st_atime_ns, written.st_mtime_ns))
    assert tail.read() == b"b1\nb2\n"


def test_a_copy_of_what_is_not_truncated_yet_is_read_once(log: Path, reader: Reader) -> None:
    append(log, b"a1\n")
    reader.poll()
    copytruncate(log, ".2")
    assert reader.poll() == b""
    append(log, b"b1\nb2\n")
    tick()
    beside(log, ".1").write_bytes(b"b1\nb")  # the copy is being made
    assert reader.poll() == b"b1\nb2\n"
    beside(log, ".1").write_bytes(b"b1\nb2\n")
    os.truncate(log, 0)
    append(log, b"c1\n")
    assert reader.poll() == b"c1\n"


def test_a_copy_that_has_nothing_yet_is_waited_for(
    log: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time stays when it gets its content within one tick of the clock, and when it is packed."""
    append(log, b"a1\n")
    reader.poll()
    copytruncate(log, "-20250101")
    append(log, b"b1\n")
    copy = beside(log, "-20250102")
    copy.touch()
    started = copy.stat().st_mtime_ns
    start = LogFile.__init__

    def be_copied(file: LogFile, path: Path, *, is_live: bool) -> None:
        start(file, path, is_live=is_live)
        if path == log and copy in opened:
            append(copy, b"b1\n")
        opened.append(path)

    opened: list[Path] = []
    monkeypatch.setattr(LogFile, "__init__", be_copied)
    delivered = reader.poll()
    copy.write_bytes(b"b1\n")
    os.utime(copy, ns=(started, started))
    os.truncate(log, 0)
    pack(copy, "gz")
    append(log, b"c1\n")
    assert delivered + reader.poll() + reader.poll() == b"b1\nc1\n"


def test_a_log_that_is_truncated_as_it_is_opened_is_waited_for(
    log: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a moment, it has no bytes and still the time of those that it had: its copy is later than that."""
    append(log, b"a1\n")
    reader.poll()
    copytruncate(log, ".2")
    append(log, b"b1\n")
    written = log.stat().st_mtime_ns
    tick()
    shutil.copyfile(log, beside(log, ".1"))
    start = LogFile.__init__

    def be_truncated(file: LogFile, path: Path, *, is_live: bool) -> None:
        if is_live and (beside(log, ".1") in opened):
            os.truncate(log, 0)
            os.utime(log, ns=(written, written))
        opened.append(path)
        start(file, path, is_live=is_live)

    opened: list[Path] = []
    monkeypatch.setattr(LogFile, "__init__", be_truncated)
    assert reader.poll() == b"b1\n"
    assert opened[-1] == log
    monkeypatch.undo()
    assert reader.poll() == b""
    append(log, b"c1\n")
    assert reader.poll() == b"c1\n"


def test_a_line_broken_by_copytruncate_is_joined(log: Path, reader: Reader) -> None:
    append(log, b"ha")
    assert reader.poll() == b""
    copytruncate(log, ".1")
    append(log, b"lf\nb1\n")
    assert reader.poll() == b"half\nb1\n"


def test_truncation_without_a_copy_beside_an_old_file(
    log: Path, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    append(beside(log, ".1"), b"OLD1\nOLD2\nOLD3\nOLD4\nOLD5\n")
    append(log, b"a1\na2\nhalf")
    assert reader.poll() == b"a1\na2\n"
    os.truncate(log, 0)
    append(log, b"c0\n")
    assert reader.poll() == b"c0\n"
    assert reader.tail.truncations == 1
    assert "is gone" in caplog.text
    if not reader.restarts:
        assert reader.tail.skipped_bytes == len(b"half")


def test_truncation_in_the_middle_of_reading(log: Path) -> None:
    text = b"".join(b"a%d\n" % number for number in range(10_000))
    append(log, text)
    tail = FileTail(log, block_bytes=4096)
    blocks = tail.blocks()
    delivered = next(blocks)
    copytruncate(log, ".1")
    append(log, b"".join(b"b%d\n" % number for number in range(20_000)))
    delivered += b"".join(blocks)
    assert delivered == text + log.read_bytes()


def test_truncation_and_renaming_in_the_middle_of_reading(log: Path) -> None:
    text = b"".join(b"a%d\n" % number for number in range(10_000))
    append(log, text)
    tail = FileTail(log, block_bytes=4096)
    blocks = tail.blocks()
    delivered = next(blocks)
    copytruncate(log, ".2")
    append(log, b"b1\n")
    rename(log, ".1")
    append(log, b"c1\n")
    delivered += b"".join(blocks)
    assert delivered == text + b"b1\nc1\n"


# --- offset files


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"garbage", b"12\n", b"1\n2\n3\n", b"-1\n5\n", b"1\n-5\n", b"\xff\n\xff\n", bytes(50)],
)
def test_a_bad_offset_file_starts_over(
    log: Path, offset_file: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    append(log, b"a1\na2\n")
    offset_file.write_bytes(content)
    tail = FileTail(log, offset_file)
    assert "not a position" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING
    assert tail.read() == b"a1\na2\n"
    tail.save()
    append(log, b"a3\n")
    assert FileTail(log, offset_file).read() == b"a3\n"


def test_an_offset_beyond_the_log_reads_the_log(log: Path, offset_file: Path) -> None:
    append(log, b"a1\n")
    offset_file.write_text(f"{log.stat().st_ino}\n{10**30}\n")
    assert FileTail(log, offset_file).read() == b"a1\n"


def test_pygtail_goes_on_where_we_stopped(log: Path, offset_file: Path) -> None:
    append(log, b"a1\na2\n")
    reader = Reader(log, offset_file, restarts=False)
    reader.poll()
    append(log, b"a3\n")
    assert Pygtail(str(log), offset_file=str(offset_file)).readlines() == ["a3\n"]
    append(log, b"a4\n")
    assert FileTail(log, offset_file).read() == b"a4\n"


def test_we_go_on_where_pygtail_stopped(log: Path, offset_file: Path) -> None:
    append(log, b"a1\na2\n")
    Pygtail(str(log)).readlines()
    append(log, b"a3\n")
    tail = FileTail(log, offset_file)
    assert tail.read() == b"a3\n"
    tail.save()
    append(log, b"a4\n")
    assert FileTail(log, offset_file).read() == b"a4\n"


@pytest.mark.parametrize("form", ["", *PACKERS])
def test_we_go_on_where_pygtail_stopped_after_a_rotation(log: Path, offset_file: Path, form: str) -> None:
    append(log, b"a1\na2\n")
    Pygtail(str(log)).readlines()
    os.utime(beside(log, ".offset"), (1, log.stat().st_mtime - 2))  # not in the second in which bzip2 packs
    append(log, b"a3\n")
    rename(log, ".1")
    append(log, b"b1\n")
    if form:
        pack(beside(log, ".1"), form)
    # pygtail's search knows gzip only; of the others it cannot tell where it was
    expected = b"a3\nb1\n" if form in ("", "gz") else b"a1\na2\na3\nb1\n"
    assert FileTail(log, offset_file).read() == expected


def test_without_an_offset_file_nothing_is_restored_or_saved(log: Path) -> None:
    append(log, b"a1\n")
    append(beside(log, ".offset"), b"%d\n3\n" % log.stat().st_ino)
    tail = FileTail(log)
    assert tail.read() == b"a1\n"
    tail.save()
    assert sorted(path.name for path in log.parent.iterdir()) == ["mail.log", "mail.log.offset"]


def test_a_position_is_replaced_at_once(log: Path, offset_file: Path) -> None:
    append(log, b"a1\n")
    tail = FileTail(log, offset_file)
    tail.read()
    tail.save()
    first = offset_file.open("rb")  # whoever reads it now
    append(log, b"a2\n")
    tail.read()
    tail.save()
    with first:
        assert first.read() == b"%d\n3\n" % log.stat().st_ino
    assert offset_file.read_bytes() == b"%d\n6\n" % log.stat().st_ino
    assert not list(offset_file.parent.glob("*.tmp"))


def test_a_save_in_the_middle_repeats_nothing(log: Path, offset_file: Path) -> None:
    text = b"".join(b"a%d\n" % number for number in range(3000))
    append(log, text)
    delivered = b""
    while True:
        tail = FileTail(log, offset_file, block_bytes=1000)
        block = next(tail.blocks(), b"")
        tail.save()
        tail.close()
        if not block:
            break
        delivered += block
    assert delivered == text


def test_pygtails_iteration_gives_blocks(log: Path) -> None:
    append(log, b"a1\n")
    assert list(FileTail(log)) == [b"a1\n"]
    assert FileTail(log).readlines() == [b"a1\n"]


# --- everything at once


class Writer:
    """Writes a log at random and keeps what was written."""

    def __init__(self, log: Path, seed: int) -> None:
        self.log, self.random, self.text, self.number = log, random.Random(seed), b"", 0

    def write(self) -> None:
        for _ in range(self.random.randint(1, 5)):
            self.number += 1
            self.put(b"%06d %s\n" % (self.number, b"x" * self.random.choice((0, 10, 100, 2000))))
        if self.random.random() < 0.4:
            self.put(b"%06d a part, " % self.number)

    def put(self, text: bytes) -> None:
        append(self.log, text)
        self.text += text

    def rotate(self, *, by_copy: bool, dated: bool) -> None:
        tick()
        if dated:
            self.number += 1
            target = beside(self.log, f"-2025{self.number:08}")
        else:
            self.shift()
            target = beside(self.log, ".1")
        if by_copy:
            shutil.copyfile(self.log, target)
            os.truncate(self.log, 0)
        else:
            self.log.rename(target)
            self.log.touch()
        if self.random.random() < 0.5:
            self.pack_one()
        tick()

    def truncate(self) -> None:
        tick()
        os.truncate(self.log, 0)
        tick()

    def shift(self) -> None:
        for number in range(30, 0, -1):
            for form in ("", *(f".{form}" for form in PACKERS)):
                path = beside(self.log, f".{number}{form}")
                if path.exists():
                    path.rename(beside(self.log, f".{number + 1}{form}"))

    def pack_one(self) -> None:
        plain = [it for it in self.log.parent.iterdir() if it != self.log and it.suffix[1:] not in PACKERS]
        if plain:
            pack(self.random.choice(sorted(plain)), self.random.choice(list(PACKERS)))


@pytest.mark.parametrize("dated", [False, True], ids=["numbered", "dated"])
@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_written_is_delivered_once(log: Path, offset_file: Path, seed: int, dated: bool) -> None:
    writer = Writer(log, seed)
    reader = Reader(log, offset_file, restarts=False)
    writer.write()
    delivered = reader.poll()
    for _ in range(60):
        action = writer.random.random()
        if action < 0.45:
            writer.write()
        elif action < 0.75:
            delivered += reader.poll()
        elif action < 0.85:
            reader.restart()
        elif action < 0.88 and writer.text.endswith(b"\n"):
            delivered += reader.poll()
            writer.truncate()
            writer.write()
            delivered += reader.poll()
        else:
            writer.rotate(by_copy=writer.random.random() < 0.5, dated=dated)
    writer.put(b"the end\n")
    delivered += reader.poll()
    reader.tail.close()
    assert delivered == writer.text


@pytest.mark.parametrize("dated", [False, True], ids=["numbered", "dated"])
@pytest.mark.parametrize("by_copy", [False, True], ids=["renamed", "copied"])
def test_a_log_that_is_rotated_while_it_is_read(log: Path, reader: Reader, by_copy: bool, dated: bool) -> None:
    writer = Writer(log, 7)
    writer.write()
    delivered = reader.poll()

    def write() -> None:
        for _ in range(25):
            for _ in range(5):
                writer.write()
            writer.rotate(by_copy=by_copy, dated=dated)

    thread = threading.Thread(target=write)
    thread.start()
    while thread.is_alive():
        delivered += reader.poll()
    writer.put(b"the end\n")
    assert delivered + reader.poll() == writer.text


DATES = "dateext\ndateformat -%Y%m%d-%s"


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="logrotate is not installed")
@pytest.mark.parametrize(
    "options",
    [
        "",
        "compress",
        "compress\ndelaycompress",
        "copytruncate",
        "copytruncate\ncompress",
        "compress\nextension .log",
        DATES + "\ncompress",
        DATES + "\ncopytruncate",
    ],
)
def test_logrotate_itself(log: Path, tmp_path: Path, reader: Reader, options: str) -> None:
    config = tmp_path / "logrotate.conf"
    config.write_text(f"{log} {{\nrotate 9\ncreate\n{options}\n}}\n")
    config.chmod(0o644)
    delivered, written = b"", b""
    for number in range(5):
        text = b"first %d\n" % number
        append(log, text)
        written += text
        if number % 3 == 0:
            delivered += reader.poll()
        time.sleep(1.1 if DATES in options else 0)  # else logrotate gives a name that there is
        tick()
        command = ["logrotate", "--force", "--state", str(tmp_path / "state"), str(config)]
        subprocess.run(command, check=True)
    append(log, b"last\n")
    assert delivered + reader.poll() == written + b"last\n"
