"""Who sends: what each account and each sender's address adds up to."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from parsers.account import FAILED, HOUR, NAME, Accounts, Part, Quotas
from parsers.events import Delivery, Event, Notification, Origin, QueueAction, Queued, Received
from parsers.message import Message
from parsers.window import Window

ACCOUNT, SENDER = "account", "sender"
NULL = "<>"  # the sender of notifications
SOMEWHERE = Origin("", "", "", "")
REVIEW_SECONDS = 300.0  # between two looks at the last hour
KNOWN = 100_000  # different recipients and clients of one that are told apart


class Told(NamedTuple):
    """What an event tells of a sender: that a message of theirs arrived, or what became of one recipient (where it
    has a status), or both."""

    time: float
    user: str | None
    sender: str | None
    client_ip: str | None
    recipients: int | None
    size: int | None
    is_arrival: bool
    recipient: str | None
    status: str | None


def told(event: Event) -> Told | None:
    """What an event in context tells."""
    if isinstance(event, Notification):  # the message of it is the one that it is about
        return Told(event.time, None, "", None, None, None, True, None, None) if event.is_arrival else None
    if not isinstance(event, Received | Queued | QueueAction | Delivery) or event.message is None:
        return None
    recipient, status = (event.recipient, event.status) if isinstance(event, Delivery) else (None, None)
    if not (event.is_arrival or status):
        return None
    of = event.message
    who = (event.time, of.sasl_user, of.sender, of.client_ip, of.recipients, of.size)
    return Told(*who, event.is_arrival, recipient, status)


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

    def add(self, item: Told) -> None:
        """A message of theirs entered the queue, or something became of a recipient."""
        if item.is_arrival:
            self._arrive(item)
        if item.recipient and len(self.to) < KNOWN:
            self.to.add(hash(item.recipient.lower()))
        self.sent += item.status == "sent"
        self.failed += item.status in FAILED
        self.first = item.time if self.first is None else min(self.first, item.time)
        self.last = item.time if self.last is None else max(self.last, item.time)

    def _arrive(self, item: Told) -> None:
        self.messages += 1
        self.recipients += item.recipients or 0
        self.size += item.size or 0
        if item.client_ip and len(self.clients) < KNOWN:
            self.clients.add(item.client_ip)
        self._window.at(item.time).messages += 1
        self.peak = max(self.peak, sum(part.messages for part in self._window.live(item.time)))

    @property
    def bounced(self) -> float | None:
        """The share of failures among the deliveries that ended."""
        ended = self.sent + self.failed
        return self.failed / ended if ended else None


class Row(NamedTuple):
    """One line of the report; the name is "" of all messages of which the log does not tell the sender."""

    kind: str
    name: str
    figures: Figures
    is_over_quota: bool


class Senders:
    """Adds up accounts and senders, in the order of the log; accounts are judged as the exporter judges them."""

    def __init__(self, quotas: Quotas | None = None) -> None:
        self._quotas = quotas or Quotas()
        self._now = self._review_at = 0.0
        self._figures: dict[tuple[str, str], Figures] = defaultdict(Figures)
        self._accounts = Accounts(quotas=self._quotas, on_told=self._tell)

    def add(self, item: Told) -> None:
        """Add what an event told."""
        if item.time >= self._review_at:
            self._accounts.review(self._now)  # by the hour that ended before this moment
            self._review_at = item.time + REVIEW_SECONDS
        self._now = item.time
        for it in self._of(item):
            it.add(item)
        if item.user:
            self._judge(item)

    def _judge(self, item: Told) -> None:
        message = Message("", item.time, client_ip=item.client_ip, sasl_user=item.user, recipients=item.recipients)
        if item.is_arrival:
            self._accounts.arrive(item.time, message)
        if item.status:
            delivery = Delivery(item.time, SOMEWHERE, "", item.recipient, item.status, "outbound")
            self._accounts.deliver(delivery, message)

    def _of(self, item: Told) -> list[Figures]:
        keys = []
        if item.user:
            keys.append((ACCOUNT, item.user[:NAME].lower()))
        keys.append((SENDER, "" if item.sender is None else item.sender.lower() or NULL))
        return [self._figures[key] for key in keys]

    def _tell(self, name: str, why: str, number: float) -> None:  # noqa: ARG002 - what the exporter's log tells
        self._figures[ACCOUNT, name].suspicions.add(why)

    def rows(self) -> list[Row]:
        """Accounts first; of both, those with most messages first."""
        self._accounts.review(self._now)
        order = sorted(self._figures.items(), key=lambda it: (it[0][0], -it[1].messages, -it[1].sent, it[0][1]))
        return [Row(kind, name, it, "quota" in it.suspicions) for (kind, name), it in order]
