"""What the SMTP client says beside its status lines."""

from __future__ import annotations

import pytest

from parsers.events import ConnectionFailure, Event, Origin, Problem, Tls, as_record
from tests import reading

ORIGIN = Origin("postfix", "mail.example.com", "postfix", "smtp", 4711)


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


def fields(message: str) -> dict[str, object]:
    event = read(message)
    assert event is not None
    about = {"time", "mta", "host", "service", "program", "pid"}
    return {name: value for name, value in as_record(event).items() if name not in about}


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("Connection timed out", "timeout"),
        ("Operation timed out", "timeout"),
        ("read timeout (port 25)", "timeout"),
        ("Connection refused", "refused"),
        ("No route to host", "unreachable"),
        ("Network is unreachable", "unreachable"),
        ("Connection reset by peer", "lost"),
        ("server dropped connection without sending the initial SMTP greeting (port 25)", "lost"),
    ],
)
def test_a_host_that_cannot_be_reached(words: str, error: str) -> None:
    event = read(f"connect to mx1.example.org[2001:db8::25]: {words}")
    assert isinstance(event, ConnectionFailure)
    assert (event.error, event.phase, event.relay_ip) == (error, "connect", "2001:db8::25")


def test_a_connection_failure_has_host_address_and_port() -> None:
    assert fields("connect to mx1.example.org[192.0.2.25]:25: Connection refused") == {
        "kind": "connection_error",
        "error": "refused",
        "relay_host": "mx1.example.org",
        "relay_ip": "192.0.2.25",
        "relay_port": 25,
        "phase": "connect",
        "reply": "Connection refused",
    }


def test_a_socket_of_this_host_is_no_address() -> None:
    event = read("connect to mail.example.com[private/dovecot-lmtp]: No such file or directory")
    assert isinstance(event, ConnectionFailure)
    assert (event.error, event.relay_ip) == ("unreachable", None)


@pytest.mark.parametrize(
    ("doing", "phase"),
    [
        ("receiving the initial server greeting", "banner"),
        ("performing the EHLO handshake", "ehlo"),
        ("sending MAIL FROM", "mail"),
        ("sending RCPT TO", "rcpt"),
        ("sending message body", "data"),
        ("sending end of data -- message may be sent more than once", "end_of_data"),
    ],
)
def test_a_lost_session_names_the_phase(doing: str, phase: str) -> None:
    event = read(f"1A2B3C4D5E: lost connection with mx1.example.org[192.0.2.25] while {doing}")
    assert isinstance(event, ConnectionFailure)
    assert (event.error, event.queue_id, event.phase) == ("lost", "1A2B3C4D5E", phase)


def test_a_session_that_times_out() -> None:
    text = "conversation with mx1.example.org[192.0.2.25] timed out while sending RCPT TO"
    event = read(f"1A2B3C4D5E: {text}")
    assert isinstance(event, ConnectionFailure)
    assert (event.error, event.relay_host, event.reply) == ("timeout", "mx1.example.org", text)


def test_a_host_that_refuses_to_talk_has_a_reply_code() -> None:
    event = read(
        "1A2B3C4D5E: host mx1.example.org[192.0.2.25] refused to talk to me: 554-5.7.1 mx1 554 5.7.1 No access"
    )
    assert isinstance(event, ConnectionFailure)
    assert (event.error, event.phase, event.reply_code, event.dsn) == ("refused", "banner", 554, "5.7.1")


def test_one_hosts_answer_is_not_a_delivery() -> None:
    said = "host mx1.example.org[192.0.2.25] said: 450 4.2.0 Greylisted (in reply to RCPT TO command)"
    event = read(f"1A2B3C4D5E: {said}")
    assert event == Problem(1.0, ORIGIN, "warning", said, "1A2B3C4D5E")


def test_a_failed_handshake_counts_once() -> None:
    failure = read("SSL_connect error to mx1.example.org[192.0.2.25]:25: -1")
    consequence = read("1A2B3C4D5E: Cannot start TLS: handshake failure")
    assert isinstance(failure, ConnectionFailure)
    assert (failure.error, failure.phase) == ("tls", "starttls")
    assert consequence == Problem(1.0, ORIGIN, "warning", "Cannot start TLS: handshake failure", "1A2B3C4D5E")


@pytest.mark.parametrize("trust", ["Anonymous", "Untrusted", "Trusted", "Verified"])
def test_a_tls_session_has_a_level_of_trust(trust: str) -> None:
    session = "mx1.example.org[192.0.2.25]:25: TLSv1.2 with cipher AES256-SHA (256/256 bits)"
    assert read(f"{trust} TLS connection established to {session}") == Tls(
        1.0, ORIGIN, None, None, "mx1.example.org", "192.0.2.25", 25, "TLSv1.2", "AES256-SHA", trust.lower()
    )


def test_an_old_tls_session_says_nothing_of_trust() -> None:
    event = read("TLS connection established to mx1.example.org: TLSv1 with cipher AES256-SHA (256/256 bits)")
    assert isinstance(event, Tls)
    assert (event.relay_host, event.tls_trust) == ("mx1.example.org", None)


def test_a_session_used_again_is_not_a_new_one() -> None:
    assert (
        read("Verified TLS connection reused to mx1.example.org[192.0.2.25]:25: TLSv1.3 with cipher X (1/1 bits)")
        is None
    )


def test_an_impossible_port_is_an_error() -> None:
    with pytest.raises(ValueError, match="malformed"):
        read("connect to mx1.example.org[192.0.2.25]:smtp: Connection refused")


@pytest.mark.parametrize(
    "host", ["mx1.example.org[192.0.2.25]:25", "mx1.example.org[2001:db8::25]:25", "mx1.example.org"]
)
def test_the_steps_of_a_handshake_are_of_no_use(host: str) -> None:
    assert read(f"{host}: SNI hostname: mx1.example.org") is None
    assert read(f"{host}: Matched subjectAltName: mx1.example.org") is None


@pytest.mark.parametrize(
    "line",
    [
        "certificate verification failed for mx1.example.org[192.0.2.25]:25: untrusted issuer /CN=Example CA",
        "server certificate verification failed for mx1.example.org[192.0.2.25]:25: certificate has expired",
        "CA certificate verification failed for mx1.example.org[2001:db8::25]:25: num=24:invalid CA certificate",
    ],
)
def test_a_certificate_line_is_not_taken_for_a_step(line: str) -> None:
    assert read(line) == Problem(1.0, ORIGIN, "warning", line)


def test_the_certificate_of_a_client_is_no_problem_of_ours() -> None:
    line = "certificate verification failed for mx1.example.org[192.0.2.25]: self-signed certificate"
    assert reading.read(line, Origin("postfix", "mail.example.com", "postfix", "smtpd", 4711)) is None
    line = line.replace("mx1.example.org", "")
    assert reading.read(line, Origin("postfix", "mail.example.com", "postfix", "tlsproxy", 47)) is None
    assert reading.read(f"client {line}", Origin("postfix", "mail.example.com", "postfix", "tlsproxy", 47)) is None


@pytest.mark.parametrize(
    "text",
    [
        "Sender requires verified TLS,  but my configured TLS security level is 'may'",
        "client TLS configuration problem",
        "SASL [CACHED] authentication failed; server relay.example.net[192.0.2.25] said: 535 5.7.8 Bad password",
        "unable to find primary relay for example.org",
        "unexpected server message",
    ],
)
def test_why_another_host_is_tried_is_of_interest_to_who_follows_the_message(text: str) -> None:
    assert read(f"4dHvRq1ZTPz9sWk: {text}") == Problem(1.0, ORIGIN, "warning", text, "4dHvRq1ZTPz9sWk")


@pytest.mark.parametrize(
    "text",
    [
        'SMTPS wrappermode (TCP port 465) requires setting "smtp_tls_wrappermode = yes", and'
        ' "smtp_tls_security_level = encrypt" (or stronger)',
        "network address conversion failed: Invalid argument",
        "cannot set default OpenSSL certificate verification paths: disabling TLS support",
    ],
)
def test_what_keeps_mail_from_every_host_is_a_problem(text: str) -> None:
    assert read(text) == Problem(1.0, ORIGIN, "warning", text)
