"""How messages come: the lines with `<=` (receive_msg() in src/receive.c).

A line whose message was taken while the client was told otherwise (`control = fakereject`) has `(=`. A notification
is told by `R=`, which on these lines names the message that it is about.
"""

from __future__ import annotations

from typing import NamedTuple

from parsers.events import Origin, Received
from parsers.memo import Memo
from parsers.mta.exim.field import CLIENTS, HEAD, NULL_SENDER, SECONDS, joined_tls, read_fields, read_number, unquote
from parsers.shape import shape

SHORT_ID = 16  # characters, before 4.97
HOUR = 4  # characters of a message's id that stay the same for about an hour: it begins with the time
# What `bounce_message_file` and `warn_message_file` have by default, and the success of a DSN (src/deliver.c).
SUBJECTS = (
    ("Mail delivery failed", "bounce"),
    ("Warning: message ", "delay"),
    ("Delivery Status Notification", "success"),
)


class Way(NamedTuple):
    """How a message came, in the order that `Received` has; `who` tells sessions of one process apart, where one
    authenticated or was encrypted. The messages of a client mostly come the same way."""

    client_name: str | None
    client_ip: str | None
    sasl_method: str | None
    sasl_user: str | None
    helo: str | None
    protocol: str
    tls_protocol: str | None
    tls_cipher: str | None
    tls_trust: str | None
    who: str | None
    has_client: bool


def read_way(text: str) -> Way:
    """The fields that stand before the size. Raises ValueError where they are broken."""
    fields, end = read_fields(text, 0)
    if end < len(text):
        raise ValueError("cut off")
    return way_of(fields)


def way_of(fields: dict[str, str]) -> Way:
    """Raises ValueError where there is no protocol. A client with a certificate is rare: without one that is named or
    verified it has none."""
    if "P" not in fields:
        raise ValueError("cut off")
    client = fields.get("H")
    name, ip, helo = CLIENTS[client]
    method, _, user = fields.get("A", "").partition(":")
    protocol, cipher, is_verified = joined_tls(fields)
    trust = "trusted" if is_verified else "untrusted" if "DN" in fields else "anonymous"
    return Way(
        name,
        ip,
        method or None,
        user or None,
        helo,
        fields["P"],
        protocol,
        cipher,
        trust if protocol else None,
        f" {ip} {user or None}" if "A" in fields or "X" in fields else None,
        client is not None,
    )


WAYS: Memo[str, Way] = Memo(read_way)


def received(
    time: float,
    origin: Origin,
    queue_id: str,
    sender: str,
    original_queue_id: str | None,
    way: str,
    size: str,
    message_id: str | None,
) -> Received:
    """A message that is in the queue. Raises ValueError where its size is none."""
    return _received(time, origin, queue_id, sender, original_queue_id, WAYS[way], size, message_id)


def _received(
    time: float,
    origin: Origin,
    queue_id: str,
    sender: str,
    original_queue_id: str | None,
    way: Way,
    size: str,
    message_id: str | None,
) -> Received:
    name, ip, method, user, helo, protocol, tls_protocol, tls_cipher, tls_trust, who, has_client = way
    # By position: keywords cost as much as all the rest.
    event = Received(
        time,
        origin,
        queue_id,
        name,
        ip,
        method,
        user,
        "" if sender == NULL_SENDER else sender,
        helo,
        protocol,
        original_queue_id,
        message_id,
        read_number(size),
    )
    if who is not None:
        event.tls_protocol, event.tls_cipher, event.tls_trust = tls_protocol, tls_cipher, tls_trust
        event.session = session(queue_id, who)
    if original_queue_id is not None and sender == NULL_SENDER and not has_client:
        event.via = "notification"
    return event


def session(queue_id: str, who: str) -> str:
    """What the messages of one session have in common: the process, whose pid is the middle part of their ids."""
    return queue_id[:HOUR] + queue_id[6 : -5 if len(queue_id) > SHORT_ID else -3] + who


def any_received(time: float, origin: Origin, queue_id: str, text: str) -> Received:
    """The same with its fields in any order, and with those that few configurations log. Raises ValueError."""
    head = HEAD(text)
    if not head:
        raise ValueError("no sender")
    fields, end = read_fields(text, head.end())
    if "S" not in fields:
        raise ValueError("cut off")
    message_id = unquote(fields["id"]) if "id" in fields else None
    event = _received(time, origin, queue_id, head["first"], fields.get("R"), way_of(fields), fields["S"], message_id)
    event.delay_before_queue = SECONDS[fields.get("RT")]
    subject = unquote(fields.get("T", ""))
    if event.via == "notification" and subject:
        event.notification = next((kind for words, kind in SUBJECTS if subject.startswith(words)), None)
    event.recipients = count_recipients(text, end)
    return event


def count_recipients(text: str, start: int) -> int | None:
    """How many recipients stand behind ` for `, where they do (`log_selector = +received_recipients`)."""
    _, found, rest = text[start:].rpartition(" for ")
    return len(rest.split()) if found else None


SHAPES = (
    # In the order in which Exim writes them, where it writes no more than by default.
    shape(
        "{queue_id} <= {sender: }[ R={original_queue_id: }]{way} S={size}[ id={message_id: }]",
        "1tXk2a-00000000ABc-0dEf <= news@example.com H=client.example.net (client) [203.0.113.7] P=esmtpsa"
        " X=TLS1.3:ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM:256 CV=no A=plain:kim S=4711"
        " id=20260105.1@example.com",
        received,
    ),
    shape(
        "{queue_id} <= {text}",
        '1tXk2a-00000000ABc-0dEf <= "kim lee"@example.com H=(client) [203.0.113.7]:40499 I=[192.0.2.25]:587 P=esmtpsa'
        ' L.- X=TLS1.3:TLS_AES_256_GCM_SHA384:256 CV=no SNI="mail.example.com" A=plain:kim S=4711 M8S=0 RT=0.2s'
        ' id=20260105.1@example.com T="Hello, \\"you\\"" from <kim@example.com> for lee@example.org max@example.net',
        any_received,
        general=True,
    ),
    shape(
        "{queue_id} (= {text}",
        "1tXk2a-00000000ABc-0dEf (= spam@example.net H=(client) [203.0.113.7] P=esmtp S=4711",
        any_received,
    ),
)
