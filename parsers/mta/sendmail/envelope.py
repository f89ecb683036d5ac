"""Messages: how they begin, what is made of them, and the notifications about them.

`from=` (logsender() in sendmail/envelope.c) is written when the data has come, before the message can be refused for
what is in it: it is in the queue with the first that is done with it. Notifications are named by one line that begins
with the message they are about (returntosender() in sendmail/savemail.c), and have no `from=`.
"""

from __future__ import annotations

import re

from parsers.events import Delivery, Event, Notification, Origin, QueueAction, Received, Reject
from parsers.memo import Memo
from parsers.mta.sendmail.field import COUNTS, read_address, read_count, read_fields
from parsers.mta.sendmail.host import CLIENTS
from parsers.shape import shape

# Names that daemons of port 587 and 465 have in the configurations that are shipped (DAEMON_OPTIONS).
_SUBMISSION = re.compile(r"MSA|MSP|TLSMTA|SSA|SUBMISSION|SMTPS", re.IGNORECASE).match
RECEIPTS = ("Return receipt", "Message delivered to mailing list", "message delivered to mailing list")
EXPIRED = ("Cannot send message for ", "delivery time expired")


def read_via(daemon: str | None) -> str:
    """How a message came through SMTP, by the name of the daemon that took it."""
    return "submission" if daemon and _SUBMISSION(daemon) else "smtp"


VIAS: Memo[str | None, str] = Memo(read_via)


def received(
    time: float,
    origin: Origin,
    queue_id: str,
    sender: str,
    size: str,
    recipients: str,
    message_id: str | None,
    protocol: str | None,
    daemon: str | None,
    client: str,
) -> Received | None:
    """A message of no recipients is none: the client only tried. Raises ValueError where a number is none."""
    if recipients == "0":
        return None
    if ", relay=" in client:  # a Message-ID can hold anything: what Sendmail itself says comes last
        fields = dict(read_fields(client))
        protocol, daemon, client = fields.get("proto"), fields.get("daemon"), fields["relay"]
    name, ip = CLIENTS[client]
    via = VIAS[daemon]
    if protocol is None and ip is None:
        via, name = "local", None  # relay=user@localhost
    elif protocol and protocol[-1:] == "A":  # RFC 3848
        via = "submission"
    return Received(
        time,
        origin,
        queue_id,
        name,
        ip,
        None,
        None,
        read_address(sender),
        None,
        protocol,
        None,
        message_id.strip("<> ") if message_id else None,
        read_count(size),
        COUNTS[recipients],
        via,
        may_be_refused=True,
    )


def in_any_order(time: float, origin: Origin, queue_id: str, text: str) -> Received | None:
    """The same with keys that are missing or stand in another order. Raises ValueError where it is cut."""
    fields = dict(read_fields(f"from={text}"))
    if not fields.keys() >= {"from", "size", "nrcpts"}:
        raise ValueError("cut off")
    return received(
        time,
        origin,
        queue_id,
        fields["from"],
        fields["size"],
        fields["nrcpts"],
        fields.get("msgid"),
        fields.get("proto"),
        fields.get("daemon"),
        fields.get("relay", ""),
    )


def notification(time: float, origin: Origin, queue_id: str, new_queue_id: str, words: str, text: str) -> list[Event]:
    """A notification, which enters the queue as `new_queue_id`; and where it says so, the end of what it is about.

    Recipients that are given up have no line of their own. What postmaster gets is a copy.
    """
    kind = "success" if text.startswith(RECEIPTS) else "delay" if text.startswith("Warning: ") else "bounce"
    events: list[Event] = [Notification(time, origin, queue_id, kind, new_queue_id, is_arrival=True)]
    if text.startswith(EXPIRED) and words != "postmaster notify":
        event = Delivery(time, origin, queue_id, None, "expired", "outbound", reply=text, is_removal=True)
        events.insert(0, event)
    return events


def split(time: float, origin: Origin, queue_id: str, new_queue_id: str) -> QueueAction:
    """Recipients whose alias has an owner get a message of their own (splitting in sendall(), sendmail/deliver.c)."""
    return QueueAction(time, origin, queue_id, "split", new_queue_id)


def too_large(time: float, origin: Origin, queue_id: str, text: str) -> Reject:
    """The answer after the data (sendmail/collect.c)."""
    reply = f"552 5.2.3 message size {text}"
    return Reject(
        time,
        origin,
        queue_id,
        "end_of_data",
        reply_code=552,
        dsn="5.2.3",
        reply=reply,
        reason="message_too_large",
    )


SHAPES = (
    shape(
        "{queue_id}: from={sender}, size={size}, class={_}[, pri={_}], nrcpts={recipients}[, msgid={message_id}]"
        "[, bodytype={_}][, proto={protocol}][, daemon={daemon}], relay={client}",
        "5ALA00aB004711: from=<news@example.com>, size=4711, class=0, nrcpts=2, msgid=<4711.1@example.com>,"
        " bodytype=8BITMIME, proto=ESMTPSA, daemon=MSA, relay=pc.example.net [203.0.113.9]",
        received,
    ),
    shape(
        "{queue_id}: from={text}",
        "5ALA00aB004711: from=root, size=512, nrcpts=1, class=0, relay=root@localhost",
        in_any_order,
        general=True,
    ),
    shape(
        "{queue_id}: {new_queue_id}: {words:DSN|return to sender|sender notify|postmaster notify}: {text}",
        "5ALA00aB004711: 5ALA01aB004712: DSN: User unknown",
        notification,
        several=True,
        unkeyed=True,
    ),
    shape(
        "{queue_id}: {new_queue_id}: clone: owner={_}",
        "5ALA00aB004711: 5ALA00aC004711: clone: owner=owner-news",
        split,
        unkeyed=True,
    ),
    shape(
        "{queue_id}: message size {text}",
        "5ALA00aB004711: message size (264527) exceeds maximum (204800)",
        too_large,
    ),
    shape(
        "{queue_id}: quarantine={reply}",
        "5ALA00aB004711: quarantine=by hand",
        QueueAction,
        action="hold",
    ),
    shape("{queue_id}: unquarantine", "5ALA00aB004711: unquarantine", QueueAction, action="release"),
    # Said at log levels above 9 only, so that the last recipient has to tell.
    shape("{queue_id}: done; {_}", "5ALA00aB004711: done; delay=00:00:01, ntries=1"),
    # Below log level 10 there is no to= line that says so.
    shape("{queue_id}: discarded", "5ALA00aB004711: discarded", QueueAction, action="discard"),
    shape("{queue_id}: split: {_}", "5ALA00aB004711: split: count=2, id1=5ALA00aC004711"),
)
