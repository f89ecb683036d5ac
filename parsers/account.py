"""Which accounts send more, to more, from more places, or worse than they should: before providers notice.

An account is who authenticated. Of each, the last hour is kept in some hundred bytes: exact counts, and how many
different recipients and client addresses there were (`parsers.distinct`). The table is bounded; the account that was
silent for longest goes first.

An account is suspicious, of

- `volume`, when it sent `Limits.messages` in the last hour and `Limits.surge` times what it sends in an hour usually
  (the mean over its last day of hours in which it sent); of one with a quota of its own, when it is over that;
- `recipients` and `clients`, when it sent to, or from, so many different ones in the last hour;
- `bounces`, when of its deliveries of the last hour that ended, at least `Limits.ended`, such a share failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from parsers.distinct import bit_of, count, pack, unpack
from parsers.memo import Memo
from parsers.window import Window

if TYPE_CHECKING:
    from parsers.events import Delivery
    from parsers.message import Message

HOUR = 3600.0
ACCOUNTS = 2_000
NAME = 200  # characters of an account's name
CLIENT = 50  # characters of a client's address
RECIPIENT_BITS = 2048
CLIENT_BITS = 256
USUAL_HOURS = 24
WHYS = ("volume", "recipients", "clients", "bounces")
FAILED = frozenset({"bounced", "expired"})

Told = Callable[[str, str, float], None]
client_bit: Memo[str, int] = Memo(lambda address: bit_of(address, CLIENT_BITS))  # clients come back


class Limits(NamedTuple):
    """What is suspicious in one hour: messages, times the usual, different recipients and clients, and the share of
    failures among so many deliveries that ended."""

    messages: int = 100
    surge: float = 5.0
    recipients: int = 300
    clients: int = 10
    bounces: float = 0.3
    ended: int = 20


class Quota(NamedTuple):
    """What an account may send in an hour; 0 is without limit."""

    messages: int = 0
    recipients: int = 0


class Quotas:
    """The quota of each account: its own, or that of its domain, or the default. Keys are in lower case."""

    def __init__(self, default: Quota | None = None, own: Mapping[str, Quota] | None = None) -> None:
        self.default = default or Quota()
        self._own = own or {}

    def of(self, name: str) -> Quota:
        """What an account may send."""
        return self.own(name) or self._own.get(name.rpartition("@")[2]) or self.default

    def own(self, name: str) -> Quota | None:
        """The quota that is this account's alone."""
        return self._own.get(name)


class Part:
    """What an account did in a part of the hour."""

    __slots__ = ("clients", "failed", "messages", "recipients", "sent", "to")

    def __init__(self) -> None:
        self.messages = self.recipients = self.sent = self.failed = 0
        self.to = self.clients = 0  # bits


class Account:
    """One account. `usual` is how many messages it sends in an hour in which it sends; `told` is when it was last
    over what."""

    __slots__ = ("begin", "client", "end", "hour", "last", "name", "part", "sent", "told", "usual", "window")

    def __init__(self, name: str) -> None:
        self.name = name
        self.window = Window(HOUR, Part)
        self.usual = 0.0
        self.hour = 0
        self.sent = 0  # messages of this clock hour
        self.client: str | None = None  # the last one
        self.told: dict[str, float] = {}
        self.last = 0.0  # message
        self.begin = self.end = 0.0  # of the part that is filled
        self.part = Part()

    def turn(self, time: float) -> None:
        """Go on in the part of this moment."""
        self.part = self.window.at(time)
        self.begin, self.end = time, self.window.end(time)
        self.client = None
        hour = int(time // HOUR)
        if hour > self.hour:
            self.usual += (self.sent - self.usual) / USUAL_HOURS
            self.hour, self.sent = hour, 0


class Memory(msgspec.Struct, array_like=True):
    """What is known of an account, to be stored. Of a part of the hour: messages, recipients, sent, failed, and as
    they are packed recipients and clients.

    It is stored by the order of its fields: a new one stands at the end.
    """

    name: str
    usual: float
    hour: int
    sent: int
    last: float
    told: dict[str, float]
    parts: dict[int, tuple[int, int, int, int, bytes, bytes]]


class State(NamedTuple):
    """The last hour of an account."""

    messages: int
    recipients: int
    different: int  # recipients
    clients: int
    sent: int
    failed: int


class Review(NamedTuple):
    """What stands out: how many accounts are suspicious of what, how many sent more than they may in the last hour,
    and the messages of the one that sent most."""

    suspicious: dict[str, int]
    over_quota: int
    most_messages: int


def state_of(account: Account, now: float) -> State:
    """What an account did in the last hour."""
    messages = recipients = sent = failed = to = clients = 0
    for part in account.window.live(now):
        messages += part.messages
        recipients += part.recipients
        sent += part.sent
        failed += part.failed
        to |= part.to
        clients |= part.clients
    return State(messages, recipients, count(to, RECIPIENT_BITS), count(clients, CLIENT_BITS), sent, failed)


class Accounts:
    """Follows the messages and deliveries of those who authenticated.

    An account is judged when a part of its hour is over, and all are by `review`. `on_told(name, why, number)` is
    told once for each beginning: why is one of `WHYS`, or `quota`; the number is that of messages, recipients or
    clients, or the share of bounces.
    """

    def __init__(
        self, limits: Limits | None = None, quotas: Quotas | None = None, on_told: Told | None = None
    ) -> None:
        self.limits = limits or Limits()
        self.quotas = quotas or Quotas()
        self._on_told = on_told
        self._accounts: dict[str, Account] = {}

    def arrive(self, time: float, message: Message) -> None:
        """A message of somebody who authenticated entered the queue."""
        account = self._accounts.get(message.sasl_user or "") or self._find(message)
        if not account.begin <= time < account.end:
            self._turn(account, time)
        account.sent += 1
        account.last = time
        part = account.part
        part.messages += 1
        part.recipients += message.recipients or 0
        if message.client_ip != account.client:
            account.client = message.client_ip
            part.clients |= client_bit[(message.client_ip or "")[:CLIENT]]

    def deliver(self, event: Delivery, message: Message) -> None:
        """What became of one recipient of such a message."""
        account = self._accounts.get(message.sasl_user or "") or self._find(message)
        if not account.begin <= event.time < account.end:
            self._turn(account, event.time)
        part = account.part
        if event.recipient:
            part.to |= bit_of(event.recipient, RECIPIENT_BITS)
        if event.status == "sent":
            part.sent += 1
        elif event.status in FAILED:
            part.failed += 1

    # --- what is asked, at a moment in the time of events ---

    def review(self, now: float) -> Review:
        """Judge all that did something within the last hour."""
        suspicious = dict.fromkeys(WHYS, 0)
        over_quota = most = 0
        for account in self._accounts.values():
            if account.window.is_empty(now):
                continue
            state = state_of(account, now)
            suspicions, is_over = list(self._suspicions(account, state)), self._is_over(account, state)
            self._tell(account, now, state, suspicions, is_over=is_over)
            for why, _ in suspicions:
                suspicious[why] += 1
            over_quota += is_over
            most = max(most, state.messages)
        return Review(suspicious, over_quota, most)

    # --- for those that go on in the place of these ---

    def memory(self) -> list[Memory]:
        """All that is known."""
        return [_memory_of(account) for account in self._accounts.values()]

    def restore(self, memories: Iterable[Memory]) -> None:
        """Go on from there."""
        for memory in memories:
            if len(self._accounts) < ACCOUNTS:
                self._accounts[memory.name] = _account_of(memory)

    # --- how it is judged ---

    def _find(self, message: Message) -> Account:
        """The account by its name in lower case, which may begin here."""
        name = (message.sasl_user or "")[:NAME].lower()
        account = self._accounts.get(name)
        if account is None:
            if len(self._accounts) >= ACCOUNTS:
                self._forget()
            account = self._accounts[name] = Account(name)
        return account

    def _forget(self) -> None:
        """Let go of the quarter that was silent for longest."""
        order = sorted(self._accounts.values(), key=lambda it: it.last)
        for account in order[: ACCOUNTS // 4]:
            del self._accounts[account.name]

    def _turn(self, account: Account, time: float) -> None:
        if self._on_told and time >= account.end > 0:
            self._judge(account, time)
        account.turn(time)

    def _is_over(self, account: Account, state: State) -> bool:
        quota = self.quotas.of(account.name)
        return 0 < quota.messages < state.messages or 0 < quota.recipients < state.recipients

    def _suspicions(self, account: Account, state: State) -> Iterator[tuple[str, float]]:
        limits = self.limits
        own = self.quotas.own(account.name)
        usual = max(limits.messages, limits.surge * account.usual)
        if state.messages > own.messages > 0 if own else state.messages >= usual:
            yield "volume", state.messages
        if state.different >= limits.recipients and not (own and 0 < state.recipients <= own.recipients):
            yield "recipients", state.different
        if state.clients >= limits.clients:
            yield "clients", state.clients
        ended = state.sent + state.failed
        if ended >= limits.ended and state.failed >= limits.bounces * ended:
            yield "bounces", round(state.failed / ended, 3)

    def _judge(self, account: Account, now: float) -> None:
        state = state_of(account, now)
        suspicions = list(self._suspicions(account, state))
        self._tell(account, now, state, suspicions, is_over=self._is_over(account, state))

    def _tell(
        self, account: Account, now: float, state: State, suspicions: list[tuple[str, float]], *, is_over: bool
    ) -> None:
        """Tell what begins; what was told within the hour goes on."""
        if self._on_told is None:
            return
        for why, number in [*suspicions, ("quota", state.messages)] if is_over else suspicions:
            if now - account.told.get(why, -2 * HOUR) > HOUR:
                self._on_told(account.name, why, number)
            account.told[why] = max(now, account.told.get(why, now))


def _memory_of(account: Account) -> Memory:
    parts = {
        number: (part.messages, part.recipients, part.sent, part.failed, pack(part.to), pack(part.clients))
        for number, part in account.window.slots().items()
    }
    return Memory(account.name, account.usual, account.hour, account.sent, account.last, account.told, parts)


def _account_of(memory: Memory) -> Account:
    account = Account(memory.name)
    account.usual, account.hour, account.sent = memory.usual, memory.hour, memory.sent
    account.last, account.told = memory.last, dict(memory.told)
    account.window.restore({number: _part_of(*stored) for number, stored in memory.parts.items()})
    return account


def _part_of(messages: int, recipients: int, sent: int, failed: int, to: bytes, clients: bytes) -> Part:
    part = Part()
    part.messages, part.recipients, part.sent, part.failed = messages, recipients, sent, failed
    part.to, part.clients = unpack(to, RECIPIENT_BITS), unpack(clients, CLIENT_BITS)
    return part
