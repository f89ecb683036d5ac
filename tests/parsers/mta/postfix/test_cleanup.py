"""What cleanup(8) says of a message."""

from __future__ import annotations

import pytest

from parsers.events import Event, Origin, Problem, QueueAction, Queued, Reject
from tests import reading

ORIGIN = Origin("postfix", "mail.example.com", "postfix", "cleanup", 4711)


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


@pytest.mark.parametrize("header", ["message-id", "resent-message-id"])
@pytest.mark.parametrize(
    ("text", "message_id"),
    [
        ("<a.b@example.com>", "a.b@example.com"),
        ("<>", ""),
        ("", ""),
        ("a.b@example.com", "a.b@example.com"),
        ("<a.b@example.com", "a.b@example.com"),
        ("a.b@example.com>", "a.b@example.com"),
        ("2025-03-18 09:12:44.5", "2025-03-18 09:12:44.5"),
        ("<a b: c@example.com>", "a b: c@example.com"),
    ],
)
def test_a_message_id_as_the_sender_wrote_it(header: str, text: str, message_id: str) -> None:
    assert read(f"1A2B3C4D5E: {header}={text}") == Queued(1.0, ORIGIN, "1A2B3C4D5E", message_id)


def test_a_header_check_rejects() -> None:
    event = read(
        "1A2B3C4D5E: reject: header Subject: win from home from mx.example.net[198.51.100.7];"
        " from=<spam@example.net> to=<kim@example.org> proto=ESMTP helo=<mx.example.net>: 5.7.1 No: go"
    )
    assert isinstance(event, Reject)
    assert (event.phase, event.client_name, event.client_ip) == ("end_of_data", "mx.example.net", "198.51.100.7")
    assert (event.sender, event.recipient, event.helo) == ("spam@example.net", "kim@example.org", "mx.example.net")
    assert (event.reply_code, event.dsn, event.reply) == (None, "5.7.1", "5.7.1 No: go")
    assert event.reason


@pytest.mark.parametrize(
    "line",
    [
        "1A2B3C4D5E: reject: body cheap from local; from=<root@example.com>: 5.7.1 No",
        "1A2B3C4D5E: reject: mime-error improper use of 8-bit data: x from local; from=<root@example.com> to=<u>",
        "1A2B3C4D5E: milter-header-reject: header X-Spam: Yes from local; from=<root@example.com> to=<u>: 5.7.1 No",
    ],
)
def test_a_check_may_reject_local_mail(line: str) -> None:
    event = read(line)
    assert isinstance(event, Reject)
    assert (event.sender, event.client_name, event.client_ip) == ("root@example.com", None, None)


@pytest.mark.parametrize("action", ["hold", "discard", "filter", "redirect"])
@pytest.mark.parametrize("prefix", ["", "milter-header-"])
def test_a_check_acts(prefix: str, action: str) -> None:
    event = read(
        f"1A2B3C4D5E: {prefix}{action}: header To: kim from mx.example.net[198.51.100.7];"
        " from=<news@example.net> to=<kim@example.org> proto=ESMTP helo=<mx.example.net>: smtp:192.0.2.1"
    )
    assert isinstance(event, QueueAction)
    assert (event.action, event.client_ip, event.reply) == (action, "198.51.100.7", "smtp:192.0.2.1")


@pytest.mark.parametrize("action", ["warning", "info", "prepend", "replace", "bcc", "strip"])
def test_a_check_that_lets_pass_is_of_no_use(action: str) -> None:
    assert read(f"1A2B3C4D5E: {action}: header Subject: reject: from local; from=<kim@example.org>: text") is None


def test_a_rejected_submission_names_its_user() -> None:
    event = read(
        "1A2B3C4D5E: reject: body cheap from pc.example.net[198.51.100.7]; from=<kim@example.com>"
        " to=<lee@example.org> proto=ESMTP helo=<pc> sasl_method=PLAIN sasl_username=kim: 5.7.1 No"
    )
    assert isinstance(event, Reject)
    assert (event.sasl_method, event.sasl_user, event.reply) == ("PLAIN", "kim", "5.7.1 No")


@pytest.mark.parametrize(
    ("words", "action"),
    [("removed (canceled)", "cancel"), ("removed (discarded)", "discard"), ("canceled", "cancel")],
)
def test_what_never_was_in_the_queue_does_not_leave_it(words: str, action: str) -> None:
    assert read(f"1A2B3C4D5E: {words}") == QueueAction(1.0, ORIGIN, "1A2B3C4D5E", action)


@pytest.mark.parametrize(
    ("origin", "ip"), [("mx.example.net[198.51.100.7]", "198.51.100.7"), ("local", None), ("unknown", None)]
)
def test_what_breaks_a_rule_of_mime_is_malformed(origin: str, ip: str | None) -> None:
    event = read(
        '1A2B3C4D5E: reject: mime-error MIME nesting exceeds safety limit: multipart/mixed; b="from x: y" from'
        f" {origin}; from=<> to=<unknown>"
    )
    assert isinstance(event, Reject)
    assert (event.client_ip, event.sender, event.recipient) == (ip, "", None)
    assert (event.reply_code, event.dsn, event.reply) == (554, "5.6.0", "MIME nesting exceeds safety limit")
    assert event.reason == "malformed_message"


def test_a_forbidden_character_is_refused() -> None:
    event = read(
        "1A2B3C4D5E: reject: content ?? from mx.example.net[198.51.100.7]; from=<a@example.net> to=<b@example.org>"
        " proto=ESMTP helo=<mx.example.net>: disallowed character"
    )
    assert isinstance(event, Reject)
    assert (event.client_ip, event.reply) == ("198.51.100.7", "disallowed character")


def test_a_table_that_does_not_answer_is_a_problem() -> None:
    text = "masquerade_exceptions map lookup problem -- message not accepted, try again later"
    assert read(f"1A2B3C4D5E: {text}") == Problem(1.0, ORIGIN, "warning", text, "1A2B3C4D5E")
