"""Logs that are followed into the last minutes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailstat.filter import parse
from mailstat.live import watch
from mailstat.live.watch import Watch, near_the_end

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
    assert "mail.log" in feed.error
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
