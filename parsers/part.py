"""A part of a log, followed by itself, with what comes of it as if all that came before were known.

What a line says of a message that began before this part waits (an orphan) for the one who knows it, and so do the
few effects that lines of this part have on such messages. What could not be told without what came before, and was
not worth waiting, is noted as something to be checked. `absorb` brings together what came before and a part, `agrees`
tells whether that can be done; a part that does not agree has to be followed again, after what came before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from parsers.events import Connect, Delivery, Disconnect, Event, Notification, Origin, QueueAction, Queued, Received
from parsers.message import Message
from parsers.tracker import INSTANCES, SESSIONS, Queue, Session, Tracker, session_of, slot_of

ID = tuple[str, str]  # an instance, or a host's part of its name, and a queue id


class Child(NamedTuple):
    """A message that began before, as far as this part knows, goes on under another id."""

    instance: str
    queue_id: str
    via: str
    is_forwarded: bool


class Ended(NamedTuple):
    """An id that a message of this part had: one from before, that had it too, is no more."""

    instance: str
    queue_id: str


class Orphan(NamedTuple):
    """An event that waits for what came before; `number` is its place in the part."""

    number: int
    event: Event


class Group(NamedTuple):
    """What waits of one batch, in order; `latest` is the time of the batches before it in this part."""

    latest: float
    items: list[Orphan | Child | Ended]


class Rest(NamedTuple):
    """What a part leaves to the one who knows what came before.

    `sessions` are those that were met, with when they were met last (None: they ended); `firsts` those of which it
    was assumed that no line before told, with when they were met first, the number of the event that tells of them
    (None: nothing was counted for it), and its logins. `begun` are ids that messages of this part had, `elsewhere`
    ids of messages that another instance of the same host spoke of, with the instance that has them.
    """

    groups: list[Group]
    queues: dict[str, list[Message]]
    begun: dict[str, set[str]]
    sessions: dict[Session, int | None]
    firsts: dict[Session, tuple[int, int | None, int]]
    elsewhere: set[tuple[str, str, str]]
    most: int
    earliest: float
    latest: float
    is_clear: bool  # that nothing happened which cannot be told apart


class _UnknownError(Exception):
    """Of a message that is not of this part."""


class PartTracker(Tracker):
    """Follows a part. `follow` leaves the orphans out of the events that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0  # of the events so far
        self._groups: list[Group] = []
        self._items: list[Orphan | Child | Ended] = []
        self._begun: dict[str, set[str]] = {}
        self._ended: set[Session] = set()
        self._assumed: dict[Session, tuple[int, Received]] = {}
        self._firsts: dict[Session, tuple[int, int | None, int]] = {}
        self._elsewhere_found: set[tuple[str, str, str]] = set()
        self._peak = 0
        self._earliest = 0.0
        self._latest = 0.0
        self._is_clear = True

    def follow_part(self, events: list[Event]) -> tuple[list[Event], Sequence[int]]:
        """Put each event in its context, as far as that is known; those of which it is, and their numbers."""
        first = self.number
        self.number += len(events)
        steps, sessions, ended = self._steps, self._sessions, self._ended
        lost: list[int] = []
        for place, event in enumerate(events):
            kind = type(event)
            if kind is Connect:
                session = (event.origin.host, event.origin.pid)
                sessions.pop(session, None)
                ended.add(session)
            else:
                step = steps.get(kind)
                if step:
                    try:
                        step(event)
                    except _UnknownError:
                        lost.append(place)
                        self._orphaned(Orphan(first + place, event))
        if self._assumed:
            self._settle_firsts(events, first)
        known, numbers = _without(events, first, lost)
        self._close_batch(events)
        return known, numbers

    def rest(self) -> Rest:
        """What is left to do when the part is over."""
        sessions: dict[Session, int | None] = dict.fromkeys(self._ended)
        sessions.update(self._sessions)
        return Rest(
            self._groups,
            {instance: list(queue.values()) for instance, queue in self.queues.items()},
            self._begun,
            sessions,
            self._firsts,
            self._elsewhere_found,
            self._peak,
            self._earliest,
            self._latest,
            self._is_clear and len(self._sessions) < SESSIONS and len(self.queues) < INSTANCES,
        )

    def _orphaned(self, orphan: Orphan) -> None:
        event: Any = orphan.event
        instance, queue_id = event.origin.instance, getattr(event, "queue_id", None)
        begun = self._begun.get(instance)
        if begun and queue_id in begun:
            begun.remove(queue_id)
            self._items.append(Ended(instance, queue_id))
        new = getattr(event, "new_queue_id", None)
        for name in (queue_id, new):
            # It would be about a message of this part, as far as the one knows who is to be asked.
            self._is_clear &= not name or not self._has(event.origin, name)
        self._is_clear &= type(event) is not Received or not (
            event.tls_protocol or event.sasl_method or event.sasl_user
        )
        self._items.append(orphan)

    def _has(self, origin: Origin, queue_id: str) -> bool:
        return super()._elsewhere(origin, queue_id) is not None

    def _close_batch(self, events: list[Event]) -> None:
        if self._items:
            self._groups.append(Group(self._latest, self._items))
            self._items = []
        if events:
            self._earliest = self._earliest or events[0].time
            self._latest = max(self._latest, events[-1].time)
            self._forget(events[-1].time - self.oldest)
        self._peak = max(self._peak, self._count)

    # --- sessions ---

    def _settle_firsts(self, events: list[Event], first: int) -> None:
        """Give what was taken for the first of its session, where that counts, the number of its event."""
        places = {id(event): place for place, event in enumerate(events)}
        for session, (slot, event) in self._assumed.items():
            counts = event.logins or event.tls_sessions
            self._firsts[session] = (slot, first + places[id(event)] if counts else None, event.logins)
        self._assumed.clear()

    def _login(self, event: Received) -> None:
        session = session_of(event)
        if session not in self._sessions and session not in self._ended and session not in self._firsts:
            self._assumed.setdefault(session, (slot_of(event), event))
        super()._login(event)

    def _disconnect(self, event: Disconnect) -> None:
        session = (event.origin.host, event.origin.pid)
        is_known = session in self._sessions or session in self._ended
        self._ended.add(session)
        if not is_known and event.commands and "auth=" in event.commands:
            raise _UnknownError
        super()._disconnect(event)

    # --- messages ---

    def _begin(self, queue: Queue, message: Message) -> Message:
        message = super()._begin(queue, message)
        self._peak = max(self._peak, self._count)
        return message

    def _received(self, event: Received) -> None:
        instance = event.origin.instance
        queue = self.queues.get(instance)
        if event.original_queue_id and (queue is None or event.original_queue_id not in queue):
            raise _UnknownError
        super()._received(event)
        begun = self._begun.get(instance)
        if begun is None:
            begun = self._begun[instance] = set()
        begun.add(event.queue_id)

    def _find(self, event: Queued | Delivery | QueueAction, queue_id: str) -> Message:
        queue = self.queues.get(event.origin.instance)
        if not (queue and queue_id in queue) and self._elsewhere(event.origin, queue_id) is None:
            raise _UnknownError
        return super()._find(event, queue_id)

    def _elsewhere(self, origin: Origin, queue_id: str) -> Queue | None:
        found = super()._elsewhere(origin, queue_id)
        if found is not None:
            instance = self._instance(found)
            self._elsewhere_found.add((_host(origin), queue_id, instance))
        return found

    def _instance(self, queue: Queue) -> str:
        return next(instance for instance, it in self.queues.items() if it is queue)

    def _end(self, origin: Origin, queue_id: str) -> Message | None:
        message = super()._end(origin, queue_id)
        if message is None:
            raise _UnknownError
        return message

    def _forwarded(self, event: Delivery, message: Message) -> None:
        super()._forwarded(event, message)
        self._tell_child(event.origin.instance, event.new_queue_id, message.via, is_forwarded=True)

    def _notification(self, event: Notification) -> None:
        queue = self.queues.get(event.origin.instance)
        if queue is None or event.queue_id not in queue:
            queue = self._elsewhere(event.origin, event.queue_id)
        if queue is None:
            raise _UnknownError
        super()._notification(event)
        if event.is_arrival and event.new_queue_id:
            self._begun.setdefault(self._instance(queue), set()).add(event.new_queue_id)
        self._tell_child(self._instance(queue), event.new_queue_id, "notification", is_forwarded=False)

    def _split(self, event: QueueAction, message: Message) -> None:
        super()._split(event, message)
        self._begun.setdefault(event.origin.instance, set()).add(event.new_queue_id or "")

    def _tell_child(self, instance: str, queue_id: str | None, via: str, *, is_forwarded: bool) -> None:
        if queue_id and queue_id not in self.queues.get(instance, ()):
            self._items.append(Child(instance, queue_id, via, is_forwarded))


def _host(origin: Origin) -> str:
    return origin.instance.removesuffix(origin.service)


def _without(events: list[Event], first: int, lost: list[int]) -> tuple[list[Event], Sequence[int]]:
    if not lost:
        return events, range(first, first + len(events))
    left = set(lost)
    kept = [place for place in range(len(events)) if place not in left]
    return [events[place] for place in kept], [first + place for place in kept]


# --- together with what came before ---


def agrees(tracker: Tracker, rest: Rest) -> bool:
    """Whether what a part assumed is so."""
    queues, orphans = tracker.queues, _ids(rest.groups)
    return (
        rest.is_clear
        and sum(map(len, queues.values())) + rest.most + len(orphans) <= tracker.most
        and len(queues) + len(rest.queues) < INSTANCES
        and tracker.has_room_for(len(rest.sessions), rest.earliest)
        and not any(_is_elsewhere(queues, orphans, *found) for found in rest.elsewhere)
    )


def absorb(tracker: Tracker, rest: Rest, on_found: Callable[[list[Event], list[int]], None]) -> dict[int, int]:
    """Do what a part left to do: `on_found` is given the orphans, in context, and their numbers in the part, a batch
    at a time. Returns the numbers of the events whose session was told of before, with the logins of each."""
    for group in rest.groups:
        tracker.forget(group.latest)
        orphans = [item for item in group.items if isinstance(item, Orphan)]
        for item in group.items:
            _apply(tracker, item)
        if orphans:
            on_found([orphan.event for orphan in orphans], [orphan.number for orphan in orphans])
    tracker.take_over(rest.queues, rest.begun)
    tracker.forget(rest.latest)
    return dict(tracker.take_over_sessions(rest.sessions, rest.firsts))


def _apply(tracker: Tracker, item: Orphan | Child | Ended) -> None:
    if isinstance(item, Orphan):
        tracker.put_in_context(item.event)
    elif isinstance(item, Ended):
        tracker.queues.get(item.instance, {}).pop(item.queue_id, None)
    else:
        child = tracker.queues.get(item.instance, {}).get(item.queue_id)
        if child and item.is_forwarded and not child.via:
            child.via, child.has_arrived = item.via, True
        elif child and not item.is_forwarded:
            child.via = item.via


def _ids(groups: Iterable[Group]) -> set[str]:
    events = (item.event for group in groups for item in group.items if isinstance(item, Orphan))
    return {queue_id for event in events if (queue_id := getattr(event, "queue_id", None))}


def _is_elsewhere(queues: dict[str, Queue], orphans: set[str], host: str, queue_id: str, has_it: str) -> bool:
    """Whether another queue of a host has, or may come to have, an id."""
    return queue_id in orphans or any(
        instance != has_it and instance.startswith(host) and queue_id in queue for instance, queue in queues.items()
    )
