"""The life of a message in the queue."""

from __future__ import annotations

import pytest

from parsers.events import Delivery, Event, Origin, Queued, Removed
from tests import reading

ORIGIN = Origin("postfix", "mail.example.com", "postfix", "qmgr", 4711)


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


def test_an_envelope() -> None:
    assert read("1A2B3C4D5E: from=<news@example.com>, size=4711, nrcpt=2 (queue active)") == Queued(
        1.0, ORIGIN, "1A2B3C4D5E", None, "news@example.com", 4711, 2
    )


@pytest.mark.parametrize(
    ("text", "sender"),
    [
        ("<>", ""),
        ('<"a>, b"@example.com>', '"a>, b"@example.com'),
        ("kim@example.com", "kim@example.com"),
        ("", ""),
    ],
)
def test_a_sender(text: str, sender: str) -> None:
    event = read(f"1A2B3C4D5E: from={text}, size=47, nrcpt=1 (queue active)")
    assert isinstance(event, Queued)
    assert (event.sender, event.size) == (sender, 47)


@pytest.mark.parametrize("size", ["", "4k", "1e3"])
def test_a_bad_size_is_an_error(size: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        read(f"1A2B3C4D5E: from=<kim@example.com>, size={size}, nrcpt=1 (queue active)")


def test_a_cut_envelope_is_an_error() -> None:
    with pytest.raises(ValueError, match="malformed"):
        read("1A2B3C4D5E: from=<news@example.com>, size=47")


@pytest.mark.parametrize("how", ["expired", "force-expired"])
def test_an_expired_message_names_no_recipient(how: str) -> None:
    event = read(f"1A2B3C4D5E: from=<news@example.com>, status={how}, returned to sender")
    assert event == Delivery(
        1.0, ORIGIN, "1A2B3C4D5E", None, "expired", "outbound", reply=how, sender="news@example.com"
    )


def test_the_end_of_a_message() -> None:
    assert read("1A2B3C4D5E: removed") == Removed(1.0, ORIGIN, "1A2B3C4D5E")
