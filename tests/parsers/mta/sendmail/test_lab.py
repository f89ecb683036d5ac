"""Logs of real Sendmail servers (tests/lab.py), held against what their clients did and their destinations saw."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from exporter.metrics.mail import MailMetrics
from mailstat.figures import Summary
from parsers.events import (
    Auth,
    ConnectionFailure,
    Delivery,
    Notification,
    QueueAction,
    Queued,
    Received,
    Reject,
    Tls,
)
from tests.lab import Lab, domain, name, read_lab, runs

RUNS = runs("sendmail")
pytestmark = [pytest.mark.corpus, pytest.mark.skipif(not RUNS, reason="no logs of this server are here")]


@pytest.fixture(params=RUNS, ids=name)
def lab(request: pytest.FixtureRequest) -> Lab:
    return read_lab(*request.param)


def is_local(address: str) -> bool:
    """Whether the server itself is where an address goes."""
    return "@" not in address or domain(address) in ("corp.example", "lab.example", "mail.lab.example")


# --- outbound: what the destinations saw ---


def test_deliveries_for_each_recipient_domain_are_the_acceptances(lab: Lab) -> None:
    sent = Counter(
        domain(event.recipient or "")
        for event in lab.all(Delivery)
        if event.status == "sent" and event.direction == "outbound"
    )
    assert sent == Counter(domain(recipient) for told in lab.told("accepted") for recipient in told["rcpts"])


def test_each_delivery_is_that_of_one_message_to_one_recipient(lab: Lab) -> None:
    """A notification has no line with its Message-ID."""
    submitted = {told["msgid"] for told in lab.told("submitted")}
    sent = Counter(
        (event.message.message_id, event.recipient)
        for event in lab.all(Delivery)
        if event.status == "sent" and event.direction == "outbound" and event.message and event.message.message_id
    )
    accepted = Counter(
        (told["msgid"], recipient)
        for told in lab.told("accepted")
        if told["msgid"] in submitted
        for recipient in told["rcpts"]
    )
    aliases = accepted - sent  # what an alias makes of one recipient may come after the message seemed to be done
    assert not sent - accepted
    assert {recipient for _, recipient in aliases} <= {"user7001@gmail.example", "user9001@fastmail.example"}


def real_replies(lab: Lab) -> Iterator[dict[str, Any]]:
    return (told for told in lab.told("reply") if told["code"] >= 400)


def test_each_refusal_that_is_told_is_that_of_a_destination(lab: Lab) -> None:
    """By address and code: the log has no phase. Several recipients of a message can be refused with it, at once."""
    real = {(told["ip"], told["code"]) for told in real_replies(lab)}
    told = {
        (event.relay_ip, event.reply_code)
        for event in lab.all(Delivery)
        if event.direction == "outbound" and event.reply_code and event.relay_ip
    }
    assert told - real == set()


def refused(lab: Lab, code: int) -> Counter[tuple[str, str, int]]:
    """Refusals of single recipients, by address, recipient and code."""
    return Counter(
        (told["ip"], told["rcpt"], told["code"])
        for told in real_replies(lab)
        if told["stage"] == "rcpt" and told["code"] // 100 == code
    )


CLOSING = 421


def drowned(lab: Lab) -> set[tuple[str, str]]:
    """Who was refused, and by what address, in a session that had ended by an answer to another recipient: RCPT is
    pipelined, and Sendmail ends the session at the first 421 and says that of all who are not settled."""
    closed: set[int] = set()
    found = set()
    for told in real_replies(lab):
        if told["stage"] == "rcpt" and told["sid"] in closed:
            found.add((told["ip"], told["rcpt"]))
        elif told["code"] == CLOSING:
            closed.add(told["sid"])
    return found


@pytest.mark.parametrize(("status", "first"), [("bounced", 5), ("deferred", 4)])
def test_each_recipient_that_a_destination_refused_is_told_with_address_and_code(
    lab: Lab, status: str, first: int
) -> None:
    told = Counter(
        (event.relay_ip, event.recipient, event.reply_code) for event in lab.all(Delivery) if event.status == status
    )
    closing = {(event.relay_ip, event.recipient) for event in lab.all(Delivery) if event.reply_code == CLOSING}
    unheard = drowned(lab) & closing
    missing = [refusal for refusal in refused(lab, first) - told if refusal[:2] not in unheard]
    # A connection that is used again can be told without its address.
    assert all(told[None, recipient, code] for _, recipient, code in missing), missing


def test_who_is_not_wanted_is_told_that_in_the_greeting_or_after_ehlo(lab: Lab) -> None:
    real = {(told["ip"], told["code"]) for told in real_replies(lab) if told["stage"] in ("connect", "ehlo")}
    told = {
        (event.relay_ip, event.reply_code)
        for event in lab.all(Delivery)
        if event.phase == "banner" and event.status != "expired"
    }
    assert told
    assert told <= real


LISTINGS = 2  # asked for one of the two queues, Debian's mailq lists it twice


def waiting(lab: Lab) -> Counter[str]:
    """Recipients in the queue when the run ended, by domain."""
    *_, last = lab.told("queue")
    return Counter({name: count // LISTINGS for name, count in last["rcpts_by_domain"].items()})


def test_whom_no_destination_accepted_is_told_to_be_bounced_expired_or_deleted(lab: Lab) -> None:
    """Or to be deferred, where the queue still has as many.

    No line tells that an operator deletes a message, and none may name a recipient whose name server fails.
    """
    accepted = {(told.get("msgid"), recipient) for told in lab.told("accepted") for recipient in told["rcpts"]}
    deleted = {told["qid"] for told in lab.told("delete")}
    discarded = {told["msgid"] for told in lab.told("submitted") if told["kind"] == "discard_header"}
    fates: dict[tuple[str | None, str | None], str] = {}
    for event in lab.all(Delivery):
        if event.message:
            fates[event.message.message_id, event.recipient] = event.status
            if event.status == "deferred" and event.queue_id in deleted:
                fates[event.message.message_id, event.recipient] = "deleted"
    wrong = {}
    for told in lab.told("submitted"):
        for recipient in told["rcpts"]:
            pair = told["msgid"], recipient
            is_nameless = domain(recipient) in ("servfail.example", "dnstimeout.example") and pair not in fates
            if not is_local(recipient) and told["msgid"] not in discarded and not is_nameless:
                wanted = {"sent"} if pair in accepted else {"bounced", "expired", "deleted"}
                if fates.get(pair) not in wanted:
                    wrong[pair] = fates.get(pair)
    left = Counter(domain(recipient) for (_, recipient), fate in wrong.items() if fate == "deferred")
    assert {pair: fate for pair, fate in wrong.items() if fate != "deferred"} == {}
    assert left <= waiting(lab), wrong


# --- inbound: what the clients did ---


def via(told: dict[str, Any]) -> str:
    return {25: "smtp", 587: "submission", 465: "submission", 0: "local"}[told["port"]]


EX_NOUSER = 67


def arrivals(lab: Lab) -> Iterator[Any]:
    kinds = Received | Queued | QueueAction | Delivery
    return (event for event in lab.events if isinstance(event, kinds) and event.is_arrival)


def partly_submitted(lab: Lab) -> list[dict[str, Any]]:
    """The command fails where one of several recipients is refused, and sends the message to the others."""
    return [told for told in lab.told("rejected") if told["kind"] == "cli" and told["code"] == EX_NOUSER]


def test_messages_received_are_those_submitted(lab: Lab) -> None:
    """Each once, though the submission agent and the MTA log it; and none that was refused after its data."""
    received = Counter((event.message.via, event.message.message_id) for event in arrivals(lab))
    submitted = [*lab.told("submitted"), *partly_submitted(lab)]
    assert received == Counter((via(told), told["msgid"]) for told in submitted)


def test_each_message_received_has_its_client_and_user(lab: Lab) -> None:
    received = {
        event.message_id: (event.client_ip, event.sasl_user, event.sasl_method)
        for event in lab.all(Received)
        if event.via in ("smtp", "submission") and not event.original_queue_id
    }
    for told in lab.told("submitted"):
        if told["port"]:
            assert received[told["msgid"]] == (told["client"], told.get("user"), told.get("mech"))


def test_a_message_received_has_its_sender_and_its_recipients(lab: Lab) -> None:
    received = {event.message_id: (event.sender, event.recipients) for event in lab.all(Received)}
    for told in lab.told("submitted"):
        assert received[told["msgid"]] == (told["sender"], len(told["rcpts"]))


def test_failed_logins_are_those_of_the_clients(lab: Lab) -> None:
    told = Counter((event.client_ip, event.sasl_method) for event in lab.all(Auth) if event.result == "failure")
    assert told == Counter((told["client"], told["mech"]) for told in lab.told("auth_fail"))


def test_successful_logins_are_those_of_the_clients(lab: Lab) -> None:
    told = Counter(
        (event.client_ip, event.sasl_method, event.sasl_user) for event in lab.all(Auth) if event.result == "success"
    )
    assert told == Counter((told["client"], told["mech"], told["user"]) for told in lab.told("auth_ok"))
    assert sum(event.logins for event in lab.all(Received)) == 0


# Refused before any rule of the operator's is asked, which the log does not tell.
SILENT = frozenset({("noauth587", 530), ("oversize_declared", 552)})
# A line of its own that has no reply code.
CODELESS = {"user_unknown": 550, "policy_rejected": 550}


def refused_to_the_agent(lab: Lab) -> int:
    """Recipients that the MTA refused to the submission agent when their sender was gone: it tells them as bounced.

    Where the MTA is busy, the agent keeps a message, and its sender is told that it is on its way.
    """
    blocked = {
        domain(recipient)
        for told in lab.told("rejected")
        if "administratively blocked" in told["text"]
        for recipient in told["rcpts"]
    }
    bounced = {
        (event.message.message_id, event.recipient)
        for event in lab.all(Delivery)
        if event.status == "bounced" and event.message
    }
    return sum(
        domain(recipient) in blocked and (told["msgid"], recipient) in bounced
        for told in lab.told("submitted")
        if told["kind"] == "cli"
        for recipient in told["rcpts"]
    )


def test_rejects_are_those_that_clients_were_given(lab: Lab) -> None:
    told = Counter(
        (event.phase, event.reply_code or CODELESS.get(event.reason or "", 0)) for event in lab.all(Reject)
    )
    real = Counter(
        ("end_of_data" if told["stage"] == "data" else told["stage"], told["code"])
        for told in lab.told("rejected")
        if told["code"] and told["kind"] != "cli" and (told["kind"], told["code"]) not in SILENT
    )
    real["rcpt", 550] += len(partly_submitted(lab)) + refused_to_the_agent(lab)
    assert told == real


# --- notifications ---


def test_each_notification_is_received_once(lab: Lab) -> None:
    made = list(lab.all(Notification))
    assert len({event.new_queue_id for event in made}) == len(made)
    assert all(event.is_arrival for event in made)


def test_notifications_that_destinations_got_are_told(lab: Lab) -> None:
    made = {event.new_queue_id for event in lab.all(Notification)}
    sent = Counter(
        domain(event.recipient or "")
        for event in lab.all(Delivery)
        if event.queue_id in made and event.status == "sent" and event.direction == "outbound"
    )
    submitted = {told["msgid"] for told in lab.told("submitted")}
    assert sent == Counter(
        domain(recipient)
        for told in lab.told("accepted")
        if told.get("msgid") not in submitted
        for recipient in told["rcpts"]
    )


# --- delays ---

BASE60 = string.digits + string.ascii_uppercase + string.ascii_lowercase[:24]
SECOND, MILLISECOND = 1.0, 0.001
TICK = 0.01  # of the kernel's, at which time(2) sees another second
YEARS = 60  # after which years have the same digit


def begun(queue_id: str, year: int) -> float:
    """When Sendmail began a message, to the second: its id says so."""
    digit, month, *rest = map(BASE60.index, queue_id[:6])
    assert digit == (year - 1900) % YEARS
    return datetime(year, month + 1, *rest, tzinfo=UTC).timestamp()


def test_what_became_of_a_message_has_the_time_since_it_came(lab: Lab) -> None:
    """Since it began: the line of its arrival is written when the data has come, and delays are in whole seconds.
    Where the submission agent had it first, that counts."""
    received = {event.queue_id: event for event in lab.all(Received)}
    for event in lab.all(Delivery):
        if event.delay is not None and event.queue_id in received:
            last = received[event.queue_id]
            first = received.get(last.original_queue_id or "", last)
            since, year = event.time - event.delay, datetime.fromtimestamp(first.time, UTC).year
            assert begun(first.queue_id, year) - MILLISECOND <= since <= first.time + SECOND + MILLISECOND


def test_the_lines_that_a_delay_is_between_have_their_times(lab: Lab) -> None:
    """That of the arrival is written before the client is answered, that of the delivery after the destination has
    the message. Sendmail's own time stamp is in whole seconds."""
    arrived: dict[str | None, float] = {}
    for event in lab.all(Received):
        arrived.setdefault(event.message_id, event.time)
    submitted = {told["msgid"]: told["t"] for told in lab.told("submitted")}
    assert {message_id for message_id, time in submitted.items() if arrived[message_id] > time} == set()
    accepted = {(told.get("msgid"), rcpt): told["t"] for told in lab.told("accepted") for rcpt in told["rcpts"]}
    for delivery in lab.all(Delivery):
        key = delivery.message.message_id if delivery.message else None, delivery.recipient or ""
        if delivery.status == "sent" and key in accepted:
            assert delivery.time + SECOND + TICK > accepted[key]


# --- the rest ---


def test_what_the_operator_did_is_told(lab: Lab) -> None:
    """Not what he asked in vain: Sendmail does not touch a message that it is delivering."""
    held = {event.queue_id for event in lab.all(QueueAction) if event.action == "hold"}
    by_hand = {event.queue_id for event in lab.all(QueueAction) if event.reply == "lab-hold"}
    released = {event.queue_id for event in lab.all(QueueAction) if event.action == "release"}
    assert by_hand
    assert by_hand <= {told["qid"] for told in lab.told("hold")}
    assert released <= held


def test_nothing_is_in_flight_that_is_not_in_the_queue_or_was_deleted_from_it(lab: Lab) -> None:
    """To delete a message of Sendmail's is to delete its files: no line tells."""
    (left,) = (told["queue_left"] // LISTINGS for told in lab.told("settled"))
    deleted = {told["qid"] for told in lab.told("delete")}
    assert left <= lab.in_flight <= left + len(deleted)


def test_tls_sessions_are_told(lab: Lab) -> None:
    trusts = Counter((event.relay_host is None, event.tls_trust) for event in lab.all(Tls))
    assert {trust for _, trust in trusts} <= {"trusted", "untrusted", "anonymous"}
    assert all(event.tls_protocol and event.tls_cipher for event in lab.all(Tls))


def test_failed_handshakes_with_destinations_are_told(lab: Lab) -> None:
    told = sum(event.error == "tls" and event.client_ip is None for event in lab.all(ConnectionFailure))
    assert told == sum(1 for _ in lab.told("tls_broken"))


def test_the_metrics_and_the_summary_count_the_same(lab: Lab) -> None:
    metrics, summary = MailMetrics(), Summary()
    metrics.observe(lab.events)
    summary.add(lab.events, range(len(lab.events)))
    summary.settle()
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in metrics.collect({})
        for sample in family.samples
    }

    def total(name: str, **labels: str) -> float:
        return sum(
            value for (found, *pairs), value in samples.items() if found == name and labels.items() <= set(pairs)
        )

    ways = Counter(map(via, [*lab.told("submitted"), *partly_submitted(lab)]))
    for way, count in ways.items():
        assert total("mail_messages_received_total", via=way) == count
    made = sum(1 for _ in lab.all(Notification))
    assert total("mail_messages_received_total", via="notification") == made == summary.notifications
    assert summary.received == ways.total() + made
    assert total("mail_message_size_bytes_count") == ways.total()
    for status, count in summary.statuses().items():
        assert total("mail_deliveries_total", status=status) == count
    assert total("mail_messages_removed_total") == summary.removed
