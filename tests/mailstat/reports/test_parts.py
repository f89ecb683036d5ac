"""Encryption, recipients, retries, problems, connections, actions: what they tell of events that are known."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any

import pytest

from mailstat.encryption import KNOWN, Encryption, Kept
from mailstat.log import Digest, Log, Selection
from mailstat.report import Report, ReportError
from mailstat.reports import actions, bounces, connections, latency, problems, recipients, retries, tls
from parsers.events import (
    Auth,
    Connect,
    ConnectionFailure,
    Delivery,
    Disconnect,
    Event,
    Notification,
    Origin,
    Problem,
    QueueAction,
    Queued,
    Received,
    Reject,
    Tls,
)
from parsers.tracker import Tracker

ORIGIN = Origin("postfix", "mail", "postfix", "smtp", 7)
DAY = 1_767_571_200.0  # 2026-01-05
RELAY = "mx.example.org"


class Given(Log):
    """A log of which the events are known; they are put in context."""

    def __init__(self, events: Sequence[Event]) -> None:
        super().__init__([], Selection(), zone=UTC)
        self._given = list(events)
        Tracker().follow(self._given)

    def batches(self) -> Iterator[list[Event]]:
        yield self._given

    def read(self, digest: Digest) -> None:
        digest.add(self._given, range(len(self._given)))


def made(report: Any, events: Sequence[Event], **options: Any) -> Report:
    result = report.make(Given(events), Namespace(where=None, **options))
    assert isinstance(result, Report)
    return result


def rows(report: Report, section: int = 0) -> list[dict[str, Any]]:
    names = [column.name for column in report.sections[section].columns]
    return [dict(zip(names, row, strict=True)) for row in report.sections[section].rows]


def only(report: Report, section: int = 0) -> dict[str, Any]:
    (row,) = rows(report, section)
    return row


def told(row: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def delivery(time: float, status: str, to: str = "a@example.org", queue_id: str = "A1", **of: Any) -> Delivery:
    return Delivery(DAY + time, ORIGIN, queue_id, to, status, "outbound", **of)


# --- tls ---


def session(time: float, protocol: str, *, relay: str | None = None, **of: Any) -> Tls:
    client = {} if relay else {"client_ip": "192.0.2.7", "client_name": "old.example.com"}
    return Tls(DAY + time, ORIGIN, relay_host=relay, tls_protocol=protocol, **client, **of)


def test_sessions_are_told_by_direction_protocol_trust_and_cipher() -> None:
    events = [session(at, "TLSv1.3", relay=RELAY, tls_trust="trusted", tls_cipher="X") for at in range(3)]
    events += [session(3, "TLSv1.2", relay=RELAY), session(4, "TLSv1.3")]
    found = rows(made(tls, events))
    names = ("direction", "protocol", "trust", "cipher", "sessions", "share")
    assert [told(row, *names) for row in found] == [
        ("outbound", "TLSv1.3", "trusted", "X", 3, 0.75),
        ("inbound", "TLSv1.3", "", "", 1, 1.0),
        ("outbound", "TLSv1.2", "", "", 1, 0.25),
    ]
    assert told(found[0], "first", "last") == (DAY, DAY + 2)


def test_destinations_without_encryption_come_first() -> None:
    events = [
        session(0, "TLSv1.3", relay=RELAY, tls_trust="verified"),
        *(delivery(at, "sent", relay_host=RELAY) for at in range(5)),
        delivery(9, "sent", relay_host="Clear.example.org"),
        delivery(9, "deferred", relay_host="never.example.org"),
    ]
    names = ("relay", "sent", "sessions", "protocol", "trust")
    assert [told(row, *names) for row in rows(made(tls, events), 1)] == [
        ("clear.example.org", 1, 0, "none", ""),
        (RELAY, 5, 1, "TLSv1.3", "verified"),
    ]


def test_encryption_that_the_delivery_tells_is_seen() -> None:
    events = [delivery(0, "sent", relay_host=RELAY, tls_protocol="TLSv1.2", tls_sessions=1)]
    assert told(only(made(tls, events), 1), "sessions", "protocol") == (1, "TLSv1.2")
    assert told(only(made(tls, events)), "direction", "sessions") == ("outbound", 1)


def test_old_protocols_of_clients_are_told() -> None:
    events = [session(0, "TLSv1"), session(1, "TLSv1"), session(2, "TLSv1.2"), session(3, "TLSv1", relay=RELAY)]
    assert told(only(made(tls, events), 2), "client", "name", "protocol", "sessions") == (
        "192.0.2.7",
        "old.example.com",
        "TLSv1",
        2,
    )


def test_failed_handshakes_are_told_with_the_last_words() -> None:
    events = [
        ConnectionFailure(DAY + at, ORIGIN, "tls", relay_host=RELAY, reply=words) for at, words in enumerate("ab")
    ]
    events.append(ConnectionFailure(DAY, ORIGIN, "timeout", relay_host=RELAY))
    assert told(only(made(tls, events), 3), "direction", "host", "failures", "example") == ("outbound", RELAY, 2, "b")


def test_the_memory_for_hosts_is_bounded() -> None:
    kept = Kept()
    for number in range(KNOWN + 10):
        kept.of(str(number), "x").see(1.0)
    assert len(kept) == KNOWN + 1
    assert kept["(others)", ""].times == 10


def test_no_event_is_no_encryption() -> None:
    encryption = Encryption()
    assert (encryption.sessions(), encryption.destinations()) == ([], [])


# --- recipients ---

MAIL = [
    Received(DAY, ORIGIN, "A1", client_ip="192.0.2.7", sender="s@example.com"),
    Queued(DAY, ORIGIN, "A1", sender="s@example.com", size=1000, recipients=2),
    delivery(1, "sent", "A@example.org", delay=2.0),
    delivery(2, "bounced", "b@example.org"),
    delivery(3, "sent", "a@example.org", queue_id="B2", delay=4.0),
    delivery(4, "sent", "c@example.net", queue_id="B2", delay=4.0),
]


def test_recipients_are_told_by_address_and_domain() -> None:
    report = made(recipients, MAIL, order="messages")
    names = ("recipient", "messages", "bytes", "sent", "bounced", "failed", "delay_p50")
    assert [told(row, *names) for row in rows(report)] == [
        ("a@example.org", 2, 1000, 2, 0, 0.0, 2.0),
        ("b@example.org", 1, 0, 0, 1, 1.0, None),
        ("c@example.net", 1, 0, 1, 0, 0.0, 4.0),
    ]
    assert [told(row, "domain", "messages", "sent") for row in rows(report, 1)] == [
        ("example.org", 2, 2),
        ("example.net", 1, 1),
    ]


@pytest.mark.parametrize(("order", "first"), [("bytes", "a@example.org"), ("failures", "b@example.org")])
def test_the_order_of_recipients_can_be_chosen(order: str, first: str) -> None:
    assert rows(made(recipients, MAIL, order=order))[0]["recipient"] == first


# --- retries ---

TRIED = [
    delivery(0, "deferred", reason="greylisted", delay_connect=1.0, delay_transmit=0.5),
    delivery(60, "deferred", reason="rate_limited", delay_connect=2.0),
    delivery(300, "sent"),
    delivery(400, "sent", "quick@example.org", queue_id="B2"),
    delivery(500, "deferred", "c@example.org", queue_id="C3", reason="mailbox_full"),
    delivery(600, "deferred", "d@example.org", queue_id="D4", reason="mailbox_full"),
    delivery(900, "expired", "d@example.org", queue_id="D4", reason="mailbox_full"),
]
COSTS = ("recipients", "retries", "wasted", "connected", "sent", "failed", "waiting", "wait_p50", "attempts_most")


def test_retries_are_told_by_the_reason_that_came_first() -> None:
    found = {row["reason"]: told(row, *COSTS) for row in rows(made(retries, TRIED), 1)}
    assert found == {
        "greylisted": (1, 2, 2, 3.5, 1, 0, 0, 300.0, 3),
        "mailbox_full": (2, 0, 2, None, 0, 1, 1, None, 1),  # the log does not tell how long it was connected
    }


def test_what_was_sent_at_once_costs_nothing() -> None:
    report = made(retries, TRIED)
    assert told(only(report), "recipients", "brought") == (3, 1 / 3)
    assert [told(row, "attempts", "recipients") for row in rows(report, 2)] == [(1, 2), (3, 1)]


# --- problems ---


def problem(text: str, severity: str = "warning", program: str = "smtpd") -> Problem:
    return Problem(DAY, Origin("postfix", "mail", "postfix", program), severity, text)


def test_alike_complaints_are_one_row_and_the_worst_comes_first() -> None:
    texts = [
        "hostname mx1.example.com does not resolve to address 192.0.2.1",
        "hostname other-2.example.net does not resolve to address 192.0.2.77",
        "4BXyZ1: queue file size limit exceeded",
        "4BXyZ2: queue file size limit exceeded",
    ]
    report = made(problems, [*map(problem, texts), problem("out of memory", "fatal", "qmgr")])
    assert [told(row, "severity", "program", "count", "example") for row in rows(report)] == [
        ("fatal", "qmgr", 1, "out of memory"),
        ("warning", "smtpd", 2, texts[1]),
        ("warning", "smtpd", 2, texts[3]),
    ]
    assert [told(row, "program", "fatal", "warning") for row in rows(report, 1)] == [("smtpd", 0, 4), ("qmgr", 1, 0)]


# --- connections ---

CLIENT = {"client_ip": "192.0.2.7", "client_name": "c.example.com"}
SESSIONS = [
    Connect(DAY, ORIGIN, **CLIENT),
    Auth(DAY + 1, ORIGIN, "failure", **CLIENT),
    Reject(DAY + 1, ORIGIN, **CLIENT),
    Received(DAY + 2, ORIGIN, "A1", **CLIENT),
    Queued(DAY + 2, ORIGIN, "A1", message_id="x@example.com"),
    Queued(DAY + 2, ORIGIN, "A1", size=500),
    Disconnect(DAY + 3, ORIGIN, **CLIENT),
    Connect(DAY + 10, ORIGIN, **CLIENT),
    ConnectionFailure(DAY + 15, ORIGIN, "lost", **CLIENT),
    Disconnect(DAY + 15, ORIGIN, **CLIENT),
    Connect(DAY + 20, ORIGIN, client_ip="192.0.2.8"),
    ConnectionFailure(DAY + 30, ORIGIN, "refused", relay_host=RELAY, reply="Connection refused"),
]


def test_clients_are_told_with_what_came_of_their_sessions() -> None:
    first, second = rows(made(connections, SESSIONS))
    names = ("client", "connections", "connected", "messages", "bytes", "rejects", "failed_logins", "broken")
    assert told(first, *names) == ("192.0.2.7", 2, 8.0, 1, 500, 1, 1, 1)
    assert told(second, "client", "connections", "connected") == ("192.0.2.8", 1, None)


def test_hosts_that_were_not_reached_are_told() -> None:
    row = only(made(connections, SESSIONS), 1)
    assert told(row, "error", "host", "failures", "example") == ("refused", RELAY, 1, "Connection refused")


# --- actions ---


def test_what_was_done_to_messages_is_told() -> None:
    done = [QueueAction(DAY + at, ORIGIN, f"A{at}", "hold", reply="header Subject: x") for at in range(2)]
    report = made(actions, [*done, Notification(DAY, ORIGIN, "A9", "bounce")])
    assert told(only(report), "action", "times", "messages", "example") == ("hold", 2, 2, "header Subject: x")
    assert [row["queue_id"] for row in rows(report, 1)] == ["A0", "A1"]
    assert told(only(report, 2), "type", "times") == ("bounce", 1)


# --- stages of latency ---


def test_latency_has_percentiles_of_each_stage() -> None:
    events = [delivery(at, "sent", delay=5.0, delay_in_queue=float(at), delay_connect=1.0) for at in range(3)]
    found = rows(made(latency, events, stage=None), 2)
    assert [told(row, "stage", "sent", "min", "p50", "max") for row in found] == [
        ("in_queue", 3, 0.0, 1.0, 2.0),
        ("connect", 3, 1.0, 1.0, 1.0),
    ]


# --- suppression as a table ---

UNKNOWN = [
    delivery(0, "bounced", "gone@example.org", reason="user_unknown"),
    delivery(1, "bounced", 'bad: "x"|y@example.org', reason="user_unknown"),
]


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("postfix", "gone@example.org REJECT 5.1.1 this address does not exist: user_unknown, 1 times"),
        ("exim", "gone@example.org: 550 5.1.1 this address does not exist: user_unknown, 1 times"),
    ],
)
def test_a_table_has_plain_addresses_alone(form: str, line: str) -> None:
    assert made(bounces, UNKNOWN, suppress=1, map=form).lines == [line]


def test_a_table_needs_to_know_how_often() -> None:
    with pytest.raises(ReportError, match="--suppress"):
        made(bounces, UNKNOWN, suppress=None, map="postfix")
