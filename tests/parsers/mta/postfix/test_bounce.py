"""Notifications."""

from __future__ import annotations

import pytest

from parsers.events import Event, Notification, Origin, Problem
from tests import reading

ORIGIN = Origin("postfix", "mail.example.com", "postfix", "bounce", 4711)


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


@pytest.mark.parametrize("to", ["sender", "postmaster"])
@pytest.mark.parametrize(
    ("words", "type_"), [("non-delivery", "bounce"), ("delay", "delay"), ("delivery status", "success")]
)
def test_a_notification_links_two_messages(to: str, words: str, type_: str) -> None:
    event = read(f"1A2B3C4D5E: {to} {words} notification: 6F7A8B9C0D")
    assert event == Notification(1.0, ORIGIN, "1A2B3C4D5E", type_, "6F7A8B9C0D")


def test_a_notification_that_could_not_be_made_is_a_problem() -> None:
    event = read("1A2B3C4D5E: sender notification failed to kim@example.com: queue file write error")
    assert event == Problem(
        1.0,
        ORIGIN,
        "warning",
        "sender notification failed to kim@example.com: queue file write error",
        "1A2B3C4D5E",
    )


@pytest.mark.parametrize("what", ["bounce", "delay warning", "verp", "trace"])
def test_a_message_that_is_kept_for_want_of_its_notification_is_a_problem(what: str) -> None:
    line = f"1A2B3C4D5E: status=deferred ({what} failed)"
    assert read(line) == Problem(1.0, ORIGIN, "warning", f"{what} failed", "1A2B3C4D5E")
