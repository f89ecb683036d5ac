"""The SMTP client beside its deliveries: connections, TLS, what fails (smtpd/mta_session.c, smtpd/mta.c).

A session that fails tells why; that its route is not used for a while, and that no other is left, follows from it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from parsers.events import ConnectionFailure, Origin
from parsers.memo import Memo
from parsers.mta.opensmtpd.session import Called, Checked, Failed, Left, Secured
from parsers.mta.opensmtpd.smtp import CIPHERS, NAMELESS
from parsers.provider import provider_of_domain
from parsers.reply import read_reply
from parsers.shape import shape

# `smtp+tls://198.51.100.25:587`, `smtp://[2001:db8::25]:25`, of old `smtp://IPv6:2001:db8::25:25`.
_TARGET = re.compile(r"[a-z+]{3,12}://\[?(?:IPv6:)?([^]]{1,80}?)\]?:(\d{1,5})").fullmatch
_REFUSAL = re.compile(r"(BANNER|EHLO|HELO|LHLO|STARTTLS|AUTH) rejected: (.*)").fullmatch
PHASES = {
    "BANNER": "banner",
    "EHLO": "ehlo",
    "HELO": "ehlo",
    "LHLO": "ehlo",
    "STARTTLS": "starttls",
    "AUTH": "auth",
}
# What the system and the TLS library say; the first that fits decides.
ERRORS = (
    ("timed out", "timeout", "connect"),
    ("timeout", "timeout", None),
    ("refused", "refused", "connect"),
    ("certificate", "tls", "starttls"),
    ("handshake", "tls", "starttls"),
    ("TLS", "tls", "starttls"),
    ("tls-", "tls", "starttls"),
    ("SSL", "tls", "starttls"),
    ("route to host", "unreachable", "connect"),
    ("unreachable", "unreachable", "connect"),
    ("Connection failed", "unreachable", "connect"),
)
TRUST = {
    "verified": "verified",
    "succeeded": "verified",
    "success": "verified",
    "no certificate presented": "anonymous",
}


class Error(NamedTuple):
    """What a text says that went wrong."""

    error: str
    phase: str | None
    reply_code: int | None
    dsn: str | None
    reply: str


def read_error(text: str) -> Error:
    """Why a session failed; where a relay refused to talk to us, its reply."""
    refusal = _REFUSAL(text)
    if refusal:
        code, dsn = read_reply(refusal[2][:16])
        return Error("refused", PHASES[refusal[1]], code, dsn, refusal[2])
    found = next((row for row in ERRORS if row[0] in text), None)
    error, phase = found[1:] if found else ("lost", None)
    return Error(error, phase, None, None, text)


def read_target(text: str) -> tuple[str, int]:
    """Address and port. Raises ValueError for what has none."""
    found = _TARGET(text)
    if not found:
        raise ValueError(f"no address: {text}")
    return found[1], int(found[2])


TARGETS: Memo[str, tuple[str, int]] = Memo(read_target)


def called(time: float, origin: Origin, queue_id: str, address: str, host: str) -> Called:
    """Raises ValueError for an impossible address."""
    return Called(time, origin, queue_id, host if host not in NAMELESS else None, *TARGETS[address])


def called_then(time: float, origin: Origin, address: str, host: str, queue_id: str) -> Called:
    """The order of 5.x."""
    return called(time, origin, queue_id, address, host)


def secured(time: float, origin: Origin, queue_id: str, ciphers: str) -> Secured:
    return Secured(time, origin, queue_id, *CIPHERS[ciphers], is_outbound=True)


def checked(time: float, origin: Origin, queue_id: str, result: str) -> Checked:
    return Checked(time, origin, queue_id, TRUST.get(result, "untrusted"))


def checked_then(time: float, origin: Origin, result: str, queue_id: str) -> Checked:
    """The order of 5.x."""
    return checked(time, origin, queue_id, result)


def failed(time: float, origin: Origin, queue_id: str, reply: str) -> Failed:
    return Failed(time, origin, queue_id, *read_error(reply))


def no_host(time: float, origin: Origin, relay: str, text: str) -> ConnectionFailure:
    """A domain whose mail exchangers the DNS does not tell."""
    provider = provider_of_domain(re.split("[],]", relay, maxsplit=1)[0])
    return ConnectionFailure(time, origin, "dns", provider=provider, phase="dns", reply=text)


def no_address(time: float, origin: Origin, relay: str) -> ConnectionFailure:
    """Mail exchangers that have addresses of another family than ours only."""
    provider = provider_of_domain(re.split("[],]", relay, maxsplit=1)[0])
    text = "Address family mismatch"
    return ConnectionFailure(time, origin, "unreachable", provider=provider, phase="connect", reply=text)


SHAPES = (
    shape(
        "{queue_id} mta [event=]connecting address={address} host={host}",
        "0123456789abcdef mta connecting address=smtp://192.0.2.25:25 host=mx.example.org",
        called,
        repeats=True,
    ),
    shape("{_} mta [event=]connected", "0123456789abcdef mta connected"),
    shape(
        "{queue_id} mta {_:tls|event=starttls} ciphers={ciphers}",
        "0123456789abcdef mta tls ciphers=TLSv1.3:TLS_AES_256_GCM_SHA384:256",
        secured,
        repeats=True,
    ),
    shape(
        '{queue_id} mta {_:cert-check|server-cert-check|event=server-cert-check} result="{result}"'
        '[ fingerprint="{_}"]',
        '0123456789abcdef mta cert-check result="verified" fingerprint="SHA256:0123456789abcdef"',
        checked,
        repeats=True,
    ),
    shape(
        "{queue_id} mta {_:disconnected|event=closed} reason={_}",
        "0123456789abcdef mta disconnected reason=quit messages=1",
        Left,
        repeats=True,
    ),
    shape(
        "{queue_id} mta [event=]error reason={reply}",
        "0123456789abcdef mta error reason=IO Error: Connection refused",
        failed,
    ),
    shape(
        "{queue_id} mta [event=]closing reason={reply}",
        "0123456789abcdef mta closing reason=tls-connect-failed",
        failed,
    ),
    # The deliveries that follow tell it.
    shape("{_} mta [event=]host-rejects-all-mails", "0123456789abcdef mta host-rejects-all-mails"),
    shape(
        "smtp-out: Error on session {queue_id}[ after {_} message{_} sent]: {reply}",
        "smtp-out: Error on session 0123456789abcdef after 1 message sent: Connection closed unexpectedly",
        failed,
    ),
    shape(
        "smtp-out: Failed to resolve MX for [[relay:{relay}]]: {text}",
        "smtp-out: Failed to resolve MX for [relay:example.org,smtp,heloname=mail]: Domain does not exist",
        no_host,
    ),
    shape(
        "smtp-out: Address family mismatch on {_}[[relay:{relay}",
        "smtp-out: Address family mismatch on [connector:203.0.113.1->[relay:example.org,smtp],0x0]",
        no_address,
    ),
    shape(
        "{_} mta ssl_check_name: {_}",
        "0123456789abcdef mta ssl_check_name: no match for 'mx.example.org' in cert",
    ),
    # What follows from an error that was told, or from a limit of ours.
    shape(
        "smtp-out: {_:Error|Too many errors} on {_} <-> {_}",
        "smtp-out: Error on 203.0.113.1 <-> 192.0.2.25 (mx.example.org): Connection closed unexpectedly",
    ),
    shape(
        "smtp-out: {_:Disabling route|Enabling route|No valid route|No MX found|No reachable MX|hiwat reached|"
        "back to lowat|No reachable host}{_}",
        "smtp-out: Disabling route 203.0.113.1 <-> 192.0.2.25 (mx.example.org) for 15s",
    ),
    # --- 5.x ---
    shape(
        "smtp-out: Connecting to {address} ({host}) on session {queue_id}...",
        "smtp-out: Connecting to smtp+tls://192.0.2.25:25 (mx.example.org) on session 0123456789abcdef...",
        called_then,
    ),
    shape("smtp-out: Connected on session {_}", "smtp-out: Connected on session 0123456789abcdef"),
    shape(
        "smtp-out: Started TLS on session {queue_id}: {ciphers}",
        "smtp-out: Started TLS on session 0123456789abcdef: version=TLSv1.2, cipher=ECDHE-RSA-AES256-GCM-SHA384,"
        " bits=256",
        secured,
    ),
    shape(
        "smtp-out: Server certificate verification {result:succeeded|failed} on session {queue_id}",
        "smtp-out: Server certificate verification succeeded on session 0123456789abcdef",
        checked_then,
    ),
    shape(
        "smtp-out: Closing session {queue_id}: {_}",
        "smtp-out: Closing session 0123456789abcdef: 1 message sent.",
        Left,
    ),
)
