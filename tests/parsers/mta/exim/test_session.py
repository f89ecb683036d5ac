"""Clients: what they are refused, how they log in, how they go."""

from __future__ import annotations

import pytest

from parsers.events import Auth, Connect, ConnectionFailure, Disconnect, Event, Origin, Reject
from tests import reading

ORIGIN = Origin("exim", "mail.example.com", "exim", "exim", None)
ID = "1tXk2a-00000000ABc-0dEf"


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


CLIENT = "H=client.example.net (client) [203.0.113.7]:40499 I=[192.0.2.25]:25"


@pytest.mark.parametrize(
    ("line", "phase", "sender", "recipient"),
    [
        (f"{CLIENT} F=<kim@example.net> rejected RCPT <lee@example.org>: no", "rcpt", "kim@example.net",
         "lee@example.org"),
        (f"{CLIENT} F=<> temporarily rejected RCPT <lee@example.org>", "rcpt", "", "lee@example.org"),
        (f"{CLIENT} X=TLS1.3:X:256 CV=no F=<kim@example.net> rejected RCPT <\"a > b\"@example.org>: no", "rcpt",
         "kim@example.net", '"a > b"@example.org'),
        (f"{CLIENT} F=kim@example.net rejected RCPT lee@example.org: no", "rcpt", "kim@example.net",
         "lee@example.org"),
        (f"{CLIENT} U=root rejected MAIL <kim@example.net>: no", "mail", "kim@example.net", None),
        (f"{CLIENT} rejected connection in \"connect\" ACL: 550 no", "connect", None, None),
        (f"{CLIENT} rejected EHLO or HELO x.example.net: no", "ehlo", None, None),
        (f"{CLIENT} rejected AUTH plain: no", "auth", None, None),
        (f"{CLIENT} rejected VRFY kim", None, None, None),
        (f"{ID} {CLIENT} F=<kim@example.net> rejected after DATA: no", "end_of_data", "kim@example.net", None),
        (f"{ID} {CLIENT} F=<kim@example.net> temporarily rejected after"
         f" DATA", "end_of_data", "kim@example.net", None),
        (f"{ID} F=kim@example.net {CLIENT} P=esmtp rejected by local_scan(): no", "end_of_data", "kim@example.net",
         None),
        (f"{CLIENT} F=<kim@example.net> rejected DATA: no", "data", "kim@example.net", None),
        (f"{CLIENT} dropped by 'connect' ACL: no", "connect", None, None),
        ("refused connection from client.example.net (client) [203.0.113.7]"
         " (host_reject_connection)", "connect", None,
         None),
        ("Connection from [203.0.113.7]:1 refused: too many connections", "connect", None, None),
        ("rejected EHLO from client.example.net (client) [203.0.113.7]: syntactically invalid argument(s): x", "ehlo",
         None, None),
        (f"rejected MAIL FROM:<kim@example.net> {CLIENT}: message too big: size=9 max=1", "mail", "kim@example.net",
         None),
        (f"{ID} rejected from <kim@example.net> {CLIENT}: message too big: read=9 max=1", "end_of_data",
         "kim@example.net", None),
        (f"too many recipients: excess temporarily rejected: sender=<kim@example.net> {CLIENT}", "rcpt",
         "kim@example.net", None),
        ("SMTP protocol synchronization error (input sent without waiting for greeting): rejected connection from"
         " H=[203.0.113.7] input=\"AUTH PLAIN c2VjcmV0\"", "connect", None, None),
        (f"SMTP protocol synchronization error (next input sent too soon): rejected \"rset\" {CLIENT} next"
         f" input=\"x\"",
         None, None, None),
    ],
)  # fmt: skip
def test_what_is_refused(line: str, phase: str | None, sender: str | None, recipient: str | None) -> None:
    event = read(line)
    assert isinstance(event, Reject)
    assert (event.phase, event.sender, event.recipient) == (phase, sender, recipient)
    assert event.client_ip == "203.0.113.7"
    assert "c2VjcmV0" not in str(event)


def test_a_text_that_begins_with_a_code_has_it() -> None:
    event = read(f"{CLIENT} F=<kim@example.net> temporarily rejected RCPT <lee@example.org>: 452 4.5.3 Try again")
    assert isinstance(event, Reject)
    assert (event.reply_code, event.dsn) == (452, "4.5.3")


@pytest.mark.parametrize(
    "line",
    [
        f"{CLIENT} sender verify fail for <kim@example.net>: Unrouteable address",
        f"{CLIENT} Warning: looks odd",
        f"{ID} {CLIENT} Warning: looks odd",
        f"{CLIENT} F=<kim@example.net> RCPT <lee@example.org>: discarded by RCPT ACL",
        f"{CLIENT} incomplete transaction (RSET) from <kim@example.net>",
        "no MAIL in SMTP connection from [203.0.113.7] D=0s C=EHLO,AUTH",
        "no host name found for IP address 203.0.113.7",
        'SMTP protocol error in "AUTH PLAIN c2VjcmV0" H=[203.0.113.7] AUTH command used when not advertised',
        "TLS error on connection from (x) [203.0.113.7] (recv): The TLS connection was non-properly terminated.",
        "Start queue run: pid=4711",
        "End queue run: pid=4711 -qff",
        "cwd=/ 3 args: exim4 -bd -q30m",
    ],
)
def test_what_is_of_no_use(line: str) -> None:
    assert read(line) is None


@pytest.mark.parametrize(
    ("line", "method", "user", "ip"),
    [
        ("login authenticator failed for x.example.net (x) [203.0.113.7]:1: 535 Incorrect"
         " (set_id=kim)", "login", "kim",
         "203.0.113.7"),
        ("cram authenticator failed for (x) [2001:db8::7]: 535 Incorrect authentication data", "cram", None,
         "2001:db8::7"),
        ("dovecot_plain authenticator failed for (x) [203.0.113.7]:1 I=[192.0.2.1]:465 Ci=1: 535 No (set_id=a b)",
         "dovecot_plain", "a b", "203.0.113.7"),
        ("plain authenticator failed for H=(x) [203.0.113.7] U=root: 435 Unable (set_id=kim):"
         " suspended", "plain", "kim",
         "203.0.113.7"),
    ],
)  # fmt: skip
def test_a_login_that_fails_has_its_authenticator(line: str, method: str, user: str | None, ip: str) -> None:
    event = read(line)
    assert isinstance(event, Auth)
    assert (event.result, event.sasl_method, event.sasl_user, event.client_ip) == ("failure", method, user, ip)
    assert event.attempts == 1


@pytest.mark.parametrize(
    ("line", "kind", "error"),
    [
        ("SMTP connection from [203.0.113.7]:1 I=[192.0.2.1]:25 (TCP/IP connection count = 2)", Connect, None),
        ("SMTP connection from [203.0.113.7] (TCP/IP connection count = 2)", Connect, None),
        ("SMTP connection from (x) [203.0.113.7]:1 I=[192.0.2.1]:25 closed by QUIT", Disconnect, None),
        ("SMTP connection from (x) [203.0.113.7] closed by DROP in ACL", Disconnect, None),
        (f"{ID} SMTP connection from (x) [203.0.113.7] closed by DROP in ACL", Disconnect, None),
        ("SMTP connection from (x) [203.0.113.7] lost", ConnectionFailure, "lost"),
        ("SMTP connection from (x) [203.0.113.7]:1 I=[192.0.2.1]:25 lost D=0.047s", ConnectionFailure, "lost"),
        (f"{ID} SMTP connection from (x) [203.0.113.7] lost while reading message data", ConnectionFailure, "lost"),
        ("unexpected disconnection while reading SMTP command from (x) [203.0.113.7]"
         " D=1s", ConnectionFailure, "lost"),
        ("SMTP call from (x) [203.0.113.7] dropped: too many nonmail commands (last was \"x\")", ConnectionFailure,
         "lost"),
        ("SMTP command timeout on connection from (x) [203.0.113.7] D=5m", ConnectionFailure, "timeout"),
        (f"{ID} SMTP data timeout (message abandoned) on connection from (x) [203.0.113.7] F=<a@b> D=5m",
         ConnectionFailure, "timeout"),
        ("TLS error on connection from (x) [203.0.113.7] (gnutls_handshake): timed out", ConnectionFailure, "tls"),
        ("TLS error on connection from (x) [203.0.113.7] (SSL_accept): error:0A000126", ConnectionFailure, "tls"),
    ],
)  # fmt: skip
def test_how_a_session_begins_and_ends(line: str, kind: type[Event], error: str | None) -> None:
    event = read(line)
    assert type(event) is kind
    assert getattr(event, "client_ip", None) == "203.0.113.7"
    assert getattr(event, "error", None) == error


@pytest.mark.parametrize(
    ("line", "phase", "sender", "recipient", "reply"),
    [
        (" DSH=client.example.net (client) [203.0.113.7] F=<kim@example.net> rejected RCPT <lee@example.org>: no",
         "rcpt", "kim@example.net", "lee@example.org", "no"),
        (f"{CLIENT} X=TLS1.3:X:256 F=<kim@example.net> SPF=fail DMARC=reject DSN=orcpt,notify rejected RCPT"
         " <lee@example.org>: no", "rcpt", "kim@example.net", "lee@example.org", "no"),
        (f"unqualified sender rejected: <kim> {CLIENT}", "mail", "kim", None, "unqualified sender"),
        (f"unqualified recipient rejected: <lee> {CLIENT}", "rcpt", None, "lee", "unqualified recipient"),
        ("temporarily refused connection from client.example.net (client) [203.0.113.7]:40499: not in reserve list:"
         " connected=19 max=20 reserve=5", "connect", None, None, "not in reserve list"),

         ("temporarily refused connection from client.example.net (client) [203.0.113.7] (tcp wrappers errno=11)",
         "connect", None, None, "tcp wrappers"),
        ("connection from client.example.net (client) [203.0.113.7] refused (IP options)", "connect",
         None, None, "IP options"),
        (f"too many recipients: message rejected: sender=<kim@example.net> {CLIENT}", "rcpt", "kim@example.net", None,
         "too many recipients"),
        ("overlong message header line received from client.example.net (client) [203.0.113.7] (more than 9"
         " characters):"
         " message"
         " abandoned", "end_of_data", None, None,
         "overlong message header line (more than 9 characters): message abandoned"),
    ],
)  # fmt: skip
def test_refusals_that_few_configurations_have(
    line: str, phase: str, sender: str | None, recipient: str | None, reply: str
) -> None:
    event = read(line)
    assert isinstance(event, Reject)
    assert (event.phase, event.sender, event.recipient, event.reply) == (phase, sender, recipient, reply)
    assert (event.client_name, event.client_ip) == ("client.example.net", "203.0.113.7")


def test_one_recipients_word_on_a_whole_message() -> None:
    event = read(f"{ID} PRDR R=<lee@example.org> temporary refusal")
    assert isinstance(event, Reject)
    assert (event.queue_id, event.phase, event.recipient) == (ID, "end_of_data", "lee@example.org")
    assert read(f"{ID} PRDR R=<lee@example.org> acceptance") is None


@pytest.mark.parametrize("ending", ["D=0.1s closed by QUIT", "D=5m closed after SIGTERM", "closed by EOF"])
def test_an_end_that_tells_how_long_it_took(ending: str) -> None:
    event = read(f"SMTP connection from {CLIENT[2:]} Ci=4711 {ending}")
    assert isinstance(event, Disconnect)
    assert (event.client_name, event.client_ip) == ("client.example.net", "203.0.113.7")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (f"SMTP command timeout on TLS connection from {CLIENT[2:]} D=5m", "timeout"),
        (f"SMTP connection from {CLIENT[2:]} lost (error: Connection reset by peer) D=2s", "lost"),
        (f"unexpected disconnection while reading SMTP command from {CLIENT[2:]} (error: Connection reset by"
         f" peer) D=2s",
         "lost"),
    ],
)  # fmt: skip
def test_a_client_that_is_gone(line: str, error: str) -> None:
    event = read(line)
    assert isinstance(event, ConnectionFailure)
    assert (event.error, event.client_name, event.client_ip) == (error, "client.example.net", "203.0.113.7")


@pytest.mark.parametrize("tag", ["", "H="])
def test_the_client_of_a_failed_login_has_a_tag_since_499(tag: str) -> None:
    event = read(
        f"plain authenticator failed for {tag}{CLIENT[2:]} U=kim: 535 Incorrect authentication data (set_id=lee)"
    )
    assert isinstance(event, Auth)
    assert (event.client_name, event.client_ip, event.sasl_user) == ("client.example.net", "203.0.113.7", "lee")


@pytest.mark.parametrize("helo", ["(client) ", "([203.0.113.7]) ", "(a b) ", "((x)) ", ""])
@pytest.mark.parametrize("more", ["", ":40499", ":40499 I=[192.0.2.25]:25", " U=kim Ci=4711"])
def test_a_handshake_that_failed_whatever_the_client_called_itself(helo: str, more: str) -> None:
    event = read(
        f"TLS error on connection from client.example.net {helo}[203.0.113.7]{more} (SSL_accept): error:0A00: x"
    )
    assert isinstance(event, ConnectionFailure)
    assert (event.error, event.phase) == ("tls", "starttls")
    assert (event.client_name, event.client_ip) == ("client.example.net", "203.0.113.7")
    assert event.reply == "SSL_accept: error:0A00: x"


@pytest.mark.parametrize(
    ("line", "phase", "reason"),
    [
        (f'rejected "EHLO friend" from {CLIENT}', "ehlo", "rdns_helo"),
        (f'temporarily rejected "HELO friend" from {CLIENT}', "ehlo", None),
        (f'rejected from <kim@example.net>{CLIENT}: Too many "Received" headers', "end_of_data", "loop"),
        (f'rejected from <kim@example.net> {CLIENT}: Too many "Received" headers', "end_of_data", "loop"),
    ],
)
def test_refusals_that_quote_the_client(line: str, phase: str, reason: str | None) -> None:
    event = read(line)
    assert isinstance(event, Reject)
    assert (event.phase, event.client_ip) == (phase, "203.0.113.7")
    assert reason in (None, event.reason)


def test_a_client_over_tcp_fast_open() -> None:
    event = read(f"unexpected disconnection while reading SMTP command from TFO* {CLIENT[2:]} D=1s")
    assert isinstance(event, ConnectionFailure)
    assert (event.client_name, event.client_ip) == ("client.example.net", "203.0.113.7")


@pytest.mark.parametrize("helo", ["a: b", "x: 535 y", "]: z", "[192.0.2.9]: 535"])
def test_a_client_hides_its_address_behind_no_name(helo: str) -> None:
    event = read(f"login authenticator failed for ({helo}) [203.0.113.7]:40499: 535 Incorrect (set_id=kim)")
    assert isinstance(event, Auth)
    assert (event.client_ip, event.sasl_user) == ("203.0.113.7", "kim")
