"""How messages begin, what is made of them, and the notifications about them."""

from __future__ import annotations

import pytest

from parsers.events import Delivery, Event, Notification, Origin, QueueAction, Received, Reject
from tests import reading

ORIGIN = Origin("sendmail", "mail.example.com", "sendmail", "sm-mta", 4711)
ID = "5ALA00aB004711"
NEW_ID = "5ALA01aB004712"
FROM = "from=<kim@example.com>, size=4711, class=0, nrcpts=2, msgid=<1@example.com>, "


def read(message: str) -> Event | None:
    return reading.read(f"{ID}: {message}", ORIGIN)


def received(message: str) -> Received:
    event = read(message)
    assert isinstance(event, Received)
    return event


def test_a_message() -> None:
    message = FROM + "bodytype=8BITMIME, proto=ESMTPS, daemon=MTA, relay=mx.example.net [203.0.113.9] (may be forged)"
    assert read(message) == Received(
        1.0,
        ORIGIN,
        ID,
        "mx.example.net",
        "203.0.113.9",
        sender="kim@example.com",
        protocol="ESMTPS",
        message_id="1@example.com",
        size=4711,
        recipients=2,
        via="smtp",
        may_be_refused=True,
    )


@pytest.mark.parametrize(
    ("rest", "via", "name", "ip"),
    [
        ("proto=ESMTP, daemon=MTA-v4, relay=mx.example.net [203.0.113.9]", "smtp", "mx.example.net", "203.0.113.9"),
        ("proto=ESMTPSA, daemon=MTA, relay=[203.0.113.9]", "submission", None, "203.0.113.9"),
        ("proto=ESMTPS, daemon=MSA, relay=[IPv6:2001:DB8:0:0:0:0:0:9]", "submission", None, "2001:db8::9"),
        ("proto=ESMTPS, daemon=TLSMTA, relay=pc [203.0.113.9]", "submission", "pc", "203.0.113.9"),
        ("proto=ESMTP, daemon=MSP-v4, relay=pc [203.0.113.9]", "submission", "pc", "203.0.113.9"),
        ("proto=SMTP, daemon=MTA, relay=ident@pc.example.net [203.0.113.9]", "smtp", "pc.example.net", "203.0.113.9"),
        ("proto=SMTP, daemon=MTA, relay=mx.example.net", "smtp", "mx.example.net", None),
        ("relay=kim@localhost", "local", None, None),
    ],
)
def test_how_it_came(rest: str, via: str, name: str | None, ip: str | None) -> None:
    event = received(FROM + rest)
    assert (event.via, event.client_name, event.client_ip) == (via, name, ip)


def test_a_message_of_no_recipients_is_none() -> None:
    assert (
        read("from=<kim@example.com>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=mx [192.0.2.1]")
        is None
    )


@pytest.mark.parametrize("text", ["<>", "", "<kim@example.com>", "kim@example.com", "root"])
def test_a_sender(text: str) -> None:
    assert received(f"from={text}, size=1, class=0, nrcpts=1, relay=root@localhost").sender == text.strip("<>")


@pytest.mark.parametrize(
    "message",
    [
        "from=<kim@example.com>, nrcpts=2, relay=mx [192.0.2.1], proto=ESMTP, daemon=MTA, msgid=<1@example.com>,"
        " size=47",
        "from=<kim@example.com>, size=47, pri=30047, nrcpts=2, proto=ESMTP, msgid=<1@example.com>,"
        " relay=mx [192.0.2.1]",
        "from=<kim@example.com>, size=47, class=0, nrcpts=2, msgid=<1@example.com>, proto=ESMTP, daemon=MTA,"
        " tls_verify=NONE, relay=mx [192.0.2.1]",
    ],
)
def test_keys_in_another_order(message: str) -> None:
    event = received(message)
    assert (event.sender, event.size, event.recipients) == ("kim@example.com", 47, 2)
    assert (event.client_ip, event.protocol, event.message_id) == ("192.0.2.1", "ESMTP", "1@example.com")


def test_a_message_id_that_pretends_to_be_more() -> None:
    forged = "<1@example.com>, proto=ESMTPSA, daemon=MSA, relay=pc [192.0.2.66]"
    event = received(
        f"from=<kim@example.com>, size=47, class=0, nrcpts=1, msgid={forged}, proto=ESMTP, daemon=MTA,"
        " relay=mx.example.net [203.0.113.9]"
    )
    assert (event.via, event.protocol, event.client_ip) == ("smtp", "ESMTP", "203.0.113.9")


@pytest.mark.parametrize(
    "message",
    [
        "from=<kim@example.com>, si",
        "from=<kim@example.com>, size=abc, class=0, nrcpts=1, relay=mx [192.0.2.1]",
        "from=<kim@example.com>, size=-1, class=0, nrcpts=1, relay=mx [192.0.2.1]",
        "from=<kim@example.com>, size=99999999999999999999, class=0, nrcpts=1, relay=mx [192.0.2.1]",
        "from=<kim@example.com>, size=1, class=0, nrcpts=x, relay=mx [192.0.2.1]",
        "from=<kim@example.com>, size=1, class=0, nrcpts=1, relay=mx [192.0.2",
    ],
)
def test_a_line_that_is_cut_or_lies_is_malformed(message: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        read(message)


# --- notifications ---


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("DSN: User unknown", "bounce"),
        ("return to sender: Unable to deliver mail", "bounce"),
        ("postmaster notify: Service unavailable", "bounce"),
        ("sender notify: User unknown", "bounce"),
        ("sender notify: Warning: could not send message for past 4 hours", "delay"),
        ("DSN: Return receipt", "success"),
        ("postmaster notify: Cannot send message for 5 days", "bounce"),
    ],
)
def test_a_notification(text: str, kind: str) -> None:
    assert read(f"{NEW_ID}: {text}") == Notification(1.0, ORIGIN, ID, kind, NEW_ID, is_arrival=True)


@pytest.mark.parametrize("words", ["sender notify", "return to sender", "DSN"])
def test_the_end_of_the_time_that_a_message_has(words: str) -> None:
    text = "Cannot send message for 5 days"
    assert reading.read_all(f"{ID}: {NEW_ID}: {words}: {text}", ORIGIN) == [
        Delivery(1.0, ORIGIN, ID, None, "expired", "outbound", reply=text, is_removal=True),
        Notification(1.0, ORIGIN, ID, "bounce", NEW_ID, is_arrival=True),
    ]


# --- what is made of a message ---


@pytest.mark.parametrize(
    ("message", "action", "reply"),
    [
        ("quarantine=by hand", "hold", "by hand"),
        ("unquarantine", "release", None),
        ("discarded", "discard", None),
    ],
)
def test_what_is_done_with_a_message(message: str, action: str, reply: str | None) -> None:
    assert read(message) == QueueAction(1.0, ORIGIN, ID, action, reply=reply)


def test_recipients_that_go_on_under_another_id() -> None:
    """Documented: sendall() in sendmail/deliver.c; no log that we know has it."""
    assert read(f"{NEW_ID}: clone: owner=owner-news") == QueueAction(1.0, ORIGIN, ID, "split", NEW_ID)


def test_a_message_that_is_too_large() -> None:
    event = read("message size (264527) exceeds maximum (204800)")
    assert isinstance(event, Reject)
    assert (event.phase, event.reply_code, event.reason) == ("end_of_data", 552, "message_too_large")


@pytest.mark.parametrize("message", ["done; delay=00:00:01, ntries=1", "split: count=2, id1=5ALA00aC004711"])
def test_what_is_of_no_use(message: str) -> None:
    assert read(message) is None
