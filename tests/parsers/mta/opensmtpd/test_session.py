"""What is remembered from line to line: of sessions, of messages, of those that will be told that theirs failed."""

from __future__ import annotations

import random
from datetime import UTC

from parsers.clock import Clock
from parsers.events import Delivery, Event, QueueAction, Received, as_record
from parsers.mta.opensmtpd.notice import Notices
from parsers.mta.opensmtpd.session import Sessions
from parsers.reader import LogReader
from parsers.tracker import Tracker

S = "0123456789abcdef"
B = "00000000000000bb"  # a session of the queue that returns a message
CLIENT = f"{S} smtp connected address=203.0.113.7 host=client.example.net"
LOCAL = "{} smtp connected address=local host=mail"
LOGIN = f"{S} smtp authentication user=kim result=ok"
MESSAGE = f"{S} smtp message msgid=fedcba98 size=4711 nrcpt=2 proto=ESMTP"
FROM = "from=<kim@example.com>"
TO_LEE = f"{S} smtp envelope evpid=fedcba9800000001 {FROM} to=<lee@example.org>"
TO_ANN = f"{S} smtp envelope evpid=fedcba9800000002 {FROM} to=<ann@example.net>"
QUIT = f"{S} smtp disconnected reason=quit"


def delivery(to: str, result: str, stat: str, *, evpid: str = "fedcba9800000001", who: str = FROM) -> str:
    where = 'source="203.0.113.1" relay="192.0.2.25 (mx.example.org)" delay=1s'
    return f'{S} mta delivery evpid={evpid} {who} to=<{to}> rcpt=<-> {where} result="{result}" stat="{stat}"'


SENT = delivery("lee@example.org", "Ok", "250 2.0.0 Ok")
FULL = delivery("lee@example.org", "TempFail", "452 4.2.2 Mailbox is full")
UNKNOWN = delivery("lee@example.org", "PermFail", "550 5.1.1 User unknown")
EXPIRED = (
    f"relay: Expire for fedcba9800000001: {FROM}, to=<lee@example.org>, rcpt=<->, delay=4d, stat=Envelope expired"
)
REMOVED = EXPIRED.replace("Expire for", "Remove for").replace("Envelope expired", "Removed by administrator")
NOTICE = (
    LOCAL.format(B),
    f"{B} smtp message msgid=0000aaaa size=1916 nrcpt=1 proto=ESMTP",
    f"{B} smtp envelope evpid=0000aaaa00000001 from=<> to=<kim@example.com>",
    f"{B} smtp disconnected reason=quit",
)


class Log:
    """Lines of one host, one a second, and the tracker that follows them."""

    def __init__(self) -> None:
        self.tracker = Tracker()
        self.reader = LogReader(Clock(UTC, lambda: 1795284304.0))
        self.second = 0

    def say(self, *messages: str) -> list[Event]:
        block = ""
        for message in messages:
            self.second += 1
            minutes, seconds = divmod(self.second, 60)
            block += f"Nov 21 10:{minutes:02}:{seconds:02} mail smtpd[4711]: {message}\n"
        events = self.reader.read(block)
        tally = self.reader.tallies["opensmtpd"]
        assert (tally.unknown, tally.malformed) == (0, 0)
        self.tracker.follow(events)
        return events

    @property
    def in_flight(self) -> int:
        return self.tracker.in_flight()["opensmtpd"]


def received(*messages: str) -> list[Received]:
    return [event for event in Log().say(*messages) if isinstance(event, Received)]


# --- messages ---


def test_a_message_has_the_client_of_its_session_and_the_sender_of_its_envelope() -> None:
    (event,) = received(CLIENT, MESSAGE, TO_LEE, TO_ANN, QUIT)
    assert as_record(event) | {"time": 0.0} == {
        "time": 0.0,
        "mta": "opensmtpd",
        "host": "mail",
        "service": "smtpd",
        "program": "smtpd",
        "pid": 4711,
        "kind": "received",
        "queue_id": "fedcba98",
        "client_name": "client.example.net",
        "client_ip": "203.0.113.7",
        "sender": "kim@example.com",
        "protocol": "ESMTP",
        "size": 4711,
        "recipients": 2,
    }
    assert (event.via, event.is_arrival, event.logins) == ("smtp", True, 0)


def test_who_logged_in_submits_and_the_login_is_counted_once() -> None:
    events = Log().say(CLIENT, LOGIN, MESSAGE, TO_LEE, MESSAGE.replace("fedcba98", "fedcba99"), QUIT)
    messages = [event for event in events if isinstance(event, Received)]
    assert [(event.via, event.sasl_user, event.logins) for event in messages] == [("submission", "kim", 0)] * 2
    assert sum(event.kind == "auth" for event in events) == 1


def test_a_local_program_hands_in_a_message() -> None:
    (event,) = received(LOCAL.format(S), MESSAGE, TO_LEE, QUIT)
    assert (event.via, event.client_ip) == ("local", None)


def test_a_message_whose_envelopes_are_not_logged_is_told_when_the_session_goes_on() -> None:
    assert [event.sender for event in received(CLIENT, MESSAGE, QUIT)] == [None]
    assert [event.sender for event in received(CLIENT, MESSAGE, SENT)] == [None]
    other = MESSAGE.replace("fedcba98", "fedcba99")
    assert [event.queue_id for event in received(CLIENT, MESSAGE, other, QUIT)] == ["fedcba98", "fedcba99"]


def test_a_session_whose_beginning_was_not_seen_has_no_client() -> None:
    (event,) = received(MESSAGE, TO_LEE)
    assert (event.client_ip, event.via) == (None, "smtp")


def test_the_older_lines_are_one_for_each_recipient() -> None:
    for form in (
        "{} smtp event=message msgid={} from=<kim@example.com> to=<{}> size=4711 ndest={} proto=ESMTP",
        "smtp-in: Accepted message {1} on session {0}: from=<kim@example.com>, to=<{2}>, size=4711,"
        " ndest={3}, proto=ESMTP",
    ):
        lines = form.format(S, "fedcba98", "lee@example.org", 1), form.format(S, "fedcba98", "staff@example.com", 3)
        (event,) = received(CLIENT, *lines, SENT)
        assert (event.sender, event.size, event.recipients) == ("kim@example.com", 4711, 4)


def test_events_are_the_same_wherever_a_log_is_cut() -> None:
    lines = (CLIENT, LOGIN, MESSAGE, TO_LEE, TO_ANN, QUIT, FULL, UNKNOWN, *NOTICE, SENT)
    whole, cut = Log(), Log()
    one_by_one = [as_record(event) for line in lines for event in cut.say(line)]
    assert [as_record(event) for event in whole.say(*lines)] == one_by_one


# --- notifications ---


def test_a_notification_is_about_the_message_that_failed() -> None:
    events = Log().say(CLIENT, MESSAGE, TO_LEE, UNKNOWN, *NOTICE)
    event = events[-1]
    assert isinstance(event, Received)
    assert (event.via, event.notification, event.original_queue_id) == ("notification", "bounce", "fedcba98")
    assert (event.sender, event.client_ip, event.is_arrival) == ("", None, True)


def test_a_notification_while_the_message_waits_is_about_its_delay() -> None:
    event = Log().say(CLIENT, MESSAGE, TO_LEE, FULL, *NOTICE)[-1]
    assert isinstance(event, Received)
    assert event.notification == "delay"


def test_two_notifications_are_about_the_first_and_the_second() -> None:
    other = UNKNOWN.replace("fedcba98", "fedcba99")
    again = [line.replace("0000aaaa", "0000aaab") for line in NOTICE]
    events = Log().say(UNKNOWN, other, UNKNOWN, *NOTICE, *again)
    assert [event.original_queue_id for event in events if isinstance(event, Received)] == ["fedcba98", "fedcba99"]


def test_who_wanted_no_notification_is_not_waited_for() -> None:
    log = Log()
    log.say(UNKNOWN)
    log.second += 120
    (event,) = (event for event in log.say(*NOTICE) if isinstance(event, Received))
    assert event.original_queue_id is None


def test_what_expired_has_provider_and_reason_of_its_last_deferral() -> None:
    google = FULL.replace("192.0.2.25 (mx.example.org)", "198.51.100.26 (aspmx.l.google.com)")
    event = Log().say(CLIENT, MESSAGE, TO_LEE, google, google, EXPIRED)[-1]
    assert isinstance(event, Delivery)
    assert (event.status, event.provider, event.reason, event.attempts) == ("expired", "google", "mailbox_full", 2)


# --- the end of a message, which no line tells ---


def removals(events: list[Event]) -> list[bool]:
    return [event.is_removal for event in events if isinstance(event, Delivery | QueueAction)]


TO_ANN_SENT = delivery("ann@example.net", "Ok", "250 2.0.0 Ok", evpid="fedcba9800000002")


def test_a_message_leaves_the_queue_with_its_last_recipient() -> None:
    log = Log()
    events = log.say(CLIENT, MESSAGE, TO_LEE, TO_ANN, FULL, TO_ANN_SENT)
    assert (removals(events), log.in_flight) == ([False, False], 1)
    assert (removals(log.say(SENT)), log.in_flight) == ([True], 0)


def test_the_operator_may_take_out_the_last_recipient() -> None:
    log = Log()
    assert removals(log.say(CLIENT, MESSAGE, TO_LEE, TO_ANN, FULL, TO_ANN_SENT, REMOVED)) == [False, False, True]
    assert log.in_flight == 0


def test_an_alias_stands_for_more_recipients_than_were_told() -> None:
    log = Log()
    one = MESSAGE.replace("nrcpt=2", "nrcpt=1")
    events = log.say(CLIENT, one, TO_LEE, FULL, TO_ANN_SENT, TO_ANN_SENT, SENT, TO_ANN_SENT)
    assert (removals(events), log.in_flight) == ([False, False, False, True, False], 0)


def test_a_message_whose_beginning_was_not_seen_stays_as_long_as_a_recipient_waits() -> None:
    log = Log()
    assert (removals(log.say(FULL)), log.in_flight) == ([False], 1)
    assert (removals(log.say(SENT)), log.in_flight) == ([False], 0)


def test_what_a_line_says_of_its_sender_stands() -> None:
    event = Log().say(SENT)[0]
    assert isinstance(event, Delivery)
    assert event.sender == "kim@example.com"


# --- memory is bounded ---


def test_no_more_sessions_and_messages_are_remembered_than_allowed() -> None:
    log, sessions = Log(), Sessions(most=10)
    log.reader._joins["opensmtpd"] = sessions
    for number in range(100):
        session = f"{number:016x}"
        log.reader.read(
            f"Nov 21 10:00:00 mail smtpd[4711]: {session} smtp connected address=203.0.113.7 host=x\n"
            f"Nov 21 10:00:00 mail smtpd[4711]: {session} mta tls ciphers=TLSv1.3:AES256:256\n"
        )
    assert len(sessions._sessions) == 10
    assert list(sessions._sessions)[-1] == f"{99:016x}"


def test_messages_that_never_get_envelopes_do_not_pile_up() -> None:
    log = Log()
    some = random.Random(1)
    text = "".join(
        f"Nov 21 10:00:00 mail smtpd[4711]: {some.getrandbits(64):016x} smtp message msgid={number:08x} size=1"
        " nrcpt=1 proto=ESMTP\n"
        for number in range(10_500)
    )
    assert len(log.reader.read(text)) == 500


def test_no_more_failures_are_remembered_than_allowed() -> None:
    notices = Notices(most=10)
    log = Log()
    for number in range(100):
        for line in (FULL, UNKNOWN):
            for event in log.say(line.replace("fedcba98", f"{number:08x}").replace("kim@", f"kim{number}@")):
                assert isinstance(event, Delivery)
                event.recipient = str(number * 2 + (line is FULL))
                notices.follow(event)
    assert len(notices._owed) == len(notices._deferred) == len(notices._delayed) == 10
