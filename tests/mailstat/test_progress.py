"""The bar that shows how far a reading is."""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailstat.progress import Bar, total_size


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal, the reader's not waiting."""
    reader, writer = pty.openpty()
    os.set_blocking(reader, False)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def shown(reader: int) -> bytes:
    try:
        return os.read(reader, 1 << 16)
    except BlockingIOError:
        return b""


def test_short_work_shows_nothing(terminal: tuple[int, int]) -> None:
    reader, writer = terminal
    with os.fdopen(os.dup(writer), "w") as stream:
        bar = Bar(100, stream, clock=iter([0.0, 0.5, 0.9]).__next__)
        bar.advance(50)
        bar.advance(50)
        bar.stop()
    assert shown(reader) == b""


def test_long_work_shows_how_much_is_done(terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    reader, writer = terminal
    with os.fdopen(os.dup(writer), "w") as stream:
        bar = Bar(200, stream, clock=iter([0.0, 0.5, 1.5]).__next__)
        bar.advance(50)
        bar.advance(50)
        bar.stop()
    assert b"50%" in shown(reader)


def test_a_bar_that_was_stopped_does_not_come_back(terminal: tuple[int, int]) -> None:
    reader, writer = terminal
    with os.fdopen(os.dup(writer), "w") as stream:
        bar = Bar(200, stream, clock=iter([0.0, 99.0]).__next__)
        bar.stop()
        bar.advance(50)
    assert shown(reader) == b""


def test_the_total_is_that_of_the_files_where_all_have_a_size(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_bytes(b"x" * 10)
    assert total_size([log, log, tmp_path / "missing"]) == 20
    assert total_size([log, Path("-")]) is None
