"""Sessions of the SMTP protocol logs.

All rows are documented: written by us in the form of Microsoft's documentation of protocol logging.
"""

from __future__ import annotations

from datetime import UTC

import pytest

from parsers.clock import Clock
from parsers.events import Auth, Connect, ConnectionFailure, Disconnect, Event, Problem, Reject, Tls
from parsers.mta.exchange.protocol import COMMANDS, FIELDS, SESSIONS, Protocol
from parsers.reader import LogReader

HERE = {True: "SMTP Receive Protocol Log", False: "SMTP Send Protocol Log"}
OPEN = ("+", "", "")
BANNER = (">", '"220 mx.example.com Microsoft ESMTP MAIL Service ready at Sat, 21 Nov 2026 10:00:00 +0000"', "")
HELLO = [OPEN, BANNER, ("<", "EHLO client.example.net", ""), (">", "250  mx.example.com Hello SIZE STARTTLS", "")]
TLS = (
    "TLS protocol SP_PROT_TLS1_{}_{} negotiation succeeded using bulk encryption algorithm {} with strength 256 bits"
)
LOGIN = [
    ("<", "AUTH LOGIN", ""),
    (">", "334 <authentication response>", ""),
    ("<", "<authentication response>", ""),
    (">", "334 <authentication response>", ""),
]
Row = tuple[str, str, str]


def read(*rows: Row, is_receive: bool = True, remote: str = "203.0.113.7:40000") -> list[Event]:
    connector = "EX1\\Default Frontend EX1" if is_receive else "Outbound"
    strange: list[str] = []
    reader = LogReader(Clock(UTC, lambda: 0.0), lambda outcome, _: strange.append(outcome))
    lines = [f"#Log-type: {HERE[is_receive]}", f"#Fields: {','.join(FIELDS)}"]
    lines += [
        f"2026-11-21T10:00:00.{number:03}Z,{connector},08D675E58CA1DA38,{number},192.0.2.1:25,{remote},{','.join(row)}"
        for number, row in enumerate(rows)
    ]
    events = reader.read("".join(f"{line}\r\n" for line in lines))
    assert strange == []
    return events


def last(*rows: Row, is_receive: bool = True) -> Event:
    return read(*rows, is_receive=is_receive)[-1]


def test_a_session_begins_and_ends() -> None:
    events = read(*HELLO, ("<", "QUIT", ""), (">", "221 2.0.0 Bye", ""), ("-", "", "Local"))
    assert [type(event) for event in events] == [Connect, Disconnect]
    assert isinstance(events[0], Connect)
    assert events[0].client_ip == "203.0.113.7"
    assert (events[0].origin.host, events[0].origin.program, events[0].origin.service) == (
        "EX1",
        "SmtpReceive",
        "exchange",
    )
    assert (events[0].time, events[1].time) == (1795255200.0, 1795255200.006)


def test_an_ipv6_client() -> None:
    (event,) = read(OPEN, remote="[2001:db8::7]:40000")
    assert isinstance(event, Connect)
    assert event.client_ip == "2001:db8::7"


@pytest.mark.parametrize(
    ("text", "protocol", "cipher"),
    [
        (TLS.format(2, "SERVER", "CALG_AES_256"), "TLSv1.2", "CALG_AES_256"),
        (TLS.format(3, "SERVER", "CALG_AES_128"), "TLSv1.3", "CALG_AES_128"),
        (TLS.format(0, "SERVER", "CALG_3DES").replace("SP_PROT_", "SP_PROT-"), "TLSv1", "CALG_3DES"),
    ],
)
def test_tls(text: str, protocol: str, cipher: str) -> None:
    event = last(*HELLO, ("<", "STARTTLS", ""), (">", "220 2.0.0 SMTP server ready", ""), ("*", "", f'"{text}, MAC"'))
    assert isinstance(event, Tls)
    assert (event.client_ip, event.tls_protocol, event.tls_cipher) == ("203.0.113.7", protocol, cipher)
    assert event.relay_host is None


# --- logins ---


def test_a_login_that_failed_has_its_user_and_method() -> None:
    events = read(
        *HELLO,
        *LOGIN,
        ("*", "", "Inbound AUTH LOGIN failed because of LogonDenied"),
        ("*", "", "User Name: kim@example.com"),
        ("*", "Tarpit for '0.00:00:05'", ""),
        (">", "535 5.7.3 Authentication unsuccessful", ""),
    )
    event = events[-1]
    assert isinstance(event, Auth)
    assert (event.result, event.sasl_method, event.sasl_user) == ("failure", "LOGIN", "kim@example.com")
    assert (event.client_ip, event.reply) == ("203.0.113.7", "535 5.7.3 Authentication unsuccessful")
    assert len(events) == 2


def test_a_login() -> None:
    event = last(
        *HELLO, *LOGIN, ("*", "EXAMPLE\\kim", "authenticated"), (">", "235 2.7.0 Authentication successful", "")
    )
    assert isinstance(event, Auth)
    assert (event.result, event.sasl_user) == ("success", "EXAMPLE\\kim")


def test_a_second_try_is_another_user() -> None:
    tries = [*LOGIN, (">", "535 5.7.3 Authentication unsuccessful", "")]
    events = read(*HELLO, *LOGIN, ("*", "", "User Name: a"), (">", "535 5.7.3 no", ""), *tries)
    assert [event.sasl_user for event in events if isinstance(event, Auth)] == ["a", None]


def test_a_method_that_a_client_makes_up_is_no_label() -> None:
    event = last(*HELLO, ("<", "AUTH X-MADE-UP-1", ""), (">", "535 5.7.3 Authentication unsuccessful", ""))
    assert isinstance(event, Auth)
    assert event.sasl_method is None


def test_servers_of_the_organisation_do_not_log_in() -> None:
    exps = [("<", "X-EXPS GSSAPI", ""), (">", "334 <authentication response>", "")]
    assert len(read(*HELLO, *exps, (">", "235 <authentication response>", ""))) == 1


# --- refusals ---

MAIL = [("<", "MAIL FROM:<bo@example.net> SIZE=70", ""), (">", "250 2.1.0 Sender OK", "")]
UNKNOWN = "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"


@pytest.mark.parametrize(
    ("rows", "phase", "code", "reason"),
    [
        ([OPEN, (">", "421 4.3.2 Service not available", "")], "connect", 421, "system_error"),
        ([*HELLO, ("<", "MAIL FROM:<bo@x>", ""), (">", "530 5.7.57 SMTP; Client was not authenticated", "")],
         "mail", 530, "smtp_auth"),
        ([*HELLO, *MAIL, ("<", "RCPT TO:<kim@example.com>", ""), (">", UNKNOWN, "")], "rcpt", 550, "user_unknown"),
        ([*HELLO, *MAIL, ("<", "DATA", ""), (">", "503 5.5.2 Need rcpt", "")], "data", 503, "protocol_error"),
        ([*HELLO, *MAIL, ("<", "DATA", ""), (">", "354 Start", ""), (">", "554 5.6.0 Invalid content", "")],
         "end_of_data", 554, None),
        ([*HELLO, *MAIL, ("<", "BDAT 99 LAST", ""), (">", "552 5.3.4 Message size exceeds fixed maximum", "")],
         "end_of_data", 552, "message_too_large"),
        ([*HELLO, ("<", "AUTH LOGIN", ""), (">", "504 5.7.4 Unrecognized type", "")], "auth", 504, None),
        ([*HELLO, ("<", "VRFY root", ""), (">", "500 5.3.3 Unrecognized command", "")], None, 500, "protocol_error"),
    ],
)  # fmt: skip
def test_a_refusal_has_its_phase(rows: list[Row], phase: str | None, code: int, reason: str | None) -> None:
    event = last(*rows)
    assert isinstance(event, Reject)
    assert (event.phase, event.reply_code, event.client_ip) == (phase, code, "203.0.113.7")
    assert reason is None or event.reason == reason


def test_replies_to_commands_that_came_together_find_theirs() -> None:
    """As PIPELINING (RFC 2920) lets a client do."""
    event = last(
        *HELLO,
        ("<", "MAIL FROM:<bo@example.net>", ""),
        ("<", "RCPT TO:<kim@example.com>", ""),
        ("<", "RCPT TO:<sam@example.com>", ""),
        (">", "250 2.1.0 Sender OK", ""),
        (">", "250 2.1.5 Recipient OK", ""),
        ("*", "Tarpit for '0.00:00:05'", ""),
        (">", "550 5.7.1 Unable to relay", ""),
    )
    assert isinstance(event, Reject)
    assert (event.phase, event.recipient, event.sender, event.helo) == (
        "rcpt",
        "sam@example.com",
        "bo@example.net",
        "client.example.net",
    )


def test_lines_of_one_reply_are_one() -> None:
    lines = [(">", f"250{mark}WORD", "") for mark in "---- "]
    event = last(OPEN, BANNER, ("<", "EHLO x", ""), *lines, *MAIL, ("<", "RCPT TO:<k@x>", ""), (">", "550 no", ""))
    assert isinstance(event, Reject)
    assert event.phase == "rcpt"


def test_a_refusal_that_the_front_end_passes_on_is_told_by_the_front_end() -> None:
    proxied = [("<", "XPROXYFROM SID=08D6 IP=203.0.113.9 PORT=4", ""), (">", "250 XProxyFrom accepted", "")]
    events = read(*HELLO, *proxied, *MAIL, ("<", "RCPT TO:<kim@example.com>", ""), (">", UNKNOWN, ""))
    assert [type(event) for event in events] == [Connect]


# --- sessions that end otherwise ---


@pytest.mark.parametrize(
    ("rows", "ending", "told"),
    [
        ([*HELLO, *MAIL], "Remote(ConnectionReset)", ("lost", None)),
        ([*HELLO, *MAIL, ("<", "DATA", ""), (">", "354 go", "")], "Remote", ("lost", "end_of_data")),
        ([*HELLO, *MAIL], "Remote(TimedOut)", ("timeout", None)),
        (HELLO, "Remote(ConnectionReset)", None),
        ([OPEN, BANNER], "Remote(SocketError)", None),  # what probes of load balancers do
        ([OPEN], "Remote", None),
    ],
)
def test_a_session_that_a_client_breaks_off(rows: list[Row], ending: str, told: tuple[str, str] | None) -> None:
    event = last(*rows, ("-", "", ending))
    if told is None:
        assert isinstance(event, Disconnect)
    else:
        assert isinstance(event, ConnectionFailure)
        assert (event.error, event.phase, event.client_ip) == (*told, "203.0.113.7")


def test_a_client_that_says_nothing_more() -> None:
    event = last(*HELLO, (">", "421 4.4.1 Connection timed out", ""))
    assert isinstance(event, ConnectionFailure)
    assert event.error == "timeout"


# --- the other side: what we send ---

GREETED = [("*", "", "attempting to connect"), OPEN, ("<", "220 aspmx.l.google.com ESMTP x - gsmtp", "")]


@pytest.mark.parametrize(
    ("text", "error", "provider"),
    [
        ("Failed to connect. Winsock error code: 10061, Win32 error code: 10061, Destination domain: gmail.com,"
         " Error Message: refused 203.0.113.7:25.", "refused", "google"),
        ("Failed to connect. Winsock error code: 10060, Win32 error code: 10060", "timeout", None),
        ("Failed to connect. Winsock error code: 10065", "unreachable", None),
        ("Failed connection to 203.0.113.7:25 (TimedOut:0000274C)[TargetIPAddress:203.0.113.7:25]", "timeout", None),
        ("TLS negotiation failed with error UntrustedRoot", "tls", None),
    ],
)  # fmt: skip
def test_a_relay_that_cannot_be_reached(text: str, error: str, provider: str | None) -> None:
    events = read(("*", "", "attempting to connect"), ("*", "", f'"{text}"'), is_receive=False)
    (event,) = events
    assert isinstance(event, ConnectionFailure)
    assert (event.error, event.provider, event.relay_ip, event.relay_port) == (error, provider, "203.0.113.7", 40000)
    assert event.origin.program == "SmtpSend"


def test_tls_with_a_relay_is_told_apart_from_tls_with_a_client() -> None:
    event = last(*GREETED, ("*", "", TLS.format(2, "CLIENT", "CALG_AES_256")), is_receive=False)
    assert isinstance(event, Tls)
    assert (event.relay_host, event.client_ip, event.tls_protocol) == ("aspmx.l.google.com", None, "TLSv1.2")


def test_a_relay_that_hangs_up() -> None:
    event = last(*GREETED[:2], ("-", "", "Remote(ConnectionReset)"), is_receive=False)
    assert isinstance(event, ConnectionFailure)
    assert (event.error, event.phase) == ("lost", "banner")
    sent = [(">", "EHLO mx.example.com", ""), ("<", "250 ok", ""), (">", "MAIL FROM:<bo@example.com>", "")]
    event = last(*GREETED, *sent, ("-", "", "Remote"), is_receive=False)
    assert isinstance(event, ConnectionFailure)
    assert (event.error, event.phase, event.provider) == ("lost", "mail", "google")


def test_a_session_of_ours_that_went_well_has_no_event() -> None:
    rows = [*GREETED, (">", "QUIT", ""), ("<", "221 bye", ""), ("-", "", "Local")]
    assert read(*rows, is_receive=False) == []


def test_a_login_of_ours_that_failed_is_a_problem() -> None:
    event = last(*GREETED, ("*", "", "Outbound authentication failed with LogonDenied"), is_receive=False)
    assert isinstance(event, Problem)
    assert event.severity == "error"


# --- memory ---


def row(session: int, mark: str, data: str = "") -> str:
    return f"2026-11-21T10:00:00.000Z,EX1\\Default EX1,{session:016X},0,192.0.2.1:25,203.0.113.7:4,{mark},{data},"


def nothing_strange(outcome: str, text: str) -> None:
    raise AssertionError((outcome, text))


def test_sessions_that_never_end_are_forgotten() -> None:
    log = Protocol(is_receive=True)
    for session in range(3 * SESSIONS):
        log.read([row(session, "+")], [], nothing_strange)
    assert SESSIONS <= len(log._sessions) <= 2 * SESSIONS
    for session in range(3 * SESSIONS):
        log.read([row(session, "-")], [], nothing_strange)
    assert len(log._sessions) == 0


def test_commands_that_nobody_answers_are_forgotten() -> None:
    log = Protocol(is_receive=True)
    log.read([row(1, "<", "NOOP")] * (3 * COMMANDS), [], nothing_strange)
    session = log._sessions.get(f"{1:016X}")
    assert session
    assert len(session.commands) == COMMANDS


def test_rows_before_a_session_is_known_are_read_as_they_are() -> None:
    """The first rows of a session stand in the file before."""
    event = last((">", "535 5.7.3 Authentication unsuccessful", ""))
    assert isinstance(event, Auth)
    event = last((">", UNKNOWN, ""))
    assert isinstance(event, Reject)
    assert event.phase is None
