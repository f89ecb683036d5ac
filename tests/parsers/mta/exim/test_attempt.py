"""One host's part in a delivery, and what is done to messages in the queue."""

from __future__ import annotations

import pytest

from parsers.events import ConnectionFailure, Event, Origin, Problem, QueueAction
from tests import reading

ORIGIN = Origin("exim", "mail.example.com", "exim", "exim", None)
ID = "1tXk2a-00000000ABc-0dEf"
HOST = "H=mx.example.org [192.0.2.25]"
SAID = "SMTP error from remote mail server after"


def read(message: str) -> Event | None:
    return reading.read(f"{ID} {message}", ORIGIN)


@pytest.mark.parametrize(
    ("line", "error", "phase", "code"),
    [
        (f"{HOST}: {SAID} initial connection: 421 4.7.0 Too many", "refused", "banner", 421),
        (f"{HOST}:25: {SAID} EHLO mail.example.com: 550 no", "refused", "ehlo", 550),
        (f"{HOST} Connection refused", "refused", "connect", None),
        (f"{HOST}:25 Connection timed out", "timeout", "connect", None),
        (f"{HOST}: SMTP timeout after initial connection: Connection timed out", "timeout", "banner", None),
        (f"{HOST}: mx.example.org [192.0.2.25]: No route to host", "unreachable", "connect", None),
        (f"{HOST} Network is unreachable", "unreachable", "connect", None),
        (f"{HOST}: Remote host closed connection in response to end of data", "lost", "end_of_data", None),
        (f"{HOST}: Remote host closed connection in response to pipelined RCPT TO:<a@b>", "lost", "rcpt", None),
        (f"{HOST}: a TLS session is required, but the server did not offer TLS support", "tls", "starttls", None),
        (f"{HOST}: DANE error: tlsa lookup DEFER", "tls", "starttls", None),
        (f"TLS session: (SSL_connect): error: delivering unencrypted to {HOST} (not in hosts_require_tls)", "tls",
         "starttls", None),
        ("mx.example.org [192.0.2.25] Connection refused", "refused", "connect", None),
        ("mx.example.org [192.0.2.25]: Connection timed out", "timeout", "connect", None),
        ("Failed to connect to mx.example.org [192.0.2.25]: Connection refused", "refused", "connect", None),
    ],
)  # fmt: skip
def test_a_connection_that_failed(line: str, error: str, phase: str, code: int | None) -> None:
    event = read(line)
    assert isinstance(event, ConnectionFailure)
    assert (event.error, event.phase, event.reply_code) == (error, phase, code)
    assert (event.relay_host, event.relay_ip, event.queue_id) == ("mx.example.org", "192.0.2.25", ID)


@pytest.mark.parametrize(
    "line",
    [
        f"{HOST}: {SAID} RCPT TO:<lee@example.org>: 450 4.2.0 Greylisted",
        f"{HOST}:25 {SAID} RCPT TO:<lee@example.org>: 450 4.2.0 Greylisted",
        f"{SAID} RCPT TO:<lee@example.org>: host mx.example.org [192.0.2.25]: 450 4.2.0 Greylisted",
        f"{HOST}: Malformed SMTP reply in response to initial connection: SSH-2.0",
        f"plain authenticator failed {HOST} 535 5.7.8 no",
        "lowest numbered MX record points to local host: example.com",
        "userforward router: skipped error: x",
    ],
)
def test_what_is_of_interest_to_whoever_follows_the_message(line: str) -> None:
    event = read(line)
    assert isinstance(event, Problem)
    assert (event.severity, event.queue_id) == ("warning", ID)


@pytest.mark.parametrize(
    ("line", "action", "who"),
    [
        ("frozen by root", "hold", "by root"),
        ("Frozen", "hold", None),
        ("Frozen (delivery error message)", "hold", "(delivery error message)"),
        ("frozen by ACL", "hold", "by ACL"),
        ("unfrozen by root", "release", "by root"),
        ("Unfrozen by errmsg timer", "release", "by errmsg timer"),
        ("removed by root", "delete", "by root"),
        ("cancelled by timeout_frozen_after", "give_up", "by timeout_frozen_after"),
        ("address <a@b> marked delivered by root", "mark_delivered", "root"),
    ],
)
def test_what_is_done_to_a_message(line: str, action: str, who: str | None) -> None:
    event = read(line)
    assert isinstance(event, QueueAction)
    assert (event.action, event.reply) == (action, who)


@pytest.mark.parametrize(
    "line",
    [
        "Message is frozen",
        "Spool file for x is locked (another process is handling this message)",
        "no immediate delivery: load average 9.20",
        "kim@example.org: error ignored",
        "DKIM: d=example.com s=x [verification succeeded]",
    ],
)
def test_what_is_of_no_use(line: str) -> None:
    assert read(line) is None


@pytest.mark.parametrize(
    ("line", "action"),
    [
        ("recipient <lee@example.org> added by root", "add_recipient"),
        ("Message removed because older than 4w", "delete"),
        ("rescind the above message-accept", "cancel"),
    ],
)
def test_what_is_done_in_newer_words(line: str, action: str) -> None:
    event = read(line)
    assert isinstance(event, QueueAction)
    assert (event.queue_id, event.action) == (ID, action)
