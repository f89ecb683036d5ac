"""Sessions: what one line of a session says, and what a later one needs of it.

A line names its session by 16 hexadecimal digits and says one thing: who connected, with which cipher, who logged in,
what was accepted. A message of a session has its id (eight digits) on one line and its sender on the next. So each
line gives an event of a kind of this module's own, and `Sessions` makes the events that everybody knows out of them.

What OpenSMTPD tells itself is not a client's: a local program hands in its mail by a connection of its own (address
`local`), and so does the queue when it returns a message (bounce.c).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from parsers.events import (
    Auth,
    Connect,
    ConnectionFailure,
    Delivery,
    Disconnect,
    Event,
    Origin,
    QueueAction,
    Received,
    Reject,
    Tls,
)
from parsers.mta.opensmtpd.notice import Memory as NoticeMemory
from parsers.mta.opensmtpd.notice import Notices
from parsers.recall import latest

SESSIONS = 20_000  # that are remembered at a time; the oldest goes
ARRIVING = 10_000  # messages of which not all was told yet

Append = Callable[[Event], None]


# --- what lines say; `queue_id` is the session's, `kind` that of the event that comes of it, if any does ---


class Opened(Event, gc=False):
    """A client connected, or (`is_local`) a program of this host."""

    kind = "connect"
    queue_id: str
    client_name: str | None
    client_ip: str | None
    is_local: bool


class Called(Event, gc=False):
    """We begin to connect to a relay."""

    kind = "session"
    queue_id: str
    relay_host: str | None
    relay_ip: str | None
    relay_port: int | None


class Secured(Event, gc=False):
    """TLS began: with a client, or (`is_outbound`) with a relay, whose certificate is looked at next."""

    kind = "tls"
    queue_id: str
    tls_protocol: str
    tls_cipher: str | None
    is_outbound: bool


class Checked(Event, gc=False):
    """What came of a look at the relay's certificate."""

    kind = "tls"
    queue_id: str
    tls_trust: str | None


class LoggedIn(Event, gc=False):
    """A client authenticated, or failed to."""

    kind = "auth"
    queue_id: str
    result: str
    sasl_user: str


class Refused(Event, gc=False):
    """We refused a command. `is_own` where it was the queue's, that returns a message."""

    kind = "reject"
    queue_id: str
    phase: str | None
    reply_code: int | None
    dsn: str | None
    reply: str
    reason: str
    sender: str | None = None
    recipient: str | None = None
    sasl_method: str | None = None
    is_own: bool = False


class Accepted(Event, gc=False):
    """We accepted a message. The older line is one for each recipient, and tells the sender."""

    kind = "received"
    queue_id: str
    message: str
    size: int
    recipients: int
    protocol: str
    sender: str | None = None
    recipient: str | None = None


class Addressed(Event, gc=False):
    """Sender and recipient of an envelope of a message."""

    kind = "received"
    queue_id: str
    message: str
    sender: str
    recipient: str


class Closed(Event, gc=False):
    """A client's session ended; `error` tells how, where it did not end as it should."""

    kind = "disconnect"
    queue_id: str
    error: str | None
    phase: str | None = None
    reply: str | None = None


class Left(Event, gc=False):
    """Our session with a relay ended."""

    kind = "session"
    queue_id: str


class Failed(Event, gc=False):
    """Our session with a relay failed."""

    kind = "connection_error"
    queue_id: str
    error: str
    phase: str | None = None
    reply_code: int | None = None
    dsn: str | None = None
    reply: str | None = None


# --- what is remembered ---


class Session(msgspec.Struct, gc=False):
    """A session as far as it is known. `waiting` is an event that a later line completes."""

    name: str | None = None  # of the client, or of the relay
    ip: str | None = None
    port: int | None = None
    is_local: bool = False
    user: str | None = None
    waiting: Auth | Tls | None = None
    message: str = ""  # that was accepted last


class Stored(msgspec.Struct, array_like=True):
    """A session as it is stored: what waits is of one kind or of the other."""

    name: str | None
    ip: str | None
    port: int | None
    is_local: bool
    user: str | None
    auth: Auth | None
    tls: Tls | None
    message: str

    @classmethod
    def of(cls, it: Session) -> Stored:
        """A session, to be stored."""
        auth = it.waiting if isinstance(it.waiting, Auth) else None
        tls = it.waiting if isinstance(it.waiting, Tls) else None
        return cls(it.name, it.ip, it.port, it.is_local, it.user, auth, tls, it.message)

    def session(self) -> Session:
        """The session that was stored."""
        return Session(self.name, self.ip, self.port, self.is_local, self.user, self.auth or self.tls, self.message)


class Arriving(msgspec.Struct, array_like=True):
    """A message as it is stored of which not all was told yet."""

    time: float
    origin: Origin
    queue_id: str
    client_name: str | None
    client_ip: str | None
    sasl_user: str | None
    sender: str | None
    protocol: str | None
    original_queue_id: str | None
    size: int | None
    recipients: int | None
    via: str | None
    notification: str | None

    @classmethod
    def of(cls, event: Received) -> Arriving:
        """A message, to be stored."""
        return cls(**{name: getattr(event, name) for name in cls.__struct_fields__})

    def received(self) -> Received:
        """The message that was stored."""
        return Received(**{name: getattr(self, name) for name in self.__struct_fields__})


class Memory(msgspec.Struct, array_like=True):
    """What is stored."""

    sessions: list[tuple[str, Stored]]
    arriving: list[tuple[str, Arriving]]
    notices: NoticeMemory


class Sessions:
    """The memory of all sessions, bounded in number: the oldest is forgotten."""

    def __init__(self, most: int = SESSIONS) -> None:
        self.most = most
        self._sessions: dict[str, Session] = {}
        self._arriving: dict[str, Received] = {}  # by message
        self._notices = Notices()
        self._steps: dict[type[Event], Callable[[Any, Append], None]] = {
            Opened: self._opened,
            Called: self._called,
            Secured: self._secured,
            Checked: self._checked,
            LoggedIn: self._logged_in,
            Refused: self._refused,
            Accepted: self._accepted,
            Addressed: self._addressed,
            Closed: self._closed,
            Left: self._left,
            Failed: self._failed,
            Delivery: self._delivery,
            QueueAction: self._queue_action,
        }

    def join(self, events: list[Event]) -> list[Event]:
        """The events in the words of everybody, with what was remembered of their sessions."""
        joined: list[Event] = []
        append, steps = joined.append, self._steps
        for event in events:
            step = steps.get(type(event))
            if step is None:
                append(event)
            else:
                step(event, append)
        return joined

    def memory(self) -> Memory:
        """What it remembers."""
        sessions = [(name, Stored.of(it)) for name, it in latest(self._sessions)]
        arriving = [(name, Arriving.of(it)) for name, it in latest(self._arriving)]
        return Memory(sessions, arriving, self._notices.memory())

    def restore(self, memory: object) -> None:
        """Know what another one knew. Raises msgspec.ValidationError."""
        known = msgspec.convert(memory, Memory)
        self._sessions = {name: it.session() for name, it in known.sessions}
        self._arriving = {name: it.received() for name, it in known.arriving}
        self._notices.restore(known.notices)

    def _begin(self, session_id: str, session: Session) -> Session:
        sessions = self._sessions
        if len(sessions) >= self.most:
            del sessions[next(iter(sessions))]
        sessions[session_id] = session
        return session

    def _find(self, session_id: str) -> Session:
        """A session, which begins here where its beginning was not seen."""
        return self._sessions.get(session_id) or self._begin(session_id, Session())

    def _tell(self, session: Session, append: Append) -> None:
        """Wait no more."""
        if session.waiting is not None:
            append(session.waiting)
            session.waiting = None

    # --- clients ---

    def _opened(self, event: Opened, append: Append) -> None:
        self._begin(event.queue_id, Session(event.client_name, event.client_ip, None, event.is_local))
        if not event.is_local:
            append(Connect(event.time, event.origin, event.client_name, event.client_ip))

    def _secured(self, event: Secured, append: Append) -> None:
        session = self._find(event.queue_id)
        protocol, cipher = event.tls_protocol, event.tls_cipher
        if event.is_outbound:
            self._tell(session, append)
            relay = (session.name, session.ip, session.port)
            session.waiting = Tls(event.time, event.origin, None, None, *relay, protocol, cipher)
        else:
            append(Tls(event.time, event.origin, session.name, session.ip, None, None, None, protocol, cipher))

    def _logged_in(self, event: LoggedIn, append: Append) -> None:
        session = self._find(event.queue_id)
        self._tell(session, append)
        user = event.sasl_user
        told = Auth(event.time, event.origin, event.result, session.name, session.ip, sasl_user=user)
        if event.result == "success":
            session.user = user
            append(told)
        else:
            session.waiting = told  # the answer follows, and tells the method

    def _refused(self, event: Refused, append: Append) -> None:
        session = self._find(event.queue_id)
        waiting = session.waiting
        if event.phase == "auth" and type(waiting) is Auth:
            waiting.sasl_method, waiting.reply = event.sasl_method, event.reply
            self._tell(session, append)
        elif event.phase == "auth" and event.reply_code == 535:
            append(self._login_failure(event, session))
        elif not (event.is_own and session.is_local):
            append(self._reject(event, session))

    def _login_failure(self, event: Refused, session: Session) -> Auth:
        client = (session.name, session.ip)
        return Auth(event.time, event.origin, "failure", *client, event.sasl_method, None, event.reply)

    def _reject(self, event: Refused, session: Session) -> Reject:
        return Reject(
            event.time,
            event.origin,
            phase=event.phase,
            client_name=session.name,
            client_ip=session.ip,
            sender=event.sender,
            recipient=event.recipient,
            reply_code=event.reply_code,
            dsn=event.dsn,
            reply=event.reply,
            reason=event.reason,
            sasl_user=session.user,
        )

    def _closed(self, event: Closed, append: Append) -> None:
        session = self._sessions.pop(event.queue_id, None) or Session()
        self._tell(session, append)
        self._arrive(session.message, append)
        if session.is_local:
            return
        client = (session.name, session.ip)
        if event.error is None:
            append(Disconnect(event.time, event.origin, *client))
        else:
            failure = ConnectionFailure(event.time, event.origin, event.error, phase=event.phase, reply=event.reply)
            failure.client_name, failure.client_ip = client
            append(failure)

    # --- messages ---

    def _accepted(self, event: Accepted, append: Append) -> None:
        known = self._arriving.get(event.message)
        if known is not None:  # the older line, for another recipient
            known.recipients = (known.recipients or 0) + event.recipients
            return
        session = self._find(event.queue_id)
        self._arrive(session.message, append)
        session.message = event.message
        received = Received(
            event.time,
            event.origin,
            event.message,
            session.name,
            session.ip,
            None,
            session.user,
            event.sender,
            None,
            event.protocol,
            None,
            None,
            event.size,
            event.recipients,
        )
        received.via = "local" if session.is_local else "submission" if session.user else "smtp"
        if session.is_local and event.sender == "":
            self._notices.explain(received, event.recipient or "")
        if len(self._arriving) >= ARRIVING:
            self._arrive(next(iter(self._arriving)), append)
        self._arriving[event.message] = received

    def _addressed(self, event: Addressed, append: Append) -> None:
        received = self._arriving.pop(event.message, None)
        if received is None:
            return
        received.sender = event.sender
        if event.sender == "" and received.via == "local":
            self._notices.explain(received, event.recipient)
        append(received)

    def _arrive(self, message: str, append: Append) -> None:
        """All that there will be is known of a message."""
        received = self._arriving.pop(message, None)
        if received is not None:
            append(received)

    def _delivery(self, event: Delivery, append: Append) -> None:
        if self._arriving and event.queue_id in self._arriving:
            self._arrive(event.queue_id, append)
        if event.origin.mta == "opensmtpd":
            self._notices.follow(event)
        append(event)

    def _queue_action(self, event: QueueAction, append: Append) -> None:
        self._notices.settle(event)
        append(event)

    # --- relays ---

    def _called(self, event: Called, append: Append) -> None:
        known = self._sessions.pop(event.queue_id, None)  # it goes on to another address
        if known is not None:
            self._tell(known, append)
        self._begin(event.queue_id, Session(event.relay_host, event.relay_ip, event.relay_port))

    def _checked(self, event: Checked, append: Append) -> None:
        session = self._sessions.get(event.queue_id)
        if session is not None and type(session.waiting) is Tls:
            session.waiting.tls_trust = event.tls_trust
            self._tell(session, append)

    def _left(self, event: Left, append: Append) -> None:
        session = self._sessions.pop(event.queue_id, None)
        if session is not None:
            self._tell(session, append)

    def _failed(self, event: Failed, append: Append) -> None:
        session = self._sessions.get(event.queue_id) or Session()
        self._tell(session, append)
        append(
            ConnectionFailure(
                event.time,
                event.origin,
                event.error,
                None,
                session.name,
                session.ip,
                session.port,
                phase=event.phase,
                reply_code=event.reply_code,
                dsn=event.dsn,
                reply=event.reply,
            )
        )
