"""qmail lines that others collected, and what they know of them."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from parsers.clock import Clock
from parsers.events import Delivery, Event, Notification, Received, Reject, Removed
from parsers.mta.qmail import SERVER
from parsers.mta.qmail.join import Attempts
from parsers.reader import LogReader, understand
from parsers.tracker import Tracker

CORPUS = Path(__file__).parents[4] / "../shared/corpus/qmail"
NOW = 1_795_284_304.0
LOGS = sorted(CORPUS.glob("*.log"))
BARE = "notqmail-docs.log"  # written for a document, without times

pytestmark = [pytest.mark.corpus, pytest.mark.skipif(not LOGS, reason="the shared corpus is not here")]


def read_log(name: str) -> tuple[Counter[str], list[Event]]:
    """The outcomes of a file's lines, and its events in context."""
    text = (CORPUS / name).read_text("utf-8")
    tracker = Tracker()
    if name == BARE:
        outcomes, events = read_bare(text)
    else:
        reader = LogReader(Clock(UTC, lambda: NOW))
        events = reader.read(text)
        outcomes = Counter()
        for tally in reader.tallies.values():
            outcomes.update({slot: getattr(tally, slot) for slot in tally.__slots__})
    tracker.follow(events)
    return +outcomes, events


def read_bare(text: str) -> tuple[Counter[str], list[Event]]:
    origin = SERVER.origin("mail", "qmail", None)
    assert origin
    outcomes: Counter[str] = Counter()
    events: list[Event] = []
    for second, line in enumerate(text.splitlines()):
        outcome, some = understand(line.removeprefix("qmail: "), NOW + second, origin)
        outcomes[outcome] += 1
        events += some
    return outcomes, Attempts().join(events)


def of(kind: type[Event], events: list[Event]) -> list[Any]:
    return [event for event in events if type(event) is kind]


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_every_line_has_an_outcome_and_none_is_unknown_or_malformed(path: Path) -> None:
    outcomes, _ = read_log(path.name)
    assert outcomes.total() == path.read_bytes().count(b"\n")
    assert set(outcomes) <= {"parsed", "ignored"}


def test_what_the_author_of_qmails_documentation_tells_of_four_messages() -> None:
    _, events = read_log(BARE)
    assert [(event.queue_id, event.sender, event.size, event.via) for event in of(Received, events)] == [
        ("53", "me@domain", 246, "smtp"),
        ("53", "me@domain", 246, "smtp"),
        ("54", "", 743, "notification"),
        ("53", "me@domain", 246, "smtp"),
    ]
    assert [
        (event.queue_id, event.recipient, event.status, event.direction, event.dsn) for event in of(Delivery, events)
    ] == [
        ("53", "me@domain", "sent", "local", None),
        ("53", "nonexistent@domain", "bounced", "local", "5.1.1"),
        ("54", "me@domain", "sent", "local", None),
        ("53", "me@wherever", "sent", "outbound", None),
    ]
    (notification,) = of(Notification, events)
    assert notification.queue_id == "53"
    assert of(Received, events)[2].original_queue_id == "53"
    assert [event.queue_id for event in of(Removed, events)] == ["53", "53", "54", "53"]


def test_a_statistics_script_knows_two_messages_delivered_and_two_failed() -> None:
    """Its headings: remote and local, successful and failed."""
    _, events = read_log("turbo-qmail-stats.log")
    assert [
        (event.direction, event.status, event.relay_ip, event.reply_code, event.reason)
        for event in of(Delivery, events)
    ] == [
        ("outbound", "sent", "195.100.21.7", 250, None),
        ("local", "sent", None, None, None),
        ("outbound", "bounced", "213.242.147.30", 550, "user_unknown"),
        ("local", "bounced", None, None, "user_unknown"),
    ]
    assert [event.delay for event in of(Delivery, events)] == [0.25, 3.564, 2.735, 0.69]
    assert [event.via for event in of(Received, events)] == ["local", "smtp", "local", "smtp"]
    assert sum(event.is_arrival for event in of(Received, events)) == 4


def test_a_message_through_syslog_has_the_time_that_splogger_tells() -> None:
    _, events = read_log("awstats.log")
    received, delivery, removed = events
    assert isinstance(received, Received)
    assert isinstance(delivery, Delivery)
    assert isinstance(removed, Removed)
    assert [event.time for event in events] == [1063526289.292776, 1063526289.744259, 1063526292.782444]
    assert (received.sender, received.size) == ("john@john.do", 10712)
    assert (delivery.recipient, delivery.delay) == ("spamreport@john.do", 0.451)


@pytest.mark.parametrize(
    "row",
    [json.loads(line) for line in (CORPUS / "fail2ban.jsonl").read_text().splitlines()] if LOGS else [],
    ids=lambda row: row["line"][:60],
)
def test_abuse_is_a_reject_of_its_host(row: dict[str, Any]) -> None:
    (event,) = LogReader(Clock(UTC, lambda: NOW)).read(row["line"] + "\n")
    assert isinstance(event, Reject)
    assert row["expect"]["match"] is True
    assert (event.client_ip, event.reason, event.phase) == (row["expect"]["host"], "blocked_ip", "connect")
