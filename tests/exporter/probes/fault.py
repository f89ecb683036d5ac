"""Each fault that is injected into a dialogue, and what the probe has to say of it: the documentation's table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.exporter.probes.server import Act, Step


class Fault(NamedTuple):
    """What is wrong, how the probe is configured to meet it, and the phase and the reason that it has to give."""

    what: str
    phase: str
    reason: str
    steps: Mapping[str, Step] = {}
    send: Mapping[str, Any] = {}
    certificate: str = "good"
    reply_code: int | None = None


_AUTH = {"username": "probe"}
_TLS = {"tls": "starttls"}
_OFFER = b"250-mx.example.com\r\n250 AUTH "
_VERBS = {"ehlo": "EHLO", "mail": "MAIL", "rcpt": "RCPT", "data": "DATA", "end_of_data": "."}
_GREYLISTED = b"450 4.7.1 Greylisted, try again later\r\n"
_REFUSED = b"550 5.1.1 User unknown\r\n"


_UNKNOWN = {"mail": "sender_rejected"}


def _each(phase: str, verb: str) -> list[Fault]:
    return [
        Fault(
            f"{phase}: a reply 4xx", phase, "greylisted", {verb: _GREYLISTED, "HELO": _GREYLISTED}, {}, "good", 450
        ),
        Fault(f"{phase}: a reply 5xx", phase, _UNKNOWN.get(phase, "user_unknown"), {verb: _REFUSED}, {}, "good", 550),
        Fault(f"{phase}: the connection closed", phase, "lost", {verb: Act.DROP}),
        Fault(f"{phase}: no answer", phase, "timeout", {verb: Act.HANG}),
        Fault(f"{phase}: a reply without end", phase, "protocol_error", {verb: Act.LINES}),
        Fault(f"{phase}: a line without end", phase, "protocol_error", {verb: Act.LINE}),
        Fault(f"{phase}: a byte now and then", phase, "timeout", {verb: Act.SLOW}),
        Fault(f"{phase}: bytes that are no text", phase, "protocol_error", {verb: Act.GARBAGE}),
    ]


_CONNECTING = [
    Fault("a name that does not exist", "dns", "dns", send={"server": "no-such-host.invalid"}),
    Fault("a port where nobody listens", "connect", "refused", send={"port": 1}),
    Fault("an own address that this host has not", "connect", "unreachable", send={"source_address": "192.0.2.1"}),
    Fault("banner: 421", "banner", "system_error", {"banner": b"421 4.3.2 Try again later\r\n"}, reply_code=421),
    Fault(
        "banner: 554", "banner", "policy_rejected", {"banner": b"554 5.7.1 No service for you\r\n"}, reply_code=554
    ),
    Fault("banner: the connection closed", "banner", "lost", {"banner": Act.DROP}),
    Fault("banner: none", "banner", "timeout", {"banner": Act.HANG}),
    Fault("banner: without end", "banner", "protocol_error", {"banner": Act.LINES}),
    Fault("banner: a line without end", "banner", "protocol_error", {"banner": Act.LINE}),
    Fault("banner: a byte now and then", "banner", "timeout", {"banner": Act.SLOW}),
    Fault("banner: of another protocol", "banner", "protocol_error", {"banner": b"+OK POP3 ready\r\n"}),
    Fault("banner: two codes", "banner", "protocol_error", {"banner": b"220-a\r\n250 b\r\n"}),
]

_SECURING = [
    Fault(
        "STARTTLS is not offered",
        "starttls",
        "starttls-not-supported",
        {"EHLO": b"250 mx.example.com\r\n"},
        _TLS,
    ),
    Fault(
        "STARTTLS: a reply 454",
        "starttls",
        "policy_rejected",
        {"STARTTLS": b"454 4.7.0 No TLS\r\n"},
        _TLS,
        "good",
        454,
    ),
    Fault("STARTTLS: the connection closed", "starttls", "lost", {"STARTTLS": Act.DROP}, _TLS),
    Fault("STARTTLS: no answer", "starttls", "timeout", {"STARTTLS": Act.HANG}, _TLS),
    Fault("STARTTLS: then no TLS, but the end", "starttls", "lost", {"STARTTLS": b"220 Go ahead\r\n"}, _TLS),
    Fault(
        "STARTTLS: then text in the clear (injection)",
        "starttls",
        "protocol_error",
        {"STARTTLS": b"220 Go ahead\r\n250 injected\r\n"},
        _TLS,
    ),
    Fault("a certificate that has expired", "starttls", "certificate-expired", {}, _TLS, "expired"),
    Fault("a certificate for another name", "starttls", "certificate-host-mismatch", {}, _TLS, "name"),
    Fault("a certificate that nobody trusted signed", "starttls", "certificate-not-trusted", {}, _TLS, "untrusted"),
    Fault(
        "implicit TLS where the server speaks in the clear", "starttls", "validation-failure", {}, {"tls": "implicit"}
    ),
]

_LOGGING_IN = [
    Fault("AUTH is not offered", "auth", "auth_not_offered", {"EHLO": b"250 mx.example.com\r\n"}, _AUTH),
    Fault(
        "AUTH: the wrong mechanism",
        "auth",
        "auth_not_offered",
        {"EHLO": _OFFER + b"LOGIN\r\n"},
        {**_AUTH, "auth": "CRAM-MD5"},
    ),
    Fault(
        "AUTH: in the clear, after a STARTTLS that is gone",
        "auth",
        "plaintext_auth",
        {"EHLO": _OFFER + b"PLAIN LOGIN\r\n"},
        {**_AUTH, "tls": "opportunistic"},
    ),
    Fault(
        "AUTH: the wrong password",
        "auth",
        "smtp_auth",
        {"AUTH": b"535 5.7.8 Error: authentication failed\r\n"},
        _AUTH,
        "good",
        535,
    ),
    Fault(
        "AUTH: a reply 454",
        "auth",
        "smtp_auth",
        {"AUTH": b"454 4.7.0 Temporary authentication failure\r\n"},
        _AUTH,
        "good",
        454,
    ),
    Fault("AUTH: the connection closed", "auth", "lost", {"AUTH": Act.DROP}, _AUTH),
    Fault("AUTH: no answer", "auth", "timeout", {"AUTH": Act.HANG}, _AUTH),
    Fault("AUTH: challenges without end", "auth", "protocol_error", {"AUTH": b"334 \r\n"}, _AUTH),
    Fault("AUTH: a challenge that is not base64", "auth", "protocol_error", {"AUTH": b"334 *!*\r\n"}, _AUTH),
    Fault(
        "AUTH: SCRAM with more iterations than anybody needs",
        "auth",
        "protocol_error",
        {"EHLO": _OFFER + b"SCRAM-SHA-256\r\n", "AUTH": b"334 cj1hLHM9YSxpPTk5OTk5OTk=\r\n"},
        _AUTH,
    ),
    Fault(
        "AUTH: SCRAM that is done before the server proved itself",
        "auth",
        "protocol_error",
        {"EHLO": _OFFER + b"SCRAM-SHA-256\r\n"},
        _AUTH,
    ),
]

FAULTS: tuple[Fault, ...] = (
    *_CONNECTING,
    *_SECURING,
    *_LOGGING_IN,
    *(fault for phase, verb in _VERBS.items() for fault in _each(phase, verb)),
)
