"""What Sendmail complains of, with and without a message's id. The words are of its sources."""

from __future__ import annotations

import pytest

from parsers.events import ConnectionFailure, Event, Origin, Problem
from parsers.reader import understand
from tests import reading

ORIGIN = Origin("sendmail", "mail.example.com", "sendmail", "sm-mta", 4711)
ID = "5ALA00aB004711"


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("unable to write pid to /run/sendmail.pid: file in use by another process", "error"),
        ("ownership change on /etc/mail/aliases.db failed: Operation not permitted", "error"),
        ("forward /home/kim/.forward: transient error: Permission denied", "error"),
        ("queueup: cannot create /var/spool/mqueue/tf1, euid=0: Permission denied", "error"),
        ("AUTH error: sasl_server_new failed=-4", "error"),
        ("milter_read(av): socket closed, where=MAIL", "warning"),
        ("AUTH=client, available mechanisms=PLAIN do not fulfill requirements", "warning"),
        ("Saved message in /var/tmp/dead.letter", "warning"),
        ("STARTTLS: Error: missing random file definition", "warning"),
        ("WARNING: Milter.maxdatasize: configured=9, set by milter(av)=8", "warning"),
        ("rejecting new messages: min free: 100", "warning"),
    ],
)
def test_a_complaint_is_the_same_with_an_id_and_without(text: str, severity: str) -> None:
    assert read(text) == Problem(1.0, ORIGIN, severity, text)
    assert read(f"{ID}: {text}") == Problem(1.0, ORIGIN, severity, text, ID)
    assert read(f"NOQUEUE: {text}") == Problem(1.0, ORIGIN, severity, text)


@pytest.mark.parametrize(
    ("line", "severity", "text"),
    [
        ("daemon MTA: problem creating SMTP socket", "error", "problem creating SMTP socket"),
        ("/etc/mail/sendmail.cf: WARNING: dangerous write permissions", "warning",
         "/etc/mail/sendmail.cf: WARNING: permissions"),
        (f"{ID}: mx.example.org.: SMTP RCPT protocol error: 220 hello", "warning",
         "mx.example.org.: SMTP RCPT protocol error: 220 hello"),
        ("STARTTLS=server, error: SSL_CTX_check_private_key failed(/etc/mail/tls/key.pem): 0", "warning",
         "STARTTLS=server, error: SSL_CTX_check_private_key failed(/etc/mail/tls/key.pem): 0"),
        ("STARTTLS=server: file /etc/mail/tls/key.pem unsafe: Permission denied", "warning",
         "STARTTLS=server: file /etc/mail/tls/key.pem unsafe: Permission denied"),
        ("STARTTLS: ServerCertFile missing", "warning", "STARTTLS: ServerCertFile missing"),
        ("engine=pkcs11, init=failed", "error", "engine=pkcs11, init=failed"),
        ("AUTH=client, relay=mx.example.org., temporary failure, connection abort", "warning",
         "AUTH=client, relay=mx.example.org., temporary failure"),
        (f"{ID}: Milter: initialization failed, temp failing commands", "warning", "Milter: initialization failed"),
    ],
)  # fmt: skip
def test_a_problem(line: str, severity: str, text: str) -> None:
    event = read(line)
    assert isinstance(event, Problem)
    assert (event.severity, event.text) == (severity, text)


@pytest.mark.parametrize("words", ["no STARTTLS available", "STARTTLS not offered", "STARTTLS failed"])
def test_a_server_without_the_tls_that_the_dns_promises(words: str) -> None:
    event = read(f"STARTTLS=client, relay=gmail-smtp-in.l.google.com., warning=DANE configured in DNS but {words}")
    assert isinstance(event, ConnectionFailure)
    assert (event.error, event.phase, event.provider) == ("tls", "starttls", "google")


@pytest.mark.parametrize(
    "line",
    [
        f"{ID}: ruleset=try_tls, arg1=mx.example.org, relay=mx.example.org, status=4.7.0 no",
        "ruleset=try_tls, arg1=mx.example.org, relay=mx.example.org, status=4.7.0 no",
        f"{ID}: SMTP MAIL command (<kim@example.net>) from mx [203.0.113.7] tempfailed (due to previous checks)",
        f"{ID}: delaying=MAIL, load average=20 >= 12",
        f"{ID}: collect: relay=mx, from=<kim@example.net>, info=Bare linefeed (LF) not allowed, where=body,"
        " status=replaced",
        "accepting new messages (again)",
        "persistent queue runner=1, exited",
        "STARTTLS=client, SSL_shutdown failed: -1",
        "STARTTLS: read error=timeout",
        f'{ID}: "debug" command from mx [203.0.113.7] (203.0.113.7)',
        f"{ID}: kim: user kim has bad shell /bin/x, marked unsafe",
    ],
)
def test_what_is_only_noted(line: str) -> None:
    assert understand(line, 1.0, ORIGIN) == ("ignored", [])
