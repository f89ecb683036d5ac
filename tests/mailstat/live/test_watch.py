"""Logs that are followed into the last minutes."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

import pytest

from exporter.config import JournalSource, LogSource
from exporter.group import LOOK_SECONDS
from mailstat.filter import parse
from mailstat.live import watch
from mailstat.live.pulse import WINDOWS
from mailstat.live.watch import Watch, near_the_end
from tests.journal import START, JournalWriter, needs_journal
from tests.service import PATIENCE

NOW = 1_767_571_200.0
LINE = (
    "{stamp} mail postfix/smtp[7]: A{number}: to=<a{number}@example.org>, relay=mx.example.org[192.0.2.1]:25,"
    " delay=1, delays=0/0/1/0, dsn={dsn}, status={status} ({reply})\n"
)
SENT = {"dsn": "2.0.0", "status": "sent", "reply": "250 ok"}
FULL = {"dsn": "4.2.2", "status": "deferred", "reply": "host mx.example.org[192.0.2.1] said: 452 4.2.2 Mailbox full"}


def line(number: int, of: dict[str, str]) -> str:
    stamp = datetime.fromtimestamp(NOW, UTC).isoformat()
    return LINE.format(stamp=stamp, number=number, **of)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "mail.log"
    path.write_text(line(1, SENT) + line(2, FULL))
    return path


def followed(feed: Watch) -> Watch:
    while asyncio.run(feed.poll()):
        pass
    return feed


def test_what_stands_in_the_log_and_what_comes_is_counted(log: Path) -> None:
    feed = followed(Watch([log], zone=UTC, now=lambda: NOW))
    assert feed.pulse.rates(NOW, 60)["sent"] == 1.0
    with log.open("a") as out:
        out.write(line(3, SENT))
    assert followed(feed).pulse.rates(NOW, 60)["sent"] == 2.0
    feed.close()


def test_a_log_that_is_rotated_is_followed(log: Path) -> None:
    feed = followed(Watch([log], zone=UTC, now=lambda: NOW))
    log.rename(log.with_name("mail.log.1"))
    log.write_text(line(4, SENT))
    assert followed(feed).pulse.rates(NOW, 60)["sent"] == 2.0
    feed.close()


def test_an_event_has_its_line(log: Path) -> None:
    feed = followed(Watch([log], zone=UTC, now=lambda: NOW))
    assert feed.pulse.lines("reasons", "mailbox_full") == (line(2, FULL).rstrip("\n"),)


def test_events_can_be_chosen(log: Path) -> None:
    matches = parse("status = deferred", now=NOW, zone=UTC).matches
    rates = followed(Watch([log], zone=UTC, now=lambda: NOW, matches=matches)).pulse.rates(NOW, 60)
    assert (rates["sent"], rates["deferred"]) == (0.0, 1.0)


def test_a_long_log_is_read_from_near_its_end(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOKED_BACK", 1000)
    log.write_text("".join(line(number, SENT) for number in range(100)))
    position = near_the_end(log)
    assert position
    assert log.read_bytes()[position.offset - 1 :].startswith(b"\n2026")
    sent = followed(Watch([log], zone=UTC, now=lambda: NOW)).pulse.rates(NOW, 60)["sent"]
    assert 1 <= sent < 10


def test_a_log_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    feed = followed(Watch([tmp_path / "mail.log"], zone=UTC, now=lambda: NOW))
    assert feed.error == f"{tmp_path}/mail.log: No such file or directory"
    (tmp_path / "mail.log").write_text(line(1, SENT))
    assert followed(feed).pulse.rates(NOW, 60)["sent"] == 1.0
    assert feed.error == ""


def test_without_a_queue_to_look_into_the_messages_in_flight_are_told(log: Path) -> None:
    with log.open("a") as out:
        out.write(
            "2026-01-05T00:00:00+00:00 mail postfix/qmgr[8]: A9: from=<s@example.com>, size=5, nrcpt=1 (queue active)"
            "\n"
        )
    assert followed(Watch([log], zone=UTC, now=lambda: NOW)).pulse.queue[0][0] == "postfix: in flight"


# --- sources of the exporter's configuration ---


def test_the_files_of_a_pattern_and_of_a_directory_are_followed_as_they_come(tmp_path: Path) -> None:
    clock = [NOW]
    (tmp_path / "a.log").write_text(line(1, SENT))
    folder = tmp_path / "logs"
    folder.mkdir()
    sources = [LogSource(file=tmp_path / "*.log"), LogSource(directory=folder)]
    feed = followed(Watch([], zone=UTC, now=lambda: clock[0], sources=sources))
    (tmp_path / "b.log").write_text(line(2, SENT))
    (folder / "c").write_text(line(3, FULL))
    clock[0] += LOOK_SECONDS
    rates = followed(feed).pulse.rates(NOW, 60)
    assert (rates["sent"], rates["deferred"]) == (2.0, 1.0)
    assert feed.pulse.lines("reasons", "mailbox_full") == (line(3, FULL).rstrip("\n"),)
    assert feed.source == f"{tmp_path}/*.log, {folder}"
    feed.close()


def test_each_file_of_a_pattern_is_read_from_near_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOKED_BACK", 1000)
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_text("".join(line(number, SENT) for number in range(100)))
    feed = followed(Watch([], zone=UTC, now=lambda: NOW, sources=[LogSource(file=tmp_path / "*.log")]))
    assert 2 <= feed.pulse.rates(NOW, 60)["sent"] < 20
    feed.close()


def test_a_containers_log_is_unwrapped(tmp_path: Path) -> None:
    stamp = datetime.fromtimestamp(NOW, UTC).isoformat()
    (tmp_path / "0.log").write_text(f"{stamp} stdout F {line(1, SENT)}")
    feed = followed(Watch([], zone=UTC, now=lambda: NOW, sources=[LogSource(container=tmp_path / "*.log")]))
    assert feed.pulse.rates(NOW, 60)["sent"] == 1.0
    feed.close()


@needs_journal
def test_the_journal_is_followed_from_the_longest_window_on(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    writer = JournalWriter(tmp_path / "journal")
    message = line(1, FULL).partition(": ")[2].rstrip("\n")
    name = {"SYSLOG_IDENTIFIER": "postfix/smtp"}
    writer.write("system.journal", message, message, **name)
    now = START / 1e6 + 1.5 + WINDOWS[-1]  # the first is too old by half a second, the second is not
    source = LogSource(journal=JournalSource(directory=writer.folder))
    feed = Watch([], zone=UTC, now=lambda: now, sources=[source])
    assert told(feed, 1) == 1
    writer.write("system.journal", message, **name)
    assert told(feed, 2) == 2
    assert feed.pulse.lines("reasons", "mailbox_full")[0].endswith(message)
    feed.close()


def told(feed: Watch, wanted: int) -> int:
    """How many deferrals there are, once there are so many: journalctl takes its time."""
    end = monotonic() + PATIENCE
    while monotonic() < end:
        followed(feed)
        found = round(sum(of[0] for _, of in feed.pulse.rows("reasons", START / 1e6, WINDOWS[-1])))
        if found >= wanted:
            return found
        sleep(0.05)
    raise AssertionError(feed.error)


def test_a_journal_that_ends_is_told_and_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "journalctl").write_text("#!/bin/sh\necho no such thing >&2\nexit 1\n")
    (tmp_path / "journalctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    feed = Watch([], zone=UTC, now=lambda: NOW, sources=[LogSource(journal=JournalSource())])
    end = monotonic() + PATIENCE
    while not feed.error and monotonic() < end:
        followed(feed)
        sleep(0.05)
    assert feed.error == "journal: journalctl ended: no such thing"
    feed.close()
