"""Mail that begins on this host."""

from __future__ import annotations

import pytest

from parsers.events import Event, Origin, Received
from parsers.mta.postfix import GRAMMAR

ORIGIN = Origin("postfix", "mail.example.com", "postfix", "pickup", 4711)


def read(message: str) -> Event | None:
    """The event of a message; None where it is of no use. Fails where no shape fits."""
    for found in GRAMMAR.candidates(message):
        match = found.match(message)
        if match:
            return found.build(1.0, ORIGIN, *match.groups()) if found.build else None
    pytest.fail(f"unknown: {message}")


def test_a_local_submission() -> None:
    assert read("1A2B3C4D5E: uid=0 from=<root>") == Received(1.0, ORIGIN, "1A2B3C4D5E", sender="root")


def test_a_requeued_message_has_its_old_id() -> None:
    event = read("6F7A8B9C0D: uid=100 from=<> orig_id=1A2B3C4D5E")
    assert event == Received(1.0, ORIGIN, "6F7A8B9C0D", sender="", original_queue_id="1A2B3C4D5E")
