"""Who tries to guess passwords: failures to authenticate, by blocks of client addresses.

Guessers have many addresses: those of one network (/24 of IPv4, /64 of IPv6) are one block. Of each block the last
hour is kept: how many failures, and about how many users and addresses (`parsers.distinct`). A block is

- a `spray`, when it tried `Limits.users` different users, or a user whom `Limits.blocks` blocks tried: many hosts
  share one list of users, and each of them tries few;
- else a `hammer`, when it failed `Limits.failures` times.

Both tables are bounded: the block, or the user, that was silent for longest goes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from parsers.distinct import bit_of, count, pack, unpack
from parsers.memo import Memo
from parsers.window import Window

if TYPE_CHECKING:
    from parsers.events import Auth

HOUR = 3600.0
BLOCKS = 2_000
USERS = 4_000
BITS = 256
NAME = 200  # characters of a user's name
ADDRESS = 50  # of an address
KINDS = ("hammer", "spray")


class Limits(NamedTuple):
    """What is an attack, in one hour: failures of a block, different users of a block, blocks that try one user."""

    failures: int = 20
    users: int = 10
    blocks: int = 10


class Part:
    """What came from a block in a part of the hour."""

    __slots__ = ("addresses", "failures", "users")

    def __init__(self, failures: int = 0, users: int = 0, addresses: int = 0) -> None:
        self.failures = failures
        self.users, self.addresses = users, addresses  # bits


class Block:
    """A block of addresses, and the users it tried last."""

    __slots__ = ("tried", "window")

    def __init__(self) -> None:
        self.window = Window(HOUR, Part)
        self.tried: dict[str, None] = {}


class Memory(msgspec.Struct, array_like=True):
    """What Attacks know, to be stored. Of a block, by part of the hour: failures, users and addresses (packed), and
    the users it tried last; of a user, by part of the hour: the blocks (packed)."""

    blocks: list[tuple[str, dict[int, tuple[int, bytes, bytes]], list[str]]] = []
    users: list[tuple[str, dict[int, bytes]]] = []


TRIED = 4  # users of a block that are looked up among those whom many try


class Blocks:
    """The blocks that try one user, as bits of a part of the hour."""

    __slots__ = ("bits",)

    def __init__(self, bits: int = 0) -> None:
        self.bits = bits


class State(NamedTuple):
    """The last hour of a block; "" is no attack. Users and addresses are about so many."""

    kind: str
    failures: int
    users: int
    addresses: int


def read_block(address: str) -> str:
    """The block of an address, as a network; "" for what is none, and for this host itself."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if ip.is_loopback:
        return ""
    mapped = getattr(ip, "ipv4_mapped", None) or ip
    size = 24 if mapped.version == 4 else 64
    bits = mapped.max_prefixlen - size
    return f"{type(mapped)(int(mapped) >> bits << bits)}/{size}"


block_of: Memo[str, str] = Memo(read_block)
bit: Memo[str, int] = Memo(lambda text: bit_of(text, BITS))  # those who guess come back


class Attacks:
    """Follows failures to authenticate."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._blocks: dict[str, Block] = {}  # the one that was silent for longest first
        self._users: dict[str, Window[Blocks]] = {}

    def fail(self, event: Auth) -> str:
        """One failure, or as many as its line stands for; the block it came from, "" where that is not known."""
        address = (event.client_ip or "")[:ADDRESS]
        name = block_of[address]
        if not name:
            return ""
        block = self._blocks.pop(name, None) or self._new_block()
        self._blocks[name] = block
        part = block.window.at(event.time)
        part.failures += event.attempts
        part.addresses |= bit[address]
        user = (event.sasl_user or "")[:NAME].lower()
        if user:
            part.users |= bit[user]
            self._remember(block, user)
            self._try(user, name, event.time)
        return name

    def states(self, now: float) -> Iterator[tuple[str, State]]:
        """The blocks that failed within the last hour, in the time of events."""
        for name, block in self._blocks.items():
            state = self._state(block, now)
            if state.failures:
                yield name, state

    def state(self, name: str, now: float) -> State:
        """The last hour of a block."""
        return self._state(self._blocks.get(name) or Block(), now)

    def memory(self) -> Memory:
        """What goes on in another process."""
        blocks = [(name, _packed(block.window), list(block.tried)) for name, block in self._blocks.items()]
        users = [
            (name, {number: pack(part.bits) for number, part in window.slots().items()})
            for name, window in self._users.items()
        ]
        return Memory(blocks, users)

    def restore(self, memory: Memory) -> None:
        """Go on from there."""
        for name, parts, tried in memory.blocks[-BLOCKS:]:
            block = self._blocks[name] = Block()
            block.tried = dict.fromkeys(tried[-TRIED:])
            block.window.restore(
                {number: Part(n, unpack(users, BITS), unpack(ips, BITS)) for number, (n, users, ips) in parts.items()}
            )
        for name, bits in memory.users[-USERS:]:
            window = self._users[name] = Window(HOUR, Blocks)
            window.restore({number: Blocks(unpack(packed, BITS)) for number, packed in bits.items()})

    def _state(self, block: Block, now: float) -> State:
        failures = users = addresses = 0
        for part in block.window.live(now):
            failures += part.failures
            users |= part.users
            addresses |= part.addresses
        different = count(users, BITS)
        kind = self._kind(block, failures, different, now) if failures else ""
        return State(kind, failures, different, count(addresses, BITS))

    def _kind(self, block: Block, failures: int, users: int, now: float) -> str:
        if users >= self.limits.users or any(self._is_target(user, now) for user in block.tried):
            return "spray"
        return "hammer" if failures >= self.limits.failures else ""

    def _is_target(self, user: str, now: float) -> bool:
        window = self._users.get(user)
        bits = 0
        for part in window.live(now) if window else ():
            bits |= part.bits
        return count(bits, BITS) >= self.limits.blocks

    def _new_block(self) -> Block:
        if len(self._blocks) >= BLOCKS:
            del self._blocks[next(iter(self._blocks))]
        return Block()

    def _remember(self, block: Block, user: str) -> None:
        block.tried.pop(user, None)
        block.tried[user] = None
        if len(block.tried) > TRIED:
            del block.tried[next(iter(block.tried))]

    def _try(self, user: str, block: str, time: float) -> None:
        window = self._users.pop(user, None)
        if window is None:
            if len(self._users) >= USERS:
                del self._users[next(iter(self._users))]
            window = Window(HOUR, Blocks)
        self._users[user] = window
        window.at(time).bits |= bit[block]


def _packed(window: Window[Part]) -> dict[int, tuple[int, bytes, bytes]]:
    return {
        number: (part.failures, pack(part.users), pack(part.addresses)) for number, part in window.slots().items()
    }
