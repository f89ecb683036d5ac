"""A report's file is there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailstat.output import opened


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "report"
    with opened(path) as out:
        out.write("é")
        assert not path.exists()
    assert path.read_bytes() == "é".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), opened(path) as out:
        out.write(f"new {1 / 0}")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.touch(0o600)
    with opened(path) as out:
        out.write("new")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_keeps_pointing_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "report")
    with opened(tmp_path / "link") as out:
        out.write("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "report").read_text() == "new"


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with opened(fifo) as out:
        out.write("new")
    assert os.read(reader, 10) == b"new"
    assert fifo.is_fifo()
    os.close(reader)


def test_a_full_disk_is_told_with_the_name_of_the_file() -> None:
    with pytest.raises(OSError, match="/dev/full"), opened(Path("/dev/full")) as out:
        out.write("new")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error, opened(tmp_path / "none" / "report"):
        pass
    assert error.value.filename == str(tmp_path / "none" / "report")


def test_bytes_that_were_no_text_do_not_stop_the_writing(tmp_path: Path) -> None:
    with opened(tmp_path / "report") as out:
        out.write("a\udcffb")
    assert (tmp_path / "report").read_text() == "a?b"
