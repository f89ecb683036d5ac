"""What the lines of smtpd mean, field by field; that each shape has a sample is tested for all of Postfix at once."""

from __future__ import annotations

from typing import Any

import pytest

from parsers.events import Event, Origin, Reject, as_record
from parsers.mta.postfix.smtpd import Client, read_client
from parsers.reader import understand

ALWAYS = {"time", "mta", "host", "service", "program", "pid", "reason"}


def outcome(message: str, program: str = "smtpd") -> tuple[str, Event | None]:
    origin = Origin("postfix", "mail", "postfix", program, 7)
    result, events = understand(message, 1.0, origin)
    return result, events[0] if events else None


def record(message: str, program: str = "smtpd") -> dict[str, Any]:
    event = outcome(message, program)[1]
    assert event is not None
    return {name: value for name, value in as_record(event).items() if name not in ALWAYS}


@pytest.mark.parametrize(
    ("text", "client"),
    [
        ("mx.example.org[192.0.2.25]", Client("mx.example.org", "192.0.2.25")),
        ("unknown[2001:db8::66]:48123", Client("unknown", "2001:db8::66")),
        ("[198.51.100.66]:48123", Client(None, "198.51.100.66")),
        ("unknown[unknown]", Client("unknown", None)),
    ],
)
def test_a_client_is_a_name_and_an_address_whatever_its_port(text: str, client: Client) -> None:
    assert read_client(text) == client


@pytest.mark.parametrize("text", ["mx.example", "mx.example.org[192.0."])
def test_a_client_that_is_cut_short_makes_the_line_malformed(text: str) -> None:
    assert outcome(f"connect from {text}") == ("malformed", None)


def test_a_session_begins_and_ends_and_counts_its_commands() -> None:
    client = {"client_name": "mx.example.org", "client_ip": "2001:db8::25"}
    assert record("connect from mx.example.org[2001:db8::25]:48123") == {"kind": "connect", **client}
    assert record("disconnect from mx.example.org[2001:db8::25]") == {"kind": "disconnect", **client}
    assert record("disconnect from mx.example.org[2001:db8::25]:48123 ehlo=1 rcpt=0/2 commands=1/3") == {
        "kind": "disconnect",
        **client,
        "commands": "ehlo=1 rcpt=0/2 commands=1/3",
    }


@pytest.mark.parametrize(
    ("text", "error", "phase"),
    [
        ("lost connection after CONNECT from", "lost", "connect"),
        ("lost connection after STARTTLS from", "lost", "starttls"),
        ("timeout after END-OF-MESSAGE from", "timeout", "end_of_data"),
        ("timeout after BDAT (0 bytes) from", "timeout", "data"),
        ("lost connection after DATA content from", "lost", "data"),
        ("too many errors after UNKNOWN from", "lost", None),
    ],
)
def test_a_session_that_breaks_off_tells_how_and_where(text: str, error: str, phase: str | None) -> None:
    found = record(f"{text} unknown[198.51.100.66]")
    assert (found["kind"], found["error"], found.get("phase")) == ("connection_error", error, phase)
    assert (found["client_name"], found["client_ip"]) == ("unknown", "198.51.100.66")


def test_a_session_that_breaks_off_names_its_message_where_it_has_one() -> None:
    message = "lost connection after DATA (5120 bytes) from mx.example.org[192.0.2.25]"
    assert record(f"4dHvRq1ZTPz9sWk: {message}")["queue_id"] == "4dHvRq1ZTPz9sWk"
    assert "queue_id" not in record(f"NOQUEUE: {message}")


@pytest.mark.parametrize("more", ["", " to mail.example.com"])
def test_tls_of_a_client(more: str) -> None:
    text = "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature ECDSA"
    line = f"Untrusted TLS connection established from mx.example.org[2001:db8::25]{more}: {text}"
    assert record(line) == {
        "kind": "tls",
        "client_name": "mx.example.org",
        "client_ip": "2001:db8::25",
        "tls_protocol": "TLSv1.3",
        "tls_cipher": "TLS_AES_256_GCM_SHA384",
        "tls_trust": "untrusted",
    }


@pytest.mark.parametrize(("tail", "reply"), [(": lost connection", "lost connection"), (": -1", None), ("", None)])
def test_tls_that_fails_tells_why_where_the_line_does(tail: str, reply: str | None) -> None:
    found = record(f"SSL_accept error from unknown[198.51.100.66]{tail}")
    assert (found["error"], found["phase"], found.get("reply")) == ("tls", "starttls", reply)


@pytest.mark.parametrize(
    ("tail", "reply", "user"),
    [
        ("failed: UGFzc3dvcmQ6", "UGFzc3dvcmQ6", None),
        ("failed: UGFzc3dvcmQ6, sasl_username=kim@example.com", "UGFzc3dvcmQ6", "kim@example.com"),
        ("failed: (reason unavailable), sasl_username=(unavailable)", "(reason unavailable)", None),
        ("failed: generic failure", "generic failure", None),
        ("failed: Invalid authentication mechanism: 'XOAUTH2'", "Invalid authentication mechanism: 'XOAUTH2'", None),
        ("failed: Connection lost to authentication server", "Connection lost to authentication server", None),
        ("failed: authentication failure", "authentication failure", None),
        ("failed:", None, None),
        ("failed", None, None),
        ("aborted", None, None),
    ],
)
def test_an_authentication_that_fails_is_one_attempt(tail: str, reply: str | None, user: str | None) -> None:
    found = record(f"warning: unknown[2001:db8::66]:48123: SASL login authentication {tail}")
    assert (found["kind"], found["result"], found["attempts"]) == ("auth", "failure", 1)
    assert (found["sasl_method"], found.get("sasl_user"), found.get("reply")) == ("LOGIN", user, reply)
    assert (found["client_name"], found["client_ip"]) == ("unknown", "2001:db8::66")


def test_what_cyrus_sasl_says_beside_it_is_no_second_attempt() -> None:
    assert outcome("warning: SASL authentication failure: Password verification failed") == ("ignored", None)


def test_cyrus_sasl_without_its_server_is_a_problem() -> None:
    text = "SASL authentication failure: cannot connect to saslauthd server: Permission denied"
    assert record(f"warning: {text}") == {"kind": "problem", "severity": "warning", "text": text}


def test_a_message_begins_with_its_client_and_who_that_is() -> None:
    line = "4dHvRq1ZTPz9sWk: client=dsl.example.net[203.0.113.9]:48123, sasl_method=PLAIN, sasl_username=kim, lee"
    assert record(line) == {
        "kind": "received",
        "queue_id": "4dHvRq1ZTPz9sWk",
        "client_name": "dsl.example.net",
        "client_ip": "203.0.113.9",
        "sasl_method": "PLAIN",
        "sasl_user": "kim, lee",
    }


def test_a_message_that_comes_back_from_a_filter_has_the_id_it_had() -> None:
    line = "4dHvRq1ZTPz9sWk: client=localhost[127.0.0.1], orig_queue_id=4dHvRr2ZXRz2pQ1, orig_client=mx[192.0.2.25]"
    found = record(line)
    assert (found["client_ip"], found["original_queue_id"]) == ("127.0.0.1", "4dHvRr2ZXRz2pQ1")


def test_the_sender_that_a_relay_vouches_for_did_not_authenticate_here() -> None:
    found = record("4dHvRq1ZTPz9sWk: client=mx.example.org[192.0.2.25], sasl_sender=kim@example.org")
    assert "sasl_user" not in found


def test_a_message_for_a_filter_before_the_queue_has_not_begun() -> None:
    assert outcome("NOQUEUE: client=dsl.example.net[203.0.113.9], sasl_method=PLAIN") == ("ignored", None)


CONTEXT = "from=<kim@example.org> to=<lee@example.com> proto=ESMTP helo=<mx.example.org>"


def test_a_reject_has_all_that_the_line_tells() -> None:
    reply = "554 5.7.1 Service unavailable; Client host [198.51.100.66] blocked using dnsbl.example.net; see there"
    assert record(f"NOQUEUE: reject: RCPT from unknown[198.51.100.66]: {reply}; {CONTEXT}") == {
        "kind": "reject",
        "phase": "rcpt",
        "client_name": "unknown",
        "client_ip": "198.51.100.66",
        "sender": "kim@example.org",
        "recipient": "lee@example.com",
        "protocol": "ESMTP",
        "helo": "mx.example.org",
        "reply_code": 554,
        "dsn": "5.7.1",
        "reply": reply,
    }


@pytest.mark.parametrize(
    ("command", "phase"),
    [
        ("CONNECT", "connect"),
        ("HELO", "ehlo"),
        ("EHLO", "ehlo"),
        ("AUTH", "auth"),
        ("MAIL", "mail"),
        ("BDAT", "data"),
        ("END-OF-MESSAGE", "end_of_data"),
        ("VRFY", None),
        ("ETRN", None),
    ],
)
def test_the_phase_of_a_reject_is_that_of_the_command(command: str, phase: str | None) -> None:
    found = record(f"NOQUEUE: reject: {command} from mx[192.0.2.25]: 450 4.7.1 no; proto=SMTP")
    assert found.get("phase") == phase


@pytest.mark.parametrize(
    ("reply", "code", "dsn"),
    [
        ("450 4.7.25 Client host rejected: cannot find your hostname, [198.51.100.66]", 450, "4.7.25"),
        ("550 <lee@example.com>: Recipient address rejected: host mx said: 450 4.2.1 Later", 550, None),
        ("550 5.12.345 <lee@example.com>: Recipient address rejected: no", 550, "5.12.345"),
        ("5.7.1 Spam", None, "5.7.1"),
        ("bare <LF> received", None, None),
    ],
)
def test_the_codes_of_a_reject_are_our_own_and_stand_at_its_beginning(
    reply: str, code: int | None, dsn: str | None
) -> None:
    found = record(f"4dHvRq1ZTPz9sWk: milter-reject: END-OF-MESSAGE from mx[192.0.2.25]: {reply}; {CONTEXT}")
    assert (found["queue_id"], found.get("reply_code"), found.get("dsn")) == ("4dHvRq1ZTPz9sWk", code, dsn)


def test_an_address_or_a_helo_may_hold_what_ends_them() -> None:
    context = 'from=<"a> b"@example.org> to=<lee@example.com> proto=SMTP helo=<<mx>>'
    found = record(f"NOQUEUE: reject: RCPT from mx[192.0.2.25]: 450 no; {context}")
    assert (found["sender"], found["helo"]) == ('"a> b"@example.org', "<mx>")


def test_the_null_sender_is_empty_and_a_missing_one_is_unknown() -> None:
    line = "NOQUEUE: reject: RCPT from mx[192.0.2.25]: 450 no;{} to=<lee@example.com> proto=SMTP helo=<mx>"
    assert record(line.format(" from=<>"))["sender"] == ""
    assert "sender" not in record(line.format(""))


def test_a_reject_of_somebody_who_has_authenticated() -> None:
    context = "from=<kim@example.com> proto=ESMTP helo=<a>b> sasl_method=PLAIN sasl_username=kim lee sasl_sender=x"
    found = record(
        f"NOQUEUE: reject: MAIL from dsl[203.0.113.9]: 552 5.3.4 Message size exceeds fixed limit; {context}"
    )
    assert (found["helo"], found["sasl_method"], found["sasl_user"]) == ("a>b", "PLAIN", "kim lee")


@pytest.mark.parametrize(
    ("line", "sender", "recipient"),
    [
        (
            "NOQUEUE: reject: RCPT from mx[192.0.2.25]: 450 User unknown; from=<k@example.org> to=<l@example.com>",
            "k",
            "l",
        ),
        (
            "NOQUEUE: reject: RCPT from mx[192.0.2.25]: 450 User unknown; from=<k@example.org> to= proto=SMTP",
            "k",
            None,
        ),
        ("reject: RCPT from mx[192.0.2.25]: 450 User unknown; from=<k@example.org> to=<l@example.com>", "k", "l"),
        ("NOQUEUE: reject: RCPT from mx[192.0.2.25]: 450 User unknown", None, None),
    ],
)
def test_a_reject_of_old_or_cut_short_is_still_one(line: str, sender: str | None, recipient: str | None) -> None:
    found = record(line)
    assert (found["reply_code"], found["reply"]) == (450, "450 User unknown")
    assert found.get("sender") == (sender and f"{sender}@example.org")
    assert found.get("recipient") == (recipient and f"{recipient}@example.com")


@pytest.mark.parametrize("action", ["reject_warning", "warn", "info", "prepend", "permit", "bcc", "hold", "filter"])
def test_an_action_without_a_message_that_refuses_nothing_is_nothing(action: str) -> None:
    line = f"NOQUEUE: {action}: RCPT from mx[192.0.2.25]: 450 4.1.8 <kim@example.org>: no; {CONTEXT}"
    assert outcome(line) == ("ignored", None)


@pytest.mark.parametrize(
    ("word", "action"), [("hold", "hold"), ("milter-hold", "hold"), ("milter-discard", "discard")]
)
def test_an_action_on_a_message_is_told(word: str, action: str) -> None:
    line = f"4dHvRq1ZTPz9sWk: {word}: RCPT from mx.example.org[192.0.2.25]: triggers it; {CONTEXT}"
    assert record(line) == {
        "kind": "queue_action",
        "queue_id": "4dHvRq1ZTPz9sWk",
        "action": action,
        "client_name": "mx.example.org",
        "client_ip": "192.0.2.25",
        "sender": "kim@example.org",
        "recipient": "lee@example.com",
        "reply": "triggers it",
    }


def test_a_filter_before_the_queue_refuses_and_accepts() -> None:
    found = record(f"proxy-reject: END-OF-MESSAGE: 554 5.7.0 Reject, spam; {CONTEXT}")
    assert (found["kind"], found["phase"], found["reply_code"], found["dsn"]) == (
        "reject",
        "end_of_data",
        554,
        "5.7.0",
    )
    assert outcome(f"proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok; {CONTEXT}") == ("ignored", None)


@pytest.mark.parametrize(
    ("limit", "phase", "code", "dsn"),
    [
        ("Connection concurrency", "connect", 421, "4.7.0"),
        ("Recipient address rate", "rcpt", 450, "4.7.1"),
        ("AUTH command rate", "auth", 450, "4.7.1"),
    ],
)
def test_a_client_over_its_limit_is_refused(limit: str, phase: str, code: int, dsn: str) -> None:
    found = record(f"warning: {limit} limit exceeded: 51 from mx[192.0.2.25]:48123 for service smtp")
    assert (found["kind"], found["phase"], found["reply_code"], found["dsn"]) == ("reject", phase, code, dsn)
    assert found["client_ip"] == "192.0.2.25"


@pytest.mark.parametrize(("command", "dsn", "field"), [("MAIL", "5.1.7", "sender"), ("RCPT", "5.1.3", "recipient")])
def test_an_address_that_is_none_is_refused(command: str, dsn: str, field: str) -> None:
    found = record(f"warning: Illegal address syntax from mx[192.0.2.25] in {command} command: <a@@example.com>")
    assert (found["phase"], found["reply_code"], found["dsn"]) == (command.lower(), 501, dsn)
    assert found[field] == "<a@@example.com>"


def test_a_message_too_big_is_refused_by_smtpd_and_a_problem_of_cleanup() -> None:
    line = "warning: 4dHvRq1ZTPz9sWk: queue file size limit exceeded"
    found = record(line)
    assert (found["kind"], found["queue_id"], found["reply_code"]) == ("reject", "4dHvRq1ZTPz9sWk", 552)
    assert record(line, "cleanup")["kind"] == "problem"


@pytest.mark.parametrize(
    "line",
    [
        "warning: hostname dsl.example.net does not resolve to address 2001:db8::9",
        "warning: smtpd_peer_init: 203.0.113.9: hostname dsl.example.net verification failed: Host not found",
        "warning: 2001:db8::9: address not listed for hostname dsl.example.net",
        "warning: non-SMTP command from unknown[198.51.100.66]: GET / HTTP/1.1",
        "improper command pipelining after EHLO from unknown[2001:db8::66]: QUIT",
        "mx.example.org[2001:db8::25]:48123: save session 04711 to smtpd cache",
    ],
)
def test_what_clients_do_wrong_is_of_no_use(line: str) -> None:
    assert outcome(line) == ("ignored", None)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("lost connection while receiving recipient address", "lost"),
        ("read/write timeout while receiving message content", "timeout"),
        ("netstring length exceeds storage limit while receiving sender address", "lost"),
    ],
)
def test_a_qmqp_session_that_breaks_off_tells_how(words: str, error: str) -> None:
    found = record(f"4dHvRq1ZTPz9sWk: list.example.org[2001:db8::25]: {words}", "qmqpd")
    assert (found["kind"], found["error"], found["client_ip"]) == ("connection_error", error, "2001:db8::25")
    assert found["queue_id"] == "4dHvRq1ZTPz9sWk"
    assert "queue_id" not in record(f"NOQUEUE: list.example.org[2001:db8::25]: {words}", "qmqpd")


def test_a_bare_newline_is_an_error_of_the_message() -> None:
    event = outcome(
        "NOQUEUE: reject: END-OF-MESSAGE from unknown[198.51.100.66]: bare <LF> received; from=<kim@example.org>"
        " to=<lee@example.com> proto=ESMTP helo=<there>"
    )[1]
    assert isinstance(event, Reject)
    assert (event.phase, event.reason) == ("end_of_data", "malformed_message")
