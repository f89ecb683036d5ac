"""What one line says and another needs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC

import pytest

from parsers.clock import Clock
from parsers.events import Auth, Delivery, Event, Notification, Origin, Received, Removed
from parsers.mta.qmail import join
from parsers.mta.qmail.join import SESSION_SECONDS, Attempts
from parsers.mta.qmail.send import Started
from parsers.reader import LogReader
from parsers.server import Join
from parsers.tracker import Tracker

ORIGIN = Origin("qmail", "mail", "qmail", "qmail")
START = 1_795_284_304.0


class Host:
    """Lines of one log, a second after each other, through splogger."""

    def __init__(self, joins: dict[str, Join] | None = None, name: str = "mail") -> None:
        self.joins = {} if joins is None else joins
        self.reader = LogReader(Clock(UTC, lambda: START + 86_400), joins=self.joins)
        self.tracker = Tracker()
        self.time = START
        self.name = name

    def say(self, *lines: str) -> list[Event]:
        block = ""
        for line in lines:
            block += f"Nov 21 10:00:00 {self.name} qmail: {self.time:.6f} {line}\n"
            self.time += 1
        events = self.reader.read(block)
        self.tracker.follow(events)
        assert sum(tally.unknown + tally.malformed for tally in self.reader.tallies.values()) == 0
        return events


MESSAGE = ("new msg 7", "info msg 7: bytes 512 from <kim@example.com> qp 80 uid 1000")
ATTEMPT = "starting delivery 1: msg 7 to remote lee@gmail.com"
ACCEPTED = "delivery 1: success: 192.0.2.25_accepted_message./Remote_host_said:_250_ok/"
DEFERRED = "Connected_to_192.0.2.25_but_connection_died._(#4.4.2)/"


def test_the_end_of_an_attempt_has_its_message_and_recipient() -> None:
    *_, event = Host().say(*MESSAGE, ATTEMPT, ACCEPTED)
    assert isinstance(event, Delivery)
    assert (event.queue_id, event.recipient, event.sender) == ("7", "lee@gmail.com", "kim@example.com")
    assert (event.transport, event.direction, event.provider) == ("remote", "outbound", "google")
    assert (event.delay, event.delay_transmit, event.attempts) == (2.0, 1.0, 1)


def test_where_it_went_is_told_by_its_beginning() -> None:
    (event,) = Host().say("starting delivery 1: msg 7 to local kim@example.com", f"delivery 1: deferral: {DEFERRED}")
    assert isinstance(event, Delivery)
    assert (event.direction, event.transport, event.provider) == ("local", "local", None)


def test_attempts_overlap() -> None:
    events = Host().say(
        "starting delivery 1: msg 7 to local a@example.com",
        "starting delivery 2: msg 8 to local b@example.com",
        "delivery 2: success: did_1+0+0/",
        "delivery 1: success: did_1+0+0/",
    )
    assert [event.recipient for event in events if isinstance(event, Delivery)] == ["b@example.com", "a@example.com"]


def test_hosts_have_numbers_of_their_own() -> None:
    joins: dict[str, Join] = {}
    one, two = Host(joins), Host(joins, name="other")
    one.say("starting delivery 1: msg 7 to local a@example.com")
    two.say("starting delivery 1: msg 7 to local b@example.com")
    (event,) = one.say("delivery 1: success: did_1+0+0/")
    assert isinstance(event, Delivery)
    assert event.recipient == "a@example.com"


def test_an_attempt_that_goes_on_in_the_next_file_is_the_same() -> None:
    joins: dict[str, Join] = {}
    Host(joins).say(ATTEMPT)
    (event,) = Host(joins).say(ACCEPTED)
    assert isinstance(event, Delivery)
    assert event.recipient == "lee@gmail.com"


def test_after_a_restart_numbers_begin_again() -> None:
    *_, event = Host().say(
        "starting delivery 1: msg 7 to remote old@example.org",  # and then qmail-send was killed
        "starting delivery 1: msg 7 to remote new@example.org",
        ACCEPTED,
    )
    assert isinstance(event, Delivery)
    assert event.recipient == "new@example.org"


@pytest.mark.parametrize(
    ("line", "direction"),
    [
        (ACCEPTED, "outbound"),
        (f"delivery 1: deferral: {DEFERRED}", "outbound"),
        ("delivery 1: success: did_1+0+0/", "local"),
        ("delivery 1: failure: Sorry,_no_mailbox_here_by_that_name._(#5.1.1)/", "local"),
    ],
)
def test_an_attempt_whose_beginning_was_not_seen_is_counted_and_belongs_to_no_message(
    line: str, direction: str
) -> None:
    host = Host()
    (event,) = host.say(line)
    assert isinstance(event, Delivery)
    assert (event.queue_id, event.recipient, event.direction, event.delay) == (None, None, direction, None)
    assert host.tracker.in_flight() == {}


def test_a_message_number_that_comes_again_is_another_message() -> None:
    host = Host()
    host.say(*MESSAGE, ATTEMPT, ACCEPTED, "end msg 7")
    host.say("new msg 7", "info msg 7: bytes 9 from <max@example.com> qp 81 uid 82")
    (event,) = host.say("starting delivery 2: msg 7 to local kim@example.com", "delivery 2: success: did_1+0+0/")
    assert isinstance(event, Delivery)
    assert (event.sender, event.delay) == ("max@example.com", 2.0)
    assert event.message
    assert event.message.via == "smtp"
    assert host.tracker.in_flight() == {"qmail": 1}


def test_attempts_are_counted_until_the_message_is_given_up() -> None:
    host = Host()
    host.say(*MESSAGE)
    last = None
    for number in range(1, 4):
        status = "failure" if number == 3 else "deferral"
        more = "I'm_not_going_to_try_again;_this_message_has_been_in_the_queue_too_long./" if number == 3 else ""
        (last,) = host.say(
            f"starting delivery {number}: msg 7 to remote lee@example.org",
            f"delivery {number}: {status}: {DEFERRED}{more}",
        )
    assert isinstance(last, Delivery)
    assert (last.status, last.attempts, last.reason) == ("expired", 3, "connection_failed")


# --- bounces ---

BOUNCE = ("bounce msg 7 qp 90", "end msg 7", "new msg 9", "info msg 9: bytes 999 from <> qp 90 uid 87")


def test_a_bounce_is_about_a_message_and_is_counted_once() -> None:
    host = Host()
    *_, notification, removed, received = host.say(*MESSAGE, ATTEMPT, "delivery 1: failure: no/", *BOUNCE)
    assert isinstance(notification, Notification)
    assert isinstance(removed, Removed)
    assert isinstance(received, Received)
    assert (notification.queue_id, notification.type, notification.new_queue_id) == ("7", "bounce", None)
    assert (received.via, received.original_queue_id, received.notification) == ("notification", "7", "")
    assert received.is_arrival


def test_a_bounce_of_another_host_is_a_message_like_others() -> None:
    *_, received = Host().say("bounce msg 7 qp 90", "info msg 9: bytes 999 from <> qp 91 uid 82")
    assert isinstance(received, Received)
    assert (received.via, received.original_queue_id, received.notification) == ("smtp", None, None)


def test_a_double_bounce_is_told_by_its_sender() -> None:
    (received,) = Host().say("info msg 9: bytes 999 from <#@[]> qp 91 uid 87")
    assert isinstance(received, Received)
    assert (received.via, received.notification) == ("notification", "")


# --- sessions of s/qmail ---


def accepted(pid: int, user: str = "kim@example.com") -> str:
    client = "P:ESMTPSA S:203.0.113.9:unknown H:pc F:kim@example.com T:lee@example.org"
    return f"qmail-smtpd: pid {pid} Accept::AUTH::plain {client} ?~ '{user}'"


def test_a_session_is_one_login_however_many_recipients_it_has() -> None:
    host = Host()
    events = host.say(accepted(1), accepted(1), accepted(2), accepted(1), accepted(1, "max@example.com"))
    assert [(type(event), getattr(event, "sasl_user", None)) for event in events] == [
        (Auth, "kim@example.com"),
        (Auth, "kim@example.com"),
        (Auth, "max@example.com"),
    ]
    host.time += SESSION_SECONDS
    assert len(host.say(accepted(1))) == 1


# --- memory ---


def begin(number: int) -> Event:
    return Started(START, ORIGIN, str(number), "7", "local", "kim@example.com")


def bounce(number: int) -> Event:
    return Notification(START, ORIGIN, "7", "bounce", str(number))


@pytest.mark.parametrize("make", [begin, bounce])
def test_what_is_remembered_is_bounded_and_the_oldest_is_forgotten(
    make: Callable[[int], Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(join, "MOST", 100)
    attempts = Attempts()
    for number in range(1000):
        attempts.join([make(number)])
    last = Delivery(START + 1, ORIGIN, "999", None, "sent", "local")
    first = Delivery(START + 1, ORIGIN, "0", None, "sent", "local")
    returned = [Received(START + 1, ORIGIN, "9", sender="", original_queue_id=qp) for qp in ("999", "0")]
    attempts.join([last, first, *returned])
    assert (last.queue_id, first.queue_id) == (("7", None) if make is begin else (None, None))
    about = [event.original_queue_id for event in returned]
    assert about == ([None, None] if make is begin else ["7", None])
    assert all(len(memory) <= 100 for memory in (attempts._started, attempts._bounces))


def test_events_of_other_servers_are_left_alone() -> None:
    postfix = Origin("postfix", "mail", "postfix", "smtp")
    delivery = Delivery(START, postfix, "4F2A31C", "kim@example.org", "sent", "outbound")
    attempts = Attempts()
    assert attempts.join([begin(4), delivery]) == [delivery]
    assert delivery.queue_id == "4F2A31C"
