"""The last minutes of mail, counted."""

from __future__ import annotations

import pytest

from mailstat.live.pulse import KNOWN, NAME, NAMES, SLOTS, Pulse
from parsers.events import Auth, Connect, ConnectionFailure, Delivery, Event, Origin, Received, Reject

NOW = 1_767_571_200.0
ORIGIN = Origin("postfix", "mail", "postfix", "smtp", 7)


def delivery(status: str, ago: float = 0.0, **of: object) -> Delivery:
    named = {"provider": "google", "recipient": "a@example.org", "reason": None} | of
    return Delivery(NOW - ago, ORIGIN, queue_id="A", status=status, direction="outbound", **named)  # type: ignore[arg-type]


def told(*events: Event) -> Pulse:
    pulse = Pulse()
    for number, event in enumerate(events):
        pulse.add(event, f"line {number}")
    return pulse


def test_rates_are_a_minute_on_average_of_the_window() -> None:
    pulse = told(delivery("sent"), delivery("sent", 30), delivery("sent", 200), Connect(NOW, ORIGIN))
    assert pulse.rates(NOW, 60)["sent"] == 2.0
    assert pulse.rates(NOW, 300)["sent"] == 0.6
    assert pulse.rates(NOW, 60)["connections"] == 1.0


def test_deliveries_are_told_by_provider_reason_and_destination() -> None:
    pulse = told(
        delivery("sent", recipient="a@fine.example"),
        delivery("deferred", reason="rate_limited"),
        delivery("bounced", reason="user_unknown"),
        delivery("expired", provider=None),
        delivery("expired", recipient=None),
    )
    assert sorted(pulse.rows("providers", NOW, 60)) == [("google", (1, 1, 2)), ("other", (0, 0, 1))]
    assert sorted(pulse.rows("reasons", NOW, 60)) == [
        ("rate_limited", (1, 0, 0)),
        ("unclassified", (0, 2, 0)),
        ("user_unknown", (0, 1, 0)),
    ]
    assert sorted(pulse.rows("destinations", NOW, 60)) == [
        ("(not told)", (0, 1, 0, 0)),
        ("example.org", (1, 2, 0, 0)),
    ]


def test_failed_logins_are_told_by_block() -> None:
    events = [
        Auth(NOW, ORIGIN, "failure", client_ip="192.0.2.1", attempts=3),
        Auth(NOW, ORIGIN, "failure", client_ip="192.0.2.2"),
        Received(NOW, ORIGIN, "A", client_ip="192.0.2.3", logins=1),
        Reject(NOW, ORIGIN, client_ip="192.0.2.3", reason="blocked_ip"),
        Auth(NOW, ORIGIN, "success", client_ip="198.51.100.1"),
    ]
    assert told(*events).rows("attackers", NOW, 60) == [("192.0.2.0/24", (4, 1, 1))]


def test_hosts_that_are_not_reached_are_failing_destinations() -> None:
    pulse = told(ConnectionFailure(NOW, ORIGIN, "timeout", relay_host="MX.example.org"))
    assert pulse.rows("destinations", NOW, 60) == [("mx.example.org", (0, 0, 1, 0))]


def test_no_name_is_longer_than_one_of_the_dns() -> None:
    long = "x" * 60_000
    pulse = told(
        ConnectionFailure(NOW, ORIGIN, "timeout", relay_host=long),
        delivery("deferred", recipient=f"a@{long}"),
        Auth(NOW, ORIGIN, "failure", client_name=long),
    )
    for panel in ("destinations", "attackers"):
        assert [name for name, _ in pulse.rows(panel, NOW, 60)] == ["x" * NAME]


def test_the_last_lines_of_a_row_are_kept() -> None:
    pulse = told(*(delivery("deferred", reason="mailbox_full") for _ in range(30)))
    assert pulse.lines("reasons", "mailbox_full") == tuple(f"line {number}" for number in range(10, 30))
    assert pulse.lines("reasons", "other") == ()


def test_a_curve_has_the_newest_last() -> None:
    pulse = told(delivery("sent"), delivery("sent"), delivery("sent", 280))
    assert pulse.curve("sent", NOW, 300, 5) == [1, 0, 0, 0, 2]
    assert sum(pulse.curve("sent", NOW, 300, 70)) == 3


def test_what_leaves_the_window_is_told_no_more() -> None:
    pulse = told(delivery("sent", 100))
    assert pulse.rows("providers", NOW, 60) == []
    assert pulse.rows("providers", NOW, 300) == [("google", (1, 0, 0))]


def test_an_old_log_is_told_in_its_own_time() -> None:
    pulse = told(delivery("sent"))
    assert pulse.rates(NOW + 30 * 86400, 60)["sent"] == 1.0
    assert pulse.rates(NOW + 1800, 60)["sent"] == 0.0


@pytest.mark.parametrize("step", [10.0, -10.0])
def test_memory_is_bounded_in_time(step: float) -> None:
    pulse = Pulse()
    for number in range(2 * SLOTS):
        pulse.count(NOW + number * step, ("", "", "sent"))
    assert len(pulse._slots) <= SLOTS


def test_memory_is_bounded_in_names() -> None:
    pulse = Pulse()
    for number in range(max(NAMES, KNOWN) + 100):
        pulse.add(delivery("deferred", recipient=f"a@d{number}.example"), "x" * 5000)
    assert len(next(iter(pulse._slots.values()))) <= NAMES
    assert len(pulse._lines) <= KNOWN
    assert max(len(line) for lines in pulse._lines.values() for line in lines) == 1000
