"""The processes that clients log in to, in the wordings of all releases."""

from __future__ import annotations

from typing import Any

import pytest

from parsers.events import Auth, Origin, as_record
from parsers.mta.dovecot.login import Client, read_client
from parsers.reader import understand
from tests.reading import read

ORIGIN = Origin("dovecot", "mail", "dovecot", "dovecot", 7)
CLIENT = "user=<kim>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, TLS, session=<YFzQvNBghtt/AAAB>"
NOBODY = "user=<>, rip=192.0.2.7, lip=192.0.2.1, session=<YFzQvNBghtt/AAAB>"


def record(message: str) -> dict[str, Any]:
    event = read(message, ORIGIN)
    assert event is not None
    return {name: value for name, value in as_record(event).items() if name not in ("time", "mta", "host", "pid")}


@pytest.mark.parametrize("words", ["Login", "Logged in", "Info: Login", "Info: Logged in"])
@pytest.mark.parametrize("service", ["imap", "pop3", "submission", "managesieve"])
def test_a_login_has_its_service_method_user_and_client(words: str, service: str) -> None:
    found = record(
        f"{service}-login: {words}: user=<kim@example.com>, method=SCRAM-SHA-256, rip=2001:db8::7, lip=2001:db8::1,"
        " mpid=4711, TLS, session=<bMdzvNBgPK5/AAAB>"
    )
    assert found == {
        "service": service,
        "program": f"{service}-login",
        "kind": "auth",
        "result": "success",
        "client_ip": "2001:db8::7",
        "sasl_method": "SCRAM-SHA-256",
        "sasl_user": "kim@example.com",
        "attempts": 1,
    }


@pytest.mark.parametrize(
    ("words", "reply", "attempts"),
    [
        # documented: src/login-common/client-common.c of each release
        ("Disconnected (auth failed, 7 attempts in 111 secs)", "auth failed", 7),
        ("Disconnected (auth failed, 2 attempts)", "auth failed", 2),
        ("Aborted login (auth failed, 1 attempts in 2 secs)", "auth failed", 1),
        ("Aborted login (1 authentication attempts)", None, 1),
        ("Aborted login", None, 1),
        ("Disconnected: Inactivity (auth failed, 1 attempts in 178 secs)", "auth failed", 1),
        ("Disconnected: Inactivity during authentication (auth failed, 13 attempts in 179 secs)", "auth failed", 13),
        ("Disconnected: Too many invalid commands. (auth failed, 1 attempts in 2 secs)", "auth failed", 1),
        ("Disconnected: Aborted login by logging out (auth failed, 3 attempts in 10 secs)", "auth failed", 3),
        (
            "Disconnected: Connection closed: read(size=1003) failed: Connection reset by peer"
            " (auth failed, 1 attempts in 0 secs)",
            "auth failed",
            1,
        ),
        ("Login aborted: Connection closed (auth failed, 3 attempts in 16 secs) (auth_failed)", "auth failed", 3),
        ("Login aborted: Logged out (auth failed, 0/3 successful auths in 16 secs) (auth_failed)", "auth failed", 3),
        (
            "Login aborted: Connection closed (connection limit reached, 1/1 successful auths in 0 secs)"
            " (connection_limit)",
            "connection limit reached",
            1,
        ),
        ("Client has quit the connection (auth failed, 1 attempts in 2 secs)", "auth failed", 1),
        ("Remote closed connection (auth failed, 1 attempts in 2 secs)", "auth failed", 1),
        ("Disconnected (authorization failed, 2 attempts in 4 secs)", "authorization failed", 2),
        ("Disconnected (client didn't finish SASL auth, waited 2 secs)", "client didn't finish SASL auth", 1),
        (
            "Login aborted: Connection closed (client didn't finish SASL auth, 1 attempts in 0 secs)"
            " (auth_waiting_client)",
            "client didn't finish SASL auth",
            1,
        ),
        ("Disconnected (proxy dest auth failed)", "proxy dest auth failed", 1),
        ("Disconnected (internal failure, 1 successful auths)", "internal failure", 1),
        ("Disconnected (password expired)", "password expired", 1),
        (
            "Login aborted: Connection closed (proxy dest authentication failure to 198.51.100.4:143, 3 attempts in"
            " 4 secs, last failure: [AUTHENTICATIONFAILED] no :( (x)) (proxy_dest_auth_failed)",
            "proxy dest authentication failure to 198.51.100.4:143",
            3,
        ),
        (
            "Login aborted: Inactivity (proxy dest internal failure to (unknown), 2 attempts in 4 secs) (x)",
            "proxy dest internal failure to (unknown)",
            2,
        ),
        ("Disconnected (tried to use unsupported auth mechanism)", "tried to use unsupported auth mechanism", 1),
    ],
)
def test_a_session_that_ends_without_a_login_tells_how_often_and_why(
    words: str, reply: str | None, attempts: int
) -> None:
    found = record(f"imap-login: {words}: {CLIENT}")
    assert (found["kind"], found["result"], found["client_ip"]) == ("auth", "failure", "192.0.2.7")
    assert (found["sasl_method"], found["sasl_user"]) == ("PLAIN", "kim")
    assert (found.get("reply"), found["attempts"]) == (reply, attempts)


@pytest.mark.parametrize("kind", ["plaintext", "cleartext"])
@pytest.mark.parametrize("client", [NOBODY, "rip=192.0.2.7, lip=192.0.2.1"])
def test_a_login_that_must_not_be_without_tls_has_failed(kind: str, client: str) -> None:
    found = record(f"pop3-login: Aborted login (tried to use disallowed {kind} auth): {client}")
    assert (found["kind"], found["result"], found["attempts"]) == ("auth", "failure", 1)
    assert not {"sasl_user", "sasl_method"} & found.keys()


@pytest.mark.parametrize(
    "words",
    [
        "Disconnected (no auth attempts in 4 secs)",
        "Disconnected (no auth attempts)",
        "Disconnected",
        "Disconnected: Too many invalid commands (no auth attempts in 0 secs)",
        "Disconnected (disconnected before auth was ready, waited 0 secs)",
        "Disconnected: Connection closed (no auth attempts in 0 secs)",
        "Login aborted: Logged out (no auth attempts in 0 secs) (no_auth_attempts)",
        "Login aborted: Connection closed (disconnected before auth was ready, waited 0 secs) (x)",
    ],
)
def test_who_did_not_try_to_log_in_has_not_failed(words: str) -> None:
    found = record(f"imap-login: {words}: {NOBODY}")
    assert (found["kind"], found["client_ip"]) == ("disconnect", "192.0.2.7")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("Disconnected: Inactivity (no auth attempts in 180 secs)", "timeout"),
        (
            "Disconnected: Connection closed: read() failed: Connection timed out (no auth attempts in 9 secs)",
            "timeout",
        ),
        ("Disconnected: Connection closed: read() failed: Connection reset by peer (no auth attempts)", "lost"),
    ],
)
def test_a_connection_that_is_lost_before_a_login_tells_how(words: str, error: str) -> None:
    found = record(f"imap-login: {words}: {NOBODY}")
    assert (found["kind"], found["error"], found["client_ip"]) == ("connection_error", error, "192.0.2.7")


@pytest.mark.parametrize("session", ["", ", session=<YFzQvNBghtt/AAAB>"])
@pytest.mark.parametrize(
    ("words", "state", "reply"),
    [
        (
            "Disconnected (no auth attempts in 0 secs)",
            "TLS handshaking: SSL_accept() failed: error:0A0000C1:SSL routines::no shared cipher",
            "SSL_accept() failed: error:0A0000C1:SSL routines::no shared cipher",
        ),
        ("Disconnected (no auth attempts)", "TLS handshaking: Disconnected", "Disconnected"),
        (
            "Login aborted: Connection closed (disconnected during TLS handshake) (tls_handshake_not_finished)",
            "TLS handshaking",
            "disconnected during TLS handshake",
        ),
        ("Disconnected (client didn't send a cert)", "TLS", "client didn't send a cert"),
        (
            "Login aborted: Connection closed (disconnected during TLS handshake) (tls_handshake_not_finished)",
            "secured",
            "disconnected during TLS handshake",
        ),
        (
            "Login aborted: TLS initialization failed. (no auth attempts in 0 secs) (no_auth_attempts)",
            "TLS",
            "TLS initialization failed",
        ),
    ],
)
def test_tls_that_does_not_begin_is_an_error_of_the_connection(
    words: str, state: str, reply: str, session: str
) -> None:
    found = record(f"imap-login: {words}: user=<>, rip=192.0.2.7, lip=192.0.2.1, {state}{session}")
    assert (found["kind"], found["error"], found["phase"]) == ("connection_error", "tls", "starttls")
    assert (found["client_ip"], found["reply"]) == ("192.0.2.7", reply)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("kim>, method=LOGIN, rip=192.0.2.66, lip=192.0.2.1, session=<x", "PLAIN"),
        ("kim>, method=LOGIN, rip=192.0.2.66", None),
        ("kim>, method=LOGIN", None),
        (": user=<kim", "PLAIN"),
        ("a, rip=192.0.2.66", "PLAIN"),
        ("a (auth failed, 9 attempts in 1 secs): user=<b", "PLAIN"),
        ("Kim\u00e9", None),
    ],
)
def test_a_name_that_looks_like_other_fields_is_a_name(name: str, method: str | None) -> None:
    mechanism = f"method={method}, " if method else ""
    words = "imap-login: Disconnected (auth failed, 1 attempts in 2 secs)"
    found = record(f"{words}: user=<{name}>, {mechanism}rip=192.0.2.7, lip=192.0.2.1, session=<x>")
    assert (found["client_ip"], found["sasl_user"], found.get("sasl_method")) == ("192.0.2.7", name, method)
    assert found["attempts"] == 1


@pytest.mark.parametrize(
    ("text", "client"),
    [
        ("user=<kim>, method=PLAIN, rip=192.0.2.7", Client("kim", "PLAIN", "192.0.2.7")),
        ("user=<kim>, method=PLAIN, rport=4, rip=192.0.2.7", Client("kim", "PLAIN", "192.0.2.7")),
        ("user=<>, rip=2001:db8::7", Client(None, None, "2001:db8::7")),
        ("method=PLAIN, rip=192.0.2.7", Client(None, "PLAIN", "192.0.2.7")),
        ("rip=::ffff:192.0.2.7", Client(None, None, "::ffff:192.0.2.7")),
    ],
)
def test_fields_that_are_empty_are_left_out(text: str, client: Client) -> None:
    assert read_client(text) == client


@pytest.mark.parametrize(
    "text",
    [
        "Disconnected (auth failed, 1 attempts in 2 secs): user=<kim>, method=PLAIN",
        "Disconnected (auth failed, 1 attempts in 2 secs): us",
        "Disconnected (auth fai",
        "Disconnected (auth failed, 1 attempts in 2 secs): user=<kim>, method=PLAIN, rip=192.0.2",
        "Disconnected (auth failed, 0 attempts in 2 secs): user=<kim>, method=PLAIN, rip=192.0.2.7",
        "Disconnected (auth failed, 99999999 attempts in 2 secs): user=<kim>, method=PLAIN, rip=192.0.2.7",
        "Login: user=<kim>, method=PLAIN, rip=",
        "Login: user=<kim>, method=PLAIN, rip=fe80::1%" + "x" * 99,
    ],
)
def test_a_line_that_is_cut_or_lies_is_malformed(text: str) -> None:
    assert understand(f"imap-login: {text}", 1.0, ORIGIN) == ("malformed", [])


@pytest.mark.parametrize(
    "text",
    [
        f"Authenticate PLAIN failed: Unsupported authentication mechanism.: {CLIENT}",
        f"Login failed: Plaintext authentication disabled: {NOBODY}",
        f"Something that a session goes on after: {CLIENT}",
        f"SSL is disabled (ssl=no): {NOBODY}",
        "access(tcpwrap): Client refused (rip=192.0.2.7)",
        "proxy(kim): disconnecting 192.0.2.7 (Disconnected by server(0s idle, in=1, out=2))",
    ],
)
def test_what_the_last_line_of_a_session_tells_again_is_not_counted(text: str) -> None:
    assert understand(f"imap-login: {text}", 1.0, ORIGIN) == ("ignored", [])


@pytest.mark.parametrize(
    "word", ["started proxying to 198.51.100.4:143", "Started proxying to 198.51.100.4 (0.1 secs)"]
)
def test_a_login_at_a_proxy_is_one(word: str) -> None:
    found = record(f"imap-login: proxy(kim): {word}: {CLIENT}")
    assert (found["result"], found["sasl_user"], found["client_ip"]) == ("success", "kim", "192.0.2.7")


def test_the_session_is_known_to_the_joint_memory_alone() -> None:
    event = read(f"imap-login: Login: {CLIENT}", ORIGIN)
    assert isinstance(event, Auth)
    assert event.session == "YFzQvNBghtt/AAAB"
    assert "session" not in as_record(event)


@pytest.mark.parametrize(("word", "severity"), [("Error", "error"), ("Warning", "warning"), ("Fatal", "fatal")])
def test_a_complaint_is_of_the_process(word: str, severity: str) -> None:
    found = record(f"imap-login: {word}: master(imap): Auth request timed out")
    assert found == {
        "service": "imap",
        "program": "imap-login",
        "kind": "problem",
        "severity": severity,
        "text": "master(imap): Auth request timed out",
    }
