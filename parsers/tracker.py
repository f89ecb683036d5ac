"""Joins the lines of one message, so that an event knows the message it belongs to.

A queue id is unique within one instance on one host, and only while the message is in its queue: short ids come back.
The tracker is bounded in number and in age; what it had to let go is counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from parsers.events import (
    Connect,
    Delivery,
    Disconnect,
    Event,
    Notification,
    Origin,
    QueueAction,
    Queued,
    Received,
    Reject,
    Removed,
)
from parsers.greylist import deferral_of, is_taken_back, may_be_greylisting
from parsers.message import Deferral, Message
from parsers.mta import SERVERS

SILENT = frozenset(mta for mta, server in SERVERS.items() if not server.says_removed)
SAYS_LOGIN = frozenset(mta for mta, server in SERVERS.items() if server.says_login)
SUBMISSION_ENTRIES = frozenset({"submission", "submissions", "smtps", "msa"})
SESSIONS = 20_000  # daemons whose client is remembered; Postfix runs some hundred at a time
SESSION_SECONDS = 300.0  # that RFC 5321 (4.5.3.2.7) has a server wait: a session that is silent for longer is over
OPEN = 1 << 40  # of a session whose end has a line of its own
RECIPIENTS = 1_000  # of one message, whose attempts are counted
INSTANCES = 1_000  # queues that are kept when they are empty
ENDS = frozenset({"cancel", "discard"})  # of a message that the client gave, or gave up, and nobody gets
ARRIVED = frozenset({"hold", "handover", "split"})  # of a message that was taken
PROBE = "double-bounce@"  # the sender of what Postfix asks or tells itself (double_bounce_sender)
_LOGINS = re.compile(r"(?:^| )auth=(\d{1,4})").search

PIECES = 256  # that the messages are stored in
PIECE_SECONDS = 600.0  # in which messages that begin stand in the same piece

Session = tuple[str, "str | int | None"]  # the host, and the pid of the daemon or what else tells the session
Queue = dict[str, "Message"]
Piece = list[tuple[str, Message]]  # messages, and the instances in whose queues they are


class Memory(msgspec.Struct, array_like=True):
    """What a tracker knows besides the messages, for the one that goes on in its place."""

    dropped: int = 0
    sessions: list[tuple[str, str | int | None, int]] = []  # and when they were met last, as `slot_of` tells it


class Tracker:
    """Messages in flight. `follow` takes events in the order of the log and tells each the message it belongs to."""

    def __init__(self, *, most: int = 50_000, oldest: float = 8 * 86400.0) -> None:
        self.most = most
        self.oldest = oldest
        self.dropped = 0
        self.queues: dict[str, Queue] = {}
        self._count = 0
        # Host and pid of daemons (or what else tells a session) whose client's login was counted.
        self._sessions: dict[Session, int] = {}
        self._steps: dict[type[Event], Callable[[Any], None]] = {
            Received: self._received,
            Queued: self._queued,
            Delivery: self._delivery,
            Reject: self._reject,
            Notification: self._notification,
            QueueAction: self._queue_action,
            Removed: self._removed,
            Disconnect: self._disconnect,
        }

    def follow(self, events: Iterable[Event]) -> None:
        """Put each event in its context."""
        steps, sessions = self._steps, self._sessions
        event = None
        for event in events:
            kind = type(event)
            if kind is Connect:
                sessions.pop((event.origin.host, event.origin.pid), None)
            else:
                step = steps.get(kind)
                if step:
                    step(event)
        if event:
            self._forget(event.time - self.oldest)

    def in_flight(self) -> dict[str, int]:
        """Messages that entered a queue and did not leave it yet, for each MTA."""
        counts: dict[str, int] = {}
        for instance, queue in self.queues.items():
            mta = instance.partition(" ")[0]
            counts[mta] = counts.get(mta, 0) + sum(map(is_queued, queue.values()))
        return counts

    # --- for the tracker that goes on in the place of this one ---

    def memory(self) -> Memory:
        """What it knows besides the messages."""
        return Memory(self.dropped, [(*session, slot) for session, slot in self._sessions.items()])

    def pieces(self) -> list[Piece]:
        """The messages in flight. Most wait for hours and do not change, and with them most pieces."""
        pieces: list[Piece] = [[] for _ in range(PIECES)]
        for instance, queue in self.queues.items():
            for message in queue.values():
                pieces[int(message.since // PIECE_SECONDS) % PIECES].append((instance, message))
        return pieces

    def restore(self, memory: Memory, pieces: Iterable[Piece]) -> None:
        """Know what another one knew."""
        self.dropped = memory.dropped
        self._sessions = {(host, name): slot for host, name, slot in memory.sessions}
        known = [it for piece in pieces for it in piece]
        for instance, message in sorted(known, key=lambda it: it[1].since):
            self.queues.setdefault(instance, {})[message.queue_id] = message
        self._count = sum(map(len, self.queues.values()))

    # --- for a part of a log that was followed by itself ---

    def put_in_context(self, event: Event) -> None:
        """One event; `forget` is for those who call this."""
        step = self._steps.get(type(event))
        if step:
            step(event)

    def forget(self, now: float) -> None:
        """Messages that are too old by now."""
        self._forget(now - self.oldest)

    def take_over(self, queues: Mapping[str, Iterable[Message]], begun: Mapping[str, Iterable[str]]) -> None:
        """Messages in flight of the part, where those that had the ids that it gave are no more."""
        for instance, ids in begun.items():
            queue = self.queues.get(instance, {})
            for queue_id in ids:
                queue.pop(queue_id, None)
        for instance, messages in queues.items():
            known = [*self.queues.get(instance, {}).values(), *messages]
            known.sort(key=lambda message: message.since)
            self.queues[instance] = {message.queue_id: message for message in known}
        self._count = sum(map(len, self.queues.values()))

    def has_room_for(self, sessions: int, since: float) -> bool:
        """Whether so many sessions more can be known, with those that were not over at a time."""
        if len(self._sessions) + sessions >= SESSIONS:
            self._forget_sessions(since)
        return len(self._sessions) + sessions < SESSIONS

    def take_over_sessions(
        self, sessions: Mapping[Session, int | None], firsts: Mapping[Session, tuple[int, int | None, int]]
    ) -> Iterator[tuple[int, int]]:
        """Sessions as the part left them. Of the `firsts` of sessions, some are of one that was told of before, and
        counted there: yields the numbers of their events, and the logins of each."""
        for session, (slot, number, logins) in firsts.items():
            if number is not None and self._sessions.get(session, -OPEN) >= slot - 1:
                yield number, logins
        for session, last in sessions.items():
            if last is None:
                self._sessions.pop(session, None)
            else:
                self._sessions[session] = last

    # --- where messages are kept ---

    def _queue(self, origin: Origin) -> Queue:
        queue = self.queues.get(origin.instance)
        if queue is None:
            if len(self.queues) >= INSTANCES:
                self.queues = {instance: queue for instance, queue in self.queues.items() if queue}
            queue = self.queues[origin.instance] = {}
        return queue

    def _begin(self, queue: Queue, message: Message) -> Message:
        """A new message, in the place of one that had its id."""
        queue_id = message.queue_id
        if queue.pop(queue_id, None) is None:
            self._count += 1
            if self._count > self.most:
                self._drop_oldest(queue or max(self.queues.values(), key=len))
        queue[queue_id] = message
        return message

    def _find(self, event: Queued | Delivery | QueueAction, queue_id: str) -> Message:
        """The message that an event is about, which begins here where it is not known."""
        queue = self._queue(event.origin)
        message = queue.get(queue_id)
        if message is None:
            elsewhere = self._elsewhere(event.origin, queue_id)
            if elsewhere is not None:
                message = elsewhere[queue_id]
            elif is_passing(event):
                message = Message(queue_id, event.time)
            else:
                message = self._begin(queue, Message(queue_id, event.time))
            if type(event) is Delivery:
                message.sender = event.sender
        event.message = message
        return message

    def _elsewhere(self, origin: Origin, queue_id: str) -> Queue | None:
        """The queue of the same host that has a message, though the daemon has another instance's name.

        A service may have a `syslog_name` of its own in master.cf, and often it is not the instance's.
        """
        host = origin.instance.removesuffix(origin.service)
        for instance, queue in self.queues.items():
            if queue_id in queue and instance.startswith(host):
                return queue
        return None

    def _end(self, origin: Origin, queue_id: str) -> Message | None:
        """Let go of a message that is no more."""
        queue = self.queues.get(origin.instance)
        message = queue.pop(queue_id, None) if queue else None
        if message is None:
            elsewhere = self._elsewhere(origin, queue_id)
            if elsewhere is None:
                return None
            message = elsewhere.pop(queue_id)
        self._count -= 1
        return message

    def _drop_oldest(self, queue: Queue) -> None:
        message = queue.pop(next(iter(queue)))
        self._count -= 1
        self.dropped += is_queued(message)

    def _forget(self, before: float) -> None:
        """Messages stand in the order in which they began, so only the first of each queue are looked at."""
        for queue in self.queues.values():
            while queue and next(iter(queue.values())).since < before:
                self._drop_oldest(queue)

    # --- sessions: which authenticated, for a login has no line of its own ---

    def _disconnect(self, event: Disconnect) -> None:
        session = (event.origin.host, event.origin.pid)
        counted = self._sessions.pop(session, None) is not None
        if event.commands and "auth=" in event.commands:
            found = _LOGINS(event.commands)
            event.logins = max(int(found[1]) - counted, 0) if found else 0

    def _login(self, event: Received) -> None:
        session, slot = session_of(event), slot_of(event)
        if self._sessions.get(session, -OPEN) < slot - 1:
            if len(self._sessions) >= SESSIONS:
                self._forget_sessions(event.time)
            event.logins = int(bool(event.sasl_method or event.sasl_user))
            event.tls_sessions = int(event.tls_protocol is not None)
        self._sessions[session] = slot

    def _forget_sessions(self, now: float) -> None:
        """Those that are over by now; all, where too many are not."""
        kept = {session: last for session, last in self._sessions.items() if last >= now // SESSION_SECONDS - 1}
        self._sessions.clear()
        if len(kept) < SESSIONS:
            self._sessions.update(kept)

    # --- messages: how they begin ---

    def _received(self, event: Received) -> None:
        origin, size = event.origin, event.size
        queue = self._queue(origin)
        # By position: each attribute of a struct that is set later costs as much as several given now.
        message = Message(
            event.queue_id,
            event.time,
            event.via or via_of(event),
            event.client_name,
            event.client_ip,
            event.sasl_user,
            event.sender,
            event.message_id,
            size,
            event.recipients if size is not None else None,
        )
        event.message = self._begin(queue, message)
        if event.tls_protocol or ((event.sasl_method or event.sasl_user) and origin.mta not in SAYS_LOGIN):
            self._login(event)
        if message.via == "notification":
            self._notified(event, queue)
        elif event.original_queue_id:
            self._came_before(event, message, queue)
        if size is not None and not event.may_be_refused:
            event.is_arrival = arrives(message)
        if origin.mta in SILENT:
            message.unfinished = event.recipients

    def _notified(self, event: Received, queue: Queue) -> None:
        """Why a notification was written is told by what became of the message that it is about."""
        about = queue.get(event.original_queue_id or "")
        if event.notification is None:
            event.notification = _type_of_notification(about)
        if about and event.notification == "bounce":
            about.has_failed = False

    def _came_before(self, event: Received, message: Message, queue: Queue) -> None:
        """The same message under a new id: requeued, or back from a content filter that tells its id (XFORWARD)."""
        old = queue.get(event.original_queue_id or "")
        is_ours = event.client_ip is None or event.client_ip.startswith("127.") or event.client_ip == "::1"
        if old or is_ours:
            message.has_arrived = True
            message.via = old.via if old else message.via
        if old and event.client_ip is None:
            self._end(event.origin, old.queue_id)

    def _queued(self, event: Queued) -> None:
        queue = self.queues.get(event.origin.instance)
        message = queue.get(event.queue_id) if queue else None
        if message is None:
            message = self._find(event, event.queue_id)
        else:
            event.message = message
        if event.message_id is not None:
            message.message_id = event.message_id
            # Postfix itself began it: cleanup(8) makes a Message-ID out of the queue id. (A message that begins
            # here with another Message-ID is one that local(8) forwards, or began before the log.)
            if not message.via and event.queue_id in event.message_id:
                message.via = "local"
        if event.size is not None:
            if message.sender is None and message.via == "local":
                self._came_from_within(event, message)
            message.size = event.size
            message.sender = event.sender
            message.recipients = event.recipients
            event.message_id = message.message_id
            event.is_arrival = arrives(message)
        elif event.message_id is None:
            event.size, event.sender, event.recipients = message.size, message.sender, message.recipients
            event.is_arrival = arrives(message)

    def _came_from_within(self, event: Queued, message: Message) -> None:
        """What Postfix began itself: a notification, or what it asks and tells itself, which is nobody's message.

        bounce(8) names a notification only after it is made: it may be delivered by then.
        """
        if not event.sender:
            message.via = "notification"
        elif event.sender.startswith(PROBE):
            message.has_arrived = True

    # --- what becomes of them ---

    def _delivery(self, event: Delivery) -> None:
        queue_id = event.queue_id
        if queue_id is None:
            return
        queue = self.queues.get(event.origin.instance)
        message = queue.get(queue_id) if queue else None
        if message is None:
            message = self._find(event, queue_id)
        else:
            event.message = message
        if not message.has_arrived and message.size is not None:
            event.is_arrival = arrives(message)
        if event.recipient is None:
            self._gave_up(event, message)
            return
        if event.sender is None:
            event.sender = message.sender
        if event.delay is None and message.via:
            delay = event.time - message.since
            # round() to a whole number costs a fraction of what it does to so many digits.
            event.delay = round(delay * 1000) / 1000 if delay > 0.0 else 0.0
        if event.status == "deferred":
            self._deferred(event, message)
        else:
            self._finished(event, message)

    def _finished(self, event: Delivery, message: Message) -> None:
        before = message.attempts.pop(event.recipient or "", 0) if message.attempts else 0
        if message.via:
            is_attempt = event.status != "expired" or event.attempts is not None
            event.attempts = before + is_attempt or None
        if message.vague:
            self._was_vague(event, message.vague)
        if event.status != "sent":
            message.has_failed = True
            if event.status == "expired" and message.reason is not None:
                self._gave_up_on(event, message)
        if event.origin.mta in SILENT:
            if event.is_removal:
                self._end(event.origin, message.queue_id)
            else:
                event.is_removal = self._is_over(event, message)
        if event.new_queue_id is not None and event.relay_host == "local":
            self._forwarded(event, message)

    def _is_over(self, event: Delivery | QueueAction, message: Message) -> bool:
        """Whether a message leaves the queue with this recipient: nobody waits, and all that were counted are done.

        Aliases make several recipients of one, so a message may have left too early. What comes then looks like one
        whose beginning was not seen: that leaves too, but is no removal.
        """
        if message.unfinished is not None:
            message.unfinished -= 1
        if message.attempts or (message.unfinished or 0) > 0:
            return False
        self._end(event.origin, message.queue_id)
        return bool(message.via)

    def _forwarded(self, event: Delivery, message: Message) -> None:
        """local(8) gives a message back to the queue under a new id, to send it to whom an alias names."""
        child = self._queue(event.origin).get(event.new_queue_id or "")
        if child and not child.via:
            child.via = message.via
            child.has_arrived = True

    def _deferred(self, event: Delivery, message: Message) -> None:
        message.direction, message.provider, message.reason = event.direction, event.provider, event.reason
        attempts = message.attempts
        if attempts is None:
            attempts = message.attempts = {}
        recipient = event.recipient or ""
        before = attempts.get(recipient, 0)
        if before or len(attempts) < RECIPIENTS:
            attempts[recipient] = before + 1
            self._may_be_greylisting(event, message, is_first=not before)

    def _may_be_greylisting(self, event: Delivery, message: Message, *, is_first: bool) -> None:
        """Only a first deferral is taken back at the next attempt."""
        recipient = event.recipient or ""
        if not is_first:
            if message.vague:
                message.vague.pop(recipient, None)
        elif may_be_greylisting(event):
            event.may_be_greylisting = True
            if message.vague is None:
                message.vague = {}
            message.vague[recipient] = deferral_of(event)

    def _was_vague(self, event: Delivery, vague: dict[str, Deferral]) -> None:
        deferral = vague.pop(event.recipient or "", None)
        if deferral and event.status == "sent" and is_taken_back(deferral, event):
            event.greylisted = deferral

    def _gave_up_on(self, event: Delivery, message: Message) -> None:
        event.direction, event.provider, event.reason = message.direction, message.provider, message.reason

    def _gave_up(self, event: Delivery, message: Message) -> None:
        """An expired message has the destination and the reason of its last deferral."""
        self._gave_up_on(event, message)
        if message.attempts and message.via:
            event.attempts = max(message.attempts.values())
        message.has_failed = True
        if event.is_removal:
            self._end(event.origin, message.queue_id)

    def _notification(self, event: Notification) -> None:
        queue = self._queue(event.origin)
        if event.queue_id not in queue:
            queue = self._elsewhere(event.origin, event.queue_id) or queue
        event.message = queue.get(event.queue_id)
        if event.is_arrival and event.new_queue_id:
            self._begin(queue, Message(event.new_queue_id, event.time)).has_arrived = True
            queue[event.new_queue_id].unfinished = 1
        child = queue.get(event.new_queue_id or "")
        if child:
            child.via = "notification"
        if event.is_arrival:  # what arrives is the notification
            event.message = Message(event.new_queue_id or "", event.time, via="notification", has_arrived=True)

    def _queue_action(self, event: QueueAction) -> None:
        if event.action in ENDS:
            event.message = self._end(event.origin, event.queue_id)
            event.is_arrival = event.action == "discard" and event.message is not None and arrives(event.message)
            return
        message = self._find(event, event.queue_id)
        if event.action in ARRIVED:
            event.is_arrival = arrives(message)
        if event.action == "give_up":
            message.has_failed = True
        elif event.action == "handover":
            self._is_over(event, message)
        elif event.action == "split":
            self._split(event, message)
        elif event.action == "delete" and event.recipient is not None:
            if message.attempts:
                message.attempts.pop(event.recipient, None)
            event.is_removal = self._is_over(event, message)
        elif event.more_recipients and message.unfinished is not None:
            message.unfinished += event.more_recipients
            if message.unfinished <= 0:
                self._end(event.origin, message.queue_id)
                event.is_removal = True

    def _split(self, event: QueueAction, message: Message) -> None:
        """Some recipients go on under another id, nobody says how many."""
        message.unfinished = None
        child = self._begin(self._queue(event.origin), Message(event.new_queue_id or "", event.time))
        child.via, child.sender, child.message_id = message.via, message.sender, message.message_id
        child.has_arrived = True

    def _reject(self, event: Reject) -> None:
        """After its last line a message is refused as a whole; before that, a command is."""
        if event.queue_id and event.phase == "end_of_data":
            self._end(event.origin, event.queue_id)

    def _removed(self, event: Removed) -> None:
        event.message = self._end(event.origin, event.queue_id)


def _type_of_notification(about: Message | None) -> str:
    """After a failure that nobody was told of yet it is a bounce."""
    if about is None or about.has_failed:
        return "bounce"
    return "delay" if about.attempts else "success"


def via_of(event: Received) -> str:
    """How a message came, where its line does not say so itself."""
    if event.sasl_method or event.sasl_user:
        return "submission"
    if event.client_name is None and event.client_ip is None:
        return "local"
    return "submission" if event.origin.entry in SUBMISSION_ENTRIES else "smtp"


def session_of(event: Received) -> Session:
    """The session in which a message came."""
    return event.origin.host, event.session or event.origin.pid


def slot_of(event: Received) -> int:
    """When that was, in steps of `SESSION_SECONDS`: what is more than one step before is another session."""
    return int(event.time // SESSION_SECONDS) if event.session else OPEN


def is_passing(event: Queued | Delivery | QueueAction) -> bool:
    """Whether nothing more is to come of a message that is not known: it was done, as far as this event tells."""
    if event.origin.mta in SILENT:
        return type(event) is QueueAction or (type(event) is Delivery and event.status != "deferred")
    # cleanup(8) returns what it refuses of a local user: that never was in the queue.
    return type(event) is Delivery and event.origin.program == "cleanup"


def is_queued(message: Message) -> bool:
    """Whether a message entered the queue: many that a client begins are refused, or the client goes away."""
    return message.has_arrived or not message.via


def arrives(message: Message) -> bool:
    """Whether this is the first that the queue says of a message whose beginning the log has."""
    if message.has_arrived or not message.via:
        return False
    message.has_arrived = True
    return True
