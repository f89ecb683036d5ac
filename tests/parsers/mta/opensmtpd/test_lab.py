"""Logs of real OpenSMTPD servers (tests/lab.py), held against what their clients did and their destinations saw.

7.6 is meant: 6.8 as Debian 12 has it cannot do TLS, nor logins.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from parsers.events import (
    Auth,
    Connect,
    ConnectionFailure,
    Delivery,
    Problem,
    QueueAction,
    Received,
    Reject,
    as_record,
)
from tests.lab import Lab, domain, name, read_lab, runs, summary

OURSELVES = "192.0.2.10"
RUNS = runs("opensmtpd")
pytestmark = [pytest.mark.corpus, pytest.mark.skipif(not RUNS, reason="no logs of this server are here")]


@pytest.fixture(params=RUNS, ids=name)
def lab(request: pytest.FixtureRequest) -> Lab:
    return read_lab(*request.param)


# --- outbound: what the destinations saw ---


def test_deliveries_for_each_recipient_domain_are_the_acceptances(lab: Lab) -> None:
    """But for a domain whose mail exchanger is ourselves, which we deliver to without end: that is no other host."""
    sent = Counter(
        domain(event.recipient or "")
        for event in lab.all(Delivery)
        if event.status == "sent" and event.direction == "outbound"
    )
    assert sent == Counter(domain(recipient) for told in lab.told("accepted") for recipient in told["rcpts"])


def test_each_delivery_is_that_of_one_message_to_one_recipient(lab: Lab) -> None:
    """No line has a Message-ID: the client was told the id of its message."""
    message_ids = {told["qid"]: told["msgid"] for told in lab.told("submitted") if told.get("qid")}
    sent = Counter(
        (message_ids[event.queue_id], event.recipient)
        for event in lab.all(Delivery)
        if event.status == "sent" and event.direction == "outbound" and event.queue_id in message_ids
    )
    known = set(message_ids.values())
    accepted = Counter(
        (told["msgid"], recipient)
        for told in lab.told("accepted")
        if told.get("msgid") in known
        for recipient in told["rcpts"]
    )
    assert sent == accepted


def test_local_deliveries_are_the_messages_in_the_mailboxes(lab: Lab) -> None:
    """Those of the program that an alias names, and the loop's, are in none."""
    delivered = sum(
        event.status == "sent" and event.transport == "mda" and "robot@" not in (event.recipient or "")
        for event in lab.all(Delivery)
    )
    assert delivered == sum(summary(lab.folder)["local_mailboxes"].values())


def replies(lab: Lab, *stages: str) -> Iterator[dict[str, Any]]:
    return (told for told in lab.told("reply") if told["code"] >= 400 and told["stage"] in stages)


def test_refused_recipients_are_told_with_address_and_code(lab: Lab) -> None:
    """What a reply answered is not in the log. One to RCPT is one recipient's, one to the end of DATA that of all
    recipients that were accepted, and one to MAIL or DATA of all that there are: only those of one recipient can be
    told apart, so here the recipient's domain tells the stage."""
    refused = {
        stage: {told["domain"] for told in replies(lab, stage)} for stage in ("mail", "data354", "rcpt", "data")
    }
    only = (refused["rcpt"] | refused["data"]) - refused["mail"] - refused["data354"]
    told = Counter(
        (event.relay_ip, event.reply_code)
        for event in lab.all(Delivery)
        if event.status in ("deferred", "bounced") and event.reply_code and event.direction == "outbound"
    )
    ips = {told["ip"] for told in lab.truth if told["src"] == "dest" and told["domain"] in only}
    real = Counter(
        (reply["ip"], reply["code"])
        for reply in replies(lab, "rcpt", "data")
        for _ in (reply["rcpts"] if reply["stage"] == "data" else [reply["rcpt"]])
    )
    assert {key: count for key, count in told.items() if key[0] in ips} == {
        key: count for key, count in real.items() if key[0] in ips
    }


def test_refused_messages_are_told_with_address_and_code(lab: Lab) -> None:
    """Replies to MAIL and to DATA: one at least for each recipient that was refused with them."""
    told = {
        (event.relay_ip, event.reply_code)
        for event in lab.all(Delivery)
        if event.status in ("deferred", "bounced") and event.reply_code
    }
    assert {(reply["ip"], reply["code"]) for reply in replies(lab, "mail", "data354")} <= told


def test_sessions_that_a_relay_refuses_are_told_with_address_phase_and_code(lab: Lab) -> None:
    """EHLO refused is not told, for then HELO is tried; nor STARTTLS, for then the message goes in the clear."""
    told = Counter(
        (event.relay_ip, event.phase, event.reply_code)
        for event in lab.all(ConnectionFailure)
        if event.relay_ip and event.reply_code
    )
    ehlos: set[int] = set()
    real: Counter[tuple[str, str, int]] = Counter()
    for reply in replies(lab, "connect", "ehlo", "auth"):
        if reply["stage"] == "ehlo" and reply["sid"] not in ehlos:
            ehlos.add(reply["sid"])
        else:
            real[reply["ip"], {"connect": "banner"}.get(reply["stage"], reply["stage"]), reply["code"]] += 1
    assert told == real


def test_whom_no_destination_accepted_is_told_to_be_bounced_expired_or_deleted(lab: Lab) -> None:
    accepted = {(told.get("msgid"), recipient) for told in lab.told("accepted") for recipient in told["rcpts"]}
    last: dict[tuple[str, str], str] = {}
    for event in lab.events:
        if isinstance(event, Delivery | QueueAction):
            word = event.status if isinstance(event, Delivery) else event.action
            last[event.queue_id, event.recipient or ""] = word
    wrong = {}
    for told in lab.told("submitted"):
        for recipient in told["rcpts"] if told.get("qid") else ():
            if domain(recipient) not in ("corp.example", "lab.example", "mxloop.example"):
                is_sent = (told["msgid"], recipient) in accepted
                word = last.get((told["qid"], recipient), "lost")
                if word not in ({"sent"} if is_sent else {"bounced", "expired", "delete"}):
                    wrong[told["qid"], recipient] = word
    assert wrong == {}


def test_the_recipients_that_the_operator_removed_are_deleted(lab: Lab) -> None:
    """But for envelopes of notifications that were not made yet, of which no line tells, and for those whose delivery
    was under way and then succeeded."""
    log = "".join(lab.lines)
    removed = Counter(
        recipient
        for told in lab.told("delete")
        if f"={told['qid']}" in log and "1 envelope removed" in told["out"]
        if not re.search(f'delivery evpid={told["qid"]} .* result="?Ok', log)
        for recipient in told["rcpts"]
    )
    assert removed == Counter(event.recipient for event in lab.all(QueueAction) if event.action == "delete")


SECOND, TICK = 1.0, 0.01  # what delays are in, and the tick of the clock


def test_what_became_of_a_message_has_the_time_since_it_came(lab: Lab) -> None:
    """Since its session began it: the line that tells of it is written when the data has come."""
    arrived = {event.queue_id: event.time for event in lab.all(Received)}
    late = {
        (event.queue_id, event.recipient): (event.time - event.delay, arrived[event.queue_id])
        for event in lab.all(Delivery)
        if event.delay is not None and event.time - event.delay > arrived[event.queue_id] + SECOND + TICK
    }
    assert late == {}


def test_what_is_sent_has_no_less_than_the_time_between_the_client_and_the_destination(lab: Lab) -> None:
    submitted = {told["qid"]: told for told in lab.told("submitted") if told.get("qid")}
    accepted = {(told.get("msgid"), rcpt): told["t"] for told in lab.told("accepted") for rcpt in told["rcpts"]}
    for event in lab.all(Delivery):
        told = submitted.get(event.queue_id)
        if event.status == "sent" and told and (told["msgid"], event.recipient) in accepted:
            assert event.delay is not None
            assert event.delay + SECOND + TICK > accepted[told["msgid"], event.recipient] - told["t"]


# --- inbound: what the clients did ---


def test_logins_are_those_of_the_clients(lab: Lab) -> None:
    """The mechanism of one that succeeds is not told."""
    told = Counter((event.result, event.client_ip, event.sasl_user) for event in lab.all(Auth))
    results = {"auth_ok": "success", "auth_fail": "failure"}
    assert told == Counter(
        (results[told["ev"]], told["client"], told["user"]) for told in lab.told("auth_ok", "auth_fail")
    )
    methods = Counter(event.sasl_method for event in lab.all(Auth) if event.result == "failure")
    assert methods == Counter(told["mech"] for told in lab.told("auth_fail"))


def test_messages_received_are_those_submitted(lab: Lab) -> None:
    """But for those that loop: they come from ourselves."""
    vias = {25: "smtp", 587: "submission", 465: "submission", 0: "local"}
    received = Counter(
        event.message.via
        for event in lab.all(Received)
        if event.is_arrival and event.message and event.client_ip != OURSELVES
    )
    del received["notification"]
    assert received == Counter(vias[told["port"]] for told in lab.told("submitted"))


def test_each_message_received_has_its_client_user_sender_and_recipients(lab: Lab) -> None:
    """But for the list, of which an alias makes three recipients."""
    received = {
        event.queue_id: (event.client_ip, event.sasl_user, event.sender, event.recipients)
        for event in lab.all(Received)
    }
    submitted = {told["qid"]: told for told in lab.told("submitted") if told.get("qid")}
    assert {qid: received[qid] for qid in submitted} == {
        qid: (told["client"], told.get("user"), told["sender"], len(told["rcpts"])) for qid, told in submitted.items()
    }


def test_sizes_are_about_what_the_clients_sent(lab: Lab) -> None:
    """We count the Received header, too, but one character for the end of a line where they send two."""
    received = {event.queue_id: event.size or 0 for event in lab.all(Received)}
    for told in lab.told("submitted"):
        if told.get("qid"):
            assert 0 < received[told["qid"]] - told["size"] * 0.98 < 600 + told["size"] * 0.02


def test_rejects_are_those_that_clients_were_given(lab: Lab) -> None:
    told = Counter(
        (event.client_ip, event.phase, event.reply_code)
        for event in lab.all(Reject)
        if event.client_ip not in (None, OURSELVES)
    )
    stages = {"data": "end_of_data"}
    real = Counter(
        (told["client"], stages.get(told["stage"], told["stage"]), told["code"])
        for told in lab.told("rejected")
        if told["stage"] in ("mail", "rcpt", "data")
    )
    real += Counter((told["client"], "auth", told["code"]) for told in lab.told("auth_refused"))
    real += Counter((told["client"], "rcpt", 503) for told in lab.told("bad_command"))
    # Their addresses are not told.
    listed = sum("listed" in told["error"] for told in lab.told("session_error"))
    assert sum(count for (_, phase, _), count in told.items() if phase == "connect") == listed
    assert Counter({key: count for key, count in told.items() if key[1] != "connect"}) == real


def test_rejects_of_local_programs_are_those_that_these_were_given(lab: Lab) -> None:
    local = sum(event.client_ip is None for event in lab.all(Reject))
    assert local == sum(told["stage"] == "cli" for told in lab.told("rejected"))


def test_a_loop_ends_with_a_reject(lab: Lab) -> None:
    loops = Counter(event.reason for event in lab.all(Reject) if event.client_ip == OURSELVES)
    deliveries = (event for event in lab.all(Delivery) if event.reason == "loop" and event.status == "bounced")
    assert loops == Counter({"loop": len({event.queue_id for event in deliveries})})


# --- notifications, and the end ---


def test_notifications_received_are_those_that_were_delivered(lab: Lab) -> None:
    """To the last: each is delivered, bounces or expires, and no other message has the null reverse-path but those
    that clients sent."""
    own = {event.queue_id for event in lab.all(Received) if event.notification}
    null = {event.queue_id for event in lab.all(Delivery) if event.sender == ""}
    clients = {told["qid"] for told in lab.told("submitted") if told["sender"] == ""}
    assert own | clients == null | (clients - null)
    assert not own & clients


def test_each_bounce_is_of_a_message_that_failed(lab: Lab) -> None:
    """No line says so (see the module `notice`): where a message fails twice within two seconds, or is late and fails
    at the same time, one of two notifications is of no message that we know."""
    failed = {
        event.queue_id for event in lab.all(Delivery) if event.status in ("bounced", "expired") and event.sender
    }
    told = [event.original_queue_id for event in lab.all(Received) if event.notification == "bounce"]
    refused = {event.queue_id for event in lab.all(Problem) if event.queue_id}
    assert set(told) - {None} <= failed
    assert failed <= set(told) | refused
    assert told.count(None) <= len(told) / 50


def test_every_connection_is_that_of_somebody(lab: Lab) -> None:
    """All but the queue's own and the local programs'."""
    lines = sum(" smtp connected address=" in line and "address=local" not in line for line in lab.lines)
    assert sum(1 for _ in lab.all(Connect)) == lines


def test_all_messages_received_leave_the_queue(lab: Lab) -> None:
    arrived = sum(event.is_arrival for event in lab.all(Received))
    removed = sum(event.is_removal for event in lab.events if isinstance(event, Delivery | QueueAction))
    assert (arrived, lab.in_flight) == (removed + lab.in_flight, next(lab.told("settled"))["queue_left"])


def test_no_event_holds_a_password(lab: Lab) -> None:
    text = "\n".join(str(as_record(event)) for event in lab.events)
    assert "AGFsaWNlAHdvbmRlcg" not in text
