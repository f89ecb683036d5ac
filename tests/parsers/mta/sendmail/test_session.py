"""Sessions: who comes, who authenticates, TLS, and what breaks off."""

from __future__ import annotations

import pytest

from parsers.events import Auth, Connect, ConnectionFailure, Disconnect, Event, Origin, Tls
from tests import reading

ORIGIN = Origin("sendmail", "mail.example.com", "sendmail", "sm-mta", 4711)
ID = "5ALA00aB004711"


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


def test_a_client_connects() -> None:
    assert read("NOQUEUE: connect from mx.example.net [203.0.113.7]") == Connect(
        1.0, ORIGIN, "mx.example.net", "203.0.113.7"
    )


@pytest.mark.parametrize("daemon", ["MTA", "MTA-v4", "MSP-v4", "TLSMTA", "IPv6"])
def test_a_client_that_wanted_nothing(daemon: str) -> None:
    words = "did not issue MAIL/EXPN/VRFY/ETRN during connection to"
    assert read(f"{ID}: mx.example.net [203.0.113.7] (may be forged) {words} {daemon}") == Disconnect(
        1.0, ORIGIN, "mx.example.net", "203.0.113.7"
    )
    assert read(f"{ID}: [IPv6:2001:DB8::1] {words} {daemon}") == Disconnect(1.0, ORIGIN, None, "2001:db8::1")


@pytest.mark.parametrize(
    ("command", "phase"), [("rcpt", "rcpt"), ("data", "data"), ("startup", "connect"), ("noop", None)]
)
def test_a_client_that_went_away(command: str, phase: str | None) -> None:
    assert read(
        f"{ID}: lost input channel from mx.example.net [203.0.113.7] to MTA after {command}"
    ) == ConnectionFailure(
        1.0, ORIGIN, "lost", ID, client_name="mx.example.net", client_ip="203.0.113.7", phase=phase
    )


def test_time_that_ran_out() -> None:
    client = read(f"{ID}: timeout waiting for input from mx.example.net during message collect")
    assert client == ConnectionFailure(1.0, ORIGIN, "timeout", ID, client_name="mx.example.net", phase="data")
    server = read(f"{ID}: timeout waiting for input from mx.example.org. during client greeting")
    assert server == ConnectionFailure(1.0, ORIGIN, "timeout", ID, relay_host="mx.example.org", phase="banner")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("Connection refused by mx.example.org.", "refused"),
        ("Connection timed out with mx.example.org.", "timeout"),
        ("No route to host", "unreachable"),
        ("Network is unreachable", "unreachable"),
        ("Connection reset by mx.example.org.", "lost"),
    ],
)
def test_a_host_that_cannot_be_reached(text: str, error: str) -> None:
    event = read(f"{ID}: makeconnection (mx.example.org. [192.0.2.25].25 (2)) failed: {text}")
    assert isinstance(event, ConnectionFailure)
    assert (event.error, event.relay_host, event.relay_ip, event.relay_port) == (
        error,
        "mx.example.org",
        "192.0.2.25",
        25,
    )


# --- who authenticates ---


def test_a_login() -> None:
    assert read("AUTH=server, relay=pc.example.net [203.0.113.9], authid=kim, mech=plain, bits=0") == Auth(
        1.0, ORIGIN, "success", "pc.example.net", "203.0.113.9", "PLAIN", "kim"
    )


@pytest.mark.parametrize(
    ("rest", "user", "ip"),
    [
        (", user=admin, relay=mx.example.net [203.0.113.7] (may be forged)", "admin", "203.0.113.7"),
        (", relay=[203.0.113.7]", None, "203.0.113.7"),
        (", user=a, relay=[192.0.2.100], relay=[203.0.113.7]", "a, relay=[192.0.2.100]", "203.0.113.7"),
    ],
)
def test_a_login_that_failed(rest: str, user: str | None, ip: str) -> None:
    event = read(f"{ID}: AUTH failure (LOGIN): authentication failure (-13) SASL(-13): checkpass failed{rest}")
    assert isinstance(event, Auth)
    assert (event.result, event.sasl_method, event.sasl_user, event.client_ip) == ("failure", "LOGIN", user, ip)
    assert (event.reply, event.attempts) == ("authentication failure (-13) SASL(-13): checkpass failed", 1)


@pytest.mark.parametrize(
    "message",
    [
        f"{ID}: [203.0.113.7]: possible SMTP attack: command=AUTH, count=5",
        f"{ID}: [203.0.113.7]: probable open proxy: command=GET / HTTP/1.0",
        "AUTH: available mech=PLAIN, allowed mech=PLAIN",
        "AUTH=client, relay=mx.example.org., mech=PLAIN, bits=0",
    ],
)
def test_what_stands_beside_logins_is_none(message: str) -> None:
    assert read(message) is None


# --- TLS ---


@pytest.mark.parametrize(
    ("verify", "trust"),
    [("OK", "trusted"), ("TRUSTED", "verified"), ("NO", "anonymous"), ("FAIL", "untrusted"), ("X", None)],
)
def test_tls(verify: str, trust: str | None) -> None:
    rest = f"version=TLSv1.3, verify={verify}, cipher=TLS_AES_256_GCM_SHA384, bits=256/256"
    inbound = read(f"STARTTLS=server, relay=pc.example.net [203.0.113.9], {rest}")
    assert inbound == Tls(
        1.0, ORIGIN, "pc.example.net", "203.0.113.9", None, None, None, "TLSv1.3", "TLS_AES_256_GCM_SHA384", trust
    )
    outbound = read(f"STARTTLS=client, relay=mx.example.org., {rest}")
    assert outbound == Tls(
        1.0, ORIGIN, None, None, "mx.example.org", None, None, "TLSv1.3", "TLS_AES_256_GCM_SHA384", trust
    )


def test_tls_of_older_releases_has_no_version() -> None:
    event = read("STARTTLS=client, relay=mx.example.org., verify=FAIL, cipher=AES256-SHA, bits=256")
    assert isinstance(event, Tls)
    assert (event.tls_protocol, event.tls_cipher) == (None, "AES256-SHA")


def test_tls_that_failed() -> None:
    tail = "reason=wrong version number, SSL_error=1, errno=0, retry=-1"
    inbound = read(f"STARTTLS=server, error: accept failed=-1, {tail}, relay=[203.0.113.7]")
    assert isinstance(inbound, ConnectionFailure)
    assert (inbound.error, inbound.phase, inbound.client_ip) == ("tls", "starttls", "203.0.113.7")
    outbound = read(f"STARTTLS=client, error: connect failed=-1, {tail}")
    assert isinstance(outbound, ConnectionFailure)
    assert (outbound.error, outbound.phase, outbound.client_ip) == ("tls", "starttls", None)
