"""Lines with `=>`, `->`, `>>`, `*>`, `**` and `==` in their odd forms."""

from __future__ import annotations

import pytest

from parsers.events import Delivery, Event, Origin, Received, Removed
from parsers.mta.exim.delivery import WAYS
from parsers.tracker import Tracker
from tests import reading

ORIGIN = Origin("exim", "mail.example.com", "exim", "exim", None)
ID = "1tXk2a-00000000ABc-0dEf"
HOST = "H=mx.example.org [192.0.2.25]"
SENT = f'R=dnslookup T=remote_smtp {HOST} C="250 OK"'


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


def delivery(text: str) -> Delivery:
    event = read(f"{ID} {text}")
    assert isinstance(event, Delivery)
    return event


def test_a_code_means_what_the_provider_that_says_it_means() -> None:
    said = "SMTP error from remote mail server after end of data: 550 5.7.27 no"
    told = [
        delivery(f"** kim@example.org R=dnslookup T=remote_smtp H={host} [203.0.113.9]: {said}").reason
        for host in ("gmail-smtp-in.l.google.com", "mx.example.org")
    ]
    assert told[0] == "auth_spf" != told[1]


# --- delivered ---

FIELDS = [
    "F=<kim@example.com>",
    "P=<kim@example.com>",
    "R=dnslookup",
    "T=remote_smtp",
    "S=2039",
    "H=mx.example.org [192.0.2.25]:25",
    "I=[192.0.2.10]:51657",
    "X=TLS1.3:TLS_AES_256_GCM_SHA384:256",
    "CV=yes",
    'DN="CN=mx.example.org, O=\\"x\\""',
    "L",
    "K",
    "PRDR",
    r'C="250 2.0.0 \"OK\" X=evil queued as 4dHvRr2ZXRz2pQ1"',
    "QT=1m5s",
    "DT=0.25s",
]


@pytest.mark.parametrize("turn", [turn for turn, field in enumerate(FIELDS) if "=" in field])
@pytest.mark.parametrize("flag", ["=>", "->", ">>"])
def test_fields_come_in_any_order(flag: str, turn: int) -> None:
    event = delivery(f"{flag} lee@example.org {' '.join(FIELDS[turn:] + FIELDS[:turn])}")
    assert (event.recipient, event.status, event.direction) == ("lee@example.org", "sent", "outbound")
    assert (event.relay_host, event.relay_ip, event.relay_port) == ("mx.example.org", "192.0.2.25", 25)
    assert (event.transport, event.delay, event.delay_transmit) == ("remote_smtp", 65.0, 0.25)
    assert (event.reply_code, event.dsn, event.new_queue_id) == (250, "2.0.0", "4dHvRr2ZXRz2pQ1")
    assert event.reply == '250 2.0.0 "OK" X=evil queued as 4dHvRr2ZXRz2pQ1'
    assert (event.tls_protocol, event.tls_trust) == ("TLSv1.3", "verified")
    assert event.tls_sessions == (flag != "->")


@pytest.mark.parametrize(
    ("who", "recipient", "original", "direction"),
    [
        (f"lee@example.org {SENT}", "lee@example.org", None, "outbound"),
        (f"lee@example.org <list@example.com> {SENT}", "lee@example.org", "list@example.com", "outbound"),
        (f'"lee x"@example.org {SENT}', '"lee x"@example.org', None, "outbound"),
        (f"føø@example.org {SENT}", "føø@example.org", None, "outbound"),
        ("lee <lee@example.com> R=localuser T=local_delivery", "lee@example.com", None, "local"),
        ("|/bin/true <robot@example.com> R=aliases T=address_pipe", "robot@example.com", None, "local"),
        ('|/usr/bin/vacation -m "a b" <lee@example.com> R=aliases T=p', "lee@example.com", None, "local"),
        ("/var/mail/archive <archive@example.com> R=a T=address_file", "archive@example.com", None, "local"),
        ("/home/a b/mail <archive@example.com> R=a T=address_file", "archive@example.com", None, "local"),
        ("carol (root@example.com) <postmaster@example.com> R=l T=l", "postmaster@example.com", None, "local"),
        (
            f"lee@example.org (list@example.com) <x@example.com> {SENT}",
            "lee@example.org",
            "x@example.com",
            "outbound",
        ),
        ('lee@example.com R=r T=lmtp H=x [127.0.0.1] C="250 OK"', "lee@example.com", None, "local"),
    ],
)
def test_who_has_it(who: str, recipient: str, original: str | None, direction: str) -> None:
    event = delivery(f"=> {who}")
    assert (event.recipient, event.original_recipient, event.direction) == (recipient, original, direction)


@pytest.mark.parametrize(
    "text",
    [
        "=> :blackhole: <lee@example.com> R=blackhole",
        "=> discarded <lee@example.com> R=userforward",
        "=> blackhole (DATA ACL discarded recipients): unwanted",
        f"*> lee@example.org {SENT}",
    ],
)
def test_what_was_thrown_away_is_not_delivered(text: str) -> None:
    assert read(f"{ID} {text}") is None


def test_a_connection_that_was_open_already_is_no_new_session() -> None:
    tls = "X=TLS1.3:X:256 CV=no"
    assert delivery(f'=> lee@example.org R=r T=t {HOST} {tls} C="250 OK"').tls_sessions == 1
    assert delivery(f'=> lee@example.org R=r T=t {HOST}* {tls} C="250 OK"').tls_sessions == 0


@pytest.mark.parametrize(
    "text", ["=> lee@exam", "=> lee@example.org", "=> ", "== lee@example.org R=dnslookup", "** "]
)
def test_a_line_that_was_cut_is_malformed(text: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        read(f"{ID} {text}")


@pytest.mark.parametrize("time", ["3", "abc", "-1s", "1s2", ""])
def test_a_time_that_is_none_makes_the_line_malformed(time: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        delivery(f"=> lee@example.org R=r T=t QT={time}x")


# --- not delivered ---

SAID = "SMTP error from remote mail server after"
RCPT = f"{SAID} RCPT TO:<lee@example.org>"


@pytest.mark.parametrize(
    ("text", "phase", "code", "dsn", "reason"),
    [
        (f"{HOST}: {RCPT}: 550 5.1.1 User unknown", "rcpt", 550, "5.1.1", "user_unknown"),
        (f"{HOST} : {RCPT}: 550 5.1.1 User unknown", "rcpt", 550, "5.1.1", "user_unknown"),
        (f": {RCPT}: host mx.example.org [192.0.2.25]: 550 User unknown", "rcpt", 550, None, "user_unknown"),
        (f"{HOST}: {SAID} pipelined MAIL FROM:<x@y> SIZE=9: 552 5.3.4 too big", "mail", 552, "5.3.4", None),
        (f"{HOST}: {SAID} end of data: 554 5.7.1 spam", "end_of_data", 554, "5.7.1", None),
        (f"{HOST}: {SAID} pipelined DATA: 503 no", "data", 503, None, None),
        (f"{HOST}: {SAID} pipelined sending data block: 554 5.5.1 no recipients", "data", 554, "5.5.1", None),
        (f"{HOST}: {SAID} pipelined end of data: 554 5.5.1 no recipients", "end_of_data", 554, "5.5.1", None),
        (f"{HOST}: {SAID} initial connection: 554 no", "banner", 554, None, None),
        (f"{HOST}: {SAID} EHLO mail.example.com: 550 no", "ehlo", 550, None, None),
        (f'{HOST} X=TLS1.3:X:256 CV=yes DN="CN=a: b": {RCPT}: 550 no', "rcpt", 550, None, None),
        (f"{HOST}: {RCPT}: 12 Malformed", "rcpt", None, None, None),
        (": Unrouteable address", "dns", None, None, "domain_not_found"),
        (": all relevant MX records point to non-existent hosts", "dns", None, None, None),
        ("T=remote_smtp: all hosts for 'x' have been failing for a long time", None, None, None, "expired"),
    ],
)
def test_why_a_recipient_was_given_up(
    text: str, phase: str | None, code: int | None, dsn: str | None, reason: str | None
) -> None:
    event = delivery(f"** lee@example.org{'' if text[0] == ':' else ' '}{text}")
    assert (event.status, event.phase, event.reply_code, event.dsn) == ("bounced", phase, code, dsn)
    assert reason in (None, event.reason)
    if "192.0.2.25" in text:
        assert (event.relay_host, event.relay_ip) == ("mx.example.org", "192.0.2.25")


@pytest.mark.parametrize(
    ("text", "phase", "code", "seconds", "reason"),
    [
        (f"R=r T=t defer (-44) {HOST}: {RCPT}: 450 4.2.0 Greylisted", "rcpt", 450, None, "greylisted"),
        (f"R=r T=t defer (-44) {HOST} DT=2s: {RCPT}: 450 4.2.0 Greylisted", "rcpt", 450, 2.0, "greylisted"),
        (f"R=r T=t defer (-44) {HOST}:25 I=[192.0.2.1]:9 DT=2s: {RCPT}: 450 no", "rcpt", 450, 2.0, None),
        (f"R=r T=t defer (-44): {RCPT}: host mx.example.org [192.0.2.25]: 450 no", "rcpt", 450, None, None),
        (f"R=r T=t defer (110): Connection timed out {HOST} DT=21s: SMTP timeout after initial connection", "banner",
         None, 21.0, "connection_failed"),
        ("R=r T=t defer (111): Connection refused", "connect", None, None, "connection_failed"),
        ("R=r defer (-1) DT=0.5s: host lookup did not complete", "dns", None, 0.5, "dns_failure"),
        ("routing defer (-51): retry time not reached", None, None, None, None),
        ("R=r T=t defer (-53): retry time not reached for any host", None, None, None, None),
        ("R=r T=t defer (-42): authentication required but authentication attempt(s) failed", "auth", None, None,
         "smtp_auth"),
        (f"R=r T=t defer (-18) {HOST}: Remote host closed connection in response to end of data", "end_of_data", None,
         None, "connection_failed"),
        (f"R=r T=t defer (-37) {HOST}: TLS session: (SSL_connect): error", "starttls", None, None, "tls_failure"),
        ("R=r T=local_delivery defer (-22): mailbox is full", None, None, None, "mailbox_full"),
        ("R=r T=local_delivery defer (-1)", None, None, None, None),
    ],
)  # fmt: skip
def test_why_a_recipient_has_to_wait(
    text: str, phase: str | None, code: int | None, seconds: float | None, reason: str | None
) -> None:
    event = delivery(f"== lee@example.org {text}")
    assert (event.status, event.phase, event.reply_code, event.delay_transmit) == ("deferred", phase, code, seconds)
    assert reason in (None, event.reason)
    assert event.direction == ("local" if "local_delivery" in text else "outbound")


def test_times_stand_behind_a_text_too() -> None:
    event = delivery(f"** lee@example.org F=<kim@example.com> R=r T=t {HOST}: {RCPT}: 550 5.1.1 no DT=0.02s")
    assert (event.reply, event.delay_transmit) == ("550 5.1.1 no", 0.02)


def test_what_a_server_says_is_no_field() -> None:
    event = delivery(f"** lee@example.org R=r T=t {HOST}: {RCPT}: 550 H=evil [198.51.100.1] T=x ** a@b => c")
    assert (event.relay_ip, event.transport, event.recipient) == ("192.0.2.25", "t", "lee@example.org")


# --- a message as a whole ---


def follow(*lines: tuple[float, str]) -> list[Event]:
    events = [event for time, line in lines for event in [read(f"{ID} {line}")] if event]
    for event, (time, _) in zip(events, lines, strict=True):
        event.time = time
    Tracker().follow(events)
    return events


BEGIN = (100.0, "<= kim@example.com U=kim P=local S=4711")


def test_the_delay_is_since_the_message_came_where_the_log_does_not_say() -> None:
    _, first, second = follow(
        BEGIN, (103.5, f"=> lee@example.org {SENT}"), (104.0, f"-> max@example.org {SENT} QT=9s")
    )
    assert isinstance(first, Delivery)
    assert isinstance(second, Delivery)
    assert (first.delay, second.delay) == (3.5, 9.0)


def test_an_expired_recipient_has_the_reason_and_the_attempts_of_what_was_tried() -> None:
    deferred = f"== lee@example.org R=r T=t defer (-44) {HOST}: {RCPT}: 452 4.2.2 over quota"
    *_, last = follow(BEGIN, (1.0, deferred), (2.0, deferred), (3.0, "** lee@example.org: retry timeout exceeded"))
    assert isinstance(last, Delivery)
    assert (last.status, last.reason, last.attempts) == ("expired", "mailbox_full", 2)


def test_an_expired_recipient_of_whom_nothing_was_seen_has_expired() -> None:
    (event,) = follow((3.0, "** lee@example.org: retry timeout exceeded"))
    assert isinstance(event, Delivery)
    assert (event.status, event.reason) == ("expired", "expired")


def test_a_notification_is_of_the_kind_that_the_message_needs() -> None:
    """A notification about the message has another id; here the same line is read with the id of another."""
    tracker = Tracker()
    about = Origin("exim", "", "exim", "exim")

    def told(*lines: str) -> str | None:
        events = [event for line in lines for event in [reading.read(line, about)] if event]
        tracker.follow(events)
        last = events[-1]
        assert isinstance(last, Received)
        return last.notification

    parent, child = "1tXk2a-000aBc-0D", "1tXk2b-000aBd-0D"
    notice = f"{child} <= <> R={parent} U=exim P=local S=2500"
    assert (
        told(f"{parent} <= kim@example.com U=kim P=local S=1", f"{parent} => a@example.org {SENT}", notice)
        == "success"
    )
    deferred = f"{parent} == b@example.org R=r T=t defer (111): Connection refused"
    assert told(deferred, notice) == "delay"
    assert told(f"{parent} ** c@example.org: Unrouteable address", notice) == "bounce"
    assert told(deferred, notice) == "delay"  # the bounce is done with
    assert told(f"{parent} cancelled by root", notice) == "bounce"
    assert told("1tXk2z-000aBc-0D <= <> R=1tXk1a-000aBc-0D U=exim P=local S=2500") == "bounce"  # about one not seen


@pytest.mark.parametrize("line", ["Completed", "Completed QT=3m45s"])
def test_a_message_is_completed(line: str) -> None:
    assert isinstance(read(f"{ID} {line}"), Removed)


def test_an_address_stands_behind_the_word_of_dnssec() -> None:
    event = delivery('=> kim@example.org R=dnslookup T=smtp H=mx.example.org DS [192.0.2.25] C="250 OK"')
    assert (event.relay_host, event.relay_ip, event.direction) == ("mx.example.org", "192.0.2.25", "outbound")


@pytest.mark.parametrize("more", ["", " QT=1s"])
def test_a_reply_is_what_the_server_said_wherever_it_stands(more: str) -> None:
    event = delivery(f'=> kim@example.org R=dnslookup T=smtp {HOST} C="250-first\\\\n250 \\"OK\\""{more}')
    assert event.reply == '250-first\\n250 "OK"'


def test_each_of_many_ways_is_its_own() -> None:
    # More than are remembered, and the first of them again.
    ports = [*range(1024, 10_000), 1024]
    found = [delivery(f'=> kim@example.org R=r T=t H=mx.example.org [192.0.2.25]:{n} C="250 OK"') for n in ports]
    assert [event.relay_port for event in found] == ports
    assert len(WAYS) <= 8192


# --- 4.100 names no error numbers, and puts a blank before the text ---


@pytest.mark.parametrize(
    ("text", "reply", "phase", "code"),
    [
        (f"T=remote_smtp defer {HOST}: SMTP error from remote mail server after RCPT TO:<kim@example.org>: 451"
         f" 4.7.1 no",
         "451 4.7.1 no", "rcpt", 451),
        (f"R=dnslookup T=remote_smtp defer {HOST} DT=21s: SMTP timeout after initial connection",
         "SMTP timeout after initial connection", "banner", None),
        (f"R=dnslookup T=remote_smtp defer (Connection refused) {HOST}", "Connection refused", "connect", None),
        ("R=dnslookup T=remote_smtp defer: retry time not reached for any host", "retry time not reached for any"
                                                                                 " host",
         None, None),
        ("R=dnslookup defer: host lookup did not complete", "host lookup did not complete", "dns", None),
        ("routing defer (Connection timed out)", "Connection timed out", "connect", None),
    ],
)  # fmt: skip
def test_a_deferral_without_a_number(text: str, reply: str, phase: str | None, code: int | None) -> None:
    event = delivery(f"== kim@example.org <list@example.com> {text}")
    assert (event.status, event.recipient, event.original_recipient) == (
        "deferred",
        "kim@example.org",
        "list@example.com",
    )
    assert (event.reply, event.phase, event.reply_code) == (reply, phase, code)
    assert event.relay_ip == ("192.0.2.25" if HOST in text else None)
    assert event.delay_transmit == (21.0 if "DT=" in text else None)


def test_a_failure_with_a_blank_before_the_text() -> None:
    said = "SMTP error from remote mail server after RCPT TO:<kim@example.org>: 550 5.1.1 no such user"
    event = delivery(
        f"** kim@example.org R=dnslookup T=remote_smtp {HOST} X=TLS1.3:A:256 CV=yes DSN=yes : {said} DT=1s"
    )
    assert (event.relay_ip, event.reply, event.reason) == ("192.0.2.25", "550 5.1.1 no such user", "user_unknown")
    assert event.delay_transmit == 1.0


@pytest.mark.parametrize("flag", ["=>", "->", ">>"])
def test_an_autoreply_is_for_whom_the_message_was_for(flag: str) -> None:
    event = delivery(f"{flag} >lee@example.org <kim@example.com> R=userforward T=address_reply")
    assert (event.recipient, event.original_recipient, event.direction) == ("kim@example.com", None, "local")
