"""Lines with `<=` in their odd forms."""

from __future__ import annotations

import pytest

from parsers.events import Event, Origin, Received
from parsers.tracker import Tracker
from tests import reading

ORIGIN = Origin("exim", "mail.example.com", "exim", "exim", None)
ID = "1tXk2a-00000000ABc-0dEf"


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


def received(text: str, queue_id: str = ID) -> Received:
    event = read(f"{queue_id} <= {text}")
    assert isinstance(event, Received)
    return event


# What `log_selector` and the releases add, in any order.
FIELDS = [
    "I=[192.0.2.25]:587",
    "L.-",
    "X=TLS1.3:TLS_AES_256_GCM_SHA384:256",
    "CV=no",
    'SNI="mail.example.com"',
    "A=plain:kim",
    "PRX=192.0.2.9",
    "K",
    "S=4711",
    "M8S=0",
    "DKIM=example.com",
    "RT=0.25s",
    "Ci=4711",
    "id=20260105.1@example.com",
    r'T="to \"you\" S=1 A=x:y id=no@where"',
]


@pytest.mark.parametrize("turn", range(len(FIELDS)))
def test_fields_come_in_any_order(turn: int) -> None:
    fields = " ".join(FIELDS[turn:] + FIELDS[:turn])
    event = received(f"kim@example.com H=client.example.net (client) [203.0.113.7]:40499 P=esmtpsa {fields}")
    assert (event.client_name, event.helo, event.client_ip) == ("client.example.net", "client", "203.0.113.7")
    assert (event.sasl_method, event.sasl_user, event.size) == ("plain", "kim", 4711)
    assert (event.tls_protocol, event.tls_cipher, event.tls_trust) == (
        "TLSv1.3",
        "TLS_AES_256_GCM_SHA384",
        "anonymous",
    )
    assert (event.protocol, event.message_id) == ("esmtpsa", "20260105.1@example.com")
    assert event.delay_before_queue == 0.25


@pytest.mark.parametrize(
    ("client", "name", "helo", "ip"),
    [
        ("client.example.net [203.0.113.7]", "client.example.net", None, "203.0.113.7"),
        ("(client) [203.0.113.7]:40499", None, "client", "203.0.113.7"),
        ("[203.0.113.7]", None, None, "203.0.113.7"),
        ("([192.0.2.1]) [203.0.113.7]", None, "[192.0.2.1]", "203.0.113.7"),
        ("client.example.net ([192.0.2.1]) [203.0.113.7]:1", "client.example.net", "[192.0.2.1]", "203.0.113.7"),
        ("(client) [2001:db8::7]:25", None, "client", "2001:db8::7"),
        # With helo_accept_junk_hosts a client may say what it likes: the last address is Exim's own word.
        ("(x [192.0.2.1] y) [203.0.113.7]", None, "x [192.0.2.1] y", "203.0.113.7"),
        ("(x P=esmtp S=1 id=a@b) [203.0.113.7]", None, "x P=esmtp S=1 id=a@b", "203.0.113.7"),
        ("(x) [192.0.2.1] P=esmtp S=1) [203.0.113.7]", None, None, None),
    ],
)
def test_a_client_has_up_to_three_names(client: str, name: str | None, helo: str | None, ip: str | None) -> None:
    if name is helo is ip is None:
        with pytest.raises(ValueError, match="malformed"):
            received(f"kim@example.com H={client} P=esmtp S=4711")
        return
    event = received(f"kim@example.com H={client} P=esmtp S=4711")
    assert (event.client_name, event.helo, event.client_ip, event.size) == (name, helo, ip, 4711)


@pytest.mark.parametrize(
    ("sender", "read_as"),
    [
        ("<>", ""),
        ('"kim lee"@example.com', '"kim lee"@example.com'),
        (r'"kim\" H=evil [192.0.2.1] P=x S=1"@example.com', r'"kim\" H=evil [192.0.2.1] P=x S=1"@example.com'),
        ("jürgen@example.com", "jürgen@example.com"),
    ],
)
def test_a_sender_may_be_anything(sender: str, read_as: str) -> None:
    event = received(f"{sender} H=(client) [203.0.113.7] P=esmtp S=4711")
    assert (event.sender, event.client_ip, event.size) == (read_as, "203.0.113.7", 4711)


@pytest.mark.parametrize(
    ("text", "via"),
    [
        ("kim@example.com U=kim P=local S=1", "local"),
        ("kim@example.com U=kim lee P=local S=1", "local"),
        ("kim@example.com H=(x) [203.0.113.7] P=esmtp S=1", "smtp"),
        ("kim@example.com H=(x) [203.0.113.7] P=esmtpa A=login:kim S=1", "submission"),
        ("<> R=1tXk2a-000aBc-0D U=exim P=local S=1", "notification"),
        ("<> H=(x) [203.0.113.7] P=esmtp S=1", "smtp"),
    ],
)
def test_how_a_message_came(text: str, via: str) -> None:
    event = received(text)
    Tracker().follow([event])
    assert event.message
    assert (event.message.via, event.is_arrival) == (via, True)


@pytest.mark.parametrize(
    ("version", "protocol", "cipher"),
    [
        ("TLS1.3:TLS_AES_256_GCM_SHA384:256", "TLSv1.3", "TLS_AES_256_GCM_SHA384"),
        ("TLSv1.2:ECDHE-RSA-AES256-GCM-SHA384:256", "TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384"),
        ("TLS1.0:RSA_AES_256_CBC_SHA1:32", "TLSv1", "RSA_AES_256_CBC_SHA1"),
        ("TLS1.3:TLS_AES_256_GCM_SHA384:256*", "TLSv1.3", "TLS_AES_256_GCM_SHA384"),
    ],
)
def test_libraries_name_what_they_use_differently(version: str, protocol: str, cipher: str) -> None:
    event = received(f"kim@example.com H=(x) [203.0.113.7] P=esmtps X={version} CV=yes S=1")
    assert (event.tls_protocol, event.tls_cipher, event.tls_trust) == (protocol, cipher, "trusted")


def test_recipients_are_counted_where_the_line_names_them() -> None:
    text = (
        'kim@example.com U=kim P=local S=1 T="a for b c" from <kim@example.com> for lee@example.org max@example.org'
    )
    assert received(text).recipients == 2
    assert received("kim@example.com U=kim P=local S=1").recipients is None


@pytest.mark.parametrize("size", ["abc", "", "-1", "1_0", "1e3", "٣", "9" * 40])
def test_a_size_that_is_none_makes_the_line_malformed(size: str) -> None:
    for fields in ("", ' T="x"'):
        with pytest.raises(ValueError, match="malformed"):
            received(f"kim@example.com U=kim P=local S={size}{fields}")


@pytest.mark.parametrize("text", ["", "kim@exa", "kim@example.com H=(x) [203.0.113.7]", "kim@example.com P=local"])
def test_a_line_that_was_cut_is_malformed(text: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        received(text)


def test_messages_of_one_session_tell_of_one_login() -> None:
    text = "kim@example.com H=(x) [203.0.113.7] P=esmtpsa X=TLS1.3:X:256 CV=no A=plain:kim S=1"
    first, second = received(text, "1tXk2a-00000000ABc-0dEf"), received(text, "1tXk2b-00000000ABc-0dEg")
    other = received(text, "1tXk2b-00000000ABd-0dEg")
    short = [
        received(text, "1tXk2a-000aBc-0D"),
        received(text, "1tXk2a-000aBc-0E"),
        received(text, "1tXk2a-000aBd-0E"),
    ]
    Tracker().follow([first, second, other, *short])
    assert [event.logins for event in (first, second, other, *short)] == [1, 0, 1, 1, 0, 1]
    assert [event.tls_sessions for event in (first, second, other, *short)] == [1, 0, 1, 1, 0, 1]


@pytest.mark.parametrize("subject", ["only S=5", "S=5", "for id=1 S=5"])
def test_a_subject_tells_no_size(subject: str) -> None:
    event = received(f'kim@example.com H=(client) [203.0.113.7] P=esmtp S=4711 id=1@example.com T="{subject}"')
    assert (event.size, event.message_id) == (4711, "1@example.com")


def test_what_one_message_has_is_not_the_next_one_s() -> None:
    own = received("<> R=1tXk2b-00000000ABc-0dEf U=exim P=local S=4711")
    other = received("kim@example.com U=exim P=local S=12 id=1@example.com")
    last = received("<> R=1tXk2c-00000000ABc-0dEf U=exim P=local S=13")
    assert (own.via, other.via, last.via) == ("notification", None, "notification")
    assert (own.original_queue_id, other.original_queue_id, last.message_id) == (
        "1tXk2b-00000000ABc-0dEf",
        None,
        None,
    )


@pytest.mark.parametrize("sender", ["kim@example.com", "kim=x@example.com"])
def test_a_mark_of_dnssec_is_no_part_of_the_sender(sender: str) -> None:
    event = received(f'{sender} DS H=client.example.net [203.0.113.7] P=esmtps S=4711 DMARC=accept T="x"')
    assert (event.sender, event.client_name, event.size) == (sender, "client.example.net", 4711)
    bounce = received("<> DS H=client.example.net [203.0.113.7] P=esmtps S=4711 SPF DMARC id=1@example.net")
    assert (bounce.sender, bounce.client_ip) == ("", "203.0.113.7")


def test_a_message_id_that_had_to_be_made() -> None:
    event = received("kim@example.com U=kim P=local S=512 id*=E1tXk2a-00000000ABc-0dEf@mail.example.com")
    assert event.message_id == "E1tXk2a-00000000ABc-0dEf@mail.example.com"
