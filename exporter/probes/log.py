"""Arriving as our own mail server tells it: the probe's Message-ID leads to the queue id, that to each delivery.

It needs no mailbox, and with one it says where a mail is that is missing: in our queue and why, or handed to whom.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from exporter.probes.message import named
from exporter.probes.smtp import Failure
from parsers.events import Delivery, Event

if TYPE_CHECKING:
    from exporter.probes.message import Key


class Step(NamedTuple):
    """What the log says of a mail: where it is now, and whether it has left our host or reached a mailbox."""

    mail_id: str
    token: str
    time: float
    place: str
    whereabouts: Failure
    is_delivered: bool


def follow(events: Iterable[Event]) -> list[Step]:
    """What these events, which the tracker has seen, say of our mail."""
    return [step for event in events if isinstance(event, Delivery) and (step := _step(event))]


def _step(event: Delivery) -> Step | None:
    known = named(event.message.message_id) if event.message else None
    if known is None:
        return None
    is_delivered = event.status == "sent" and not _is_own_filter(event)
    place = f"{event.origin.instance} {event.queue_id} {event.time}"
    return Step(*known, event.time, place, _whereabouts(event), is_delivered)


def ours(step: Step, probe: str, key: Key) -> bool:
    """Whether the Message-ID is one that we made: anybody can write one that looks so."""
    return key.is_ours(probe, step.mail_id, step.token)


def _is_own_filter(event: Delivery) -> bool:
    """Whether it only went to a content filter of this host, from where it comes back under another queue id."""
    try:
        is_here = ip_address(event.relay_ip or "").is_loopback
    except ValueError:
        return False
    return is_here and event.new_queue_id is not None


def _whereabouts(event: Delivery) -> Failure:
    """Where a mail is after this, in the words of a failure: that it has not arrived."""
    host = event.relay_host or event.relay_ip or "no host"
    reply = (event.reply or "")[:500]
    if event.status == "sent":
        return Failure("arrival", "handed_over", f"handed to {host}: {reply}", event.reply_code)
    words = "in our queue" if event.status == "deferred" else "given up"
    reason = f"queued_{event.reason}" if event.status == "deferred" else str(event.reason)
    return Failure("arrival", reason if event.reason else event.status, f"{words}, {host}: {reply}", event.reply_code)
