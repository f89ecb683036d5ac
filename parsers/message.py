"""A message in a queue: what the lines of a log together know of it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Deferral(NamedTuple):
    """The first deferral of a recipient, as far as an acceptance needs it; `time` in seconds since the epoch."""

    time: float
    relay_host: str | None
    relay_ip: str | None
    provider: str | None
    direction: str
    reason: str | None
    reply: str


class Message(msgspec.Struct, gc=False, array_like=True):
    """What is known of one message in a queue. Addresses are as the log has them.

    It is stored by the order of its fields: a new one stands at the end.
    """

    queue_id: str
    since: float
    via: str = ""  # smtp, submission, local, notification; "" where the beginning was not seen
    client_name: str | None = None
    client_ip: str | None = None
    sasl_user: str | None = None
    sender: str | None = None
    message_id: str | None = None
    size: int | None = None
    recipients: int | None = None
    has_arrived: bool = False  # in the queue, as far as it is known how the message began
    attempts: dict[str, int] | None = None  # of the recipients that were deferred
    unfinished: int | None = None  # recipients, where only their number tells when the message is done
    has_failed: bool = False  # for a recipient at least, and no notification told of it yet
    direction: str = "outbound"  # of the last deferral, and what else an expiry has from it
    provider: str | None = None
    reason: str | None = None
    vague: dict[str, Deferral] | None = None  # first deferrals, of recipients that may have been greylisted
