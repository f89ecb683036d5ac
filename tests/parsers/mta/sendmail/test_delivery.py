"""What became of recipients."""

from __future__ import annotations

from typing import Any

import pytest

from parsers.events import Delivery, Event, Origin, QueueAction, Queued, as_record
from tests import reading

ORIGIN = Origin("sendmail", "mail.example.com", "sendmail", "sm-mta", 4711)
ID = "5ALA00aB004711"
MX = "relay=mx.example.org. [192.0.2.25]"
TRIED = "mailer=esmtp, pri=30529, relay=mx.example.org. [192.0.2.25], "


def read(message: str) -> list[Event]:
    return reading.read_all(f"{ID}: {message}", ORIGIN)


def record(message: str) -> dict[str, Any]:
    (event,) = read(message)
    assert isinstance(event, Delivery)
    return as_record(event)


def failed(rest: str) -> dict[str, Any]:
    return record(f"to=<kim@example.org>, delay=00:00:02, xdelay=00:00:01, {TRIED}{rest}")


def test_a_delivery() -> None:
    found = record(
        "to=<kim@example.org>, ctladdr=<news@example.com> (1000/1000), delay=1+02:03:04, xdelay=00:00:04,"
        " mailer=esmtp, pri=30529, relay=mx.example.org. [192.0.2.25], dsn=2.0.0, stat=Sent (Ok: queued as 4X1)"
    )
    assert found["status"] == "sent"
    assert (found["recipient"], found["direction"], found["transport"]) == ("kim@example.org", "outbound", "esmtp")
    assert (found["relay_host"], found["relay_ip"], found["dsn"]) == ("mx.example.org", "192.0.2.25", "2.0.0")
    assert (found["delay"], found["delay_in_queue"], found["delay_transmit"]) == (93784.0, 93780.0, 4.0)
    assert found["reply"] == "Ok: queued as 4X1"


@pytest.mark.parametrize(
    ("reply", "new_id"),
    [
        ("Ok: queued as 4dHvRr2ZXRz2pQ1", "4dHvRr2ZXRz2pQ1"),
        ("5ALA00aC004712 Message accepted for delivery", "5ALA00aC004712"),
        ("OK id=1xUpUs-0000000024t-37JL", "1xUpUs-0000000024t-37JL"),
        ("OK  1795284837 836558055a7b8367df55 - gsmtp", None),
        ("<1@example.com> [InternalId=1, Hostname=x] 12345 bytes in 0.123, 97.6 KB/sec Queued mail", None),
    ],
)
def test_what_the_next_hop_calls_the_message(reply: str, new_id: str | None) -> None:
    assert failed(f"dsn=2.0.0, stat=Sent ({reply})").get("new_queue_id") == new_id


@pytest.mark.parametrize(
    ("to", "recipients"),
    [
        ("<kim@example.org>", ["kim@example.org"]),
        ("<kim@example.org>,<lee@example.org>", ["kim@example.org", "lee@example.org"]),
        ("<kim@example.org>,<lee@example.org>, [more]", ["kim@example.org", "lee@example.org"]),
        ('<"a, b"@example.org>,lee', ['"a, b"@example.org', "lee"]),
        ("Kim <kim@example.org>", ["kim@example.org"]),
        ("root", ["root"]),
        ('"|/usr/bin/procmail"', ["|/usr/bin/procmail"]),
        ("/var/mail/archive", ["/var/mail/archive"]),
    ],
)
def test_recipients_have_a_delivery_each(to: str, recipients: list[str]) -> None:
    events = read(f"to={to}, delay=00:00:00, xdelay=00:00:00, {TRIED}dsn=2.0.0, stat=Sent (Ok)")
    assert [event.recipient for event in events if isinstance(event, Delivery)] == recipients


@pytest.mark.parametrize(
    ("rest", "status", "code", "phase", "reason", "reply"),
    [
        (
            "dsn=5.1.1, reply=550 5.1.1 <kim@example.org>: Recipient address rejected: User unknown,"
            " stat=User unknown",
            *("bounced", 550, None, "user_unknown"),
            "550 5.1.1 <kim@example.org>: Recipient address rejected: User unknown",
        ),
        (
            "dsn=4.2.2, reply=452 4.2.2 Mailbox full, sorry, stat=Deferred: 452 4.2.2 Mailbox full, sorry",
            *("deferred", 452, None, "mailbox_full", "452 4.2.2 Mailbox full, sorry"),
        ),
        # Before 8.16 there was no reply=.
        (
            "dsn=4.2.0, stat=Deferred: 450 4.2.0 Greylisted, please try again later",
            *("deferred", 450, None, "greylisted", "450 4.2.0 Greylisted, please try again later"),
        ),
        ("dsn=5.0.0, stat=Service unavailable", "bounced", None, None, "system_error", "Service unavailable"),
        ("dsn=4.4.2, stat=Deferred", "deferred", None, None, "connection_failed", "Deferred"),
        (
            "dsn=4.4.1, stat=Deferred: Connection refused by mx.example.org.",
            *("deferred", None, "connect", "connection_failed", "Connection refused by mx.example.org."),
        ),
        (
            "dsn=5.1.2, stat=Host unknown (Name server: mx.example.org: host not found)",
            *(
                "bounced",
                None,
                "dns",
                "domain_not_found",
                "Host unknown (Name server: mx.example.org: host not found)",
            ),
        ),
        # In the greeting: the code is Sendmail's, the reply has its own.
        (
            "dsn=5.5.0, reply=554 5.7.1 Your address is listed, stat=Service unavailable",
            *("bounced", 554, "banner", "blocked_ip", "554 5.7.1 Your address is listed"),
        ),
        (
            "dsn=4.7.0, stat=Deferred: 454 4.7.0 authentication failed",
            *("deferred", None, "starttls", "tls_failure", "454 4.7.0 authentication failed"),
        ),
        # The session was lost; the reply is an earlier one, about somebody else.
        (
            "dsn=4.4.2, reply=450 4.2.0 <lee@example.org>: Greylisted,"
            " stat=Deferred: 450 4.2.0 <lee@example.org>: Greylisted",
            *("deferred", None, None, "connection_failed", "Deferred"),
        ),
        (
            "dsn=4.7.0, reply=250 2.1.5 Ok, stat=Deferred: 421 4.7.0 Too many messages",
            *("deferred", 421, None, "rate_limited", "421 4.7.0 Too many messages"),
        ),
        # Our own words in the form of a reply.
        (
            "dsn=4.4.2, reply=421 4.4.1 Connection reset by mx.example.org., stat=Deferred",
            *("deferred", None, None, "connection_failed", "421 4.4.1 Connection reset by mx.example.org."),
        ),
        # The word counts, not the class of the code.
        (
            "dsn=5.5.1, reply=421 4.7.0 Slow down, stat=Deferred: 421 4.7.0 Slow down",
            *("deferred", 421, None, "rate_limited", "421 4.7.0 Slow down"),
        ),
        # What a server says cannot make a delivery of it.
        (
            "dsn=5.1.1, reply=550 5.1.1 no, stat=Sent (Ok), stat=User unknown",
            *("bounced", 550, None, "user_unknown", "550 5.1.1 no"),
        ),
    ],
)
def test_a_failure(rest: str, status: str, code: int | None, phase: str | None, reason: str, reply: str) -> None:
    found = failed(rest)
    assert (found["status"], found.get("reply_code"), found.get("phase"), found.get("reason"), found["reply"]) == (
        status,
        code,
        phase,
        reason,
        reply,
    )


@pytest.mark.parametrize(
    ("mailer", "relay", "direction"),
    [
        ("esmtp", "relay=mx.example.org. [192.0.2.25], ", "outbound"),
        ("esmtp", "relay=mx.example.org., ", "outbound"),
        ("relay", "relay=smart.example.net. [IPv6:2001:db8:0:0:0:0:0:25], ", "outbound"),
        ("ownsmtp", "relay=mx.example.org. [192.0.2.25], ", "outbound"),
        ("local", "", "local"),
        ("local", "relay=detail, ", "local"),
        ("prog", "", "local"),
        ("*file*", "", "local"),
        ("dovecot", "", "local"),
        ("esmtp", "relay=[127.0.0.1] [127.0.0.1], ", "local"),
    ],
)
def test_direction(mailer: str, relay: str, direction: str) -> None:
    found = record(f"to=kim, delay=00:00:01, xdelay=00:00:01, mailer={mailer}, pri=1, {relay}dsn=2.0.0, stat=Sent")
    assert found["direction"] == direction


@pytest.mark.parametrize(
    ("relay", "ip", "provider"),
    [
        ("gmail-smtp-in.l.google.com. [IPv6:2001:db8:4003:c01:0:0:0:1b]", "2001:db8:4003:c01::1b", "google"),
        ("outlook-com.olc.pr...ction.outlook.com. [192.0.2.30]", "192.0.2.30", "microsoft"),
        ("inbound-smtp.eu-we...st-1.amazonaws.com. [192.0.2.31]", "192.0.2.31", "amazon"),
        ("mx.example.org. [192.0.2.25] (may be forged)", "192.0.2.25", None),
        ("[192.0.2.25] [192.0.2.25]", "192.0.2.25", None),
    ],
)
def test_a_relay(relay: str, ip: str, provider: str | None) -> None:
    found = record(f"to=<k@example.org>, delay=00:00:01, mailer=esmtp, pri=1, relay={relay}, dsn=2.0.0, stat=Sent")
    host = None if relay.startswith("[") else relay.partition(" ")[0].removesuffix(".")
    assert (found.get("relay_host"), found["relay_ip"], found.get("provider")) == (host, ip, provider)


def test_without_a_relay_the_provider_is_that_of_the_address() -> None:
    found = record("to=<k@gmail.com>, delay=00:00:01, mailer=esmtp, pri=1, dsn=4.4.3, stat=Deferred: Name server: x")
    assert found["provider"] == "google"


# --- no deliveries ---


def test_what_only_waits_is_queued() -> None:
    assert read("to=<k@example.org>, delay=00:00:00, mailer=esmtp, pri=1, dsn=4.4.3, stat=queued") == [
        Queued(1.0, ORIGIN, ID)
    ]


@pytest.mark.parametrize(
    ("rest", "action", "reply"),
    [
        ("mailer=esmtp, pri=33154, quarantine=suspicious, stat=quarantined", "hold", "suspicious"),
        ("pri=30530, stat=discarded", "discard", None),
        ("pri=30529, stat=message content rejected, case 42", "cancel", "message content rejected, case 42"),
    ],
)
def test_what_was_not_tried_is_no_delivery(rest: str, action: str, reply: str | None) -> None:
    (event,) = read(f"to=<k@example.org>, delay=00:00:00, {rest}")
    assert isinstance(event, QueueAction)
    assert (event.action, event.reply) == (action, reply)


@pytest.mark.parametrize(
    "relay", ["[127.0.0.1] [127.0.0.1]", "localhost. [127.0.0.1]", "localhost [IPv6:0:0:0:0:0:0:0:1]"]
)
def test_what_the_submission_agent_gives_to_the_mta_is_no_delivery(relay: str) -> None:
    events = read(
        "to=kim@example.org,lee@example.org, ctladdr=root (0/0),"
        " delay=00:00:01, xdelay=00:00:00, mailer=relay, pri=1,"
        f" relay={relay}, dsn=2.0.0, stat=Sent (5ALA00aC004712 Message accepted for delivery)"
    )
    assert events == [
        QueueAction(1.0, ORIGIN, ID, "handover", "5ALA00aC004712", recipient=recipient)
        for recipient in ("kim@example.org", "lee@example.org")
    ]


def test_what_it_cannot_give_to_the_mta_is_a_delivery_that_failed() -> None:
    found = record(
        "to=root, ctladdr=root (0/0), delay=00:04:00, xdelay=00:00:00, mailer=relay, pri=120112, relay=[127.0.0.1],"
        " dsn=4.0.0, stat=Deferred: Connection refused by [127.0.0.1]"
    )
    assert (found["status"], found["direction"], found["reason"]) == ("deferred", "local", "connection_failed")


# --- other orders, and bad input ---


@pytest.mark.parametrize(
    "message",
    [
        f"to=<kim@example.org>, stat=Sent (Ok), dsn=2.0.0, {MX}, mailer=esmtp, delay=00:00:02",
        f"to=<kim@example.org>, delay=00:00:02, mailer=esmtp, {MX} dsn=2.0.0, stat=Sent (Ok)",
        f"to=<kim@example.org>, 00:00:02, mailer=esmtp, pri=1, {MX}, dsn=2.0.0, stat=Sent (Ok)",
        "to=<kim@example.org>, delay=00:00:02, mailer=esmtp, relay=mx.example.org. [192.0.2.25], stat=Sent (Ok)",
        f"to=<kim@example.org>, delay=00:00:02, ntries=3, mailer=esmtp, {MX}, stat=Sent (Ok)",
    ],
)
def test_keys_in_another_order_or_without_a_comma(message: str) -> None:
    found = record(message)
    assert (found["recipient"], found["status"], found["delay"]) == ("kim@example.org", "sent", 2.0)
    assert (found["relay_host"], found["reply"], found["transport"]) == ("mx.example.org", "Ok", "esmtp")


@pytest.mark.parametrize(
    "message",
    [
        "to=<kim@example.org>",
        "to=<kim@example.org>, delay=00:00:02, mailer=esm",
        "to=, delay=00:00:02, mailer=esmtp, pri=1, dsn=2.0.0, stat=Sent",
        "to=<kim@example.org>, delay=abc, mailer=esmtp, pri=1, dsn=2.0.0, stat=Sent",
        "to=<kim@example.org>, delay=-1:00:00, mailer=esmtp, pri=1, dsn=2.0.0, stat=Sent",
        "to=<kim@example.org>, delay=999999999+00:00:00, mailer=esmtp, pri=1, dsn=2.0.0, stat=Sent",
        "to=<kim@example.org>, delay=00:00:02, mailer=esmtp, pri=1, relay=mx [192.0.2, dsn=2.0.0, stat=Sent",
        "to=<kim@example.org>, delay=00:00:02, mailer=esmtp, pri=1, dsn=2.0.0, stat=",
    ],
)
def test_a_line_that_is_cut_or_lies_is_malformed(message: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        read(message)


@pytest.mark.parametrize("more", [", STS=OK", ", ntries=3", ", stage=GREET", ", ntries=1, stage=RCPT, quarantine=x"])
def test_fields_behind_the_code_are_no_part_of_it(more: str) -> None:
    found = failed(f"dsn=2.0.0{more}, stat=Sent (Ok: queued as 4dHvRr2ZXRz2pQ1)")
    assert (found["status"], found["dsn"], found["new_queue_id"]) == ("sent", "2.0.0", "4dHvRr2ZXRz2pQ1")


@pytest.mark.parametrize(
    ("stat", "reason"),
    [
        ("Deferred: Too many open files", "system_error"),
        ("Deferred: local mailer (/usr/bin/procmail) exited with EX_TEMPFAIL", "system_error"),
        ("Deferred: host map: lookup (example.org): deferred", "dns_failure"),
        ("Deferred: 450 4.7.0 STS mx.example.org not found in MX list mx.example.net", "tls_failure"),
    ],
)
def test_reasons_in_sendmails_own_words(stat: str, reason: str) -> None:
    assert failed(f"dsn=4.0.0, stat={stat}")["reason"] == reason
