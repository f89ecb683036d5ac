"""What Exim complains of, with and without a message's id, and what it only notes. The words are of its sources."""

from __future__ import annotations

import pytest

from parsers.events import ConnectionFailure, Event, Origin, Problem
from parsers.reader import understand
from tests import reading

ORIGIN = Origin("exim", "mail.example.com", "exim", "exim", None)
ID = "1tXk2a-00000000ABc-0dEf"


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("unknown named domain list \"+relays\"", "error"),
        ("Failed to create spool file /var/spool/exim4/input/x-D: No space left on device", "error"),
        ("Couldn't open message log /var/spool/exim4/msglog/x: Permission denied", "error"),
        ("internal ACL error: unknown verb 9", "error"),
        ("attempt to use tainted ACL text \"$local_part\"", "error"),
        ("unlink(/var/spool/exim4/scan/x): No such file or directory", "error"),
        ("Lookup module psl is not compatible with this version of Exim", "error"),
        ("local_scan() function crashed with signal 11 - message temporarily rejected (size 9)", "error"),
        ("process 4711 crashed with signal 11 while delivering 1tXk2a-00000000ABc-0dEf", "error"),
        ("DNS list lookup defer (probably timeout) for 7.113.0.203.bl.example.net: returned DEFER", "warning"),
        ("host name alias list truncated for mx.example.org", "warning"),
        ("Message abandoned: error writing spool file", "warning"),
        ("Abandon queue run: pid=4711 (load 9.20, max 8.00)", "warning"),
        ("remote host address is the local host: example.com", "warning"),
    ],
)  # fmt: skip
def test_a_complaint_is_the_same_with_an_id_and_without(text: str, severity: str) -> None:
    assert read(text) == Problem(1.0, ORIGIN, severity, text)
    assert read(f"{ID} {text}") == Problem(1.0, ORIGIN, severity, text, ID)


def test_a_first_word_that_is_no_id_belongs_to_the_text() -> None:
    assert read("gnutls error writing") == Problem(1.0, ORIGIN, "error", "gnutls error writing")


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("socket bind() to port 25 for address (any IPv4) failed: Address already in use: daemon abandoned", "panic"),
        ("socket bind() to port 25 for address (any IPv6) failed: Address already in use: waiting 30s before trying"
         " again (9 more tries)", "warning"),
        ("50 accept() failures: Too many open files", "error"),
        ("pid 4711: exec of /usr/sbin/exim4 failed: Permission denied", "error"),
        (f"{ID} Spool file {ID}-H bad format", "error"),
        (f"{ID} DKIM: signing failed: RSA_LONG_LINE", "error"),
        (f"{ID} remote_smtp transport process returned non-zero status 0x000b: terminated by signal 11", "warning"),
        ('H=[203.0.113.7] Warning: ACL "warn" statement skipped: condition test deferred: host lookup did not'
         ' complete',
         "warning"),
    ],
)  # fmt: skip
def test_a_problem(line: str, severity: str) -> None:
    event = read(line)
    assert isinstance(event, Problem)
    assert event.severity == severity


@pytest.mark.parametrize(
    "line",
    [
        '"kim@mail.example.com" from env-from rewritten as "kim@example.com" by rule 1',
        f'{ID} "kim@mail.example.com" from to: rewritten as "kim@example.com" by rule 1',
        f"{ID} DMARC results: spf_domain=example.net dmarc_domain=example.net spf_align=no dkim_align=no"
        " enforcement='None'",
        f"{ID} DKIM: d=example.com s=key c=relaxed/relaxed a=rsa-sha256 b=2048 [verification succeeded]",
        f"{ID} <kim@example.com>: address_pipe transport output: vacation: no database",
        f"{ID} [192.0.2.25] SSL verify error (during R-verify for [203.0.113.7]): depth=0 error=expired cert=/CN=x",
        "[203.0.113.7] SSL verify error: depth=0 error=self-signed certificate cert=/CN=x",
        "TLS error (SSL_read): on connection from [203.0.113.7] error:0A000126:SSL routines::unexpected eof",
        "Long A lookup for 'mx.example.org': 2500 msec",
        "mx.example.org: accepted by +include_unknown",
        "notify triggered queue run",
        "ETRN #queue received from H=(client) [203.0.113.7]",
        "exim 4.98 daemon terminating, inetd wait timeout reached.",
        f"{ID} peer close after all rcpt responses; converting i/o-error to no-error",
        f"{ID} H=(client) [203.0.113.7] incomplete transaction (connection lost) from <kim@example.net>",
        f"{ID} H=(client) [203.0.113.7] F=<kim@example.net> RCPT <lee@example.org>: discarded by RCPT ACL",
        "cram authenticator (server): Cyrus SASL permanent failure: authentication failure",
        "user removed from the list",  # a configuration's own words (`logwrite`)
    ],
)
def test_what_is_only_noted(line: str) -> None:
    assert understand(line, 1.0, ORIGIN) == ("ignored", [])


@pytest.mark.parametrize(
    "line",
    [
        f"{ID} Connection aborted; STARTTLS support by mx.example.org [192.0.2.25] required by DNS SRV but"
        f" STARTTLS not"
        " offered",
        "TLS session: (gnutls_handshake): timed out: callout unencrypted to mx.example.org [192.0.2.25] (not in"
        " hosts_require_tls)",
        "DANE error: TLSA lookup for mx.example.org not DNSSEC",
    ],
)
def test_tls_that_another_server_fails_at(line: str) -> None:
    event = read(line)
    assert isinstance(event, ConnectionFailure)
    assert (event.error, event.phase) == ("tls", "starttls")
