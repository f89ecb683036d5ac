"""Who sends: what each account and each sender's address adds up to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from parsers.account import FAILED, HOUR, NAME, Accounts, Part, Quotas
from parsers.events import Delivery, Event, QueueAction, Queued, Received
from parsers.message import Message
from parsers.window import Window

ACCOUNT, SENDER = "account", "sender"
NULL = "<>"  # the sender of notifications
REVIEW_SECONDS = 300.0  # between two looks at the last hour
KNOWN = 100_000  # different recipients and clients of one that are told apart


class Figures:
    """What one of them sent. `peak` is the most messages within an hour."""

    def __init__(self) -> None:
        self.messages = self.recipients = self.size = self.sent = self.failed = self.peak = 0
        self.to: set[int] = set()
        self.clients: set[str] = set()
        self.first: float | None = None
        self.last: float | None = None
        self.suspicions: set[str] = set()
        self._window = Window(HOUR, Part)

    def arrive(self, time: float, message: Message) -> None:
        """A message of theirs entered the queue."""
        self.messages += 1
        self.recipients += message.recipients or 0
        self.size += message.size or 0
        if message.client_ip and len(self.clients) < KNOWN:
            self.clients.add(message.client_ip)
        self._window.at(time).messages += 1
        self.peak = max(self.peak, sum(part.messages for part in self._window.live(time)))
        self._see(time)

    def deliver(self, event: Delivery) -> None:
        """What became of one recipient."""
        if event.recipient and len(self.to) < KNOWN:
            self.to.add(hash(event.recipient.lower()))
        self.sent += event.status == "sent"
        self.failed += event.status in FAILED
        self._see(event.time)

    def _see(self, time: float) -> None:
        self.first = time if self.first is None else min(self.first, time)
        self.last = time if self.last is None else max(self.last, time)

    @property
    def bounced(self) -> float | None:
        """The share of failures among the deliveries that ended."""
        ended = self.sent + self.failed
        return self.failed / ended if ended else None


class Row(NamedTuple):
    """One line of the report."""

    kind: str
    name: str
    figures: Figures
    is_over_quota: bool


class Senders:
    """Adds up accounts and senders, batch by batch; accounts are judged as the exporter judges them."""

    def __init__(self, quotas: Quotas | None = None) -> None:
        self._quotas = quotas or Quotas()
        self._now = self._review_at = 0.0
        self._figures: dict[tuple[str, str], Figures] = defaultdict(Figures)
        self._accounts = Accounts(quotas=self._quotas, on_told=self._tell)

    def add(self, events: Iterable[Event]) -> None:
        """Add a batch of events in context."""
        for event in events:
            if event.time >= self._review_at:
                self._review(event.time)
            message: Message | None = getattr(event, "message", None)
            if message is None:
                continue
            if isinstance(event, Received | Queued | QueueAction | Delivery) and event.is_arrival:
                self._arrive(event, message)
            if type(event) is Delivery:
                self._deliver(event, message)

    def _review(self, time: float) -> None:
        """Judge by the hour that ended before this moment."""
        self._accounts.review(self._now)
        self._review_at = time + REVIEW_SECONDS

    def _arrive(self, event: Any, message: Message) -> None:
        self._now = event.time
        for it in self._of(message):
            it.arrive(event.time, message)
        if message.sasl_user:
            self._accounts.arrive(event.time, message)

    def _deliver(self, event: Delivery, message: Message) -> None:
        self._now = event.time
        for it in self._of(message):
            it.deliver(event)
        if message.sasl_user:
            self._accounts.deliver(event, message)

    def _of(self, message: Message) -> list[Figures]:
        keys = []
        if message.sasl_user:
            keys.append((ACCOUNT, message.sasl_user[:NAME].lower()))
        if message.sender is not None:
            keys.append((SENDER, message.sender.lower() or NULL))
        return [self._figures[key] for key in keys]

    def _tell(self, name: str, why: str, number: float) -> None:  # noqa: ARG002 - what the exporter's log tells
        self._figures[ACCOUNT, name].suspicions.add(why)

    def rows(self) -> list[Row]:
        """Accounts first; of both, those with most messages first."""
        self._accounts.review(self._now)
        order = sorted(self._figures.items(), key=lambda it: (it[0][0], -it[1].messages, -it[1].sent, it[0][1]))
        return [Row(kind, name, it, "quota" in it.suspicions) for (kind, name), it in order]
