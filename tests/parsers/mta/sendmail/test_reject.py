"""What the SMTP server refuses."""

from __future__ import annotations

import pytest

from parsers.events import Event, Origin, Reject
from tests import reading

ORIGIN = Origin("sendmail", "mail.example.com", "sendmail", "sm-mta", 4711)
ID = "5ALA00aB004711"
CLIENT = "relay=mx.example.net [203.0.113.7] (may be forged)"


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


def reject(message: str) -> Reject:
    event = read(message)
    assert isinstance(event, Reject)
    return event


def test_a_ruleset() -> None:
    reply = "550 5.7.1 <kim@example.net>... Relaying denied"
    assert read(f"{ID}: ruleset=check_rcpt, arg1=<kim@example.net>, {CLIENT}, reject={reply}") == Reject(
        1.0,
        ORIGIN,
        ID,
        "rcpt",
        "mx.example.net",
        "203.0.113.7",
        None,
        "kim@example.net",
        reply_code=550,
        dsn="5.7.1",
        reply=reply,
        reason="relay_denied",
    )


@pytest.mark.parametrize(
    ("ruleset", "phase"),
    [
        ("check_relay", "connect"),
        ("check_mail", "mail"),
        ("check_rcpt", "rcpt"),
        ("check_data", "data"),
        ("check_vrfy", None),
        ("tls_client", "mail"),
        ("CheckSubject", "end_of_data"),
        ("check_eom", "end_of_data"),
    ],
)
def test_the_phase_of_a_ruleset(ruleset: str, phase: str | None) -> None:
    event = reject(f"{ID}: ruleset={ruleset}, arg1=<a@example.net>, {CLIENT}, reject=553 5.3.0 No")
    assert (event.phase, event.reply_code) == (phase, 553)
    assert event.sender == ("a@example.net" if phase == "mail" else None)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("ruleset=check_relay, arg1=[203.0.113.7], arg2=127.0.0.4, relay=[203.0.113.7], reject=550 5.7.1 Rejected:"
         " 203.0.113.7 listed at dnsbl.example.net", "blocked_ip"),
        ("ruleset=check_relay, arg1=mx, arg2=203.0.113.7, relay=mx [203.0.113.7], reject=421 4.3.2 Connection rate"
         " limit exceeded.", "rate_limited"),
        ("ruleset=check_relay, arg1=mx, arg2=203.0.113.7, relay=mx [203.0.113.7], reject=421 4.3.2 Too many open"
         " connections.", "rate_limited"),
    ],
)  # fmt: skip
def test_a_client_that_is_refused_before_there_is_an_id(message: str, reason: str) -> None:
    event = reject(message)
    assert (event.queue_id, event.phase, event.client_ip, event.reason) == (None, "connect", "203.0.113.7", reason)


@pytest.mark.parametrize("ruleset", ["tls_server", "tls_rcpt", "try_tls"])
def test_what_we_refuse_as_a_client_stands_on_the_delivery(ruleset: str) -> None:
    message = (
        f"ruleset={ruleset}, arg1=NONE, relay=mx.example.org, reject=454 4.7.0 encryption too weak 0 less than 112"
    )
    assert read(message) is None
    assert read(f"{ID}: {message}") is None


@pytest.mark.parametrize("end", ["discard", "quarantine=suspicious"])
def test_what_a_ruleset_does_with_a_message_stands_on_its_to_line(end: str) -> None:
    assert read(f"{ID}: ruleset=CheckSubject, arg1= offer, {CLIENT}, {end}") is None


def test_a_comma_that_was_lost() -> None:
    event = reject(
        f"{ID}: ruleset=check_mail, arg1=<a@example.net>, relay=mx reject=451 4.1.8 Domain does not resolve"
    )
    assert (event.client_name, event.reply_code, event.phase) == ("mx", 451, "mail")


def test_a_recipient_that_is_not_known() -> None:
    event = reject(f"{ID}: <nobody@example.com>... User unknown")
    assert (event.phase, event.recipient, event.reply, event.reason) == (
        "rcpt",
        "nobody@example.com",
        "User unknown",
        "user_unknown",
    )
    assert (event.reply_code, event.client_ip) == (None, None)


def test_one_recipient_too_many() -> None:
    event = reject(f"{ID}: Too many recipients")
    assert (event.phase, event.reply_code, event.dsn, event.reason) == ("rcpt", 452, "4.5.3", "rate_limited")


@pytest.mark.parametrize("how", ["traffic", "traffic after 6 seconds", "close at 4.89:1134029611.72 seconds"])
def test_a_client_that_talks_too_early(how: str) -> None:
    event = reject(f"{ID}: rejecting commands from mx.example.net [203.0.113.7] due to pre-greeting {how}")
    assert (event.phase, event.client_ip, event.reply_code, event.reason) == (
        "banner",
        "203.0.113.7",
        554,
        "protocol_error",
    )


@pytest.mark.parametrize("command", ["EXPN root", "vrfy info"])
def test_a_command_that_is_not_allowed(command: str) -> None:
    event = reject(f"{ID}: mx.example.net [203.0.113.7]: {command} [rejected]")
    assert (event.phase, event.client_ip, event.reply) == (None, "203.0.113.7", command)


@pytest.mark.parametrize(
    ("message", "phase", "recipient"),
    [
        ("to=<kim@example.org>, reject=550 5.7.1 Listed, see https://example.net/", "rcpt", "kim@example.org"),
        ("from=<kim@example.org>, reject=550 5.7.1 Listed", "mail", None),
        ("helo=mx, reject=550 5.7.1 Bad name", "ehlo", None),
        ("data, reject=550 5.7.1 Virus found", "end_of_data", None),
        ("cmd=data, reject=550 5.7.1 No", "data", None),
    ],
)
def test_a_milter(message: str, phase: str, recipient: str | None) -> None:
    event = reject(f"{ID}: Milter: {message}")
    assert (event.phase, event.recipient, event.reply_code, event.dsn) == (phase, recipient, 550, "5.7.1")


def test_a_client_that_a_milter_refuses() -> None:
    """Documented: milter_connect() in sendmail/milter.c."""
    event = reject(f"{ID}: Milter: connect: host=mx.example.net, addr=203.0.113.7, rejecting commands")
    assert (event.phase, event.client_name, event.client_ip) == ("connect", "mx.example.net", "203.0.113.7")


@pytest.mark.parametrize("message", ["ruleset=check_mail, arg1=<a@example.net>,", "rejecting commands"])
def test_a_line_that_is_cut_is_malformed(message: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        read(f"{ID}: {message}")


@pytest.mark.parametrize(
    ("message", "phase", "code", "reason"),
    [
        ("rejecting EHLO from mx.example.net [203.0.113.7] due to traffic before response", "ehlo", 554,
         "protocol_error"),
        ("rejecting DATA from mx.example.net [203.0.113.7] due to traffic before response", "data", 554,
         "protocol_error"),
        ("collect: relay=mx.example.net [203.0.113.7], from=<kim@example.net>, info=Bare linefeed (LF) not allowed,"
         " where=header+body, status=tempfail", "end_of_data", 421, "protocol_error"),
        ("headers too large (32768 max) from mx.example.net [203.0.113.7] during message collect", "end_of_data", 552,
         "malformed_message"),
        ("header overflow from mx.example.net [203.0.113.7] during message collect", "end_of_data", 552,
         "malformed_message"),
        ("mx.example.net [203.0.113.7]: SMTP violation, input too long: 4711", None, 421, "protocol_error"),
        ("invalid domain name (too long) from mx.example.net [203.0.113.7]", "ehlo", 501, None),
        ("tcpwrappers (mx.example.net, 203.0.113.7) rejection", "connect", None, "policy_rejected"),
        ("Milter: connect: host=mx.example.net, addr=203.0.113.7, reject=550 5.7.1 no", "connect", None, None),
    ],
)  # fmt: skip
def test_a_client_that_is_refused(message: str, phase: str, code: int | None, reason: str | None) -> None:
    event = reject(f"{ID}: {message}")
    assert (event.client_name, event.client_ip) == ("mx.example.net", "203.0.113.7")
    assert (event.phase, event.reply_code) == (phase, code)
    assert reason in (None, event.reason)


def test_a_recipient_without_brackets() -> None:
    event = reject(f"{ID}: kim@example.com... User unknown")
    assert (event.phase, event.recipient, event.reason) == ("rcpt", "kim@example.com", "user_unknown")
    assert read(f"{ID}: this takes a while... wait") is None


def test_a_recipient_that_cannot_be_one() -> None:
    event = reject(f"{ID}: Unbalanced '<'")
    assert (event.phase, event.recipient, event.reply) == ("rcpt", None, "Unbalanced '<'")
