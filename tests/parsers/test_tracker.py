"""Which message an event belongs to, when a message arrives, and what is let go."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from parsers.clock import Clock
from parsers.events import Delivery, Disconnect, Event, Notification, Origin, QueueAction, Queued, Received
from parsers.message import Message
from parsers.reader import LogReader
from parsers.tracker import INSTANCES, RECIPIENTS, Tracker

START = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
ID = "1A2B3C4D5E"
CLIENT = f"smtpd[1]: {ID}: client=mx.example.org[192.0.2.25]"
LOGIN = f"submission/smtpd[1]: {ID}: client=pc[203.0.113.9], sasl_method=PLAIN, sasl_username=kim"
PICKUP = f"pickup[2]: {ID}: uid=1000 from=<kim>"
MESSAGE_ID = f"cleanup[3]: {ID}: message-id=<a@example.com>"
ACTIVE = f"qmgr[4]: {ID}: from=<kim@example.com>, size=4711, nrcpt=2 (queue active)"
REMOVED = f"qmgr[4]: {ID}: removed"
TO = f"smtp[5]: {ID}: to=<lee@example.org>, relay=mx.example.org[192.0.2.25]:25, delay=1, delays=0/0/0/1, dsn="
SENT = TO + "2.0.0, status=sent (250 2.0.0 Ok)"
DEFERRED = TO + "4.2.0, status=deferred (host mx.example.org[192.0.2.25] said: 450 4.2.0 Greylisted)"
BOUNCED = TO + "5.1.1, status=bounced (host mx.example.org[192.0.2.25] said: 550 5.1.1 Unknown user)"
EXPIRED = f"qmgr[4]: {ID}: from=<kim@example.com>, status=expired, returned to sender"


class Log:
    """Lines of one host, one a second, and the tracker that follows them."""

    def __init__(self, tracker: Tracker | None = None) -> None:
        self.tracker = tracker or Tracker()
        self.reader = LogReader(Clock(UTC, lambda: START + 86400 * 300))
        self.time = START
        self.events: list[Event] = []

    def say(self, *lines: str, host: str = "mail", instance: str = "postfix") -> list[Event]:
        """The events of lines `daemon[pid]: message`, in context."""
        block = ""
        for line in lines:
            block += f"{datetime.fromtimestamp(self.time, UTC).isoformat()} {host} {instance}/{line}\n"
            self.time += 1
        events = self.reader.read(block)
        assert sum(tally.unknown + tally.malformed for tally in self.reader.tallies.values()) == 0
        self.tracker.follow(events)
        self.events += events
        return events

    @property
    def arrivals(self) -> list[str]:
        """How each message came that arrived."""
        return [
            event.message.via
            for event in self.events
            if isinstance(event, Queued | QueueAction) and event.is_arrival and event.message
        ]

    @property
    def in_flight(self) -> int:
        return sum(self.tracker.in_flight().values())


@pytest.fixture
def log() -> Log:
    return Log()


def messages(events: list[Event]) -> Iterator[Message | None]:
    return (event.message for event in events if hasattr(event, "message"))


# --- one message ---


def test_all_lines_of_a_message_belong_to_it(log: Log) -> None:
    events = log.say(CLIENT, MESSAGE_ID, ACTIVE, DEFERRED, ACTIVE, SENT, REMOVED)
    (message,) = {id(message): message for message in messages(events)}.values()
    assert message is not None
    assert (message.message_id, message.sender, message.size, message.recipients) == (
        "a@example.com",
        "kim@example.com",
        4711,
        2,
    )
    assert (message.client_ip, message.via) == ("192.0.2.25", "smtp")
    assert log.in_flight == 0


def test_a_delivery_has_the_sender_and_an_active_message_its_message_id(log: Log) -> None:
    events = log.say(CLIENT, MESSAGE_ID, ACTIVE, SENT)
    queued, delivery = events[2:]
    assert isinstance(queued, Queued)
    assert isinstance(delivery, Delivery)
    assert (queued.message_id, delivery.sender) == ("a@example.com", "kim@example.com")


@pytest.mark.parametrize(
    ("begin", "via"),
    [
        (CLIENT, "smtp"),
        (LOGIN, "submission"),
        (CLIENT + ", sasl_method=PLAIN, sasl_username=kim", "submission"),
        ("submission/" + CLIENT, "submission"),
        ("smtps/" + CLIENT, "submission"),
        ("relay/" + CLIENT, "smtp"),
        (PICKUP, "local"),
    ],
)
def test_how_a_message_came(log: Log, begin: str, via: str) -> None:
    log.say(begin, MESSAGE_ID, ACTIVE)
    assert log.arrivals == [via]


def test_a_message_arrives_once_however_often_it_becomes_active(log: Log) -> None:
    log.say(CLIENT, MESSAGE_ID, ACTIVE, DEFERRED, ACTIVE, DEFERRED, ACTIVE)
    assert log.arrivals == ["smtp"]
    assert log.in_flight == 1


@pytest.mark.parametrize(("final", "status"), [(SENT, "sent"), (BOUNCED, "bounced")])
def test_the_final_status_tells_how_many_attempts_it_took(log: Log, final: str, status: str) -> None:
    (*_, last) = log.say(CLIENT, ACTIVE, DEFERRED, DEFERRED, final)
    assert isinstance(last, Delivery)
    assert (last.status, last.attempts) == (status, 3)


def test_an_expired_message_has_what_its_last_deferral_had(log: Log) -> None:
    deferral, expiry = log.say(CLIENT, ACTIVE, DEFERRED, EXPIRED)[2:]
    assert isinstance(deferral, Delivery)
    assert isinstance(expiry, Delivery)
    assert (expiry.status, expiry.recipient, expiry.attempts) == ("expired", None, 1)
    assert (expiry.direction, expiry.provider, expiry.reason) == (
        deferral.direction,
        deferral.provider,
        deferral.reason,
    )


def test_the_recipients_whose_attempts_are_counted_are_bounded(log: Log) -> None:
    log.say(CLIENT, ACTIVE)
    for number in range(RECIPIENTS + 10):
        (event,) = log.say(DEFERRED.replace("lee@", f"lee{number}@"))
    assert isinstance(event, Delivery)
    assert event.message is not None
    assert len(event.message.attempts or ()) == RECIPIENTS


# --- what is not in the queue ---


@pytest.mark.parametrize(
    "refusal",
    [
        f"cleanup[3]: {ID}: reject: header Subject: watches from mx.example.org[192.0.2.25]; from=<a@example.org>"
        " to=<b@example.com> proto=ESMTP helo=<x>: 5.7.1 No adverts",
        f"cleanup[3]: {ID}: milter-reject: END-OF-MESSAGE from mx.example.org[192.0.2.25]: 5.7.1 Spam;"
        " from=<a@example.org> to=<b@example.com> proto=ESMTP helo=<x>",
        f"smtpd[1]: warning: {ID}: queue file size limit exceeded",
        f"cleanup[3]: {ID}: removed (canceled)",
    ],
)
def test_a_message_that_is_refused_as_a_whole_never_was_in_flight(log: Log, refusal: str) -> None:
    log.say(CLIENT, MESSAGE_ID, refusal)
    assert (log.arrivals, log.in_flight, log.tracker.dropped) == ([], 0, 0)


def test_a_refused_recipient_does_not_end_the_message(log: Log) -> None:
    reject = f"smtpd[1]: {ID}: reject: RCPT from mx.example.org[192.0.2.25]: 550 5.1.1 <x@example.com>: Unknown; "
    log.say(CLIENT, reject + "from=<a@example.org> to=<x@example.com> proto=ESMTP helo=<x>", MESSAGE_ID, ACTIVE)
    assert (log.arrivals, log.in_flight) == (["smtp"], 1)


def test_a_client_that_goes_away_leaves_nothing_in_flight(log: Log) -> None:
    log.say(CLIENT, f"cleanup[3]: {ID}: message-id=<>", "smtpd[1]: lost connection after DATA from mx[192.0.2.25]")
    assert (log.arrivals, log.in_flight) == ([], 0)


def test_a_local_users_message_that_is_refused_comes_back_and_is_gone(log: Log) -> None:
    log.say(
        PICKUP,
        f"cleanup[3]: {ID}: reject: body x from local; from=<kim@example.com>: 5.7.1 No",
        f"cleanup[3]: {ID}: to=<lee@example.org>, relay=none, delay=0, delays=0/0/0/0, dsn=5.7.1,"
        " status=bounced (No)",
        f"bounce[6]: {ID}: sender non-delivery notification: 9A2B3C4D5E",
    )
    assert (log.arrivals, log.in_flight) == ([], 0)


@pytest.mark.parametrize("more", [[], [f"cleanup[3]: {ID}: removed (discarded)"]])
def test_a_discarded_message_was_received_and_is_gone(log: Log, more: list[str]) -> None:
    text = f"cleanup[3]: {ID}: discard: header Subject: x from mx.example.org[192.0.2.25]; from=<a@example.org>"
    log.say(CLIENT, f"{text} to=<b@example.com> proto=ESMTP helo=<x>: no", *more)
    assert (log.arrivals, log.in_flight) == (["smtp"], 0)


def test_what_an_access_table_discards_is_told_when_it_is_gone(log: Log) -> None:
    log.say(CLIENT, MESSAGE_ID, f"cleanup[3]: {ID}: removed (discarded)")
    assert (log.arrivals, log.in_flight) == (["smtp"], 0)


# --- what an operator does ---


def test_a_held_message_arrives_when_it_is_held(log: Log) -> None:
    hold = f"cleanup[3]: {ID}: hold: header Subject: x from mx.example.org[192.0.2.25]; from=<a@example.org>"
    log.say(CLIENT, f"{hold} to=<b@example.com> proto=ESMTP helo=<x>: why", MESSAGE_ID)
    assert (log.arrivals, log.in_flight) == (["smtp"], 1)
    log.say(f"postsuper[7]: {ID}: released from hold", ACTIVE, SENT, REMOVED)
    assert (log.arrivals, log.in_flight) == (["smtp"], 0)


def test_a_deleted_message_is_gone(log: Log) -> None:
    log.say(CLIENT, MESSAGE_ID, ACTIVE, DEFERRED, f"postsuper[7]: {ID}: removed")
    assert log.in_flight == 0


def test_a_requeued_message_is_the_same_under_a_new_id(log: Log) -> None:
    new = "2A2B3C4D5E"
    log.say(LOGIN, MESSAGE_ID, ACTIVE, DEFERRED, f"postsuper[7]: {ID}: requeued")
    log.say(f"pickup[2]: {new}: uid=100 from=<kim@example.com> orig_id={ID}")
    events = log.say(*(line.replace(ID, new) for line in (MESSAGE_ID, ACTIVE, SENT, REMOVED)))
    assert log.arrivals == ["submission"]
    assert log.in_flight == 0
    assert {message.via for message in messages(events) if message} == {"submission"}


# --- what Postfix makes itself ---

CHILD = "9A2B3C4D5E"
CHILD_LINES = (
    f"cleanup[3]: {CHILD}: message-id=<20261101000000.{CHILD}@mail.example.com>",
    f"qmgr[4]: {CHILD}: from=<>, size=2500, nrcpt=1 (queue active)",
    f"local[8]: {CHILD}: to=<kim@example.com>, relay=local, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent"
    " (delivered to mailbox)",
    f"qmgr[4]: {CHILD}: removed",
)
TOLD = f"bounce[6]: {ID}: sender non-delivery notification: {CHILD}"


@pytest.mark.parametrize("place", range(5))
def test_a_notification_arrives_once_wherever_its_line_stands(log: Log, place: int) -> None:
    """Postfix 3.11 tells of it first; before that bounce(8) does when it is made, and it may be gone by then."""
    lines = list(CHILD_LINES)
    lines.insert(place, TOLD)
    events = log.say(CLIENT, MESSAGE_ID, ACTIVE, BOUNCED, *lines, REMOVED)
    assert log.arrivals == ["smtp", "notification"]
    assert log.in_flight == 0
    (notification,) = (event for event in events if isinstance(event, Notification))
    assert notification.message is not None
    assert notification.message.message_id == "a@example.com"


def test_a_notification_whose_line_is_missing_is_one_all_the_same(log: Log) -> None:
    log.say(*CHILD_LINES[:2])
    assert log.arrivals == ["notification"]


def test_a_notification_to_postmaster_is_told_by_its_line(log: Log) -> None:
    copy = CHILD_LINES[1].replace("<>", "<double-bounce@mail.example.com>")
    log.say(CLIENT, ACTIVE, BOUNCED, CHILD_LINES[0], TOLD.replace("sender", "postmaster"), copy)
    assert log.arrivals == ["smtp", "notification"]


def test_an_address_probe_is_nobodys_message(log: Log) -> None:
    log.say(CHILD_LINES[0], CHILD_LINES[1].replace("<>", "<double-bounce@mail.example.com>"))
    assert log.arrivals == []
    log.say(CHILD_LINES[3])
    assert log.in_flight == 0


def test_a_local_user_may_send_with_the_null_sender(log: Log) -> None:
    log.say(f"pickup[2]: {CHILD}: uid=1000 from=<>", *CHILD_LINES[:2])
    assert log.arrivals == ["local"]


@pytest.mark.parametrize("late", [False, True])
def test_a_forwarded_message_does_not_arrive_again(log: Log, late: bool) -> None:
    told = f"local[8]: {ID}: to=<staff@example.com>, relay=local, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent"
    told += f" (forwarded as {CHILD})"
    lines = [MESSAGE_ID.replace(ID, CHILD), ACTIVE.replace(ID, CHILD)]
    lines.insert(1 + late, told)
    log.say(CLIENT, MESSAGE_ID, ACTIVE, *lines, REMOVED)
    (delivery,) = log.say(SENT.replace(ID, CHILD))
    assert log.arrivals == ["smtp"]
    assert isinstance(delivery, Delivery)
    assert delivery.attempts == 1
    log.say(REMOVED.replace(ID, CHILD))
    assert log.in_flight == 0


def test_a_message_back_from_a_content_filter_does_not_arrive_again(log: Log) -> None:
    log.say(LOGIN, MESSAGE_ID, ACTIVE)
    back = f"smtpd[9]: {CHILD}: client=localhost[127.0.0.1], orig_queue_id={ID}, orig_client=pc[203.0.113.9]"
    events = log.say(back, *(line.replace(ID, CHILD) for line in (MESSAGE_ID, ACTIVE, SENT)))
    assert log.arrivals == ["submission"]
    assert {message.via for message in messages(events) if message} == {"submission"}
    assert log.in_flight == 2


def test_a_message_that_another_host_forwards_arrives_here(log: Log) -> None:
    log.say(f"{CLIENT}, orig_queue_id=8F2B3C4D5E, orig_client=pc[203.0.113.9]", MESSAGE_ID, ACTIVE)
    assert log.arrivals == ["smtp"]


# --- several queues ---


def test_an_id_is_of_one_instance_on_one_host(log: Log) -> None:
    log.say(CLIENT, ACTIVE)
    log.say(LOGIN, ACTIVE, instance="postfix-out")
    log.say(PICKUP, ACTIVE, host="mx1")
    assert log.arrivals == ["smtp", "submission", "local"]
    assert log.in_flight == 3
    (delivery,) = log.say(SENT, instance="postfix-out")
    assert isinstance(delivery, Delivery)
    assert delivery.message is not None
    assert delivery.message.via == "submission"


def test_a_service_may_have_the_name_of_another_instance(log: Log) -> None:
    log.say(LOGIN)  # of the other instance, by its settings in master.cf
    log.say(MESSAGE_ID, ACTIVE, instance="postfix-out")
    assert log.arrivals == ["submission"]
    (delivery,) = log.say(SENT.replace("smtp[5]", "slow/smtp[5]"))
    assert isinstance(delivery, Delivery)
    assert delivery.message is not None
    assert delivery.message.message_id == "a@example.com"
    log.say(REMOVED, instance="postfix-out")
    assert log.in_flight == 0


def test_another_host_has_other_messages(log: Log) -> None:
    log.say(CLIENT, ACTIVE)
    (delivery,) = log.say(SENT, host="mx1")
    assert isinstance(delivery, Delivery)
    assert delivery.attempts is None
    assert log.in_flight == 2


# --- logs that are not whole ---


def test_a_log_may_begin_in_the_middle_of_a_message(log: Log) -> None:
    events = log.say(ACTIVE, DEFERRED, EXPIRED, TOLD)
    assert log.arrivals == []
    assert log.in_flight == 1
    assert [event.attempts for event in events if isinstance(event, Delivery)] == [None, None]
    log.say(REMOVED)
    assert log.in_flight == 0


def test_a_message_id_alone_is_not_the_beginning_of_a_message(log: Log) -> None:
    log.say(MESSAGE_ID, ACTIVE)
    assert log.arrivals == []


def test_the_end_of_a_message_that_was_never_seen(log: Log) -> None:
    (event,) = log.say(REMOVED)
    assert list(messages([event])) == [None]
    assert log.in_flight == 0


def test_a_short_id_comes_back_after_its_message(log: Log) -> None:
    log.say(CLIENT, MESSAGE_ID, ACTIVE, DEFERRED, REMOVED)
    last = log.say(LOGIN, ACTIVE, SENT)[-1]
    assert log.arrivals == ["smtp", "submission"]
    assert isinstance(last, Delivery)
    assert last.attempts == 1


def test_a_short_id_comes_back_though_its_message_was_not_seen_to_end(log: Log) -> None:
    log.say(CLIENT, MESSAGE_ID, ACTIVE, DEFERRED)
    received, *_, last = log.say(LOGIN, ACTIVE, SENT)
    assert log.arrivals == ["smtp", "submission"]
    assert isinstance(received, Received)
    assert received.message is not None
    assert received.message.message_id is None
    assert isinstance(last, Delivery)
    assert last.attempts == 1
    assert log.in_flight == 1


# --- bounds ---


def test_the_oldest_of_too_many_messages_is_let_go_and_counted() -> None:
    log = Log(Tracker(most=10))
    for number in range(25):
        log.say(CLIENT.replace(ID, f"{number:010X}"), ACTIVE.replace(ID, f"{number:010X}"))
    assert (log.in_flight, log.tracker.dropped) == (10, 15)
    (event,) = log.say(REMOVED.replace(ID, f"{24:010X}"))
    assert list(messages([event])) != [None]
    assert log.in_flight == 9


def test_the_bound_holds_over_all_queues() -> None:
    log = Log(Tracker(most=10))
    for number in range(25):
        log.say(CLIENT, ACTIVE, host=f"mx{number}")
    assert (log.in_flight, log.tracker.dropped) == (10, 15)


def test_a_message_that_is_too_old_is_let_go_and_counted() -> None:
    log = Log(Tracker(oldest=3600))
    log.say(CLIENT, ACTIVE)
    log.time += 3000
    log.say(CLIENT.replace(ID, CHILD), ACTIVE.replace(ID, CHILD))
    assert (log.in_flight, log.tracker.dropped) == (2, 0)
    log.time += 3000
    log.say("smtpd[1]: connect from mx.example.org[192.0.2.25]")
    assert (log.in_flight, log.tracker.dropped) == (1, 1)


def test_what_never_was_in_the_queue_is_let_go_and_not_counted() -> None:
    log = Log(Tracker(oldest=3600))
    log.say(CLIENT)
    log.time += 4000
    log.say("smtpd[1]: connect from mx.example.org[192.0.2.25]")
    assert log.tracker.dropped == 0
    log.say(SENT)
    assert log.in_flight == 1


def test_hosts_that_have_no_messages_any_more_are_forgotten() -> None:
    log = Log()
    for number in range(INSTANCES * 2):
        log.say(CLIENT, REMOVED, host=f"mx{number}")
    assert len(log.tracker.queues) <= INSTANCES


# --- logins ---

CONNECT = "submission/smtpd[1]: connect from pc[203.0.113.9]"
BYE = "submission/smtpd[1]: disconnect from pc[203.0.113.9] ehlo=2 starttls=1 "


def logins(events: list[Event]) -> list[int]:
    return [event.logins for event in events if isinstance(event, Received | Disconnect)]


@pytest.mark.parametrize(
    ("lines", "counts"),
    [
        ([CONNECT, LOGIN, BYE + "auth=1 mail=1 quit=1"], [1, 0]),
        ([CONNECT, LOGIN, LOGIN.replace(ID, CHILD), BYE + "auth=1 mail=2 quit=1"], [1, 0, 0]),
        ([CONNECT, BYE + "auth=1 quit=1"], [1]),
        ([CONNECT, BYE + "auth=0/3 quit=1"], [0]),
        ([CONNECT, BYE + "auth=1/3 quit=1"], [1]),
        ([CONNECT, BYE + "auth=2 quit=1"], [2]),
        ([CONNECT, BYE + "xauth=7 quit=1"], [0]),
        ([CONNECT, LOGIN, BYE.strip()], [1, 0]),  # before 3.0, and where the client just goes away
        ([CONNECT, CLIENT, BYE + "mail=1 quit=1"], [0, 0]),
        ([CONNECT, LOGIN, CONNECT, LOGIN.replace(ID, CHILD), BYE + "auth=1 mail=1"], [1, 1, 0]),
        ([LOGIN, BYE + "auth=1 mail=1"], [1, 0]),
        ([LOGIN, LOGIN.replace("[1]", "[2]").replace(ID, CHILD)], [1, 1]),
    ],
)
def test_a_login_is_told_by_the_first_line_that_knows_of_it(log: Log, lines: list[str], counts: list[int]) -> None:
    assert logins(log.say(*lines)) == counts


# --- what a log does not tell ---

RELAY = Origin("qmail", "mail", "qmail", "qmail-send")


@pytest.mark.parametrize(
    ("begin", "told", "delay"),
    [(Received, None, 2.25), (Received, 1.5, 1.5), (None, None, None)],
    ids=["not told", "told", "the beginning was not seen"],
)
def test_the_delay_runs_from_the_arrival_where_the_log_does_not_tell_it(
    begin: type[Received] | None, told: float | None, delay: float | None
) -> None:
    delivery = Delivery(START + 2.2501, RELAY, "4711", "lee@example.org", "sent", "outbound", delay=told)
    Tracker().follow([begin(START, RELAY, "4711", size=512), delivery] if begin else [delivery])
    assert delivery.delay == delay


def test_a_delivery_of_an_unknown_message_leaves_nothing_in_flight() -> None:
    tracker = Tracker()
    tracker.follow([Delivery(START, RELAY, None, None, "sent", "outbound")])
    assert tracker.in_flight() == {}
