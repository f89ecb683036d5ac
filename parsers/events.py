"""The event record: what one log line says, in the words of RFC 5321, 3463 and 3464.

One class for each kind of event, holding only the fields which that kind can know. A field that the line does not
give is None. All times are seconds since the epoch (UTC), all delays are seconds, all sizes are bytes; addresses
stand without angle brackets and the null reverse-path is "".
"""

from __future__ import annotations

from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from parsers.message import Deferral, Message


class Origin(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Who wrote a line: one object for each distinct "host program[pid]", shared by all its events, so that it can
    stand for its values in a count; two are never equal.

    `service` is the syslog name of the instance (`postfix`, `postfix-out`); `entry` is the name of the service
    within it that the daemon runs as, where that is not the daemon's own (`submission`, `smtps`, `relay`), else "".
    `instance` names the queue that the line is about: ids are unique within it.
    """

    mta: str
    host: str
    service: str
    program: str
    pid: int | None = None
    entry: str = ""
    instance: str = ""

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "instance", f"{self.mta} {self.host} {self.service}")


class Event(msgspec.Struct, gc=False):
    """What every event has. `kind` is the name of the class in the event record."""

    kind: ClassVar[str]
    time: float
    origin: Origin


class Connect(Event, gc=False):
    """A client connected to us."""

    kind = "connect"
    client_name: str | None = None
    client_ip: str | None = None


class Disconnect(Event, gc=False):
    """A client's session ended; `commands` counts its commands as the log words it (`rcpt=0/1 auth=1`).

    `logins` (set by the tracker) are the successful authentications of which no line has told before this one.
    """

    kind = "disconnect"
    client_name: str | None = None
    client_ip: str | None = None
    commands: str | None = None
    logins: int = 0


class Tls(Event, gc=False):
    """A TLS session began: inbound where a client is named, outbound where a relay is."""

    kind = "tls"
    client_name: str | None = None
    client_ip: str | None = None
    relay_host: str | None = None
    relay_ip: str | None = None
    relay_port: int | None = None
    tls_protocol: str | None = None
    tls_cipher: str | None = None
    tls_trust: str | None = None


class Auth(Event, gc=False):
    """A client's attempt to authenticate; `attempts` where one line stands for several.

    `session` is the name that the server gives the session, for what it has to join. `is_hearsay` where the client is
    one of another server, which asked the one whose line this is, and tells of it too.
    """

    kind = "auth"
    result: str
    client_name: str | None = None
    client_ip: str | None = None
    sasl_method: str | None = None
    sasl_user: str | None = None
    reply: str | None = None
    attempts: int = 1
    session: str | None = None
    is_hearsay: bool = False


class Received(Event, gc=False):
    """A message begins: a client or a local user gives it to us, or we write a notification.

    Where the `size` is told with it, it is in the queue, unless it `may_be_refused`: then it is there with the first
    line that tells what is done with it. Without a size that is not known yet. `via` is one of `smtp`,
    `submission`, `local` and `notification` where the line tells; else the tracker finds out. A notification is about
    the message `original_queue_id`, and `notification` (set by the tracker if the line does not tell) is its type:
    bounce, delay or success, or "" where another line is counted for it. `logins` (set by the tracker) is 1 where
    this line is the first to tell that the client authenticated, `tls_sessions` (the same) where it is the first to
    tell of a TLS session, `is_arrival` (the same) where it tells of a message in the queue. `session` tells the
    client's session from others of the same host, where the pid of the origin does not.
    """

    kind = "received"
    queue_id: str
    client_name: str | None = None
    client_ip: str | None = None
    sasl_method: str | None = None
    sasl_user: str | None = None
    sender: str | None = None
    helo: str | None = None
    protocol: str | None = None
    original_queue_id: str | None = None
    message_id: str | None = None
    size: int | None = None
    recipients: int | None = None
    via: str | None = None
    notification: str | None = None
    message: Message | None = None
    logins: int = 0
    is_arrival: bool = False
    may_be_refused: bool = False
    delay_before_queue: float | None = None
    tls_protocol: str | None = None
    tls_cipher: str | None = None
    tls_trust: str | None = None
    session: str | None = None
    tls_sessions: int = 0


class Queued(Event, gc=False):
    """What the queue knows of a message: its message-id, or its envelope when it becomes active.

    `is_arrival` (set by the tracker) marks the first time that a message whose beginning was seen becomes active.
    Where a line tells no more than that it is in the queue, the size and the recipients are those of its beginning.
    """

    kind = "queued"
    queue_id: str
    message_id: str | None = None
    sender: str | None = None
    size: int | None = None
    recipients: int | None = None
    message: Message | None = None
    is_arrival: bool = False


class Delivery(Event, gc=False):
    """One attempt to deliver to one recipient; none is named where the queue gave the whole message up (`expired`).
    Neither message nor recipient are known where the log begins between the lines that tell of one attempt.

    `attempts` (set by the tracker, on a final status) is how many it took, this one included; to give up is none,
    unless the line that tells it has `attempts` of its own. `is_removal` marks
    the last of a message, in the log of a server that does not say that a message left the queue; the tracker sets
    it, if the line does not tell. `is_arrival` (set by the tracker) marks the first that is done with a message that
    might have been refused. The `delay` is set by the tracker where the log does not tell it. `tls_sessions` is 1
    where no line before this one told of its TLS session. The tracker also tells that a first deferral
    `may_be_greylisting`, and by `greylisted`, on the acceptance, that the deferral before it was.
    """

    kind = "delivery"
    queue_id: str | None
    recipient: str | None
    status: str
    direction: str
    original_recipient: str | None = None
    relay_host: str | None = None
    relay_ip: str | None = None
    relay_port: int | None = None
    transport: str | None = None
    delay: float | None = None
    delay_before_queue: float | None = None
    delay_in_queue: float | None = None
    delay_connect: float | None = None
    delay_transmit: float | None = None
    dsn: str | None = None
    reply_code: int | None = None
    reply: str | None = None
    phase: str | None = None
    provider: str | None = None
    reason: str | None = None
    new_queue_id: str | None = None
    sender: str | None = None
    message: Message | None = None
    attempts: int | None = None
    is_removal: bool = False
    is_arrival: bool = False
    tls_protocol: str | None = None
    tls_cipher: str | None = None
    tls_trust: str | None = None
    tls_sessions: int = 0
    may_be_greylisting: bool = False
    greylisted: Deferral | None = None


class Reject(Event, gc=False):
    """We refused a client, a command or a message. `reply_code` and `dsn` are what we answered."""

    kind = "reject"
    queue_id: str | None = None
    phase: str | None = None
    client_name: str | None = None
    client_ip: str | None = None
    sender: str | None = None
    recipient: str | None = None
    protocol: str | None = None
    helo: str | None = None
    reply_code: int | None = None
    dsn: str | None = None
    reply: str | None = None
    reason: str | None = None
    sasl_method: str | None = None
    sasl_user: str | None = None


class Notification(Event, gc=False):
    """We made a notification (RFC 3464) about a message; `type` is bounce, delay or success.

    `is_arrival` where this line is all that the log has of the arrival of the notification itself.
    """

    kind = "notification"
    queue_id: str
    type: str
    new_queue_id: str | None = None
    message: Message | None = None
    is_arrival: bool = False


class Removed(Event, gc=False):
    """A message left the queue."""

    kind = "removed"
    queue_id: str
    message: Message | None = None


class QueueAction(Event, gc=False):
    """An operator, a rule or a content filter did something to a message: hold, release, delete, requeue, …

    `handover`: the submission agent gave it, for one recipient, to the server of its own host, where it goes on under
    another id: that is no delivery. `split`: some of its recipients go on under another id. Where it changes of how
    many recipients the server has to take care, `more_recipients` is by how many (negative: they were taken away).
    `is_removal` (set by the tracker) marks the deletion of the last recipient of a message, as a delivery's does.
    """

    kind = "queue_action"
    queue_id: str
    action: str
    new_queue_id: str | None = None
    client_name: str | None = None
    client_ip: str | None = None
    sender: str | None = None
    recipient: str | None = None
    reply: str | None = None
    message: Message | None = None
    is_arrival: bool = False
    is_removal: bool = False
    more_recipients: int = 0


class ConnectionFailure(Event, gc=False):
    """A connection failed and no delivery status says so on the same line; `error` is the metric's label."""

    kind = "connection_error"
    error: str
    queue_id: str | None = None
    relay_host: str | None = None
    relay_ip: str | None = None
    relay_port: int | None = None
    client_name: str | None = None
    client_ip: str | None = None
    provider: str | None = None
    phase: str | None = None
    reply_code: int | None = None
    dsn: str | None = None
    reply: str | None = None


class Problem(Event, gc=False):
    """A daemon complains: `severity` is warning, error, fatal or panic."""

    kind = "problem"
    severity: str
    text: str
    queue_id: str | None = None


KINDS: tuple[type[Event], ...] = (
    Connect,
    Disconnect,
    Tls,
    Auth,
    Received,
    Queued,
    Delivery,
    Reject,
    Notification,
    Removed,
    QueueAction,
    ConnectionFailure,
    Problem,
)


# What stands in an event for those that count.
CONTEXT = frozenset(
    "greylisted is_arrival is_hearsay is_removal logins may_be_greylisting may_be_refused message more_recipients"
    " notification session source tls_sessions via".split()
)


def as_record(event: Event) -> dict[str, Any]:
    """The fields of the event record that are known, in the order of the class; `time` is still seconds."""
    names, values_of = _fields(type(event))
    return {name: value for name, value in zip(names, values_of(event), strict=True) if value is not None}


@cache
def _fields(kind: type[Event]) -> tuple[tuple[str, ...], Callable[[Event], tuple[Any, ...]]]:
    """The names of a record's fields, and what gives their values."""
    own = [name for name in kind.__struct_fields__[2:] if name not in CONTEXT]
    origin = ("mta", "host", "service", "program", "pid")
    return ("time", *origin, "kind", *own), attrgetter("time", *(f"origin.{name}" for name in origin), "kind", *own)
