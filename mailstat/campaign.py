"""Who tries to guess passwords, over a whole log: blocks of addresses, the users they try, and lists they share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from parsers.attack import NAME, Attacks, block_of
from parsers.events import Auth, Disconnect, Event, Received

KNOWN = 10_000  # different users or addresses of one that are told apart


class Tally:
    """Failures and logins of a block, or of a user ("": which the log does not tell). `others` are the users of a
    block, the blocks of a user."""

    def __init__(self) -> None:
        self.failures = self.logins = 0
        self.addresses: Counter[str] = Counter()  # failures
        self.inside: Counter[str] = Counter()  # logins, by address
        self.others: set[str] = set()
        self.kinds: set[str] = set()
        self.first: float | None = None
        self.last: float | None = None

    def fail(self, event: Auth, other: str) -> None:
        """A failure, or as many as its line stands for."""
        self.failures += event.attempts
        address = event.client_ip or ""
        if address and (len(self.addresses) < KNOWN or address in self.addresses):
            self.addresses[address] += event.attempts
        if other and len(self.others) < KNOWN:
            self.others.add(other)
        self.first = event.time if self.first is None else min(self.first, event.time)
        self.last = event.time if self.last is None else max(self.last, event.time)

    @property
    def kind(self) -> str:
        """What kind of attack it ever was; "" is none."""
        return "spray" if "spray" in self.kinds else "hammer" if self.kinds else ""

    def attackers(self) -> Iterator[str]:
        """The addresses that failed more often than somebody logged in from there."""
        return (address for address, failures in self.addresses.items() if failures > self.inside[address])


class UserList(NamedTuple):
    """Users that several blocks tried, the same ones each."""

    users: tuple[str, ...]
    blocks: tuple[str, ...]
    failures: int


class Login(NamedTuple):
    """Somebody logged in, so often."""

    address: str | None
    user: str | None
    times: int


def told(event: Event) -> Auth | Login | None:
    """What an event in context tells of authentication."""
    if isinstance(event, Auth):
        return event if event.result == "failure" else Login(event.client_ip, event.sasl_user, event.attempts)
    if isinstance(event, Received) and event.logins:
        return Login(event.client_ip, event.sasl_user, event.logins)
    if isinstance(event, Disconnect) and event.logins:
        return Login(event.client_ip, None, event.logins)
    return None


class Campaigns:
    """Adds up authentication, in the order of the log; blocks are judged hour by hour, as by the exporter."""

    def __init__(self) -> None:
        self.blocks: dict[str, Tally] = defaultdict(Tally)
        self.users: dict[str, Tally] = defaultdict(Tally)
        self._attacks = Attacks()

    def add(self, item: Auth | Login) -> None:
        """Add a failure or a login."""
        if isinstance(item, Login):
            self._login(*item)
        else:
            self._fail(item)

    def _fail(self, event: Auth) -> None:
        block = self._attacks.fail(event)
        user = (event.sasl_user or "")[:NAME].lower()
        self.blocks[block].fail(event, user)
        self.users[user].fail(event, block)
        kind = self._attacks.state(block, event.time).kind if block else ""
        if kind:
            self.blocks[block].kinds.add(kind)
            self.users[user].kinds.add(kind)

    def _login(self, address: str | None, user: str | None, times: int) -> None:
        block = self.blocks[block_of[(address or "")[:50]]]
        block.logins += times
        if address and (len(block.inside) < KNOWN or address in block.inside):
            block.inside[address] += times
        if user:
            self.users[user[:NAME].lower()].logins += times

    # --- what is asked ---

    def failed_blocks(self) -> list[tuple[str, Tally]]:
        """Blocks that failed: attacks first, then by failures."""
        return _in_order(self.blocks)

    def failed_users(self) -> list[tuple[str, Tally]]:
        """Users for whom somebody failed: those of attacks first, then by failures."""
        return _in_order(self.users)

    def user_lists(self) -> list[UserList]:
        """Lists of two or more users that several blocks tried, those of most blocks first."""
        lists: dict[frozenset[str], list[str]] = defaultdict(list)
        for name, tally in self.blocks.items():
            if len(tally.others) > 1 and name:
                lists[frozenset(tally.others)].append(name)
        found = [
            UserList(tuple(sorted(users)), tuple(sorted(blocks)), sum(self.blocks[it].failures for it in blocks))
            for users, blocks in lists.items()
            if len(blocks) > 1
        ]
        return sorted(found, key=lambda it: (-len(it.blocks), -it.failures, it.users))

    def attackers(self) -> list[str]:
        """The addresses that attack, in their order."""
        tallies = [it for it in self.blocks.values() if it.kind]
        # What follows "%" is the client's to choose, and no part of the address.
        found = {address.partition("%")[0] for it in tallies for address in it.attackers()}
        return [str(it) for it in sorted(map(ip_address, found), key=lambda it: (it.version, int(it)))]

    def attacking_blocks(self) -> list[str]:
        """The blocks that attack, in their order; none from where more logins than failures come."""
        found = [ip_network(name) for name, it in self.blocks.items() if it.kind and it.failures > it.logins]
        return [str(it) for it in sorted(found, key=lambda it: (it.version, int(it.network_address)))]


def _in_order(tallies: dict[str, Tally]) -> list[tuple[str, Tally]]:
    failed = [(name, it) for name, it in tallies.items() if it.failures]
    return sorted(failed, key=lambda it: (not it[1].kind, -it[1].failures, it[0]))
