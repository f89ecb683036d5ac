"""What servers remember from line to line goes on in another process, wherever the log is cut between two."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any

import msgspec
import pytest

from parsers.clock import Clock
from parsers.events import Event, Notification, Origin, Received
from parsers.mta import SERVERS
from parsers.reader import LogReader
from parsers.recall import latest
from parsers.server import Join

NOW = 1_795_284_304.0
STAMP = "2026-11-21T10:00:{:02}+00:00 mail "
# Lines of which later ones need what the earlier ones say.
LOGS = {
    "qmail": """\
qmail: new msg 270182
qmail: info msg 270182: bytes 10712 from <kim@example.com> qp 54945 uid 82
qmail: starting delivery 251: msg 270182 to remote lee@example.org
qmail: starting delivery 252: msg 270182 to local ann@example.com
qmail: status: local 1/10 remote 1/20
qmail: delivery 252: failure: Sorry,_no_mailbox_here_by_that_name._(#5.1.1)/
qmail: delivery 251: success: 198.51.100.9_accepted_message./Remote_host_said:_250_ok/
qmail: bounce msg 270182 qp 54951
qmail: end msg 270182
qmail: info msg 270183: bytes 11000 from <> qp 54951 uid 7794
qmail: starting delivery 253: msg 270183 to remote kim@example.com
qmail: delivery 253: success: 198.51.100.9_accepted_message./Remote_host_said:_250_ok/
qmail: end msg 270183
""",
    "opensmtpd": """\
smtpd[7]: 5c2b1f3e8a7d6c01 smtp connected address=203.0.113.7 host=client.example.net
smtpd[7]: 5c2b1f3e8a7d6c01 smtp tls ciphers=TLSv1.3:TLS_AES_256_GCM_SHA384:256
smtpd[7]: 5c2b1f3e8a7d6c01 smtp authentication user=kim result=permfail
smtpd[7]: 5c2b1f3e8a7d6c01 smtp failed-command command="AUTH PLAIN (...)" result="535 Authentication failed"
smtpd[7]: 5c2b1f3e8a7d6c01 smtp authentication user=kim result=ok
smtpd[7]: 5c2b1f3e8a7d6c01 smtp message msgid=1a2b3c4d size=2345 nrcpt=1 proto=ESMTP
smtpd[7]: 5c2b1f3e8a7d6c01 smtp envelope evpid=1a2b3c4d5e6f7081 from=<kim@example.com> to=<lee@example.org>
smtpd[7]: 5c2b1f3e8a7d6c01 smtp disconnected reason=quit
smtpd[7]: 6d3c2a4f9b8e7d02 mta connecting address=smtp://198.51.100.9:25 host=mx.example.org
smtpd[7]: 6d3c2a4f9b8e7d02 mta connected
smtpd[7]: 6d3c2a4f9b8e7d02 mta tls ciphers=TLSv1.3:TLS_AES_256_GCM_SHA384:256
smtpd[7]: 6d3c2a4f9b8e7d02 mta server-cert-check result="verified"
smtpd[7]: 6d3c2a4f9b8e7d02 mta delivery evpid=1a2b3c4d5e6f7081 from=<kim@example.com> to=<lee@example.org> rcpt=<-> \
source="192.0.2.25" relay="198.51.100.9 (mx.example.org)" delay=1s result="TempFail" stat="451 4.7.1 later"
smtpd[7]: 6d3c2a4f9b8e7d02 mta disconnected reason=quit messages=1
smtpd[7]: 0000000000000000 mta delivery evpid=1a2b3c4d5e6f7081 from=<kim@example.com> to=<lee@example.org> rcpt=<-> \
source="-" relay="mx.example.org" delay=4d result="Expired" stat="Envelope expired"
smtpd[7]: 7e4d3b5a0c9f8e03 smtp connected address=local host=mail.example.com
smtpd[7]: 7e4d3b5a0c9f8e03 smtp message msgid=2b3c4d5e size=999 nrcpt=1 proto=ESMTP
smtpd[7]: 7e4d3b5a0c9f8e03 smtp envelope evpid=2b3c4d5e6f708192 from=<> to=<kim@example.com>
smtpd[7]: 7e4d3b5a0c9f8e03 smtp disconnected reason=quit
""",
    "sendmail": """\
sendmail[70]: AUTH=server, relay=client.example.net [203.0.113.7], authid=kim, mech=PLAIN, bits=0
sendmail[70]: 6ALA0001000070: from=<kim@example.com>, size=2345, class=0, nrcpts=2, msgid=<1@example.com>, \
proto=ESMTPA, daemon=MTA, relay=client.example.net [203.0.113.7]
sendmail[71]: 6ALA0001000070: to=<lee@example.org>, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=120345, \
relay=mx.example.org. [198.51.100.9], dsn=4.2.0, stat=Deferred: 450 4.2.0 greylisted
sendmail[71]: 6ALA0001000070: to=<ann@example.net>, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=120345, \
relay=mx.example.net. [198.51.100.8], dsn=4.0.0, stat=Deferred: Connection refused by mx.example.net.
sendmail[72]: 6ALA0001000070: to=<ann@example.net>, delay=01:00:01, xdelay=00:00:01, mailer=esmtp, pri=210345, \
relay=mx.example.net. [198.51.100.8], dsn=2.0.0, stat=Sent (ok)
sendmail[73]: 6ALA0001000070: Cannot send message for 5 days
""",
    "dovecot": """\
dovecot: auth(kim@example.com,203.0.113.7,sasl:plain)<Yx7+W8+I/o>: sql: Password mismatch
dovecot: auth: Debug: something else
dovecot: auth: Debug: something else
dovecot: auth(kim@example.com,203.0.113.7,sasl:plain)<Yx7+W8+I/o>: sql: Password mismatch
dovecot: auth: Debug: something else
dovecot: auth: Debug: something else
dovecot: imap-login: Login: user=<kim>, method=PLAIN, rip=203.0.113.7, lip=192.0.2.25, mpid=77, session=<Yx7+W8+I/o>
""",
}


def text_of(mta: str) -> list[str]:
    return [STAMP.format(second) + line + "\n" for second, line in enumerate(LOGS[mta].splitlines())]


def read(lines: list[str], *cuts: int) -> list[dict[str, Any]]:
    """The events of a log whose reader is another one from each cut on, and knows what the one before has stored."""
    joins: dict[str, Join] = {}
    events: list[Event] = []
    for start, end in zip((0, *cuts), (*cuts, len(lines)), strict=True):
        joins = {mta: stored(mta, join) for mta, join in joins.items()}
        reader = LogReader(Clock(UTC, lambda: NOW), joins=joins)
        for mta in joins:
            reader._remember(SERVERS[mta])
        for line in lines[start:end]:
            events += reader.read(line)
    return [{"kind": event.kind} | msgspec.to_builtins(event) for event in events]


def stored(mta: str, join: Join) -> Join:
    """Another one, which knows what can be written of this one and read again."""
    make = SERVERS[mta].join
    assert make
    made = make()
    made.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(join.memory())))
    return made


@pytest.mark.parametrize("mta", LOGS)
def test_a_cut_between_any_two_lines_changes_nothing(mta: str) -> None:
    lines = text_of(mta)
    whole = read(lines)
    assert whole
    for cut in range(1, len(lines)):
        assert read(lines, cut) == whole, lines[cut]
    assert read(lines, *range(1, len(lines))) == whole


@pytest.mark.parametrize("mta", LOGS)
def test_what_is_forgotten_would_be_missed(mta: str) -> None:
    """Else the test above would show nothing."""
    lines = text_of(mta)
    forgetful = []
    for cut in range(1, len(lines)):
        reader = [read(part) for part in (lines[:cut], lines[cut:])]
        forgetful.append(reader[0] + reader[1])
    assert any(events != read(lines) for events in forgetful)


def test_every_server_that_remembers_is_here() -> None:
    remembering = {mta for mta, server in SERVERS.items() if server.join}
    assert remembering - {"exchange"} == set(LOGS)  # whose log is a table, and of whom one thing is remembered


def test_a_message_that_exchange_has_received_is_known_again() -> None:
    origin = Origin("exchange", "MX1", "exchange", "transport")
    first = SERVERS["exchange"].join
    assert first
    memory = first()
    assert len(memory.join([Received(NOW, origin, "7", message_id="1@example.com")])) == 1
    again = stored("exchange", memory)
    assert again.join([Received(NOW, origin, "7", message_id="1@example.com")]) == []
    (told,) = again.join([Notification(NOW, origin, "1@example.com", "")])
    assert isinstance(told, Notification)
    assert (told.queue_id, told.type) == ("7", "bounce")


@pytest.mark.parametrize("mta", [mta for mta, server in SERVERS.items() if server.join])
@pytest.mark.parametrize("memory", [None, 5, "x", [], [1, 2, 3], [[["a"]]], {"a": 1}])
def test_what_cannot_be_a_memory_is_refused(mta: str, memory: object) -> None:
    make: Callable[[], Join] | None = SERVERS[mta].join
    assert make
    with pytest.raises(msgspec.ValidationError):
        make().restore(memory)


def test_the_latest_are_stored_in_their_order() -> None:
    assert latest(dict.fromkeys(range(10), "x"), 3) == [(7, "x"), (8, "x"), (9, "x")]
    assert latest({1: 2}) == [(1, 2)]
    assert latest({}) == []
