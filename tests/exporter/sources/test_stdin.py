"""Standard input: a real pipe, a file, a terminal's end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.sources.stdin import Stdin
from tests.service import COMMAND, ROOT, Exporter, environment


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def test_lines_come_when_they_are_whole(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    stdin = Stdin(reader)
    assert list(stdin.blocks()) == []
    os.write(writer, b"one\ntw")
    assert list(stdin.blocks()) == [b"one\n"]
    os.write(writer, b"o\n")
    assert list(stdin.blocks()) == [b"two\n"]
    assert (stdin.is_up, stdin.error, list(stdin.descriptors())) == (True, None, [reader])
    assert os.get_blocking(reader)


def test_the_end_is_told_and_is_the_end_of_a_line(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    stdin = Stdin(reader)
    os.write(writer, b"one\nhalf")
    os.close(writer)
    assert b"".join(stdin.blocks()) == b"one\nhalf\n"
    assert (stdin.is_up, stdin.error, list(stdin.descriptors())) == (False, "standard input has ended", [])
    assert list(stdin.blocks()) == []
    assert stdin.read_bytes == 9


def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    text = b"".join(b"line %d\n" % number for number in range(50_000))
    path.write_bytes(text)
    with path.open("rb") as file:
        assert b"".join(Stdin(file.fileno()).blocks()) == text


def test_nothing_is_read_before_it_is_asked_for(pipe: tuple[int, int]) -> None:
    """Who writes into the pipe waits."""
    reader, writer = pipe
    os.set_blocking(writer, False)
    written = os.write(writer, b"x\n" * (1 << 20))
    with pytest.raises(BlockingIOError):
        os.write(writer, b"x")
    blocks = Stdin(reader).blocks()
    assert len(next(blocks)) == 1 << 16
    assert len(next(blocks, b"")) == min(written - (1 << 16), 1 << 16)


def test_the_exporter_reads_it_where_it_is_told_to(tmp_path: Path) -> None:
    """`… | mailstat_exporter -`: what comes is counted, and what it told can be scraped after the end, too."""
    exporter = Exporter.__new__(Exporter)
    exporter.log_file = tmp_path / "stderr.txt"
    with exporter.log_file.open("wb") as log:
        arguments = ("--web.listen-address", "127.0.0.1:0", "--state.dir", tmp_path, "-")
        exporter.process = process = subprocess.Popen(
            [*COMMAND, *arguments], stdin=subprocess.PIPE, stderr=log, cwd=ROOT, env=environment()
        )
    try:
        exporter.wait()
        assert process.stdin
        line = b"Nov 21 10:00:00 mail postfix/smtpd[7]: connect from a.example.net[203.0.113.7]\n"
        process.stdin.write(line)
        process.stdin.flush()
        exporter.until(lambda it: it.lines() == 1)
        process.stdin.write(line * 2)
        process.stdin.close()
        found = exporter.until(lambda it: it.lines() == 3 and not it.total("mailstat_log_source_up"))
        assert {it.labels["source"] for it in found.of("mailstat_log_lines_total")} == {"stdin"}
        exporter.stop()
    finally:
        process.kill()
        process.wait()
