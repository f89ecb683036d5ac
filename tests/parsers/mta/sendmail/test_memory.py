"""What one line says that a later one needs, from the log to the message that the tracker follows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC

import msgspec
import pytest

from parsers.clock import Clock
from parsers.events import Delivery, Event, Notification, QueueAction, Received
from parsers.mta.sendmail import memory
from parsers.mta.sendmail.memory import Memory, Recent
from parsers.reader import LogReader
from parsers.tracker import Tracker

ID, NEXT, NEW = "5ALA00aB004711", "5ALA00aC004712", "5ALA00aD004713"
FROM = "from=<kim@example.com>, size=47, class=0, nrcpts={}, msgid=<1@example.com>"
MX = "relay=mx.example.org. [192.0.2.25]"
SENT = f"delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=1, {MX}, dsn=2.0.0, stat=Sent (Ok)"
DEFERRED = f"delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=1, {MX}, dsn=4.2.2, stat=Deferred: 452 4.2.2 Full"
BOUNCED = f"delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=1, {MX}, dsn=5.1.1, stat=User unknown"
SMTP = "proto=ESMTP, daemon=MTA, relay=mx.example.net [203.0.113.7]"


class Log:
    """Lines of one host, and the tracker that follows them."""

    def __init__(self) -> None:
        self.tracker = Tracker()
        self.reader = LogReader(Clock(UTC, lambda: 1795400000.0))
        self.events: list[Event] = []

    def say(self, *lines: str, at: str = "10:00:00") -> list[Event]:
        events = self.reader.read("".join(f"Nov 21 {at} mail {line}\n" for line in lines))
        assert sum(tally.unknown + tally.malformed for tally in self.reader.tallies.values()) == 0
        self.tracker.follow(events)
        self.events += events
        return events

    def about(self, *texts: str) -> list[Event]:
        return self.say(*(f"sm-mta[1]: {ID}: {text}" for text in texts))

    @property
    def in_flight(self) -> int:
        return sum(self.tracker.in_flight().values())

    @property
    def arrivals(self) -> list[str]:
        return [
            event.message.via
            for event in self.events
            if isinstance(event, Received | Delivery | QueueAction) and event.is_arrival and event.message
        ]

    @property
    def removals(self) -> int:
        return sum(isinstance(event, Delivery) and event.is_removal for event in self.events)


@pytest.fixture
def log() -> Log:
    return Log()


# --- how a message comes and goes ---


def test_a_message_is_done_with_its_last_recipient(log: Log) -> None:
    log.about(f"{FROM.format(3)}, {SMTP}", f"to=<a@example.org>,<b@example.org>, {SENT}")
    assert (log.in_flight, log.removals) == (1, 0)
    log.about(f"to=<c@example.org>, {DEFERRED}")
    assert (log.in_flight, log.removals) == (1, 0)
    (event,) = log.about(f"to=<c@example.org>, {BOUNCED}")
    assert isinstance(event, Delivery)
    assert (log.in_flight, log.removals, log.arrivals, event.attempts) == (0, 1, ["smtp"], 2)


def test_a_message_that_is_refused_after_its_data_never_came(log: Log) -> None:
    log.about(
        f"{FROM.format(1)}, {SMTP}",
        "Milter: data, reject=554 5.7.1 Virus found",
        "to=<a@example.org>, delay=00:00:00, pri=1, stat=Virus found",
    )
    assert (log.in_flight, log.arrivals, log.removals) == (0, [], 0)


def test_nor_did_one_that_a_ruleset_refuses_before_it_is_logged(log: Log) -> None:
    log.about(
        "ruleset=CheckSubject, arg1= offer, relay=mx [192.0.2.1], reject=553 5.7.1 No",
        f"{FROM.format(1)}, {SMTP}",
        "to=<a@example.org>, delay=00:00:00, pri=1, stat=No",
    )
    assert (log.in_flight, log.arrivals) == (0, [])


def test_a_message_that_only_waits_has_come(log: Log) -> None:
    log.about(f"{FROM.format(1)}, {SMTP}", "to=<a@example.org>, delay=00:00:00, mailer=esmtp, pri=1, stat=queued")
    assert log.in_flight == 1


def test_a_message_that_is_discarded_has_come_and_gone(log: Log) -> None:
    log.about(f"{FROM.format(1)}, {SMTP}", "discarded")
    assert (log.in_flight, log.arrivals) == (0, ["smtp"])


def test_an_alias_makes_several_recipients_of_one(log: Log) -> None:
    log.about(f"{FROM.format(1)}, {SMTP}", f"to=a, {SENT}", f"to=b, {SENT}", f"to=c, {DEFERRED}", f"to=c, {SENT}")
    assert (log.in_flight, log.removals, log.arrivals) == (0, 1, ["smtp"])


def test_a_message_whose_beginning_was_not_seen_does_not_stay(log: Log) -> None:
    log.about(f"to=<a@example.org>, {SENT}")
    assert log.in_flight == 0
    log.about(f"to=<a@example.org>, {DEFERRED}")
    assert log.in_flight == 1
    log.about(f"to=<a@example.org>, {SENT}")
    assert (log.in_flight, log.removals) == (0, 0)


def test_a_notification_comes_and_goes(log: Log) -> None:
    log.about(f"{FROM.format(1)}, {SMTP}", f"to=<a@example.org>, {BOUNCED}", f"{NEW}: DSN: User unknown")
    assert log.in_flight == 1
    log.say(f"sm-mta[1]: {NEW}: to=<kim@example.com>, {SENT}")
    assert (log.in_flight, log.removals) == (0, 2)


def test_recipients_that_were_split_off_go_on(log: Log) -> None:
    log.about(f"{FROM.format(1)}, {SMTP}", f"{NEW}: clone: owner=owner-news", f"to=a, {SENT}")
    assert (log.in_flight, log.arrivals) == (1, ["smtp"])
    log.say(f"sm-mta[1]: {NEW}: to=b, {SENT}")
    assert log.in_flight == 0


# --- messages that are given up ---

GIVEN_UP = f"{NEW}: sender notify: Cannot send message for 5 days"


def test_all_who_waited_are_told_to_have_expired(log: Log) -> None:
    log.about(f"{FROM.format(3)}, {SMTP}", f"to=<a@example.org>,<b@example.org>,<c@example.org>, {DEFERRED}")
    log.about(f"to=<b@example.org>, {SENT}")
    events = [event for event in log.about(GIVEN_UP) if isinstance(event, Delivery)]
    assert [(event.recipient, event.status, event.reason, event.attempts) for event in events] == [
        ("a@example.org", "expired", "mailbox_full", 1),
        ("c@example.org", "expired", "mailbox_full", 1),
    ]
    assert [event.relay_host for event in events] == ["mx.example.org"] * 2
    log.say(f"sm-mta[1]: {NEW}: to=<kim@example.com>, {SENT}")
    assert (log.in_flight, log.removals) == (0, 2)


def test_a_message_whose_recipients_no_line_named_expires_too(log: Log) -> None:
    log.about(f"{FROM.format(2)}, {SMTP}")
    (event, _) = log.about(GIVEN_UP)
    assert isinstance(event, Delivery)
    assert (event.recipient, event.status, event.is_removal) == (None, "expired", True)


def test_a_sender_who_cannot_be_told_is_no_recipient(log: Log) -> None:
    log.about(f"{FROM.format(1)}, {SMTP}", f"to=<a@example.org>, {BOUNCED}")
    unknown = "delay=00:00:01, mailer=local, pri=1, dsn=5.1.1, reply=550 5.1.1 User unknown, stat=User unknown"
    assert log.about(f"to=<kim@example.com>, {unknown}") == []
    assert len(log.about(f"to=<lee@example.com>, {unknown}")) == 1


# --- the submission agent and the MTA ---

SUBMITTED = f"sendmail[2]: {ID}: from=kim, size=47, class=0, nrcpts=1, msgid=<1@example.com>, relay=kim@localhost"
TAKEN = f"sm-mta[3]: {NEXT}: {FROM.format(1)}, proto=ESMTP, daemon=MTA-v4, relay=localhost [127.0.0.1]"
GIVEN = (
    f"sendmail[2]: {ID}: to=a@example.org, delay=00:00:00, xdelay=00:00:00, mailer=relay, pri=1,"
    f" relay=[127.0.0.1] [127.0.0.1], dsn=2.0.0, stat=Sent ({NEXT} Message accepted for delivery)"
)
DONE = f"sm-mta[4]: {NEXT}: to=<a@example.org>, {SENT}"


@pytest.mark.parametrize("lines", [(SUBMITTED, TAKEN, GIVEN, DONE), (SUBMITTED, TAKEN, DONE, GIVEN)])
def test_a_message_that_both_log_is_received_sent_and_removed_once(log: Log, lines: tuple[str, ...]) -> None:
    log.say(*lines)
    sent = Counter(event.status for event in log.events if isinstance(event, Delivery))
    assert (log.arrivals, sent, log.removals, log.in_flight) == (["local"], {"sent": 1}, 1, 0)


def test_the_time_that_a_message_was_with_the_agent_is_part_of_its_delay(log: Log) -> None:
    """A busy MTA takes it later, and counts from then."""
    log.say(SUBMITTED)
    log.say(TAKEN, at="10:03:20")
    log.say(f"sm-mta[4]: {NEXT}: to=<a@example.org>, {DEFERRED}", GIVEN, DONE, at="10:03:21")
    delays = [(event.delay, event.delay_before_queue) for event in log.events if isinstance(event, Delivery)]
    assert delays == [(201.0, 200.0), (201.0, 200.0)]


def test_so_it_is_where_the_message_expires(log: Log) -> None:
    log.say(SUBMITTED)
    log.say(TAKEN, at="10:03:20")
    log.say(f"sm-mta[4]: {NEXT}: to=<a@example.org>, {DEFERRED}", at="10:03:21")
    log.say(f"sm-mta[4]: {NEXT}: {GIVEN_UP}", at="12:00:00")
    *_, event = (event for event in log.events if isinstance(event, Delivery))
    assert (event.status, event.delay, event.delay_before_queue) == ("expired", 7200.0, None)


def test_a_message_that_the_agent_gives_at_once_has_the_delay_of_its_line(log: Log) -> None:
    log.say(SUBMITTED, TAKEN, DONE)
    (event,) = (event for event in log.events if isinstance(event, Delivery))
    assert (event.delay, event.delay_before_queue) == (1.0, 0.0)


def test_a_message_that_no_agent_had_has_the_delay_of_its_line(log: Log) -> None:
    log.say(SUBMITTED, TAKEN)
    _, event = log.about(f"{FROM.format(1)}, {SMTP}", f"to=<a@example.org>, {SENT}")
    assert isinstance(event, Delivery)
    assert (event.delay, event.delay_before_queue) == (1.0, None)


def test_how_long_a_message_was_with_the_agent_is_known_after_a_restart() -> None:
    def restarted(log: Log) -> None:
        (known,) = (join.memory() for join in log.reader._joins.values())
        log.reader = LogReader(log.reader.clock, joins={"sendmail": (join := Memory())})
        join.restore(msgspec.json.decode(msgspec.json.encode(known)))

    log = Log()
    log.say(SUBMITTED)
    restarted(log)
    log.say(TAKEN, at="10:03:20")
    restarted(log)
    log.say(DONE, at="10:03:21")
    assert [event.delay for event in log.events if isinstance(event, Delivery)] == [201.0]


def test_what_another_program_gives_to_the_mta_is_its_own_message(log: Log) -> None:
    log.say(TAKEN, DONE)
    assert log.arrivals == ["smtp"]
    log.say(SUBMITTED.replace("<1@", "<2@"), TAKEN, DONE)
    assert log.arrivals == ["smtp", "smtp"]


def test_a_notification_of_the_submission_agent_is_received_once(log: Log) -> None:
    taken = (
        f"from=<>, size=47, class=0, nrcpts=1, msgid=<202611211000.{NEW}@mail.example.com>, proto=ESMTP, daemon=MTA"
    )
    log.say(
        SUBMITTED,
        f"sm-mta[3]: {NEXT}: {taken}, relay=localhost [127.0.0.1]",
        f"sendmail[2]: {ID}: {NEW}: DSN: User unknown",
        f"sm-mta[4]: {NEXT}: to=<kim@example.com>, {SENT}",
        GIVEN.replace(ID, NEW),
    )
    assert log.arrivals == []
    assert sum(isinstance(event, Notification) and event.is_arrival for event in log.events) == 1


# --- logins ---

LOGIN = "sm-mta[1]: AUTH=server, relay=pc [203.0.113.9], authid=kim, mech=PLAIN, bits=0"


def test_a_message_has_the_login_of_its_session(log: Log) -> None:
    log.say(LOGIN)
    (event,) = log.about(f"{FROM.format(1)}, proto=ESMTPSA, daemon=MSA, relay=pc [203.0.113.9]")
    assert isinstance(event, Received)
    assert (event.sasl_user, event.sasl_method, event.logins) == ("kim", "PLAIN", 0)


def test_a_session_without_a_login_has_not_that_of_an_earlier_process_with_its_pid(log: Log) -> None:
    log.say(LOGIN)
    (event,) = log.about(f"{FROM.format(1)}, {SMTP}")
    assert isinstance(event, Received)
    assert event.sasl_user is None


# --- what is remembered is bounded ---


def test_the_oldest_is_forgotten() -> None:
    recent: Recent[int, str] = Recent(10)
    for number in range(100):
        recent.put(number, str(number))
        assert len(recent) <= 20
    assert [recent.get(number) for number in (0, 95, 99)] == [None, "95", "99"]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SESSIONS", "MESSAGES", "RECIPIENTS"):
        monkeypatch.setattr(memory, name, 20)
    log = Log()
    for number in range(300):
        queue_id = f"5ALA00{number:08}"
        local = f"size=1, class=0, nrcpts=1, msgid=<{number}@example.com>, relay=kim@localhost"
        log.say(
            LOGIN.replace("[1]", f"[{number}]"),
            f"sm-mta[1]: {queue_id}: from=kim, {local}",
            f"sm-mta[1]: {queue_id}: to=<a@example.org>, {DEFERRED}",
            f"sm-mta[1]: {ID}: to=<a{number}@example.org>, {DEFERRED}",
        )
        log.say(TAKEN.replace(NEXT, f"5ALB00{number:08}").replace("<1@", f"<{number}@"), at="10:01:00")
    (kept,) = log.reader._joins.values()
    assert isinstance(kept, Memory)
    parts = (kept._logins, kept._senders, kept._submitted, kept._waiting, kept._kept)
    assert all(0 < len(part) <= 40 for part in parts)
    assert max(map(len, kept._waiting.values())) <= 20
