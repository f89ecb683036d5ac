"""What the lines of postscreen, dnsblog and tlsproxy mean."""

from __future__ import annotations

from typing import Any

import pytest

from parsers.events import Event, Origin, Reject, as_record
from parsers.reader import understand

ALWAYS = {"time", "mta", "host", "service", "program", "pid", "reason"}


def outcome(message: str, program: str = "postscreen") -> tuple[str, Event | None]:
    origin = Origin("postfix", "mail", "postfix", program, 7)
    result, events = understand(message, 1.0, origin)
    return result, events[0] if events else None


def record(message: str, program: str = "postscreen") -> dict[str, Any]:
    event = outcome(message, program)[1]
    assert event is not None
    return {name: value for name, value in as_record(event).items() if name not in ALWAYS}


def test_a_connection_to_postscreen_is_one() -> None:
    line = "CONNECT from [2001:db8::66]:48123 to [2001:db8::1]:25"
    assert record(line) == {"kind": "connect", "client_ip": "2001:db8::66"}
    assert record("DISCONNECT [2001:db8::66]:48123") == {"kind": "disconnect", "client_ip": "2001:db8::66"}


@pytest.mark.parametrize("line", ["CONNECT from [198.51.100.66]:48123", "DISCONNECT [198.51.100.66]:48123"])
def test_a_connection_that_tlsproxy_is_given_is_not_a_second_one(line: str) -> None:
    assert outcome(line, "tlsproxy") == ("ignored", None)


def test_the_tls_of_a_client_of_postscreen_is_told_by_tlsproxy() -> None:
    line = "Anonymous TLS connection established from [2001:db8::66]:48123: TLSv1.2 with cipher X (256/256 bits)"
    found = record(line, "tlsproxy")
    assert (found["kind"], found["client_ip"], found["tls_protocol"]) == ("tls", "2001:db8::66", "TLSv1.2")


def test_tls_that_fails_is_an_inbound_failure_only_where_we_are_the_server() -> None:
    found = record("TLS handshake failed for service=smtpd peer=[198.51.100.66]:48123", "tlsproxy")
    assert (found["error"], found["phase"], found["client_ip"]) == ("tls", "starttls", "198.51.100.66")
    line = "TLS handshake failed for service=smtp:192.0.2.25:25 peer=[192.0.2.25]:25"
    assert outcome(line, "tlsproxy") == ("ignored", None)


def test_a_reject_names_an_address_and_no_host() -> None:
    reply = "550 5.7.1 Service unavailable; client [2001:db8::66] blocked using dnsbl.example.net"
    context = "from=<>, to=<lee@example.com>, proto=ESMTP, helo=<a, b>"
    assert record(f"NOQUEUE: reject: RCPT from [2001:db8::66]:48123: {reply}; {context}") == {
        "kind": "reject",
        "phase": "rcpt",
        "client_ip": "2001:db8::66",
        "sender": "",
        "recipient": "lee@example.com",
        "protocol": "ESMTP",
        "helo": "a, b",
        "reply_code": 550,
        "dsn": "5.7.1",
        "reply": reply,
    }


def test_a_reject_that_is_cut_short_is_still_one() -> None:
    found = record("NOQUEUE: reject: RCPT from [198.51.100.66]:48123: 450 4.3.2 Service currently unavailable")
    assert (found["client_ip"], found["reply_code"], found["dsn"]) == ("198.51.100.66", 450, "4.3.2")


@pytest.mark.parametrize(
    ("line", "dsn"),
    [
        ("NOQUEUE: reject: CONNECT from [198.51.100.66]:48123: too many connections", "4.7.0"),
        ("NOQUEUE: reject: CONNECT from [198.51.100.66]:48123: all server ports busy", "4.3.2"),
        ("reject: connect from [198.51.100.66]:48123: all screening ports busy", "4.3.2"),
    ],
)
def test_a_client_that_finds_no_room_is_refused(line: str, dsn: str) -> None:
    found = record(line)
    assert (found["phase"], found["reply_code"], found["dsn"]) == ("connect", 421, dsn)


@pytest.mark.parametrize(
    "line",
    [
        "PASS OLD [2001:db8::25]:51234",
        "WHITELISTED [192.0.2.25]:51234",
        "ALLOWLIST VETO [192.0.2.25]:51234",
        "DENYLISTED [198.51.100.66]:48123",
        r"PREGREET 14 after 0.08 from [198.51.100.66]:48123: EHLO there\r\n",
        "HANGUP after 0 from [198.51.100.66]:48123 in tests before SMTP handshake",
        "COMMAND TIME LIMIT from [198.51.100.66]:48123 after CONNECT",
        "addr 2001:db8::66 listed by domain dnsbl.example.net as 127.0.0.2",
    ],
)
def test_what_is_found_out_about_a_client_is_no_event(line: str) -> None:
    assert outcome(line) == ("ignored", None)


@pytest.mark.parametrize(
    ("codes", "reason"), [("450 4.3.2", "greylisted"), ("550 5.3.2", "blocked_ip"), ("521 5.3.2", "blocked_ip")]
)
def test_a_service_that_is_unavailable_is_so_for_this_client(codes: str, reason: str) -> None:
    context = "from=<kim@example.org>, to=<lee@example.com>, proto=ESMTP, helo=<there>"
    line = f"NOQUEUE: reject: RCPT from [198.51.100.66]:48123: {codes} Service currently unavailable; {context}"
    event = outcome(line)[1]
    assert isinstance(event, Reject)
    assert event.reason == reason
