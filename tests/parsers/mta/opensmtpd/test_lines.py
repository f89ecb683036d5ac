"""What OpenSMTPD's lines mean, generation by generation.

The collected logs have no line of many of the words here: those are `documented`, read in its sources, in particular
all of 6.0 to 6.3 but one, and the client and the deliveries of 5.x.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from parsers.clock import Clock
from parsers.events import Event, as_record
from parsers.mta.opensmtpd import GRAMMAR, origin
from parsers.mta.opensmtpd.delivery import read_delay, read_relay
from parsers.mta.opensmtpd.session import Sessions
from parsers.mta.opensmtpd.smtp import read_address
from parsers.reader import LogReader, understand
from parsers.shape import Shape
from tests.effort import is_linear
from tests.parsers.test_shape import hostile

ORIGIN = origin("mail", "smtpd", 4711)
assert ORIGIN
S = "0123456789abcdef"
R = "fedcba9876543210"
CLIENT = f"{S} smtp connected address=203.0.113.7 host=client.example.net"
CLIENT_FIELDS = {"client_name": "client.example.net", "client_ip": "203.0.113.7"}
ALWAYS = {"time", "mta", "host", "service", "program", "pid"}


def events(*messages: str) -> list[Event]:
    """The events of lines of one log; each of them has to be known."""
    reader = LogReader(Clock(UTC, lambda: 1795284304.0))
    found = reader.read("".join(f"Nov 21 10:00:00 mail smtpd[4711]: {message}\n" for message in messages))
    tally = reader.tallies["opensmtpd"]
    assert (tally.unknown, tally.malformed) == (0, 0)
    return found


def records(*messages: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in as_record(event).items() if k not in ALWAYS} for event in events(*messages)]


def outcome(message: str) -> str:
    assert ORIGIN
    return understand(message, 1.0, ORIGIN)[0]


# --- sessions of clients ---


@pytest.mark.parametrize(
    "message",
    [
        CLIENT,
        f"{S} smtp event=connected address=203.0.113.7 host=client.example.net",  # documented
        f"smtp-in: New session {S} from host client.example.net [203.0.113.7]",
    ],
)
def test_a_client_connects(message: str) -> None:
    assert records(message) == [{"kind": "connect", **CLIENT_FIELDS}]


@pytest.mark.parametrize(
    ("text", "ip"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("IPv6:2001:db8::7", "2001:db8::7"),
        ("local", None),
    ],
)
def test_an_address(text: str, ip: str | None) -> None:
    assert read_address(text) == ip


def test_a_client_without_a_name_has_none() -> None:
    assert records(f"{S} smtp connected address=[2001:db8::7] host=<unknown>") == [
        {"kind": "connect", "client_ip": "2001:db8::7"}
    ]


def test_what_a_program_of_this_host_hands_in_is_no_connection() -> None:
    assert records(f"{S} smtp connected address=local host=mail", f"{S} smtp disconnected reason=quit") == []


@pytest.mark.parametrize(
    ("message", "cipher"),
    [
        (f"{S} smtp tls ciphers=TLSv1.2:ECDHE-RSA-AES256-GCM-SHA384:256", "ECDHE-RSA-AES256-GCM-SHA384"),
        (f'{S} smtp event=starttls ciphers="version=TLSv1.2, cipher=AES256, bits=256"', "AES256"),  # documented
        (
            f'{S} smtp event=starttls address=203.0.113.7 host=x ciphers="version=TLSv1.2, cipher=AES256, bits=256"',
            "AES256",  # documented
        ),
        (f"smtp-in: Started TLS on session {S}: version=TLSv1.2, cipher=AES256, bits=256", "AES256"),
    ],
)
def test_tls_with_a_client(message: str, cipher: str) -> None:
    assert records(CLIENT, message)[1:] == [
        {"kind": "tls", **CLIENT_FIELDS, "tls_protocol": "TLSv1.2", "tls_cipher": cipher}
    ]


@pytest.mark.parametrize(
    "message",
    [
        f"{S} smtp disconnected reason=quit",
        f"{S} smtp event=closed reason=quit",  # documented
        f"{S} smtp event=closed address=203.0.113.7 host=client.example.net reason=quit",  # documented
        f"smtp-in: Closing session {S}",
    ],
)
def test_a_session_ends(message: str) -> None:
    assert records(CLIENT, message)[1:] == [{"kind": "disconnect", **CLIENT_FIELDS}]


@pytest.mark.parametrize(
    ("message", "error", "phase"),
    [
        (f"{S} smtp disconnected reason=disconnect", "lost", None),
        (f"{S} smtp disconnected reason=timeout", "timeout", None),
        (f"{S} smtp disconnected reason=tls-accept-failed", "tls", "starttls"),
        (f'{S} smtp disconnected reason="io-error: handshake failed: error:0A: wrong version"', "tls", "starttls"),
        (f'{S} smtp disconnected reason="io-error: read failed: SSL routines::unexpected eof"', "lost", None),
        (f"smtp-in: Received disconnect from session {S}", "lost", None),
        (f"smtp-in: Disconnecting session {S}: IO error: No SSL error", "lost", None),
    ],
)
def test_a_session_that_does_not_end_as_it_should(message: str, error: str, phase: str | None) -> None:
    found = records(CLIENT, message)[1]
    assert (found["kind"], found["error"], found.get("phase")) == ("connection_error", error, phase)
    assert found["client_ip"] == "203.0.113.7"


# --- logins ---


@pytest.mark.parametrize(
    "message",
    [
        f"{S} smtp authentication user=kim result=ok",
        f"{S} smtp event=authentication user=kim address=203.0.113.7 host=client.example.net result=ok",  # documented
        f"smtp-in: Accepted authentication for user kim on session {S}",  # documented
    ],
)
def test_a_login(message: str) -> None:
    assert records(CLIENT, message)[1:] == [
        {"kind": "auth", "result": "success", **CLIENT_FIELDS, "sasl_user": "kim", "attempts": 1}
    ]


def test_a_failed_login_is_one_though_two_lines_tell_it() -> None:
    assert records(
        CLIENT,
        f"{S} smtp authentication user=kim result=permfail",
        f'{S} smtp failed-command command="AUTH LOGIN (password)" result="535 Authentication failed"',
        f"{S} smtp disconnected reason=quit",
    )[1:] == [
        {
            "kind": "auth",
            "result": "failure",
            **CLIENT_FIELDS,
            "sasl_method": "LOGIN",
            "sasl_user": "kim",
            "reply": "535 Authentication failed",
            "attempts": 1,
        },
        {"kind": "disconnect", **CLIENT_FIELDS},
    ]


def test_a_client_that_does_not_wait_for_the_answer_failed_too() -> None:
    kinds = [
        event.kind
        for event in events(
            CLIENT,
            f"{S} smtp authentication user=kim result=permfail",
            f"{S} smtp authentication user=kim result=tempfail",
            f"{S} smtp disconnected reason=disconnect",
        )
    ]
    assert kinds == ["connect", "auth", "auth", "connection_error"]


def test_a_failed_login_whose_beginning_was_not_seen() -> None:
    (found,) = records(f'{S} smtp failed-command command="AUTH PLAIN (...)" result="535 Authentication failed"')
    assert (found["kind"], found["result"], found["sasl_method"]) == ("auth", "failure", "PLAIN")


SECRET = "AGtpbQBjb3JyZWN0IGhvcnNl"  # what a client sends for a name and a password


@pytest.mark.parametrize(
    "message",
    [
        f'{S} smtp failed-command command="AUTH PLAIN {SECRET}" result="503 5.5.1 Invalid command: Not supported"',
        f'{S} smtp failed-command command="auth {SECRET}" result="504 5.5.4 x: AUTH method "{SECRET}" not supported"',
        f'{S} smtp failed-command command="{SECRET}" result="500 5.5.1 Invalid command: Command unrecognized"',
        f'{S} smtp failed-command command="AUTH LOGIN {SECRET}" result="535 Authentication failed"',
        f'{S} smtp failed-command command="AUTH PLAIN {SECRET}',
        f'{S} smtp event=failed-command command="AUTH PLAIN {SECRET}" result="503 5.5.1 x"',
        f'smtp-in: Failed command on session {S}: "AUTH PLAIN {SECRET}" => 503 5.5.1 Invalid command',
        f'smtp-in: Failed command on session {S}: "AUTH PLAIN {SECRET}',
        f"debug: mta: ... got secret for [relay:example.org,auth=secrets:kim]: {SECRET}",
        f"smtp: 0x5608a11f55c0: <<< AUTH PLAIN {SECRET}",
        f"mta: 0x5608a11f55c0: >>> AUTH PLAIN {SECRET}",
        f'lookup: lookup "kim" as CREDENTIALS in table static:creds -> "kim:{SECRET}"',
    ],
)
def test_what_a_client_sent_to_log_in_is_in_no_event(message: str) -> None:
    reader = LogReader(Clock(UTC, lambda: 1795284304.0))
    found = reader.read(f"Nov 21 10:00:00 mail smtpd[4711]: {message}\n")
    assert reader.tallies["opensmtpd"].unknown == 0
    assert all(SECRET not in str(as_record(event)) for event in found)


# --- what is refused ---


@pytest.mark.parametrize(
    ("command", "reply", "phase", "code", "reason"),
    [
        ("", "550 5.7.1 your address is listed", "connect", 550, "blocked_ip"),
        ("EHLO localhost", "504 5.5.2 need fully-qualified hostname", "ehlo", 504, "protocol_error"),
        ("STARTTLS", "501 5.5.2 No parameters allowed", "starttls", 501, "protocol_error"),
        ("mail FROM:<kim@example.com>", "530 5.5.1 x: Must issue an AUTH command first", "mail", 530, "smtp_auth"),
        ("RCPT TO:<lee@example.org> ", "550 Invalid recipient: <lee@example.org>", "rcpt", 550, "user_unknown"),
        ("DATA", "550 message rejected", "end_of_data", 550, "policy_rejected"),
        ("data", "554 5.3.4 Message too big for system: x", "end_of_data", 554, "message_too_large"),
        ("DATA", "500 5.4.6 Routing loop detected: Loop detected", "end_of_data", 500, "loop"),
        ("DATA", "503 5.5.1 Invalid command: No recipient specified", "data", 503, "protocol_error"),
    ],
)
@pytest.mark.parametrize(
    "form",
    [
        '{} smtp failed-command command="{}" result="{}"',
        '{} smtp event=failed-command address=203.0.113.7 host=x command="{}" result="{}"',  # documented
        'smtp-in: Failed command on session {}: "{}" => {}',
    ],
)
def test_a_refusal(form: str, command: str, reply: str, phase: str, code: int, reason: str) -> None:
    (found,) = records(CLIENT, form.format(S, command, reply))[1:]
    assert (found["kind"], found["phase"], found["reply_code"], found["reply"]) == ("reject", phase, code, reply)
    assert (found["client_ip"], found["reason"]) == ("203.0.113.7", reason)
    assert found.get("recipient") == ("lee@example.org" if phase == "rcpt" else None)
    assert found.get("sender") == ("kim@example.com" if phase == "mail" else None)


@pytest.mark.parametrize(
    "message",
    [
        '{} smtp failed-command command="RCPT TO:<lee@example.org>" result="450 x" result="550 Invalid recipient"',
        'smtp-in: Failed command on session {}: "RCPT TO:<lee@example.org>" => 450 4.7.1 x" => 550 Invalid recipient',
    ],
)
def test_a_client_cannot_put_an_answer_of_its_own_on_the_line(message: str) -> None:
    (found,) = records(message.format(S))
    assert (found["reply_code"], found["reply"]) == (550, "550 Invalid recipient")


def test_what_is_no_command_of_a_mail_transaction_is_of_no_use() -> None:
    reply = "500 5.5.1 Invalid command: Command unrecognized"
    assert events(f'{S} smtp failed-command command="GET / HTTP/1.0" result="{reply}"') == []


def test_a_client_that_does_not_talk_smtp_is_refused() -> None:
    message = f'{S} smtp bad-input result="500 5.5.1 Invalid command: Pipelining not supported"'
    (found,) = records(CLIENT, message)[1:]
    assert (found["kind"], found["reason"], found.get("phase")) == ("reject", "protocol_error", None)


def test_a_notification_that_we_refuse_ourselves_is_told_as_a_problem_alone() -> None:
    found = events(
        f"{S} smtp connected address=local host=mail",
        f'{S} smtp failed-command command="RCPT TO: <kim@example.com>" result="550 Invalid recipient"',
        f"{S} smtp disconnected reason=quit",
        "warn: PermFail injecting failure report on message fedcba98 to <kim@example.com> for 1 envelope: 550 x",
    )
    assert [(event.kind, getattr(event, "queue_id", None)) for event in found] == [("problem", "fedcba98")]


def test_what_a_local_program_hands_in_is_refused_like_anybodys() -> None:
    (found,) = records(
        f"{S} smtp connected address=local host=mail",
        f'{S} smtp failed-command command="RCPT TO:<lee@example.org> " result="550 Invalid recipient"',
    )
    assert (found["kind"], found["phase"], found.get("client_ip")) == ("reject", "rcpt", None)


# --- deliveries ---

TO = "from=<kim@example.com> to=<lee@example.org> rcpt=<->"


def relayed(
    result: str, stat: str, *, relay: str = "192.0.2.25 (mx.example.org)", source: str = "203.0.113.1"
) -> str:
    where = f'source="{source}" relay="{relay}"'
    return f'{S} mta delivery evpid={R} {TO} {where} delay=1m4s result="{result}" stat="{stat}"'


def test_a_delivery_to_a_relay() -> None:
    assert records(relayed("Ok", "250 2.0.0 Ok: queued as 4dHvRr2ZXRz2pQ1")) == [
        {
            "kind": "delivery",
            "queue_id": "fedcba98",
            "recipient": "lee@example.org",
            "status": "sent",
            "direction": "outbound",
            "relay_host": "mx.example.org",
            "relay_ip": "192.0.2.25",
            "transport": "mta",
            "delay": 64.0,
            "dsn": "2.0.0",
            "reply_code": 250,
            "reply": "250 2.0.0 Ok: queued as 4dHvRr2ZXRz2pQ1",
            "new_queue_id": "4dHvRr2ZXRz2pQ1",
            "sender": "kim@example.com",
        }
    ]


@pytest.mark.parametrize(
    ("result", "stat", "status", "reason", "phase"),
    [
        ("TempFail", "452 4.2.2 The mailbox is full", "deferred", "mailbox_full", None),
        ("PermFail", "550 5.1.1 <lee@example.org>: User unknown", "bounced", "user_unknown", None),
        ("LoopFail", "Loop detected", "bounced", "loop", None),
        ("PermFail", "Domain does not exist", "bounced", "domain_not_found", "dns"),
        ("TempFail", "Temporary failure in MX lookup", "deferred", "dns_failure", "dns"),
        ("TempFail", "No MX found for domain", "deferred", "no_mx", "dns"),
        ("TempFail", "Network error on destination MXs", "deferred", "connection_failed", "connect"),
        ("Expired", "Envelope expired", "expired", "expired", None),
    ],
)
def test_a_delivery_that_failed(result: str, stat: str, status: str, reason: str, phase: str | None) -> None:
    (found,) = records(relayed(result, stat))
    assert (found["status"], found["reason"], found.get("phase")) == (status, reason, phase)


def test_the_middle_words_of_a_delivery() -> None:
    message = relayed("Ok", "250 2.0.0 Ok").replace(" mta delivery ", " mta event=delivery ")
    assert records(message) == records(relayed("Ok", "250 2.0.0 Ok"))


def test_the_old_words_of_a_delivery() -> None:  # documented
    envelope = "from=<kim@example.com>, to=<lee@example.org>, rcpt=<->, source=203.0.113.1"
    relay = "relay=192.0.2.25 (mx.example.org), delay=1m4s"
    message = f"relay: Ok for {R}: session={S}, {envelope}, {relay}, stat=250 2.0.0 Ok"
    assert records(message) == records(relayed("Ok", "250 2.0.0 Ok"))


@pytest.mark.parametrize(
    ("source", "relay", "direction"),
    [
        ("127.0.0.1", "127.0.0.1 (localhost)", "local"),
        ("[::1]", "[::1] (localhost)", "local"),
        ("203.0.113.1", "203.0.113.1 (mail.example.com)", "local"),  # a domain whose mail exchanger is ourselves
        ("203.0.113.1", "203.0.113.10 (mx.example.org)", "outbound"),
        ("-", "example.org", "outbound"),
    ],
)
def test_what_goes_to_this_host_is_local(source: str, relay: str, direction: str) -> None:
    (found,) = records(relayed("Ok", "250 2.0.0 0a1b2c3d Message accepted for delivery", source=source, relay=relay))
    assert (found["direction"], found["new_queue_id"]) == (direction, "0a1b2c3d")


@pytest.mark.parametrize(
    ("text", "relay"),
    [
        ("198.51.100.26 (aspmx.l.google.com)", ("aspmx.l.google.com", "198.51.100.26", "google", False)),
        ("[2001:db8::25] (mx.example.org)", ("mx.example.org", "2001:db8::25", None, False)),
        ("192.0.2.25 (192.0.2.25)", (None, "192.0.2.25", None, False)),
        ("192.0.2.25 (<unknown>)", (None, "192.0.2.25", None, False)),
        ("example.org", (None, None, None, False)),
    ],
)
def test_a_relay(text: str, relay: tuple[str | None, ...]) -> None:
    assert read_relay(text) == relay


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("54s", 54), ("1h3m5s", 3785), ("2m", 120), ("1d2h", 93600)]
)
def test_a_delay(text: str, seconds: float) -> None:
    assert read_delay(text) == seconds


@pytest.mark.parametrize("text", ["", "3", "-1s", "1x", "5s1m", "9999999999s"])
def test_what_is_no_delay(text: str) -> None:
    with pytest.raises(ValueError, match="no time"):
        read_delay(text)


@pytest.mark.parametrize(
    "message",
    [
        f"{S} mda delivery evpid={R} from=<lee@example.org> to=<kim@example.com> rcpt=<staff@example.com> user=kim"
        " delay=0s result=Ok stat=Delivered",
        f"{S} mda event=delivery evpid={R} from=<lee@example.org> to=<kim@example.com> rcpt=<staff@example.com>"
        " user=kim method=mda delay=0s result=Ok stat=Delivered",  # documented
        f"delivery: Ok for {R}: from=<lee@example.org>, to=<kim@example.com>, rcpt=<staff@example.com>, user=kim,"
        " method=mda, delay=0s, stat=Delivered",  # documented
    ],
)
def test_a_delivery_to_a_user_of_this_host(message: str) -> None:
    assert records(message) == [
        {
            "kind": "delivery",
            "queue_id": "fedcba98",
            "recipient": "kim@example.com",
            "status": "sent",
            "direction": "local",
            "original_recipient": "staff@example.com",
            "transport": "mda",
            "delay": 0.0,
            "reply": "Delivered",
            "sender": "lee@example.org",
        }
    ]


def test_a_program_that_did_not_take_the_message() -> None:
    (found,) = records(
        f"{S} mda delivery evpid={R} from=<lee@example.org> to=<kim@example.com> rcpt=<kim@example.com> user=kim"
        ' delay=0s result=TempFail stat=Error ("maildir: Disk quota exceeded")'
    )
    assert (found["status"], found["reason"]) == ("deferred", "mailbox_full")
    assert found["original_recipient"] == "kim@example.com"


# --- sessions with relays ---

CALL = f"{S} mta connecting address=smtp://192.0.2.25:25 host=mx.example.org"
RELAY = {"relay_host": "mx.example.org", "relay_ip": "192.0.2.25", "relay_port": 25}


@pytest.mark.parametrize(
    ("call", "tls", "more", "trust"),
    [
        (
            CALL,
            f"{S} mta tls ciphers=TLSv1.3:AES256:256",
            f'{S} mta cert-check result="verified" fingerprint="x"',
            "verified",
        ),
        (
            CALL,
            f"{S} mta tls ciphers=TLSv1.3:AES256:256",
            f'{S} mta cert-check result="unverified" fingerprint="x"',
            "untrusted",
        ),
        (CALL, f"{S} mta tls ciphers=TLSv1.3:AES256:256", f"{S} mta disconnected reason=quit messages=1", None),
        (
            f"{S} mta event=connecting address=smtp+tls://192.0.2.25:25 host=mx.example.org",
            f'{S} mta event=starttls ciphers="version=TLSv1.3, cipher=AES256, bits=256"',
            f"{S} mta event=closed reason=quit messages=1",
            None,
        ),  # documented
        (
            f"smtp-out: Connecting to tls://192.0.2.25:25 (mx.example.org) on session {S}...",
            f"smtp-out: Started TLS on session {S}: version=TLSv1.3, cipher=AES256, bits=256",
            f"smtp-out: Server certificate verification failed on session {S}",
            "untrusted",
        ),  # documented
    ],
)
def test_tls_with_a_relay_tells_what_came_of_the_look_at_its_certificate(
    call: str, tls: str, more: str, trust: str | None
) -> None:
    known = {"tls_trust": trust} if trust else {}
    assert records(call, tls, more) == [
        {"kind": "tls", **RELAY, "tls_protocol": "TLSv1.3", "tls_cipher": "AES256", **known}
    ]


@pytest.mark.parametrize(
    ("text", "error", "phase", "code"),
    [
        ("IO Error: Connection refused", "refused", "connect", None),
        ("IO Error: No route to host", "unreachable", "connect", None),
        ("Connection failed: Network is unreachable", "unreachable", "connect", None),
        ("Connection timeout", "timeout", None, None),
        ("Connection closed unexpectedly", "lost", None, None),
        ("IO Error: certificate verification failed: self-signed certificate", "tls", "starttls", None),
        ("BANNER rejected: 554 5.7.1 go away", "refused", "banner", 554),
        ("HELO rejected: 550 5.7.1 Access denied", "refused", "ehlo", 550),
        ("AUTH rejected: 535 5.7.8 bad password", "refused", "auth", 535),
    ],
)
@pytest.mark.parametrize(
    "form", ["{} mta error reason={}", "{} mta event=error reason={}", "smtp-out: Error on session {}: {}"]
)
def test_a_session_with_a_relay_that_failed(
    form: str, text: str, error: str, phase: str | None, code: int | None
) -> None:
    (found,) = records(CALL, form.format(S, text))
    assert (found["kind"], found["error"], found.get("phase"), found.get("reply_code")) == (
        "connection_error",
        error,
        phase,
        code,
    )
    assert {name: found[name] for name in RELAY} == RELAY


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("smtp-out: Failed to resolve MX for [relay:example.org,smtp]: Domain does not exist", "dns"),
        ("smtp-out: Address family mismatch on [connector:203.0.113.1->[relay:example.org,smtp],0x0]", "unreachable"),
    ],
)
def test_a_destination_without_a_host_to_connect_to(message: str, error: str) -> None:
    (found,) = records(message)
    assert (found["kind"], found["error"]) == ("connection_error", error)


# --- what lies, what is cut ---


@pytest.mark.parametrize(
    "message",
    [
        f"{S} smtp message msgid=fedcba98 size=abc nrcpt=1 proto=ESMTP",
        f"{S} smtp message msgid=fedcba98 size=1 nrcpt= proto=ESMTP",
        f"{S} mta connecting address=nowhere host=mx.example.org",
        relayed("Maybe", "250 Ok"),
        relayed("Ok", "250 Ok").replace("1m4s", "soon"),
        f"{S} mta delivery evpid={R} from=<kim@exam",
        f"{S} mda delivery evpid={R} from=<kim@example.com> to=<lee@exa",
        f'{S} smtp failed-command command="RCPT TO:<lee@exa',
    ],
)
def test_a_field_that_lies_or_lacks_is_malformed(message: str) -> None:
    assert outcome(message) == "malformed"


def test_a_reply_that_is_cut_still_tells_the_delivery() -> None:
    (found,) = records(relayed("TempFail", "452 4.2.2 The mailbox is full")[:-6])
    assert (found["status"], found["reply_code"]) == ("deferred", 452)


@pytest.mark.parametrize("message", ["DEBUG: Got a mail", "Listening on port 8025", "rspamd: some filter's words"])
def test_what_another_program_of_this_name_says_is_ignored(message: str) -> None:
    reader = LogReader(Clock(UTC, lambda: 1795284304.0))
    assert reader.read(f"Nov 21 10:00:00 mail smtpd[4711]: {message}\n") == []
    tally = reader.tallies["opensmtpd"]
    assert (tally.ignored, tally.unknown, tally.malformed) == (1, 0, 0)


def test_what_it_says_itself_and_nobody_knows_is_unknown() -> None:
    reader = LogReader(Clock(UTC, lambda: 1795284304.0))
    assert reader.read(f"Nov 21 10:00:00 mail smtpd[4711]: {S} smtp teleported address=203.0.113.7\n") == []
    assert reader.tallies["opensmtpd"].unknown == 1


# --- all shapes ---


@pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])
def test_a_sample_is_of_its_own_shape_first(row: Shape) -> None:
    assert next(found for found, _, _ in GRAMMAR.matches(row.sample)) is row
    others = [found for found, _, _ in GRAMMAR.matches(row.sample) if found is not row]
    assert all(other.general for other in others)


@pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])
def test_a_line_cut_anywhere_is_no_exception(row: Shape) -> None:
    for end in range(len(row.sample)):
        assert ORIGIN
        result, found = understand(row.sample[:end], 1.0, ORIGIN)
        assert bool(found) == (result == "parsed")
        Sessions().join(found)


@pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])
def test_the_cost_of_a_hostile_line_grows_with_its_length_and_no_faster(row: Shape) -> None:
    assert ORIGIN
    who = ORIGIN
    assert all(is_linear(lambda line: understand(line, 1.0, who), make) for make in hostile(row))
