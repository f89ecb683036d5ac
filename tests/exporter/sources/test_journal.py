"""Following a journal that a real systemd-journal-remote writes, with the real journalctl."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from exporter.config import Config, JournalSource, LogSource
from exporter.pipeline import Pipeline
from exporter.sources.feed import FeedError
from exporter.sources.journal import Entry, Journal, line_of
from tests.journal import START, JournalWriter, needs_journal
from tests.service import PATIENCE


@pytest.fixture
def writer(tmp_path: Path) -> JournalWriter:
    (tmp_path / "journal").mkdir()
    return JournalWriter(tmp_path / "journal")


@pytest.fixture
def journal(writer: JournalWriter) -> Iterator[Journal]:
    made = Journal(directory=writer.folder)
    yield made
    made.close()


def read(journal: Journal, lines: int) -> list[str]:
    """So many lines, and no more of them."""
    found: list[str] = []
    end = time.monotonic() + PATIENCE
    while len(found) < lines:
        assert time.monotonic() < end, found
        found += b"".join(journal.blocks()).decode("utf-8", "surrogateescape").splitlines()
        time.sleep(0.02)
    time.sleep(0.1)
    return found + b"".join(journal.blocks()).decode().splitlines()


def told(journal: Journal, lines: int) -> list[str]:
    """The messages of so many lines."""
    return [line.partition(": ")[2] for line in read(journal, lines)]


def go_on(journal: Journal, writer: JournalWriter, unit: str | None = None) -> Journal:
    """Another one in the place of this one, as after a restart."""
    place = msgspec.msgpack.decode(msgspec.msgpack.encode(journal.place()))
    journal.close()
    return Journal(unit, writer.folder, place)


@needs_journal
def test_entries_become_lines_of_a_log(writer: JournalWriter, journal: Journal) -> None:
    writer.write("system.journal", "connect from client.example.net[203.0.113.7]")
    assert read(journal, 1) == [
        "2026-11-21T18:05:05.000000+00:00 mail postfix/smtpd[4711]: connect from client.example.net[203.0.113.7]"
    ]
    assert journal.is_up
    assert journal.read_bytes == 104


@needs_journal
def test_what_comes_later_is_followed(writer: JournalWriter, journal: Journal) -> None:
    writer.write("system.journal", "one")
    assert told(journal, 1) == ["one"]
    writer.write("system.journal", "two", "three")
    assert told(journal, 2) == ["two", "three"]


@needs_journal
def test_a_restart_goes_on_behind_the_last_line(writer: JournalWriter, journal: Journal) -> None:
    writer.write("system.journal", "one", "two")
    assert told(journal, 2) == ["one", "two"]
    journal = go_on(journal, writer)
    writer.write("system.journal", "three")
    assert told(journal, 1) == ["three"]
    journal.close()


@needs_journal
def test_rotation_is_followed_running_and_restarted(writer: JournalWriter, journal: Journal) -> None:
    writer.write("system.journal", "one")
    assert told(journal, 1) == ["one"]
    (writer.folder / "system.journal").rename(writer.folder / "system@0001.journal")
    writer.write("system.journal", "two")
    assert told(journal, 1) == ["two"]
    journal = go_on(journal, writer)
    (writer.folder / "system.journal").rename(writer.folder / "system@0002.journal")
    writer.write("system.journal", "three")
    assert told(journal, 1) == ["three"]
    journal.close()


@needs_journal
def test_what_was_vacuumed_is_left_out_and_nothing_else(
    writer: JournalWriter, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    writer.write("system.journal", "one", "two")
    assert told(journal, 2) == ["one", "two"]
    place = journal.place()
    journal.close()
    (writer.folder / "system.journal").rename(writer.folder / "system@0001.journal")
    writer.write("system.journal", "three", "four")
    (writer.folder / "system@0001.journal").unlink()
    again = Journal(directory=writer.folder, place=place)
    assert told(again, 2) == ["three", "four"]
    assert [it.levelno for it in caplog.records] == [logging.WARNING]
    again.close()


@needs_journal
def test_a_journal_that_was_emptied_is_waited_for(writer: JournalWriter, journal: Journal) -> None:
    writer.write("system.journal", "one")
    assert told(journal, 1) == ["one"]
    place = journal.place()
    journal.close()
    (writer.folder / "system.journal").unlink()
    writer.write("system.journal", "cron", SYSLOG_FACILITY="9", _SYSTEMD_UNIT="cron.service")
    again = Journal(directory=writer.folder, place=place)
    assert b"".join(again.blocks()) == b""
    writer.write("system.journal", "two")
    assert told(again, 1) == ["two"]
    again.close()


@needs_journal
def test_a_reboot_loses_nothing(writer: JournalWriter, journal: Journal) -> None:
    writer.write("system.journal", "one")
    assert told(journal, 1) == ["one"]
    journal = go_on(journal, writer)
    writer.write("system.journal", "two")
    writer.write("system.journal", "three", _BOOT_ID="f" * 32)
    assert told(journal, 2) == ["two", "three"]
    journal.close()


@needs_journal
def test_a_journal_without_an_entry_is_waited_for(tmp_path: Path, writer: JournalWriter, journal: Journal) -> None:
    assert list(journal.blocks()) == []
    writer.write("system.journal", "one")
    assert told(journal, 1) == ["one"]
    assert journal.is_up


@needs_journal
def test_all_mail_or_one_unit(writer: JournalWriter, journal: Journal) -> None:
    other = {"SYSLOG_FACILITY": "3"}
    writer.write("system.journal", "by facility", _SYSTEMD_UNIT="cron.service")
    writer.write("system.journal", "by unit", _SYSTEMD_UNIT="qmail.service", **other)
    writer.write("system.journal", "neither", _SYSTEMD_UNIT="ssh.service", **other)
    writer.write("system.journal", "of Postfix")
    assert told(journal, 3) == ["by facility", "by unit", "of Postfix"]
    for unit in ("postfix@-.service", "postfix@*"):
        one = Journal(unit, writer.folder)
        assert told(one, 1) == ["of Postfix"]
        one.close()


@needs_journal
def test_hostile_messages_and_names(writer: JournalWriter, journal: Journal) -> None:
    writer.write("system.journal", "two\nlines", SYSLOG_IDENTIFIER="evil host postfix/qmgr[1]: x")
    writer.write("system.journal", "\udcff\udcfe bytes", _HOSTNAME="")
    writer.write("system.journal", "x" * 100_000)
    lines = read(journal, 3)
    assert lines[0].endswith(" mail evil_host_postfix/qmgr_1___x[4711]: two lines")
    assert lines[1].endswith(" localhost postfix/smtpd[4711]: \udcff\udcfe bytes")
    assert len(lines[2]) > 100_000


@needs_journal
def test_it_says_why_it_cannot_start(writer: JournalWriter, tmp_path: Path) -> None:
    absent = Journal(directory=tmp_path / "absent")
    with pytest.raises(FeedError, match=r"journalctl ended: .*No such file"):
        read(absent, 1)
    assert not absent.is_up


@needs_journal
def test_a_journalctl_that_was_killed_is_begun_anew_and_counted(
    writer: JournalWriter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = [START / 1e6]
    source = LogSource(journal=JournalSource(directory=writer.folder))
    (tmp_path / "state").mkdir()
    made = Pipeline(Config(sources=(source,)), tmp_path / "state", lambda: clock[0])
    writer.write("system.journal", "connect from a.example.net[203.0.113.7]")
    until(made, 1)
    (journal,) = [it._feed for it in made._sources if hasattr(it, "_feed")]
    assert isinstance(journal, Journal)
    assert journal._process
    journal._process.kill()
    writer.write("system.journal", "connect from b.example.net[203.0.113.8]")
    end = time.monotonic() + PATIENCE
    while not (restarts := made._sources[0].restarts) and time.monotonic() < end:
        made.step()
    assert restarts == 1
    assert "journalctl ended" in str(made.sources()[0].error)
    assert "a source ended: it is restarted" in caplog.text
    clock[0] += 60
    until(made, 2)
    assert made.sources()[0].error is None
    made.close()
    again = Pipeline(Config(sources=(source,)), tmp_path / "state", lambda: clock[0])
    writer.write("system.journal", "connect from c.example.net[203.0.113.9]")
    until(again, 3)
    again.close()


def until(made: Pipeline, lines: int) -> None:
    end = time.monotonic() + PATIENCE
    while made.sources()[0].lines < lines:
        assert time.monotonic() < end, made.sources()
        made.step()
    for _ in range(3):
        made.step()
    assert made.sources()[0].lines == lines


def test_without_journalctl_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "defpath", str(tmp_path))
    with pytest.raises(FeedError, match="journalctl: No such file or directory"):
        list(Journal().blocks())


@pytest.mark.parametrize("place", [None, 5, "", "no cursor", "s=1;\n--flag", ["s=1"], "x" * 9999])
def test_a_place_that_is_no_cursor_is_the_start(place: object) -> None:
    assert Journal(place=place).place() is None


@pytest.mark.parametrize("time", ["", "x", "-1" * 30, "9" * 30])
def test_an_impossible_time_is_no_line(time: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        line_of(Entry("s=1", time, "text"))


def test_fields_may_be_lists_or_nothing() -> None:
    entry = Entry("s=1", str(START), [104, 105], None, ["a", "sendmail"], None, None, ["x", "12"])
    assert line_of(entry) == b"2026-11-21T18:05:04.000000+00:00 localhost sendmail[12]: hi\n"
