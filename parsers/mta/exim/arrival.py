"""How messages come: the lines with `<=` (receive_msg() in src/receive.c).

A line whose message was taken while the client was told otherwise (`control = fakereject`) has `(=`. A notification
is told by `R=`, which on these lines names the message that it is about.
"""

from __future__ import annotations

from typing import Any

from parsers.events import Origin, Received
from parsers.memo import Memo
from parsers.mta.exim.field import CLIENTS, HEAD, NULL_SENDER, SECONDS, joined_tls, read_fields, read_number, unquote
from parsers.shape import shape

NOBODY = Origin("exim", "", "exim", "exim")
SIZE = " S="
LATER = frozenset({"S", "id", "id*", "RT", "T"})  # keys that stand behind the size, or are the size's
SHORT_ID = 16  # characters, before 4.97
HOUR = 4  # characters of a message's id that stay the same for about an hour: it begins with the time
# What `bounce_message_file` and `warn_message_file` have by default, and the success of a DSN (src/deliver.c).
SUBJECTS = (
    ("Mail delivery failed", "bounce"),
    ("Warning: message ", "delay"),
    ("Delivery Status Notification", "success"),
)


def read_way(text: str) -> Received | None:
    """A message without name and size, by the fields up to the size's key; None where they are not in their usual
    order, so that the size may be no size: a subject can hold ` S=` as well."""
    text = text.removesuffix(SIZE)
    fields, end = read_fields(text, 0)
    is_usual = end == len(text) and "P" in fields and LATER.isdisjoint(fields)
    return way_of(fields) if is_usual else None


def way_of(fields: dict[str, str]) -> Received:
    """The same where the fields are taken apart. Raises ValueError where there is no protocol.

    A client with a certificate is rare: without one that is named or verified it has none. The `session` lacks what
    the message's id tells.
    """
    if "P" not in fields:
        raise ValueError("cut off")
    name, ip, helo = CLIENTS[fields.get("H")]
    method, _, user = fields.get("A", "").partition(":")
    protocol, cipher, is_verified = joined_tls(fields)
    trust = "trusted" if is_verified else "untrusted" if "DN" in fields else "anonymous"
    return Received(
        0.0,
        NOBODY,
        "",
        name,
        ip,
        method or None,
        user or None,
        helo=helo,
        protocol=fields["P"],
        via=None if "H" in fields else "notification",
        tls_protocol=protocol,
        tls_cipher=cipher,
        tls_trust=trust if protocol else None,
        session=f" {ip} {user or None}" if "A" in fields or "X" in fields else None,
    )


# The messages of a client mostly come the same way: all but their names, senders and sizes is copied.
WAYS: Memo[str, Any] = Memo(read_way)


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
    prototype = WAYS[way]
    if prototype is None:
        before = f" R={original_queue_id}" if original_queue_id else ""
        text = f"{sender}{before}{way}{size}" + (f" id={message_id}" if message_id else "")
        return any_received(time, origin, queue_id, text)
    event: Received = prototype.__copy__()
    event.time, event.origin, event.queue_id = time, origin, queue_id
    event.message_id = message_id
    _complete(event, sender, original_queue_id, size)
    return event


def _complete(event: Received, sender: str, original_queue_id: str | None, size: str) -> None:
    """Add what a message has for itself. Raises ValueError where its size is none."""
    event.sender = "" if sender == NULL_SENDER else sender
    event.size = read_number(size)
    if event.session is not None:
        event.session = session(event.queue_id, event.session)
    if original_queue_id is not None:
        event.original_queue_id = original_queue_id
    if event.via and (original_queue_id is None or event.sender):  # of a local user
        event.via = None


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
    event = way_of(fields)
    event.time, event.origin, event.queue_id = time, origin, queue_id
    message_id = fields.get("id") or fields.get("id*")  # the star tells that it had none (`+msg_id_created`, 4.95)
    event.message_id = unquote(message_id) if message_id else None
    _complete(event, head["first"], fields.get("R"), fields["S"])
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
        "{queue_id} <= {sender: }[ R={original_queue_id: }]{way> S=}{size}[ id={message_id: }]",
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
