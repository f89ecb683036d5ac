"""Status lines in their odd forms."""

from __future__ import annotations

import pytest

from parsers.events import Delivery, Event, Origin
from tests import reading

ORIGIN = Origin("postfix", "mail.example.com", "postfix", "smtp", 4711)


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


REST = "relay=mx1.example.org[192.0.2.25]:25, delay=1.5, delays=0.1/0.2/0.3/0.9, dsn=4.2.2, status=deferred"
SAID = "host mx1.example.org[192.0.2.25] said: 452 4.2.2 Full"


@pytest.mark.parametrize("reply", [f"({SAID} (in reply to RCPT TO command))", f"({SAID}", f"({SAID})"])
def test_a_reply_may_be_cut_off(reply: str) -> None:
    event = read(f"1A2B3C4D5E: to=<kim@example.org>, {REST} {reply}")
    assert isinstance(event, Delivery)
    assert (event.status, event.reply_code, event.reply) == ("deferred", 452, "452 4.2.2 Full")


@pytest.mark.parametrize(
    ("text", "recipient", "original"),
    [
        ("to=kim@example.org,", "kim@example.org", None),
        ("to=kim@example.org, orig_to=postmaster,", "kim@example.org", "postmaster"),
        ("to=, orig_to=,", "", ""),
    ],
)
def test_addresses_may_lack_brackets(text: str, recipient: str, original: str | None) -> None:
    event = read(f"1A2B3C4D5E: {text} {REST} ({SAID})")
    assert isinstance(event, Delivery)
    assert (event.recipient, event.original_recipient, event.delay) == (recipient, original, 1.5)


def test_soft_bounce_is_a_deferral() -> None:
    line = "1A2B3C4D5E: to=<kim@example.org>, relay=local, delay=1, dsn=4.1.1, status=SOFTBOUNCE (unknown user)"
    event = read(line)
    assert isinstance(event, Delivery)
    assert (event.status, event.reason is not None) == ("deferred", True)


@pytest.mark.parametrize("status", ["deliverable", "undeliverable", "undeliverable-but-not-cached"])
def test_an_address_probe_is_not_a_delivery(status: str) -> None:
    line = f"1A2B3C4D5E: to=<kim@example.org>, relay=local, delay=1, dsn=2.0.0, status={status} (delivers to mailbox)"
    assert read(line) is None


@pytest.mark.parametrize("line", ["to=<kim@exam", f"to=<kim@example.org>, {REST}", "to=<kim@example.org>, relay=mx1"])
def test_a_line_without_its_status_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        read(f"1A2B3C4D5E: {line}")


@pytest.mark.parametrize(
    ("reply", "provider"),
    [
        (
            "delivery temporarily suspended: host aspmx.l.google.com[192.0.2.26] refused to talk to me: 421 Wait",
            "google",
        ),
        (
            "delivery temporarily suspended: connect to aspmx.l.google.com[192.0.2.26]:25: Connection refused",
            "google",
        ),
        (
            "delivery temporarily suspended: conversation with aspmx.l.google.com[192.0.2.26] timed out",
            "google",
        ),
        ("connect to mx1.example.net[192.0.2.27]:25: Connection timed out", "yahoo"),  # as the address tells
        ("Host or domain name not found. Name service error for name=yahoo.com type=MX: Host not found", "yahoo"),
    ],
)
def test_a_delivery_that_was_not_tried_is_at_whom_its_text_names(reply: str, provider: str) -> None:
    line = (
        f"1A2B3C4D5E: to=<kim@yahoo.com>, relay=none, delay=9, delays=8/1/0/0, dsn=4.4.1, status=deferred ({reply})"
    )
    event = read(line)
    assert isinstance(event, Delivery)
    assert (event.provider, event.direction) == (provider, "outbound")


def test_what_the_queue_throws_away_went_to_no_other_host() -> None:
    event = read(
        "1A2B3C4D5E: to=<postmaster@gmail.com>, relay=none, delay=0.1, delays=0.1/0/0/0, dsn=2.0.0, status=sent"
        " (undeliverable postmaster notification discarded)"
    )
    assert isinstance(event, Delivery)
    assert (event.direction, event.provider) == ("local", None)


@pytest.mark.parametrize("tls", ["may", "none", "dane/may", "secure/encrypt/(requiretls!)"])
def test_a_delivery_may_tell_of_its_tls(tls: str) -> None:
    event = read(
        "1A2B3C4D5E: to=<kim@example.org>, relay=mx.example.org[192.0.2.25]:25, conn_use=2, delay=0.3,"
        f" delays=0.1/0/0.1/0.1, tls={tls}, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4dHvRr2ZXRz2pQ1)"
    )
    assert isinstance(event, Delivery)
    assert (event.dsn, event.delay_transmit, event.new_queue_id) == ("2.0.0", 0.1, "4dHvRr2ZXRz2pQ1")
