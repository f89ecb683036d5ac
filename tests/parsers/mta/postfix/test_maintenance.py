"""What operators do, and what daemons complain of."""

from __future__ import annotations

import pytest

from parsers.events import Event, Origin, Problem, QueueAction, Removed
from tests import reading

ORIGIN = Origin("postfix", "mail.example.com", "postfix", "postsuper", 4711)


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


@pytest.mark.parametrize(
    ("words", "action"),
    [
        ("placed on hold", "hold"),
        ("released from hold", "release"),
        ("requeued", "requeue"),
        ("expired", "expire"),
        ("force-expired", "expire"),
    ],
)
def test_what_an_operator_does_to_a_message(words: str, action: str) -> None:
    assert read(f"1A2B3C4D5E: {words}") == QueueAction(1.0, ORIGIN, "1A2B3C4D5E", action)


def test_a_deleted_message_leaves_the_queue() -> None:
    assert read("1A2B3C4D5E: removed") == Removed(1.0, ORIGIN, "1A2B3C4D5E")


@pytest.mark.parametrize(
    "line", ["Deleted: 3 messages", "Placed on hold: 1 message", "statistics: max cache size 4 at Mar 18 09:12:44"]
)
def test_sums_are_of_no_use(line: str) -> None:
    assert read(line) is None


@pytest.mark.parametrize("severity", ["warning", "error", "fatal", "panic"])
def test_a_complaint(severity: str) -> None:
    line = f"{severity}: open database /etc/postfix/x.db: No such file or directory"
    assert read(line) == Problem(1.0, ORIGIN, severity, "open database /etc/postfix/x.db: No such file or directory")


@pytest.mark.parametrize("queue_id", ["1A2B3C4D", "4dHvRq1ZTPz9sWk"])
def test_a_complaint_about_a_message(queue_id: str) -> None:
    complaint = Problem(1.0, ORIGIN, "warning", "write queue file: No space left", queue_id)
    assert read(f"warning: {queue_id}: write queue file: No space left") == complaint
    assert read(f"{queue_id}: warning: write queue file: No space left") == complaint


@pytest.mark.parametrize("text", ["maildrop/1A2B3C: Error", "database: gone", "smtpd_peer_init: bad", "SASL: no"])
def test_a_complaint_that_begins_with_another_word_is_about_no_message(text: str) -> None:
    assert read(f"warning: {text}") == Problem(1.0, ORIGIN, "warning", text)
