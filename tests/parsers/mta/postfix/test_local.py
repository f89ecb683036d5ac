"""Mail that begins on this host."""

from __future__ import annotations

from parsers.events import Event, Origin, Received
from tests import reading

ORIGIN = Origin("postfix", "mail.example.com", "postfix", "pickup", 4711)


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


def test_a_local_submission() -> None:
    assert read("1A2B3C4D5E: uid=0 from=<root>") == Received(1.0, ORIGIN, "1A2B3C4D5E", sender="root")


def test_a_requeued_message_has_its_old_id() -> None:
    event = read("6F7A8B9C0D: uid=100 from=<> orig_id=1A2B3C4D5E")
    assert event == Received(1.0, ORIGIN, "6F7A8B9C0D", sender="", original_queue_id="1A2B3C4D5E")


def test_a_sender_may_hold_what_ends_it() -> None:
    assert read("1A2B3C4D5E: uid=100 from=<a>b@example.com>") == Received(
        1.0, ORIGIN, "1A2B3C4D5E", sender="a>b@example.com"
    )
