"""Logs of real Postfix servers (tests/lab.py), held against what their clients did and their destinations saw."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from parsers.events import (
    Auth,
    Connect,
    ConnectionFailure,
    Delivery,
    Disconnect,
    Notification,
    Problem,
    QueueAction,
    Queued,
    Received,
    Reject,
    Removed,
)
from parsers.mta.postfix.delivery import COMMANDS, read_relay
from parsers.mta.postfix.smtpd import PHASES
from parsers.reply import read_reply
from tests.lab import Lab, domain, name, read_lab, runs

RUNS = runs("postfix")
pytestmark = [pytest.mark.corpus, pytest.mark.skipif(not RUNS, reason="no logs of this server are here")]


@pytest.fixture(params=RUNS, ids=name)
def lab(request: pytest.FixtureRequest) -> Lab:
    return read_lab(*request.param)


def has_daemons(lab: Lab) -> bool:
    """RFC 5424's APP-NAME, as rsyslog writes it, has the instance and no daemon."""
    return lab.form != ("mail.rfc5424.log",)


# --- outbound: what the destinations saw ---


def test_deliveries_for_each_recipient_domain_are_the_acceptances(lab: Lab) -> None:
    sent = Counter(
        domain(event.recipient or "")
        for event in lab.all(Delivery)
        if event.status == "sent" and event.direction == "outbound"
    )
    assert sent == Counter(domain(recipient) for told in lab.told("accepted") for recipient in told["rcpts"]) + (
        # discard(8) delivers to nobody; only the name of the daemon tells, for its relay is "none".
        Counter() if has_daemons(lab) else Counter({"discardme.example": sent["discardme.example"]})
    )


def test_each_delivery_is_that_of_one_message_to_one_recipient(lab: Lab) -> None:
    sent = Counter(
        (event.message.message_id, event.recipient)
        for event in lab.all(Delivery)
        if event.status == "sent" and event.relay_ip and event.direction == "outbound" and event.message
    )
    accepted = Counter((told.get("msgid"), recipient) for told in lab.told("accepted") for recipient in told["rcpts"])
    assert sent == accepted


DELETED = "deleted"


def fates(lab: Lab) -> dict[tuple[str | None, str], str]:
    """The last word of the log on each message (by its Message-ID) and recipient."""
    last: dict[tuple[str | None, str], str] = {}
    waiting: dict[int, set[str]] = defaultdict(set)  # recipients of a message that were deferred
    for event in lab.events:
        message = getattr(event, "message", None)
        if message is None:
            continue
        if type(event) is Delivery and event.recipient is not None:
            last[message.message_id, event.recipient] = event.status
            (waiting[id(message)].add if event.status == "deferred" else waiting[id(message)].discard)(
                event.recipient
            )
        elif (type(event) is Delivery) or (type(event) is Removed):
            word = event.status if type(event) is Delivery else DELETED
            last |= {(message.message_id, recipient): word for recipient in waiting.pop(id(message), ())}
    return last


def test_whom_no_destination_accepted_is_told_to_be_bounced_expired_or_deleted(lab: Lab) -> None:
    accepted = {(told.get("msgid"), recipient) for told in lab.told("accepted") for recipient in told["rcpts"]}
    # A header check discards the whole message, and discard(8) whatever goes to this domain: both are told as done.
    gone = {told["msgid"] for told in lab.told("submitted") if told["kind"] == "discard_header"}
    wanted: dict[tuple[str, str], set[str]] = {}
    for told in lab.told("submitted"):
        for recipient in told["rcpts"]:
            if domain(recipient) != "corp.example" and told["msgid"] not in gone:
                discarded = domain(recipient) == "discardme.example"
                is_sent = discarded or (told["msgid"], recipient) in accepted
                wanted[told["msgid"], recipient] = {"sent"} if is_sent else {"bounced", "expired", "deleted"}
    # Nobody tried to deliver what was held from the beginning and then deleted.
    removed = {event.message.message_id for event in lab.all(Removed) if event.message}
    last = fates(lab)
    told = {pair: last.get(pair, DELETED if pair[0] in removed else "lost") for pair in wanted}
    assert {pair: word for pair, word in told.items() if word not in wanted[pair]} == {}


def test_the_messages_that_the_operator_deleted_are_removed(lab: Lab) -> None:
    if not has_daemons(lab):
        pytest.skip("only the name of the daemon tells a deletion from any other removal")
    deleted = Counter(told["qid"] for told in lab.told("delete"))
    assert deleted == Counter(event.queue_id for event in lab.all(Removed) if event.origin.program == "postsuper")


@pytest.mark.parametrize(("told", "action"), [("hold", "hold"), ("release", "release"), ("requeue", "requeue")])
def test_what_the_operator_did_is_told(lab: Lab, told: str, action: str) -> None:
    done = Counter(event.queue_id for event in lab.all(QueueAction) if event.action == action and not event.sender)
    assert done == Counter(act["qid"] for act in lab.told(told))


# The stages of the truth, in the words of the event record. A "cmd" is pipelined after the refusal, and not logged.
STAGES = {
    "connect": "banner",
    "ehlo": "banner",  # refused to talk to me: Postfix has the same words for both
    "auth": "auth",
    "mail": "mail",
    "rcpt": "rcpt",
    "data354": "data",
    "data": "end_of_data",
}


def real_replies(lab: Lab) -> Iterator[dict[str, Any]]:
    """The refusals of destinations that Postfix tells of.

    STARTTLS refused is not: where TLS is not required, the message goes in the clear. Nor is EHLO, after which HELO
    is tried; where that is refused too, it is told once. Nor are those of address probes, whose status is no
    delivery's.
    """
    ehlos = set()  # sessions in which EHLO was refused
    for told in lab.told("reply"):
        is_probe = (told.get("sender") or "").startswith("double-bounce@")
        if told["stage"] == "ehlo" and told["sid"] not in ehlos:
            ehlos.add(told["sid"])
        elif told["code"] >= 400 and told["stage"] in STAGES and not is_probe:
            yield told


_SAID = re.compile(r"host (\S+) said: (.*?)(?: \(in reply to (.*) command\))?").fullmatch


def told_replies(lab: Lab) -> Iterator[tuple[str | None, str | None, int | None]]:
    """Address, phase and code of each refusal in the log.

    Where it is the whole message's, the refusal is told for each recipient: those stand together.
    """
    last: dict[tuple[Any, ...], float] = {}
    for event in lab.events:
        if isinstance(event, (Delivery, ConnectionFailure)):
            if not event.relay_ip or (event.reply_code or 0) < 400:
                continue
            reply = event.relay_ip, event.phase, event.reply_code
        elif type(event) is Problem and (said := _SAID(event.text)):
            reply = read_relay(said[1])[1], COMMANDS.get(said[3]), read_reply(said[2]).code
        else:
            continue
        key = (event.origin.service, event.origin.pid, event.queue_id, *reply)
        if reply[1] == "rcpt" or event.time - last.get(key, 0.0) > 1.5:
            yield reply
        last[key] = event.time


def test_each_refusal_of_a_destination_is_told_with_its_address_phase_and_code(lab: Lab) -> None:
    assert Counter(told_replies(lab)) == Counter(
        (real["ip"], STAGES[real["stage"]], real["code"]) for real in real_replies(lab)
    )


def by_recipient(lab: Lab, *, first: int) -> Counter[tuple[str, str, int]]:
    """Refusals of recipients, alone or with their message, by domain, phase and code."""
    return Counter(
        (domain(recipient), STAGES[real["stage"]], real["code"])
        for real in real_replies(lab)
        if real["stage"] in ("rcpt", "data") and real["code"] // 100 == first
        for recipient in (real["rcpts"] if real["stage"] == "data" else [real["rcpt"]])
    )


def with_status(lab: Lab, status: str, first: int) -> Counter[tuple[str, str | None, int]]:
    return Counter(
        (domain(event.recipient or ""), event.phase, event.reply_code)
        for event in lab.all(Delivery)
        if event.status == status
        and event.phase in ("rcpt", "end_of_data")
        and (event.reply_code or 0) // 100 == first
    )


def test_bounces_for_each_recipient_domain_are_the_permanent_replies(lab: Lab) -> None:
    assert with_status(lab, "bounced", 5) == by_recipient(lab, first=5)


def test_deferrals_for_each_recipient_domain_are_the_transient_replies(lab: Lab) -> None:
    """Where a domain has several addresses, what one of the first says is no deferral: the next is tried at once."""
    addresses = defaultdict(set)
    for told in lab.truth:
        if told["src"] == "dest":
            addresses[told["domain"]].add(told["ip"])
    several = {name for name, ips in addresses.items() if len(ips) > 1} | {"failover.example"}
    told, real = with_status(lab, "deferred", 4), by_recipient(lab, first=4)
    assert {key: count for key, count in told.items() if key[0] not in several} == {
        key: count for key, count in real.items() if key[0] not in several
    }
    assert told <= real


# --- delays ---

SECOND, TICK = 1.0, 0.01  # of time stamps that have no more, and of the clock
HALF = 0.5 + TICK  # from ten seconds on, Postfix rounds to whole ones


def test_what_is_sent_has_the_time_since_it_came(lab: Lab) -> None:
    """It came before the client was told so, and was sent after the destination had it."""
    submitted = {told["msgid"]: told["t"] for told in lab.told("submitted")}
    accepted = {(told.get("msgid"), rcpt): told["t"] for told in lab.told("accepted") for rcpt in told["rcpts"]}
    short = {}
    for event in lab.all(Delivery):
        message_id = event.message.message_id if event.message else None
        if event.status == "sent" and message_id in submitted and (message_id, event.recipient) in accepted:
            taken = accepted[message_id, event.recipient] - submitted[message_id]
            if event.delay is None or event.delay < taken - HALF:
                short[message_id, event.recipient] = event.delay, taken
    assert short == {}


def test_no_message_has_taken_longer_than_since_its_client_came(lab: Lab) -> None:
    """Postfix counts from MAIL, which no line tells, and on from there where a message is requeued. Local messages
    count from when they are put into the maildrop."""
    connected: dict[tuple[str, int | None], float] = {}
    since: dict[tuple[str, str | None], float] = {}
    for event in lab.events:
        host = event.origin.instance
        if type(event) is Connect:
            connected[host, event.origin.pid] = event.time
        elif type(event) is Received and event.original_queue_id:
            since[host, event.queue_id] = since.get((host, event.original_queue_id), 0.0)
        elif type(event) is Received:
            since[host, event.queue_id] = connected.get((host, event.origin.pid), 0.0) if event.client_ip else 0.0
        elif type(event) is Delivery and event.delay is not None:
            longest = event.time - since.get((host, event.queue_id), 0.0)
            assert event.delay <= longest + SECOND + HALF


# --- inbound: what the clients did ---


def test_failed_logins_are_those_of_the_clients(lab: Lab) -> None:
    """One exception: Dovecot holds answers back from an address that guesses, longer than Postfix waits for them; so
    right passwords from there fail too, with 454, and the clients tell them as broken sessions."""
    told = Counter((event.client_ip, event.sasl_method) for event in lab.all(Auth) for _ in range(event.attempts))
    real = Counter((told["client"], told["mech"]) for told in lab.told("auth_fail"))
    assert not real - told
    broken = sum("SMTPAuthenticationError: (454" in told["error"] for told in lab.told("session_error"))
    assert (told - real).total() == broken


def test_refused_passwords_are_those_of_the_clients(lab: Lab) -> None:
    told = Counter(
        (event.client_ip, event.sasl_method)
        for event in lab.all(Auth)
        if event.reply != "Connection lost to authentication server"
    )
    assert told == Counter((told["client"], told["mech"]) for told in lab.told("auth_fail") if told["code"] == 535)


def test_successful_logins_are_those_of_the_clients(lab: Lab) -> None:
    logins = sum(event.logins for event in lab.events if isinstance(event, (Received, Disconnect)))
    assert logins == sum(1 for _ in lab.told("auth_ok"))


def arrivals(lab: Lab) -> Iterator[Queued | QueueAction]:
    return (event for event in lab.events if isinstance(event, (Queued, QueueAction)) and event.is_arrival)


def via(told: dict[str, Any]) -> str:
    return {25: "smtp", 587: "submission", 465: "submission", 0: "local"}[told["port"]]


def test_messages_received_are_those_submitted(lab: Lab) -> None:
    received = Counter(event.message.via for event in arrivals(lab) if event.message)
    real = Counter(map(via, lab.told("submitted")))
    assert {how: count for how, count in received.items() if how != "notification"} == real


def test_each_message_received_has_its_client_and_user(lab: Lab) -> None:
    """But for one that a header check discards, before its Message-ID is read."""
    received = {
        event.message.message_id: (event.message.via, event.message.client_ip, event.message.sasl_user)
        for event in arrivals(lab)
        if event.message and event.message.via in ("smtp", "submission") and event.message.message_id
    }
    assert received == {
        told["msgid"]: (via(told), told["client"], told.get("user"))
        for told in lab.told("submitted")
        if told["port"] and told["kind"] != "discard_header"
    }


def test_a_message_received_has_its_sender_and_its_recipients(lab: Lab) -> None:
    """But for the list, of which an alias makes three recipients."""
    received = {
        event.message.message_id: (event.sender, event.recipients)
        for event in arrivals(lab)
        if event.message and isinstance(event, Queued) and event.message.via != "notification"
    }
    wanted = {told["msgid"]: (told["sender"], told["rcpts"]) for told in lab.told("submitted")}
    differing = {
        message_id: (received[message_id], wanted[message_id])
        for message_id in received
        if received[message_id] != (wanted[message_id][0], len(wanted[message_id][1]))
        and "list@corp.example" not in wanted[message_id][1]
    }
    assert differing == {}


def test_each_notification_is_received_once(lab: Lab) -> None:
    made = Counter(event.new_queue_id for event in lab.all(Notification))
    received = Counter(
        event.queue_id for event in arrivals(lab) if event.message and event.message.via == "notification"
    )
    assert received == made


def test_rejects_are_those_that_clients_were_given(lab: Lab) -> None:
    """But for too many recipients, which Postfix does not log; a header check's answer has no reply code there."""
    codes = {"spam_content": 550}
    told = Counter((event.phase, event.reply_code or codes[event.reason or ""]) for event in lab.all(Reject))
    real = Counter(
        ("end_of_data" if told["stage"] == "data" else told["stage"], told["code"])
        for told in lab.told("rejected")
        if told["kind"] != "toomany"
    )
    assert set(PHASES.values()) >= {phase for phase, _ in told}
    assert told == real


def test_nothing_is_in_flight_that_is_not_in_the_queue(lab: Lab) -> None:
    left = [told["queue_left"] for told in lab.told("settled")]
    assert left == [lab.in_flight]
