"""Counts over the time of a log."""

from __future__ import annotations

import pytest

from mailstat.traffic import WIDTHS, Traffic
from parsers.events import Auth, Connect, Delivery, Event, Origin, Received, Reject

HOUR = 1_767_571_200.0  # 2026-01-05 00:00 UTC
ORIGIN = Origin("postfix", "mail", "postfix", "smtp")


def sent(time: float, status: str = "sent") -> Delivery:
    return Delivery(time, ORIGIN, queue_id="A", recipient="a@example.com", status=status, direction="outbound")


def told(*events: Event, fine: int = 5000) -> Traffic:
    traffic = Traffic(fine)
    traffic.add(events)
    return traffic


def test_each_kind_of_event_counts_under_its_name() -> None:
    arrival = Received(HOUR, ORIGIN, queue_id="A", is_arrival=True)
    guess = Auth(HOUR, ORIGIN, result="failure", attempts=3)
    login = Auth(HOUR, ORIGIN, result="success")
    bars = told(sent(HOUR), sent(HOUR, "bounced"), Reject(HOUR, ORIGIN), arrival, guess, login, Connect(HOUR, ORIGIN))
    assert bars.bars(["sent", "bounced", "deferred", "rejects", "received", "failed logins"], 60).counts == {
        "sent": [1],
        "bounced": [1],
        "deferred": [0],
        "rejects": [1],
        "received": [1],
        "failed logins": [3],
    }


@pytest.mark.parametrize("seconds", [1, 59, 61, 3600, 86_000, 400_000, 40_000_000, 2_000_000_000])
def test_there_are_no_more_bars_than_asked_for_and_nothing_is_lost(seconds: int) -> None:
    events = [sent(HOUR + seconds * part / 99) for part in range(100)]
    bars = told(*events).bars(["sent"], 60)
    assert 1 <= len(bars.starts) <= 61
    assert sum(bars.counts["sent"]) == 100
    assert bars.starts[0] <= HOUR < bars.starts[0] + bars.width
    assert bars.starts[-1] <= HOUR + seconds < bars.starts[-1] + bars.width


def test_memory_is_bounded_and_the_count_stays_right() -> None:
    traffic = told(*(sent(HOUR + 7 * number) for number in range(5000)), fine=100)
    assert len(traffic._bars) <= 100
    assert traffic._width in WIDTHS
    assert sum(traffic.bars(["sent"], 60).counts["sent"]) == 5000


def test_events_may_come_out_of_order() -> None:
    bars = told(sent(HOUR + 600), sent(HOUR), sent(HOUR + 300)).bars(["sent"], 3)
    assert (bars.width, list(bars.counts["sent"])) == (300, [1, 1, 1])


def test_a_bar_begins_at_a_round_time_of_the_zone() -> None:
    days = told(sent(HOUR), sent(HOUR + 50 * 86400)).bars(["sent"], 60, offset=3600.0)
    assert days.width == 86400
    assert (days.starts[0] + 3600) % 86400 == 0


def test_of_nothing_there_are_no_bars() -> None:
    bars = Traffic().bars(["sent"], 60)
    assert (bars.starts, bars.counts) == ([], {"sent": []})


@pytest.mark.parametrize("fine", [5, 100, 5000])
def test_parts_make_what_the_whole_makes(fine: int) -> None:
    events = [sent(HOUR + 97 * number) for number in range(300)]
    traffic = Traffic(fine)
    for at in (100, 0, 200):
        part = traffic.blank()
        part.add(events[at : at + 100])
        traffic.merge(part.payload(), at, told={})
    assert traffic.bars(["sent"], 60) == told(*events, fine=fine).bars(["sent"], 60)
