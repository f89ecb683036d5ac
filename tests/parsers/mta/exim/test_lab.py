"""Logs of real Exim servers (tests/lab.py), held against what their clients did and their destinations saw."""

from __future__ import annotations

import string
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC
from functools import reduce
from itertools import product
from typing import Any

import pytest

from exporter.metrics.mail import MailMetrics
from parsers.clock import Clock
from parsers.events import (
    Auth,
    Connect,
    ConnectionFailure,
    Delivery,
    Problem,
    QueueAction,
    Received,
    Reject,
    Removed,
    as_record,
)
from parsers.mta.exim.delivery import phase_of
from parsers.mta.exim.field import read_codes, read_relay
from parsers.reader import LogReader
from parsers.tracker import Tracker
from tests.lab import Lab, clock, domain, folders, name, read_lab, read_text, runs

RUNS = runs("exim")
pytestmark = [pytest.mark.corpus, pytest.mark.skipif(not RUNS, reason="no logs of this server are here")]


@pytest.fixture(params=RUNS, ids=name)
def lab(request: pytest.FixtureRequest) -> Lab:
    return read_lab(*request.param)


@pytest.mark.parametrize("log", ["rejectlog", "paniclog"])
def test_every_line_of_the_other_logs_is_known(log: str) -> None:
    for folder in folders("exim"):
        strange: list[str] = []
        reader = LogReader(Clock(UTC, lambda: 0.0), lambda _, message: strange.append(message))  # noqa: B023
        reader.read(read_text(folder, log) or "")
        assert strange == []


def test_the_reject_log_has_the_refusals_of_the_main_log() -> None:
    for folder in folders("exim"):
        refused = [event for event in read_lab(folder, ("mainlog",)).events if type(event) in (Reject, Auth)]
        text = read_text(folder, "rejectlog") or ""
        again = LogReader(clock(read_lab(folder, ("mainlog",)).truth)).read(text)
        # Each process writes the one log and then the other.
        assert sorted(map(repr, map(as_record, again))) == sorted(map(repr, map(as_record, refused)))


# --- outbound: what the destinations saw ---


def test_deliveries_for_each_recipient_domain_are_the_acceptances(lab: Lab) -> None:
    sent = Counter(
        domain(event.recipient or "")
        for event in lab.all(Delivery)
        if event.status == "sent" and event.direction == "outbound"
    )
    assert sent == Counter(domain(recipient) for told in lab.told("accepted") for recipient in told["rcpts"])


def test_each_delivery_is_that_of_one_message_to_one_recipient(lab: Lab) -> None:
    sent = Counter(
        (event.message.message_id, event.recipient)
        for event in lab.all(Delivery)
        if event.status == "sent" and event.relay_ip and event.message and event.message.via != "notification"
    )
    accepted = Counter(
        (told.get("msgid"), recipient)
        for told in lab.told("accepted")
        if told.get("labid")
        for recipient in told["rcpts"]
    )
    assert sent == accepted


def test_each_delivery_has_the_address_that_took_it(lab: Lab) -> None:
    sent = Counter(
        (event.relay_ip, event.recipient)
        for event in lab.all(Delivery)
        if event.status == "sent" and event.direction == "outbound"
    )
    assert sent == Counter((told["ip"], recipient) for told in lab.told("accepted") for recipient in told["rcpts"])


LOST = "lost"


def fates(lab: Lab) -> dict[tuple[str | None, str], str]:
    """The last word of the log on each message (by its Message-ID) and recipient."""
    last: dict[tuple[str | None, str], str] = {}
    for event in lab.all(Delivery):
        if event.message and event.message.via != "notification":
            last[event.message.message_id, event.original_recipient or event.recipient or ""] = event.status
            last[event.message.message_id, event.recipient or ""] = event.status
    return last


def test_whom_no_destination_accepted_is_told_to_be_bounced_expired_or_removed(lab: Lab) -> None:
    accepted = {(told.get("msgid"), recipient) for told in lab.told("accepted") for recipient in told["rcpts"]}
    # Exim throws away what goes to this domain, and what has such a subject.
    gone = {told["msgid"] for told in lab.told("submitted") if told["kind"] == "discard_header"}
    ids = {event.message_id: event.queue_id for event in lab.all(Received)}
    ended = {event.queue_id for event in lab.all(QueueAction) if event.action not in ("hold", "release")}
    last, wrong = fates(lab), {}
    for told in lab.told("submitted"):
        for recipient in told["rcpts"]:
            if domain(recipient) in ("corp.example", "discardme.example") or told["msgid"] in gone:
                continue
            word = last.get((told["msgid"], recipient), LOST)
            # Where the destination does not speak SMTPUTF8, a local part has another form.
            is_sent = (told["msgid"], recipient) in accepted or not recipient.isascii()
            is_ended = ids[told["msgid"]] in ended
            if word not in ({"sent"} if is_sent else {"bounced", "expired"}) and not (is_ended and not is_sent):
                wrong[told["msgid"], recipient] = word
    assert wrong == {}


STAGES = {
    "connect": "banner",
    "ehlo": "ehlo",
    "auth": "auth",
    "mail": "mail",
    "rcpt": "rcpt",
    "data354": "data",
    "data": "end_of_data",
}


def real_replies(lab: Lab) -> Iterator[dict[str, Any]]:
    """The refusals of destinations that Exim tells of.

    STARTTLS refused is not, where the message goes in the clear. Nor is EHLO, after which HELO is tried; where that
    is refused too, it is told once. A "cmd" is pipelined after the refusal.
    """
    ehlos = set()  # sessions in which EHLO was refused
    for told in lab.told("reply"):
        if told["stage"] == "ehlo" and told["sid"] not in ehlos:
            ehlos.add(told["sid"])
        elif told["code"] >= 400 and told["stage"] in STAGES:
            yield told


def refused_recipients(lab: Lab, first: int) -> Counter[tuple[str, int]]:
    """Recipients that a destination refused, with the code; but for those of which Exim heard nothing any more, for
    they were sent together with a sender who was refused."""
    unheard = {told["sid"] for told in lab.told("reply") if told["stage"] == "mail"}
    return Counter(
        (real["rcpt"], real["code"])
        for real in real_replies(lab)
        if real["stage"] == "rcpt" and real["code"] // 100 == first and real["sid"] not in unheard
    )


def refused_messages(lab: Lab, first: int) -> Counter[tuple[str, int]]:
    """Recipients whose message a destination refused after its end, with the code."""
    return Counter(
        (recipient, real["code"])
        for real in real_replies(lab)
        if real["stage"] == "data" and real["code"] // 100 == first
        for recipient in real["rcpts"]
    )


def with_status(lab: Lab, status: str, phase: str, first: int) -> Counter[tuple[str, int]]:
    return Counter(
        (event.recipient or "", event.reply_code)
        for event in lab.all(Delivery)
        if event.status == status
        and event.phase == phase
        and event.reply_code is not None
        and event.reply_code // 100 == first
    )


def test_bounces_at_rcpt_are_the_permanent_replies(lab: Lab) -> None:
    assert with_status(lab, "bounced", "rcpt", 5) == refused_recipients(lab, 5)


def test_bounces_at_the_end_of_the_message_are_the_permanent_replies(lab: Lab) -> None:
    """Exim gives the answer to the others also to a recipient who was told to come again in the same session."""
    told, real = with_status(lab, "bounced", "end_of_data", 5), refused_messages(lab, 5)
    later = {recipient for recipient, _ in refused_recipients(lab, 4)}
    assert real <= told
    assert {recipient for recipient, _ in told - real} <= later


@pytest.mark.parametrize("phase", ["rcpt", "end_of_data"])
def test_deferrals_are_transient_replies(lab: Lab, phase: str) -> None:
    """Not each reply is a deferral: where a host says so, the next is tried at once, and one line tells the last."""
    told = with_status(lab, "deferred", phase, 4)
    real = refused_recipients(lab, 4) if phase == "rcpt" else refused_messages(lab, 4)
    later = {recipient for recipient, _ in refused_recipients(lab, 4)}
    assert {recipient for recipient, _ in told - real} <= (set() if phase == "rcpt" else later)
    by_domain = {domain(recipient) for recipient, _ in real}
    assert {domain(recipient) for recipient, _ in told} <= by_domain | {domain(recipient) for recipient in later}


Reply = tuple[str | None, str | None, int | None]  # address, phase, code


def told_replies(lab: Lab) -> Iterator[Reply]:
    """The refusals in the log."""
    for event in lab.events:
        if isinstance(event, (Delivery, ConnectionFailure)) and event.relay_ip and (event.reply_code or 0) >= 400:
            yield event.relay_ip, event.phase, event.reply_code
        elif type(event) is Problem and " said after " in event.text:
            relay, _, said = event.text.partition(" said after ")
            doing, _, answer = said.partition(": ")
            yield read_relay(relay)[1], phase_of(doing), read_codes(answer)[0]
        elif type(event) is Problem and " authenticator failed at " in event.text:
            relay, _, answer = event.text.partition(" authenticator failed at ")[2].partition("] ")
            yield read_relay(f"{relay}]")[1], "auth", read_codes(answer)[0]


# What Exim was at when it read the answer to a BDAT: one of several, or the last.
BDAT = ("data", "end_of_data")


def told_instead(lab: Lab) -> Iterator[tuple[Reply, Reply]]:
    """The refusal of a recipient, and the answer to the message's data in the same session that the log has in its
    stead: RCPT and BDAT are pipelined, and of a recipient who can come again Exim tells what it read last."""
    told = {(event.relay_ip, event.recipient, event.phase, event.reply_code) for event in lab.all(Delivery)}
    refused: dict[int, list[dict[str, Any]]] = defaultdict(list)  # recipients, by session
    for reply in lab.told("reply"):
        if reply["stage"] == "rcpt" and reply["code"] // 100 == 4:
            refused[reply["sid"]].append(reply)
        elif reply["stage"] in ("cmd", "data"):
            for first, phase in product(refused[reply["sid"]], BDAT):
                if (reply["ip"], first["rcpt"], phase, reply["code"]) in told:
                    yield (first["ip"], "rcpt", first["code"]), (reply["ip"], phase, reply["code"])


def test_each_refusal_of_a_destination_is_told_with_its_address_phase_and_code(lab: Lab) -> None:
    """Or the answer is that Exim tells in its stead."""
    unheard = {told["sid"] for told in lab.told("reply") if told["stage"] == "mail"}
    told = set(told_replies(lab))
    real = {
        (real["ip"], STAGES[real["stage"]], real["code"])
        for real in real_replies(lab)
        if real["stage"] == "mail" or real["sid"] not in unheard
    }
    instead = list(told_instead(lab))
    assert told - real <= {answer for _, answer in instead}
    assert real - told <= {refusal for refusal, _ in instead}


# --- inbound: what the clients did ---

METHODS = {"PLAIN": "plain", "LOGIN": "login", "CRAM-MD5": "cram"}


def test_failed_logins_are_those_of_the_clients(lab: Lab) -> None:
    told = Counter((event.client_ip, event.sasl_method, event.sasl_user) for event in lab.all(Auth))
    real = Counter((told["client"], METHODS[told["mech"]], told["user"]) for told in lab.told("auth_fail"))
    assert told == real


def test_logins_are_those_of_clients_that_went_on_to_submit(lab: Lab) -> None:
    """A login has no line of its own: the first message of a session tells of it."""
    logins = sum(event.logins for event in lab.all(Received))
    assert logins == sum(1 for _ in lab.told("auth_ok"))


def via(told: dict[str, Any]) -> str:
    return {25: "smtp", 587: "submission", 465: "submission", 0: "local"}[told["port"]]


def test_messages_received_are_those_submitted(lab: Lab) -> None:
    received = Counter(event.message.via for event in lab.all(Received) if event.is_arrival and event.message)
    real = Counter(map(via, lab.told("submitted")))
    assert {how: count for how, count in received.items() if how != "notification"} == real


def test_each_message_received_has_its_client_user_and_sender(lab: Lab) -> None:
    received = {
        event.message_id: (event.message.via, event.client_ip, event.sasl_user, event.sender)
        for event in lab.all(Received)
        if event.message and event.message.via in ("smtp", "submission")
    }
    assert received == {
        told["msgid"]: (via(told), told["client"], told.get("user"), told["sender"])
        for told in lab.told("submitted")
        if told["port"]
    }


def test_each_message_has_the_id_that_its_client_was_given(lab: Lab) -> None:
    ids = {event.message_id: event.queue_id for event in lab.all(Received)}
    assert {told["msgid"]: told["qid"] for told in lab.told("submitted") if told.get("qid")}.items() <= ids.items()


def test_a_message_received_has_its_recipients_where_the_log_names_them(lab: Lab) -> None:
    told = {event.message_id: event.recipients for event in lab.all(Received) if event.recipients is not None}
    real = {told["msgid"]: len(told["rcpts"]) for told in lab.told("submitted")}
    assert {key: count for key, count in told.items() if key in real and count != real[key]} == {}


def test_a_session_under_tls_is_counted_once(lab: Lab) -> None:
    inbound = sum(event.tls_sessions for event in lab.all(Received))
    clear = sum(1 for event in lab.all(Received) if event.sasl_method and not event.tls_protocol)
    assert clear == 0
    assert inbound >= sum(1 for _ in lab.told("auth_ok"))


def test_rejects_are_those_that_clients_were_given(lab: Lab) -> None:
    """But for recipients beyond the limit, of which one line tells."""
    told = Counter(event.phase for event in lab.all(Reject) if event.reply != "too many recipients")
    real = Counter(
        "end_of_data" if told["stage"] == "data" else told["stage"]
        for told in lab.told("rejected")
        if told["kind"] != "toomany"
    )
    assert told == real
    assert sum(event.reply == "too many recipients" for event in lab.all(Reject)) == sum(
        1 for told in lab.told("submitted") if told["kind"] == "toomany"
    )


def test_each_reject_has_its_client_and_envelope(lab: Lab) -> None:
    told = {(event.client_ip, event.sender) for event in lab.all(Reject)}
    assert told == {(told["client"], told["sender"]) for told in lab.told("rejected")}


def test_connections_are_those_of_the_clients_where_they_are_logged(lab: Lab) -> None:
    clients = Counter(event.client_ip for event in lab.all(Connect))
    if clients:
        assert clients.keys() >= {told["client"] for told in lab.told("submitted") if told["port"]}


# --- notifications, and the queue ---


def test_what_the_subject_of_a_notification_says_is_what_became_of_the_message() -> None:
    """The tracker tells a bounce from a warning by what it knows of the message; the subject, where it is logged,
    tells it too."""
    for folder in folders("exim"):
        plain = read_lab(folder, ("mainlog",))
        text = "".join(plain.lines)
        blind = LogReader(clock(plain.truth)).read(
            text.replace(' T="Mail delivery', ' Z="').replace(' T="Warning', ' Z="')
        )
        Tracker().follow(blind)
        guessed = [event.notification for event in blind if type(event) is Received]
        assert guessed == [event.notification for event in plain.all(Received)]


def test_each_bounce_is_received_once_for_a_message_that_failed(lab: Lab) -> None:
    failed = {event.queue_id for event in lab.all(Delivery) if event.status in ("bounced", "expired")}
    failed |= {event.queue_id for event in lab.all(QueueAction) if event.action == "give_up"}
    for event in lab.all(Received):
        if event.notification == "bounce":
            assert event.original_queue_id in failed


def test_the_messages_that_the_operator_removed_are_told(lab: Lab) -> None:
    removed = Counter(event.queue_id for event in lab.all(QueueAction) if event.action == "delete")
    assert removed == Counter(
        told["qid"]
        for told in lab.told("delete")
        if "Spool read error" not in told["out"] and "locked" not in told["out"]
    )


@pytest.mark.parametrize(("told", "action"), [("freeze", "hold"), ("thaw", "release"), ("giveup", "give_up")])
def test_what_the_operator_did_is_told(lab: Lab, told: str, action: str) -> None:
    """But for messages that were in use; of `exim -Mg` the truth does not tell which these were."""
    done = Counter(
        event.queue_id for event in lab.all(QueueAction) if event.action == action and event.reply == "by root"
    )
    real = Counter(act["qid"] for act in lab.told(told) if not act["out"] or act["out"].endswith("frozen"))
    assert done <= real if told == "giveup" else done == real


def test_nothing_is_in_flight_that_is_not_in_the_queue(lab: Lab) -> None:
    assert [told["queue_left"] for told in lab.told("settled")] == [lab.in_flight]
    assert len(list(lab.all(Received))) == len(list(lab.all(Removed))) + lab.in_flight


BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
SECOND, MILLISECOND = 1.0, 0.001


def begun(queue_id: str) -> int:
    """The second in which Exim began to read a message: its id says so."""
    return reduce(lambda number, digit: 62 * number + BASE62.index(digit), queue_id[:6], 0)


def test_what_is_sent_has_the_time_since_it_came(lab: Lab) -> None:
    """To when the line was written, which can be long after the destination had it: of destinations that it talks to
    at once, Exim tells when it is through with them.

    QT= counts from the end of the data, in whole seconds when it is long; looking at the message, writing it down and
    the line of its arrival come after that. Without QT=, it is this line that counts.
    """
    is_counted = any(" QT=" in line for line in lab.lines)
    arrived = {event.queue_id: event.time for event in lab.all(Received)}
    for event in lab.all(Delivery):
        if event.status == "sent":
            arrival = arrived[event.queue_id]
            assert event.delay is not None
            since = event.time - event.delay
            first, last = (begun(event.queue_id or ""), arrival + SECOND) if is_counted else (arrival, arrival)
            assert first - MILLISECOND <= since <= last + MILLISECOND


def test_the_lines_that_a_delay_is_between_have_their_times(lab: Lab) -> None:
    """That of the arrival is written before the client is answered, that of the delivery after the destination has
    the message. Where Exim is not told to log milliseconds, it leaves them away."""
    arrived = {event.queue_id: event.time for event in lab.all(Received)}
    for told in lab.told("submitted"):
        if told.get("qid"):
            assert begun(told["qid"]) <= arrived[told["qid"]] <= told["t"]
    accepted = {(told.get("msgid"), rcpt): told["t"] for told in lab.told("accepted") for rcpt in told["rcpts"]}
    for event in lab.all(Delivery):
        key = event.message.message_id if event.message else None, event.recipient or ""
        if event.status == "sent" and key in accepted:
            assert event.time + SECOND > accepted[key]


def test_the_metrics_of_delays_and_sessions_are_filled(lab: Lab) -> None:
    metrics = MailMetrics()
    metrics.observe(lab.events)
    samples = {
        (sample.name, sample.labels.get("direction", "")): sample.value
        for family in metrics.collect({})
        for sample in family.samples
        if sample.name in ("mail_delivery_seconds_count", "mail_tls_connections_total")
    }
    assert samples["mail_delivery_seconds_count", ""] > 0
    assert samples["mail_tls_connections_total", "inbound"] > 0
    assert samples["mail_tls_connections_total", "outbound"] > 0
