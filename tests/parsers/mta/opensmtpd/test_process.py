"""What OpenSMTPD's processes say of themselves. The words are of its sources (6.8 to 7.9)."""

from __future__ import annotations

import pytest

from parsers.events import Event, Origin, Problem
from parsers.mta.opensmtpd.session import Closed
from parsers.reader import understand
from parsers.reason import reason_of
from tests import reading

ORIGIN = Origin("opensmtpd", "mail.example.com", "smtpd", "smtpd", 4711)


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


@pytest.mark.parametrize(
    "line",
    [
        "dispatcher: smtpd: bind: Address already in use",
        "pony express: ssl_ctx_create: invalid certificate chain",
        "[priv]: fork: Resource temporarily unavailable",
        "control: control: bind: Address already in use",
        "smtpd: need root privileges",
    ],
)
def test_the_last_words_of_a_process(line: str) -> None:
    assert read(line) == Problem(1.0, ORIGIN, "fatal", line)


@pytest.mark.parametrize(
    "text",
    [
        "getaddrinfo: mx.example.org: non-recoverable failure in name resolution",
        "cannot create temporary file /tmp/smtpd.X: No space left on device",
        "SRS failed to decode: SRS0=x@example.com",
        "/var/spool/smtpd/offline must be rwxrwx--- (0770)",
        "/etc/mail/aliases: invalid map entry line 12",
        "/etc/mail/smtpd.conf:12: syntax error",
    ],
)
def test_what_a_process_could_not_do(text: str) -> None:
    assert read(text) == Problem(1.0, ORIGIN, "warning", text)


def test_a_table_that_is_as_it_was() -> None:
    event = read('info: Failed to update table "aliases"')
    assert event == Problem(1.0, ORIGIN, "warning", 'Failed to update table "aliases"')


@pytest.mark.parametrize(
    "line",
    [
        "queue: queue compression enabled",
        "lookup: match \"203.0.113.7\" as NETADDR in table static:<anyhost> -> true",
        "0123456789abcdef smtp client-cert-check result=\"failure\"",
        "0123456789abcdef mta ssl_check_name: no match for 'mx.example.org' in cert",
        "smtp-out: Error on 203.0.113.1 <-> 192.0.2.25 (mx.example.org): Connection closed unexpectedly",
        "info: mta paused",
        "Exiting",
    ],
)  # fmt: skip
def test_what_is_only_noted(line: str) -> None:
    assert understand(line, 1.0, ORIGIN) == ("ignored", [])


def test_an_end_with_a_blank_too_many() -> None:
    event = read("0123456789abcdef smtp disconnected  reason=tls-accept-failed")
    assert isinstance(event, Closed)
    assert (event.error, event.phase) == ("tls", "starttls")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("AUTH not advertised", "smtp_auth"),
        ("SSL certificate check failed", "tls_failure"),
        ("Remote host sent too much data", "protocol_error"),
        ("Failed to retrieve helo string", "system_error"),
    ],
)
def test_reasons_in_its_own_words(text: str, reason: str) -> None:
    assert reason_of(text, None, None, None) == reason
