"""What failed, what waits, and to whom nothing should be sent any more."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC
from itertools import pairwise
from typing import Any

from mailstat.log import Digest, Log, Selection
from mailstat.report import Report
from mailstat.reports import bounces, deferrals, destinations, diff, rejects, timeline
from parsers.events import Delivery, Event, Origin, Received, Reject, Removed
from parsers.tracker import Tracker

ORIGIN = Origin("postfix", "mail", "postfix", "smtp", 7)
DAY = 1_767_571_200.0  # 2026-01-05


class Given(Log):
    """A log of which the events are known; they are put in context."""

    def __init__(self, events: Sequence[Event]) -> None:
        super().__init__([], Selection(), zone=UTC)
        self._given = list(events)
        Tracker().follow(self._given)

    def read(self, digest: Digest) -> None:
        digest.add(self._given, range(len(self._given)))


def delivery(
    time: float, status: str, recipient: str = "a@example.org", *, queue_id: str = "A1", **of: Any
) -> Delivery:
    return Delivery(DAY + time, ORIGIN, queue_id, recipient, status, "outbound", **of)


def rows(report: Report, section: int = 0) -> list[dict[str, Any]]:
    names = [column.name for column in report.sections[section].columns]
    return [dict(zip(names, row, strict=True)) for row in report.sections[section].rows]


def ask(module: Any, events: Sequence[Event], **options: Any) -> Report:
    given: Report = module.make(
        Given(events), Namespace(**{"where": None, "now": DAY, "zone": UTC, "map": None} | options)
    )
    return given


def test_what_waits_is_what_was_not_tried_again_nor_removed() -> None:
    events = [
        Received(DAY + 1, ORIGIN, "A1", client_ip="192.0.2.1"),
        delivery(5, "deferred", reply="450 first", reason="greylisted", provider="google"),
        delivery(6, "deferred", "b@example.org", reply="450 first", reason="greylisted", provider="google"),
        delivery(60, "deferred", reply="450 again", reason="greylisted", provider="google"),
        delivery(70, "sent", "b@example.org"),
        Received(DAY + 90, ORIGIN, "B2", client_ip="192.0.2.1"),
        delivery(91, "deferred", queue_id="B2", reply="450 last", reason="greylisted", provider="google"),
        Removed(DAY + 99, ORIGIN, "B2"),
    ]
    (row,) = rows(ask(deferrals, events))
    assert row == {
        "provider": "google",
        "status": "deferred",
        "reason": "greylisted",
        "attempts": 4,
        "recipients": 2,
        "messages": 2,
        "share": 1.0,
        "first": DAY + 5,
        "last": DAY + 91,
        "waiting": 1,
        "oldest": DAY + 1,
        "example": "450 last",
    }


def test_what_the_same_host_accepts_at_the_next_attempt_was_greylisted() -> None:
    vague: dict[str, Any] = {"reply": "451 Try again later", "reply_code": 451, "relay_host": "mx.example.org"}
    events = [
        Received(DAY + 1, ORIGIN, "A1", client_ip="192.0.2.1"),
        delivery(5, "deferred", reason="system_error", phase="rcpt", **vague),
        delivery(5, "deferred", "b@example.org", reason="system_error", phase="rcpt", **vague),
        delivery(305, "sent", relay_host="mx.example.org"),
    ]
    found = rows(ask(deferrals, events))
    assert [(row["reason"], row["attempts"], row["waiting"]) for row in found] == [
        ("greylisted", 1, 0),
        ("system_error", 1, 1),
    ]


def test_an_id_that_comes_again_waits_though_the_first_of_it_left() -> None:
    events = [delivery(1, "sent"), Removed(DAY + 2, ORIGIN, "A1"), delivery(50, "deferred")]
    assert [row["waiting"] for row in rows(ask(deferrals, events))] == [1]


def test_failures_are_told_by_domain_too() -> None:
    events = [
        delivery(1, "bounced", "x@Example.ORG"),
        delivery(2, "bounced", "y@example.org"),
        delivery(3, "expired"),
    ]
    found = rows(ask(bounces, events, suppress=None), 1)
    assert [(row["domain"], row["attempts"]) for row in found] == [("example.org", 3)]


def test_addresses_that_are_none_are_to_be_suppressed() -> None:
    events = [
        *(delivery(time, "bounced", "Gone@example.org", reason="user_unknown") for time in (1, 2, 3)),
        *(delivery(time, "bounced", "back@example.org", reason="user_unknown") for time in (1, 2)),
        delivery(3, "sent", "back@example.org"),
        delivery(4, "bounced", "back@example.org", reason="user_unknown"),
        *(delivery(time, "bounced", "blocked@example.org", reason="blocked_ip") for time in (1, 2, 3)),
    ]
    events.sort(key=lambda event: event.time)
    assert [(row["address"], row["bounces"]) for row in rows(ask(bounces, events, suppress=2))] == [
        ("gone@example.org", 3)
    ]


def test_destinations_tell_each_stage_of_what_was_sent() -> None:
    stages = {"delay_before_queue": 0.5, "delay_in_queue": 1.0, "delay_connect": 2.0, "delay_transmit": 4.0}
    events = [
        *(delivery(time, "sent", delay=7.5, **stages) for time in range(9)),
        delivery(10, "sent", delay=99.0, delay_connect=90.0),
        delivery(11, "bounced", delay=5000.0),
    ]
    (row,) = rows(ask(destinations, events))
    assert (row["sent"], row["bounced"], round(row["failed"], 3)) == (10, 1, 0.091)
    assert (row["delay_p50"], row["delay_p90"]) == (7.5, 7.5)
    assert (row["delay_connect_p50"], row["delay_transmit_p90"]) == (2.0, 4.0)


def test_destinations_tell_what_waits_for_them() -> None:
    events = [
        delivery(1, "deferred", provider="google"),
        delivery(9, "sent", provider="google"),
        delivery(2, "deferred", queue_id="B2", provider="google"),
    ]
    (row,) = rows(ask(destinations, events))
    assert (row["deferred"], row["waiting"], row["oldest"]) == (2, 1, DAY + 2)


def test_rejects_are_told_by_reason_and_by_client() -> None:
    refused = [
        Reject(DAY + time, ORIGIN, phase="rcpt", client_ip="192.0.2.1", reason="blocked_ip", reply=f"554 {time}")
        for time in range(3)
    ]
    report = ask(rejects, [*refused, Reject(DAY + 9, ORIGIN, phase="data", sender="")])
    by_reason = rows(report)
    assert [(row["reason"], row["rejects"], row["share"]) for row in by_reason] == [
        ("blocked_ip", 3, 0.75),
        ("unclassified", 1, 0.25),
    ]
    assert (by_reason[0]["first"], by_reason[0]["last"], by_reason[0]["example"]) == (DAY, DAY + 2, "554 2")
    assert [row["client"] for row in rows(report, 1)] == ["192.0.2.1", None]
    assert [row["sender"] for row in rows(report, 2)] == [None, "<>"]


def test_a_timeline_has_a_bar_for_each_part_of_the_time() -> None:
    events = [delivery(0, "sent"), *(delivery(4799, "sent") for _ in range(8)), delivery(4800, "bounced")]
    found = {row["measure"]: row for row in rows(ask(timeline, events, measure=None, by=None))}
    assert (found["sent"]["total"], found["sent"]["peak"], found["sent"]["peak_at"]) == (9, 8, DAY + 4700)
    assert found["sent"]["timeline"] == "▁" + "·" * 46 + "█"


def test_the_highest_bar_is_full_and_nothing_is_blank() -> None:
    assert timeline.sparkline([0, 1, 4, 8, 16, 800]) == "·▁▁▁▁█"
    assert timeline.sparkline([1, 1]) == "██"
    assert timeline.sparkline([0, 0]) == "··"


def test_a_difference_is_told_where_it_is_no_chance() -> None:
    before = [delivery(time, "sent", provider="google") for time in range(100)]
    later = [
        delivery(86400 + time, "sent" if time % 2 else "deferred", provider="google", reason="rate_limited")
        for time in range(100)
    ]
    same = [delivery(time, "sent", "x@example.net", provider="yahoo") for time in (*range(50), *range(86400, 86450))]
    events = sorted([*before, *later, *same], key=lambda event: event.time)
    found = rows(ask(diff, events, first="2026-01-05", second="2026-01-06", all=False))
    assert [(row["provider"], row["status"], row["before"], row["after"], row["change"]) for row in found] == [
        ("google", "deferred", 0, 50, 0.5),
        ("google", "sent", 100, 50, -0.5),
    ]
    assert all(row["p"] < 1e-9 for row in found)
    everything = rows(ask(diff, events, first="2026-01-05", second="2026-01-06", all=True))
    assert ("yahoo", "sent") in [(row["provider"], row["status"]) for row in everything]


def test_a_period_without_deliveries_is_told_of() -> None:
    """That all mail stopped must not look like no change."""
    given = Given([delivery(time, "sent") for time in range(100)])
    days = ("2026-01-05", "2026-01-06", "2026-01-07")
    for first, second in pairwise(days):
        diff.make(given, Namespace(first=first, second=second, all=False, where=None, now=DAY, zone=UTC))
    assert [note.partition(":")[0] for note in given.notes if "no delivery" in note] == [
        "2026-01-06",
        "2026-01-06",
        "2026-01-07",
    ]


def test_the_chance_is_that_of_the_textbook() -> None:
    found = diff.chance(15, 100, 30, 100)  # pooled 0.225, z = 2.540
    assert found is not None
    assert round(found, 4) == 0.0111
    assert diff.chance(1, 100, 1, 100) is None
    assert diff.chance(100, 100, 100, 100) is None
