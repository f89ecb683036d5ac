"""Sendmail lines that others collected, and what they know of them.

Where their knowledge and ours differ, the case stands here with the reason.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from parsers.clock import Clock
from parsers.events import Auth, ConnectionFailure, Delivery, Disconnect, Event, Origin, Received, Reject
from parsers.mta.sendmail import origin
from parsers.reader import LogReader, understand
from parsers.tracker import Tracker

CORPUS = Path(__file__).parents[4] / "../shared/corpus/sendmail"
NOW = 1795284304.0
LOGS = sorted(CORPUS.glob("*.log"))
# Lines that lost their time and their host.
_TAGGED = re.compile(
    r" ?(?:\w{3} \d\d [\d:]{8} \S+ )?((?:sendmail|sm-[\w-]+))\[(\d+)\]: (?:\[ID [^]]*\] )?(.*)"
).fullmatch

pytestmark = [pytest.mark.corpus, pytest.mark.skipif(not LOGS, reason="the shared corpus is not here")]


class Line(NamedTuple):
    text: str
    outcome: str
    mta: str
    events: list[Event]


def sender(program: str) -> Origin:
    found = origin("mail.example.com", program, 4711)
    assert found
    return found


def outcomes(reader: LogReader) -> Counter[tuple[str, str]]:
    names = ("parsed", "ignored", "unknown", "malformed")
    return Counter({(mta, name): getattr(tally, name) for mta, tally in reader.tallies.items() for name in names})


@lru_cache
def read_log(path: Path) -> list[Line]:
    reader = LogReader(Clock(UTC, lambda: NOW))
    lines = []
    for text in path.read_bytes().decode("utf-8", "surrogateescape").splitlines():
        tagged = _TAGGED(text) if path.name == "ossec.log" else None
        if tagged:
            outcome, events = understand(tagged[3], NOW, sender(tagged[1]))
            lines.append(Line(text, outcome, "sendmail", events))
        else:
            before = outcomes(reader)
            events = reader.read(text + "\n")
            ((mta, outcome),) = outcomes(reader) - before
            lines.append(Line(text, outcome, mta, events))
    return lines


# Lines that are no whole lines, or whose words somebody broke to hide names.
FRAGMENTS = {
    "ossec.log": lambda text: text.endswith((", arg1=<rtreter@qffff.com>,", ": rejecting commands")),
    "qidtrace.log": lambda text: " u2838=<" in text,
}


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_every_line_has_an_outcome_and_only_broken_ones_are_malformed_or_unknown(path: Path) -> None:
    lines = read_log(path)
    assert len(lines) == path.read_bytes().count(b"\n")
    strange = [line.text for line in lines if line.outcome in ("unknown", "malformed")]
    assert [text for text in strange if not FRAGMENTS.get(path.name, lambda _: False)(text)] == []


def test_less_than_one_line_in_a_thousand_is_unknown() -> None:
    total = Counter(line.outcome for path in LOGS for line in read_log(path) if line.mta == "sendmail")
    assert total["unknown"] < total.total() / 1000
    assert total["malformed"] < total.total() / 1000


@pytest.mark.parametrize("path", [path for path in LOGS if path.name != "ossec.log"], ids=lambda path: path.name)
def test_a_block_has_the_same_events_as_its_lines(path: Path) -> None:
    reader = LogReader(Clock(UTC, lambda: NOW))
    events = reader.read(path.read_bytes().decode("utf-8", "surrogateescape"))
    lines = read_log(path)
    assert sum(outcomes(reader).values()) == len(lines)
    assert len(events) == sum(len(line.events) for line in lines)


def count(path: str, kind: type[Event], **fields: object) -> int:
    return sum(
        type(event) is kind and all(getattr(event, name) == value for name, value in fields.items())
        for line in read_log(CORPUS / path)
        for event in line.events
    )


# --- qidtrace: two minutes of four hosts, against what the lines say to a search for words ---


def test_the_deliveries_of_a_cluster() -> None:
    lines = [
        line.text for line in read_log(CORPUS / "qidtrace.log") if line.mta == "sendmail" and ": to=<" in line.text
    ]
    words = Counter(
        "sent" if "stat=Sent" in text else "deferred" if "stat=Deferred" in text else "refused" for text in lines
    )
    several = sum(text.partition(", delay=")[0].count(">,<") for text in lines if "stat=Sent" in text)
    assert count("qidtrace.log", Delivery, status="sent") == words["sent"] + several
    assert count("qidtrace.log", Delivery, status="deferred") == words["deferred"]


def test_the_messages_of_a_cluster() -> None:
    texts = [line.text for line in read_log(CORPUS / "qidtrace.log") if ": from=<" in line.text]
    assert count("qidtrace.log", Received) == sum("nrcpts=0" not in text for text in texts)


def test_what_a_cluster_refused() -> None:
    texts = [line.text for line in read_log(CORPUS / "qidtrace.log") if line.mta == "sendmail"]
    refused = sum(
        bool(re.search(r"Milter: (to|data)[=,].*reject=|>\.\.\. |ruleset=.*reject=|rejecting commands", text))
        for text in texts
    )
    assert count("qidtrace.log", Reject) == refused


def test_messages_that_a_milter_refused_are_not_received() -> None:
    tracker, events = Tracker(), [event for line in read_log(CORPUS / "qidtrace.log") for event in line.events]
    refused = {event.queue_id for event in events if type(event) is Reject and event.phase == "end_of_data"}
    tracker.follow(events)
    came = {event.queue_id for event in events if type(event) is Delivery and event.is_arrival}
    assert refused
    assert not came & refused


# --- fail2ban: what is abuse, and from where ---


def rows() -> Iterator[dict[str, Any]]:
    path = CORPUS / "fail2ban.jsonl"
    for text in path.read_text("utf-8").splitlines() if LOGS else ():
        yield json.loads(text)


# Abuse to them, of no use to us. Choice: what tells of too many failures stands beside the failures themselves.
BESIDE = re.compile(r"possible SMTP attack|nrcpts=0")
KINDS = Auth | Reject | Disconnect | ConnectionFailure


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: row["line"][:60])
def test_abuse_names_its_host(row: dict[str, Any]) -> None:
    events = LogReader(Clock(UTC, lambda: NOW)).read(row["line"])
    if not row["expect"]["match"]:
        # A refusal that only the message's own line, which comes later, gives a client.
        assert all(isinstance(event, Reject) and event.client_ip is None for event in events)
    elif BESIDE.search(row["line"]):
        assert events == []
    else:
        (event,) = events
        assert isinstance(event, KINDS)
        assert event.client_ip == row["expect"]["host"].lower()


@pytest.mark.parametrize(
    "row", [row for row in rows() if "AUTH failure" in row["line"]], ids=lambda row: row["line"][:60]
)
def test_a_failed_login_has_its_user(row: dict[str, Any]) -> None:
    (event,) = LogReader(Clock(UTC, lambda: NOW)).read(row["line"])
    assert isinstance(event, Auth)
    assert event.result == "failure"
    # Theirs ends at the comma that a name may have.
    wanted = row["expect"].get("user")
    assert wanted is None or (event.sasl_user or "").startswith(wanted)


# --- fluent-plugin-sendmail: one record for each to= line, joined with its from= ---

STATUSES = {"sent": "sent", "sent_local": "sent", "deferred": "deferred"}


def test_the_records_of_another_parser() -> None:
    """Theirs lacks the last line, whose delay has no key, and the one after `done`; ours has an event a recipient."""
    results = [
        json.loads(text)
        for text in (CORPUS / "fluent-plugin-sendmail.result.txt").read_text().splitlines()
        if text.startswith("{")
    ]
    lines = read_log(CORPUS / "fluent-plugin-sendmail.log")
    deliveries = [line.events for line in lines if line.events and isinstance(line.events[0], Delivery)]
    assert len(results) <= len(deliveries)
    for result, events in zip(results, deliveries, strict=False):
        first = events[0]
        assert isinstance(first, Delivery)
        assert [event.recipient for event in events if isinstance(event, Delivery)] == [
            address.strip("<>") for address in result["to"]
        ]
        assert (first.status, first.dsn, first.transport) == (
            STATUSES[result["status_canonical"]],
            result["dsn"],
            result["mailer"],
        )
        assert first.queue_id == result["qid"]
        assert result["stat"] in (
            "Sent" if first.reply is None else f"Sent ({first.reply})",
            f"Deferred: {first.reply}",
        )
        if isinstance(relay := result.get("relay_to"), dict):
            assert first.relay_ip == relay["ip"]


def test_the_messages_of_another_parser() -> None:
    first, again = (
        event
        for line in read_log(CORPUS / "fluent-plugin-sendmail.log")
        for event in line.events
        if isinstance(event, Received)
    )
    assert (first.sender, first.size, first.recipients, again.recipients) == ("grandeur09@gmail.com", 5938, 7, 5)
    assert (first.client_ip, first.client_name) == ("64.233.187.27", None)


# --- OSSEC, AWStats: their samples, by what they are samples of ---


def test_the_samples_of_an_intrusion_detector_are_refusals() -> None:
    """But for a delivery that the submission agent cannot do, a query that was answered, and two lines cut short."""
    kinds = Counter(type(event) for line in read_log(CORPUS / "ossec.log") for event in line.events)
    assert kinds == {Reject: 16, Delivery: 1}


def test_the_samples_of_a_report_on_mail() -> None:
    kinds = Counter(type(event) for line in read_log(CORPUS / "awstats.log") for event in line.events)
    assert kinds == {Reject: 7, Received: 1}
