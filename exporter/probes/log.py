"""Arriving as our own mail server tells it: the probe's Message-ID leads to the queue id, that to each delivery.

It needs no mailbox, and with one it says where a mail is that is missing: in our queue and why, or handed to whom.
OpenSMTPD's log has no Message-ID; there, what the server called the mail in its reply leads to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from exporter.probes.ledger import Where
from exporter.probes.message import named
from parsers.events import Delivery, Event, Queued, Received

if TYPE_CHECKING:
    from exporter.probes.message import Key

_ACCEPTED = re.compile(r"250 2\.0\.0:? ([0-9a-f]{8}) Message accepted for delivery")
_MOST = 1000  # mails whose names are kept


class Step(NamedTuple):
    """What the log says of a mail: where it is now, and whether it has left our host or reached a mailbox.

    `is_attempt` where somebody tried to deliver it: that tells more than that it is in the queue.
    """

    mail_id: str
    token: str
    time: float
    place: str
    where: Where
    is_delivered: bool
    is_attempt: bool


class Accepted:
    """What servers called our mails when they took them, for their logs that have no Message-ID."""

    def __init__(self) -> None:
        self._mails: dict[str, tuple[str, str]] = {}

    def note(self, queue_id: str, mail_id: str, token: str) -> None:
        """A mail is called so."""
        if len(self._mails) >= _MOST:
            del self._mails[next(iter(self._mails))]
        self._mails[queue_id] = (mail_id, token)

    def mail_of(self, event: Delivery | Queued | Received) -> tuple[str, str] | None:
        """The id and the token of the mail that an event is about, as far as it is told so."""
        return self._mails.get(event.queue_id or "") if event.origin.mta == "opensmtpd" else None


def queue_id_in(reply: str) -> str | None:
    """What OpenSMTPD calls a mail in the reply to its end (smtpd/smtp_session.c)."""
    match = _ACCEPTED.fullmatch(reply)
    return match[1] if match else None


def follow(events: Iterable[Event], accepted: Accepted) -> list[Step]:
    """What these events, which the tracker has seen, say of our mail."""
    theirs = (event for event in events if isinstance(event, Delivery | Queued | Received))
    return [step for event in theirs if (step := _step(event, accepted))]


def _step(event: Delivery | Queued | Received, accepted: Accepted) -> Step | None:
    known = (named(event.message.message_id) if event.message else None) or accepted.mail_of(event)
    if known is None:
        return None
    place = f"{event.origin.instance} {event.queue_id} {event.time}"
    if not isinstance(event, Delivery):
        where = Where("queued", "in our queue, not tried yet", queue_id=event.queue_id)
        return Step(*known, event.time, place, where, is_delivered=False, is_attempt=False)
    if event.status == "sent" and _is_own_filter(event):
        return None  # where it comes back to tells more
    return Step(*known, event.time, place, _where(event), event.status == "sent", is_attempt=True)


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


def _where(event: Delivery) -> Where:
    """Where a mail is after this attempt."""
    host = event.relay_host or event.relay_ip or "no host"
    reply = (event.reply or "")[:500]
    at = datetime.fromtimestamp(event.time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if event.status == "sent":
        return Where("handed_over", f"handed to {host} at {at}: {reply}", event.reply_code)
    if event.status == "deferred":
        reason = f"queued_{event.reason}" if event.reason else "queued"
        return Where(reason, f"in our queue, last tried at {at}, {host}: {reply}", event.reply_code, event.queue_id)
    return Where(event.reason or event.status, f"given up at {at}, {host}: {reply}", event.reply_code)
