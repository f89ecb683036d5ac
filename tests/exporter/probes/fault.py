"""Each fault that is injected into a dialogue, and what the probe has to say of it: the documentation's table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.exporter.probes.server import Act, Step


class Fault(NamedTuple):
    """What is wrong, how the probe is configured to meet it, and the phase and the reason that it has to give.

    `is_deaf`: nobody takes connections from the port. `is_implicit`: the server expects TLS from the first byte.
    """

    what: str
    phase: str
    reason: str
    steps: Mapping[str, Step] = {}
    send: Mapping[str, Any] = {}
    certificate: str = "good"
    reply_code: int | None = None
    is_deaf: bool = False
    is_implicit: bool = False


_AUTH = {"username": "probe"}
_TLS = {"tls": "starttls"}
_OFFER = b"250-mx.example.com\r\n250 AUTH "
_VERBS = {"ehlo": "EHLO", "mail": "MAIL", "rcpt": "RCPT", "data": "DATA", "end_of_data": "."}
_GREYLISTED = b"450 4.7.1 Greylisted, try again later\r\n"
_REFUSED = b"550 5.1.1 User unknown\r\n"


_UNKNOWN = {"mail": "sender_rejected"}


def _rude(what: str, phase: str, verb: str, send: Mapping[str, Any] = {}) -> list[Fault]:
    """What a server may do at any command."""
    return [
        Fault(f"{what}: the connection closed", phase, "lost", {verb: Act.DROP}, send),
        Fault(f"{what}: no answer", phase, "timeout", {verb: Act.HANG}, send),
        Fault(f"{what}: a reply without end", phase, "protocol_error", {verb: Act.LINES}, send),
        Fault(f"{what}: a line without end", phase, "protocol_error", {verb: Act.LINE}, send),
        Fault(f"{what}: a byte now and then", phase, "timeout", {verb: Act.SLOW}, send),
        Fault(f"{what}: bytes that are no text", phase, "protocol_error", {verb: Act.GARBAGE}, send),
    ]


def _each(phase: str, verb: str) -> list[Fault]:
    return [
        Fault(
            f"{phase}: a reply 4xx", phase, "greylisted", {verb: _GREYLISTED, "HELO": _GREYLISTED}, {}, "good", 450
        ),
        Fault(f"{phase}: a reply 5xx", phase, _UNKNOWN.get(phase, "user_unknown"), {verb: _REFUSED}, {}, "good", 550),
        *_rude(phase, phase, verb),
    ]


_CONNECTING = [
    Fault("a name that does not exist", "dns", "dns", send={"server": "no-such-host.invalid"}),
    Fault("a port that takes no connection", "connect", "timeout", is_deaf=True),
    Fault("a port where nobody listens", "connect", "refused", send={"port": 1}),
    Fault("an own address that this host has not", "connect", "unreachable", send={"source_address": "192.0.2.1"}),
    Fault("banner: 421", "banner", "system_error", {"banner": b"421 4.3.2 Try again later\r\n"}, reply_code=421),
    Fault(
        "banner: 554", "banner", "policy_rejected", {"banner": b"554 5.7.1 No service for you\r\n"}, reply_code=554
    ),
    *_rude("banner", "banner", "banner"),
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
        "tls_failure",
        {"STARTTLS": b"454 4.7.0 No TLS\r\n"},
        _TLS,
        "good",
        454,
    ),
    Fault(
        "STARTTLS: a reply 554",
        "starttls",
        "tls_failure",
        {"STARTTLS": b"554 5.7.0 No TLS for you\r\n"},
        _TLS,
        "good",
        554,
    ),
    *_rude("STARTTLS", "starttls", "STARTTLS", _TLS),
    Fault("TLS: the handshake is not answered", "starttls", "timeout", {"STARTTLS": Act.MUTE}, _TLS),
    Fault("TLS: a handshake of a byte now and then", "starttls", "timeout", {"STARTTLS": Act.CRAWL}, _TLS),
    Fault("TLS: a version that the server refuses", "starttls", "validation-failure", {"STARTTLS": Act.ALERT}, _TLS),
    *_rude("EHLO within TLS", "ehlo", "EHLO again", _TLS),
    *_rude("RCPT within TLS", "rcpt", "RCPT", _TLS),
    Fault("STARTTLS: then no TLS, but the end", "starttls", "lost", {"STARTTLS": b"220 Go ahead\r\n"}, _TLS),
    Fault(
        "STARTTLS: then text in the clear (injection)",
        "starttls",
        "protocol_error",
        {"STARTTLS": b"220 Go ahead\r\n250 injected\r\n"},
        _TLS,
    ),
    Fault("a certificate that has expired", "starttls", "certificate-expired", {}, _TLS, "expired"),
    Fault("a certificate whose authority has expired", "starttls", "certificate-expired", {}, _TLS, "old"),
    Fault("a certificate for another name", "starttls", "certificate-host-mismatch", {}, _TLS, "name"),
    Fault("a certificate that nobody trusted signed", "starttls", "certificate-not-trusted", {}, _TLS, "untrusted"),
    Fault("a certificate that signed itself", "starttls", "certificate-not-trusted", {}, _TLS, "strange"),
    Fault("a `ca_file` that is not there", "starttls", "internal", {}, {**_TLS, "ca_file": Path("/nowhere/ca.pem")}),
    Fault("a `ca_file` without certificates", "starttls", "internal", {}, {**_TLS, "ca_file": Path(__file__)}),
    Fault(
        "implicit TLS where the server speaks in the clear", "starttls", "validation-failure", {}, {"tls": "implicit"}
    ),
    *(
        Fault(f"implicit TLS: {words}", "starttls", reason, {}, {"tls": "implicit"}, kind, is_implicit=True)
        for kind, words, reason in (
            ("expired", "a certificate that has expired", "certificate-expired"),
            ("name", "a certificate for another name", "certificate-host-mismatch"),
            ("untrusted", "a certificate that nobody trusted signed", "certificate-not-trusted"),
        )
    ),
    Fault(
        "implicit TLS: the handshake is not answered",
        "starttls",
        "timeout",
        {"banner": Act.HANG},
        {"tls": "implicit"},
    ),
    Fault("implicit TLS: the connection closed", "starttls", "lost", {"banner": Act.DROP}, {"tls": "implicit"}),
    Fault("a clear connection where the server expects TLS", "banner", "timeout", is_implicit=True),
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
    *_rude("AUTH", "auth", "AUTH", _AUTH),
    Fault(
        "AUTH: a second challenge of CRAM-MD5",
        "auth",
        "protocol_error",
        {"EHLO": _OFFER + b"CRAM-MD5\r\n", "AUTH": b"334 PDE+\r\n"},
        _AUTH,
    ),
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

_STRANGE = [
    Fault(
        "HELO: after EHLO, refused too",
        "ehlo",
        "user_unknown",
        {"EHLO": b"502 5.5.1 No\r\n", "HELO": _REFUSED},
        {},
        "good",
        550,
    ),
    Fault("MAIL: a reply 354", "mail", "protocol_error", {"MAIL": b"354 Go on\r\n"}, {}, "good", 354),
    Fault("RCPT: two codes in a reply", "rcpt", "protocol_error", {"RCPT": b"250-Ok\r\n550 No\r\n"}),
    Fault("DATA: a reply 250", "data", "protocol_error", {"DATA": b"250 Ok\r\n"}, {}, "good", 250),
    Fault("end of data: a reply 354", "end_of_data", "protocol_error", {".": b"354 Go on\r\n"}, {}, "good", 354),
    Fault("a reply without a code", "rcpt", "protocol_error", {"RCPT": b"Ok\r\n"}),
    Fault("a reply of a code that is none", "rcpt", "protocol_error", {"RCPT": b"999 Ok\r\n"}),
    Fault("pipelining: RCPT refused", "rcpt", "user_unknown", {"RCPT": _REFUSED}, {"pipelining": True}, "good", 550),
    Fault("pipelining: the connection closed", "mail", "lost", {"MAIL": Act.DROP}, {"pipelining": True}),
]
_LMTP = {"protocol": "lmtp"}
_LOCAL = [
    Fault("LMTP: LHLO refused", "ehlo", "user_unknown", {"LHLO": _REFUSED}, _LMTP, "good", 550),
    Fault("LMTP: RCPT refused", "rcpt", "user_unknown", {"RCPT": _REFUSED}, _LMTP, "good", 550),
    Fault(
        "LMTP: the mailbox is full",
        "end_of_data",
        "mailbox_full",
        {".": b"452 4.2.2 Mailbox full\r\n"},
        _LMTP,
        "good",
        452,
    ),
]

FAULTS: tuple[Fault, ...] = (
    *_CONNECTING,
    *_SECURING,
    *_LOGGING_IN,
    *(fault for phase, verb in _VERBS.items() for fault in _each(phase, verb)),
    *_STRANGE,
    *_LOCAL,
)


class Missing(NamedTuple):
    """Why a mail is not seen to arrive, and the reason that the probe has to give, in the phase `arrival`.

    `says` is what the server of the mailbox (IMAP, as `how` says) says when it is connected to and after each line,
    `then` what it does in the end. Or `log` is what our log says of the mail, `folder` where it is in a Maildir,
    after so many `seconds`; and `results` are those of `mail_probe_messages_total` that count it.
    """

    what: str
    reason: str
    says: tuple[bytes, ...] = ()
    then: Act = Act.HANG
    how: Mapping[str, Any] = {}
    certificate: str = ""
    log: str = ""
    folder: str = ""
    seconds: float = 0.0
    results: tuple[str, ...] = ("sent",)


_NO_CA = {"ca_file": Path("/nowhere/ca.pem"), "tls": "implicit"}
_GREETING = (b"* OK ready\r\n",)
_LOGGED_IN = (*_GREETING, b"m1 OK\r\n", b"* CAPABILITY IMAP4rev1\r\nm2 OK\r\n", b"m3 OK\r\n")
_FOUND = (*_LOGGED_IN, b"* OK [UIDVALIDITY 1]\r\nm4 OK\r\n", b"* SEARCH 1\r\nm5 OK\r\n")

MISSING: tuple[Missing, ...] = (
    Missing("mailbox: a name that does not exist", "mailbox_dns", how={"server": "no-such-host.invalid"}),
    Missing("mailbox: a port where nobody listens", "mailbox_refused", how={"port": 1}),
    Missing("mailbox: no greeting", "mailbox_timeout"),
    Missing("mailbox: the connection closed", "mailbox_lost", then=Act.DROP),
    Missing("mailbox: the greeting of another protocol", "mailbox_protocol_error", (b"220 mx ESMTP\r\n",)),
    Missing("mailbox: a greeting without end", "mailbox_protocol_error", then=Act.LINE),
    Missing("mailbox: a certificate that has expired", "mailbox_certificate-expired", certificate="expired"),
    Missing("mailbox: a certificate for another name", "mailbox_certificate-host-mismatch", certificate="name"),
    Missing(
        "mailbox: a certificate that nobody trusted signed",
        "mailbox_certificate-not-trusted",
        certificate="untrusted",
    ),
    Missing(
        "mailbox: the file with the password is not there", "mailbox_no_secret", how={"password_file": "nowhere"}
    ),
    Missing("mailbox: the wrong password", "mailbox_auth", (*_GREETING, b"m1 NO Invalid credentials\r\n")),
    Missing(
        "mailbox: the login is refused while somebody else is at the mailbox",
        "mailbox_refused_command",
        (*_GREETING, b"m1 NO [INUSE] Mailbox is locked\r\n"),
    ),
    Missing("mailbox: a `ca_file` that is not there", "mailbox_internal", how=_NO_CA),
    Missing("mailbox: the login is not answered", "mailbox_timeout", _GREETING),
    Missing("mailbox: the connection closed after the login", "mailbox_lost", _LOGGED_IN, Act.DROP),
    Missing(
        "mailbox: a folder that does not exist", "mailbox_refused_command", (*_LOGGED_IN, b"m4 NO No such folder\r\n")
    ),
    Missing("mailbox: an answer without end", "mailbox_protocol_error", _LOGGED_IN, Act.LINES),
    Missing("mailbox: a line without end", "mailbox_protocol_error", _FOUND, Act.LINE),
    Missing(
        "mailbox: a mail of a gigabyte where its beginning was asked for",
        "mailbox_protocol_error",
        (*_FOUND, b"* 1 FETCH (UID 1 BODY[]<0> {1073741824}\r\n"),
    ),
    Missing("the mail is late", "late", seconds=130.0),
    Missing("the mail is lost", "lost", seconds=2000.0, results=("sent", "lost")),
    Missing(
        "the mail is in the folder for junk",
        "spam_folder",
        folder=".Junk/new",
        results=("sent", "arrived", "spam_folder"),
    ),
    Missing("late: our queue has not tried it yet", "queued", log="none", seconds=130.0),
    Missing("late: it is deferred in our queue", "queued_greylisted", log="deferred", seconds=130.0),
    Missing(
        "lost: it is deferred in our queue",
        "queued_greylisted",
        log="deferred",
        seconds=2000.0,
        results=("sent", "lost"),
    ),
    Missing("late: our server returned it", "user_unknown", log="bounced", seconds=130.0),
    Missing("late: our server deferred it, and then gave it up", "greylisted", log="expired", seconds=130.0),
)
