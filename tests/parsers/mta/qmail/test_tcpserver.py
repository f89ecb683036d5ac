"""tcpserver and rblsmtpd, as ucspi-tcp 0.88 of Debian was seen to write them."""

from __future__ import annotations

import pytest

from parsers.events import Connect, Event, Origin, Problem, Reject
from tests import reading

ORIGIN = Origin("qmail", "mail.example.com", "qmail", "qmail")


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


@pytest.mark.parametrize(
    ("local", "remote", "name", "ip"),
    [
        (":192.0.2.1:25", ":203.0.113.9::40123", None, "203.0.113.9"),
        ("mail.example.com:192.0.2.1:587", "pc.example.net:203.0.113.9:kim:40123", "pc.example.net", "203.0.113.9"),
        (":2001:db8::1:25", ":2001:db8::9::40123", None, "2001:db8::9"),
    ],
)
def test_a_connection(local: str, remote: str, name: str | None, ip: str) -> None:
    assert read(f"tcpserver: ok 4711 {local} {remote}") == Connect(1.0, ORIGIN, name, ip)
    assert read(f"sslserver: ok 4711 {local} {remote}") == Connect(1.0, ORIGIN, name, ip)


def test_a_client_that_the_rules_keep_out() -> None:
    event = read("tcpserver: deny 4711 :192.0.2.1:25 :203.0.113.9::40123")
    assert isinstance(event, Reject)
    assert (event.phase, event.client_ip, event.reason) == ("connect", "203.0.113.9", "policy_rejected")


@pytest.mark.parametrize("what", ["ok", "deny"])
def test_a_client_of_another_service_is_none_of_ours(what: str) -> None:
    assert read(f"tcpserver: {what} 4711 :192.0.2.1:110 :203.0.113.9::40123") is None


@pytest.mark.parametrize("line", ["status: 3/40", "pid 4711 from 203.0.113.9", "end 4711 status 256"])
def test_what_is_of_no_use(line: str) -> None:
    assert read(f"tcpserver: {line}") is None


def test_a_server_that_cannot_start() -> None:
    event = read("tcpserver: fatal: unable to bind: address already used")
    assert event == Problem(1.0, ORIGIN, "fatal", "unable to bind: address already used")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("rblsmtpd: 203.0.113.9 pid 4711: 451 see https://bl.example.net/", 451),
        ("rblsmtpd: 203.0.113.9 pid 4711: 553 see https://bl.example.net/", 553),
        ("rblsmtpd: 203.0.113.9 pid 4711 bl.example.net: 451 no", 451),
        ("203.0.113.9 pid 4711: 451 no", 451),
        ("bl.example.net blocked 203.0.113.9 pc.example.net -", None),
        ("rblsmtpd: 2001:db8::9 pid 4711: 4510 no", None),
    ],
)
def test_a_client_on_a_list(line: str, code: int | None) -> None:
    event = read(line)
    assert isinstance(event, Reject)
    assert (event.phase, event.reply_code, event.reason) == ("connect", code, "blocked_ip")
    assert event.client_ip in ("203.0.113.9", "2001:db8::9")


@pytest.mark.parametrize(
    "line",
    [
        "tcpserver: ok 4711 :192.0.2.1:25 :203.0.113::40123",
        "tcpserver: ok 4711 :192.0.2.1:25 nonsense",
        "rblsmtpd: 203.0.113 pid 4711: 451 no",
        "bl.example.net blocked nobody pc.example.net -",
    ],
)
def test_a_client_without_an_address_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        read(line)
