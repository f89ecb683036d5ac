"""What the other processes say: complaints count, what they do in mailboxes does not."""

from __future__ import annotations

import pytest

from parsers.events import Origin, Problem
from parsers.reader import understand
from tests.reading import read

ORIGIN = Origin("dovecot", "mail", "dovecot", "dovecot", 7)


@pytest.mark.parametrize(
    ("message", "program", "severity", "text"),
    [
        ("imap(kim): Error: chown(/mail/kim) failed", "imap", "error", "chown(/mail/kim) failed"),
        ("imap(kim)<7><a+b/c>: Error: chown(/mail/kim) failed", "imap", "error", "chown(/mail/kim) failed"),
        ("auth: Error: auth client 0 disconnected", "auth", "error", "auth client 0 disconnected"),
        ("auth-worker(kim,192.0.2.7)<7>: request [1]: Error: no", "auth-worker", "error", "no"),
        ("master: Warning: Killed with signal 15", "master", "warning", "Killed with signal 15"),
        ("lmtp(kim)<7><a>: Panic: file mail.c: assertion failed", "lmtp", "panic", "file mail.c: assertion failed"),
        ("config: Fatal: Error in configuration file", "config", "fatal", "Error in configuration file"),
        ("Fatal: auth(default): Support not compiled in", "auth", "fatal", "auth(default): Support not compiled in"),
        ("Fatal: Auth process died too early", "dovecot", "fatal", "Auth process died too early"),
        ("Warn: auth(default): user not found", "auth", "warning", "auth(default): user not found"),
    ],
)
def test_a_complaint_is_of_its_process(message: str, program: str, severity: str, text: str) -> None:
    event = read(message, ORIGIN)
    assert isinstance(event, Problem)
    assert (event.origin.program, event.origin.service) == (program, "dovecot")
    assert (event.severity, event.text, event.origin.pid, event.origin.host) == (severity, text, 7, "mail")


@pytest.mark.parametrize(
    "message",
    [
        "imap(kim)<7><a+b>: Logged out in=12 out=477 deleted=0",
        "imap(kim lee)<7><a+b>: Disconnected for inactivity in=12 out=477",
        "imap(kim): Disconnected: Logged out in=12 out=477",
        "pop3(kim)<7><a+b>: Info: Disconnected: Logged out top=0/0, retr=0/0, del=0/0, size=0",
        "submission(kim)<7><a>: Successfully relayed message: from=<>, size=9, id=A, nrcpt=1",
        "lmtp(kim)<7><a>: msgid=<1@example.com>: saved mail to INBOX",
        "lmtp(7): Connect from local",
        "lda(kim): sieve: msgid=<1@example.com>: stored mail into mailbox 'INBOX'",
        "dovecot-lda(kim): write() failed with mbox file",
        "managesieve(kim)<7><a>: Logged out bytes=6/41",
        "sieve(kim)<7><a>: Disconnected: Logged out bytes=6/41",
        "indexer-worker(kim)<7><a>: Indexed 12 messages in INBOX",
        "master: Dovecot v2.3.19.1 (9b53102964) starting up for imap (core dumps disabled)",
        "Dovecot v1.2.17 starting up",
        "imap(kim): Debug: Effective uid=1000",
        "stats: Debug: anything",
    ],
)
def test_what_is_done_in_mailboxes_is_of_no_use(message: str) -> None:
    assert understand(message, 1.0, ORIGIN) == ("ignored", [])


@pytest.mark.parametrize("message", ["imap-login: A thing that no release says", "a thing", "", "login: a thing"])
def test_what_nobody_knows_is_unknown(message: str) -> None:
    assert understand(message, 1.0, ORIGIN) == ("unknown", [])


def test_a_name_that_is_no_process_of_dovecot_is_no_label() -> None:
    event = read("quota-warning: Error: stderr: not found", ORIGIN)
    assert event == Problem(1.0, ORIGIN, "error", "quota-warning: stderr: not found")
    assert understand("quota-warning: not found", 1.0, ORIGIN) == ("unknown", [])
    assert understand("evil name: Error: x", 1.0, ORIGIN) == ("unknown", [])
