"""Passwords of HTTP Basic authentication (RFC 7617), checked against bcrypt hashes.

A check takes the time of a check whether there is such a user or not, runs beside the event loop, one at a time for
each client: who guesses waits for himself. What was found right is remembered, so that a scrape costs no hash; never
as a password, but as a keyed digest of it, which ends with the process.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import bcrypt

if TYPE_CHECKING:
    from collections.abc import Mapping

REMEMBERED = 128  # answers of each kind
MOST_OF_ONE = 4  # checks that a client may have waiting
MOST_OF_ALL = 64
_LONGEST = 72  # bytes that bcrypt looks at; the toolkit cuts there, too


class BusyError(Exception):
    """Too many passwords wait to be checked."""


class Passwords:
    """Who is who. One for the process; the users are given with each question, for their file may change."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="password")
        # Apart, so that no number of wrong ones drives out a right one.
        self._right, self._wrong = _Memory(), _Memory()
        self._waiting: dict[str, int] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._decoys: dict[int, bytes] = {}
        self.checks = 0  # hashes that were computed

    async def is_right(self, users: Mapping[str, str], name: str, password: str, client: str) -> bool:
        """Whether this is the password of that user; `client` is the address that it comes from. Raises BusyError."""
        hashed = users.get(name, "").encode() or self._decoy(users, name)
        digest = self._digest(name.encode(), hashed, password.encode("utf-8", "surrogateescape"))
        if digest in self._right:
            return True
        if digest in self._wrong:
            return False
        is_right = await self._in_turn(_block(client), password, hashed) and name in users
        (self._right if is_right else self._wrong).add(digest)
        return is_right

    def close(self) -> None:
        """Let go of the thread; what waits is not checked any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_turn(self, client: str, password: str, hashed: bytes) -> bool:
        if self._waiting.get(client, 0) >= MOST_OF_ONE or sum(self._waiting.values()) >= MOST_OF_ALL:
            raise BusyError
        self._waiting[client] = self._waiting.get(client, 0) + 1
        turn = self._turns.setdefault(client, asyncio.Lock())
        try:
            async with turn:
                self.checks += 1
                return await asyncio.get_running_loop().run_in_executor(self._thread, _check, password, hashed)
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client], self._turns[client]

    def _digest(self, *parts: bytes) -> bytes:
        return hmac.digest(self._key, b"".join(len(part).to_bytes(8) + part for part in parts), "sha256")

    def _decoy(self, users: Mapping[str, str], name: str) -> bytes:
        """A hash for a user that there is not: always the same cost for one name, from among those of the users."""
        costs = sorted(int(hashed[4:6]) for hashed in users.values())
        cost = costs[int.from_bytes(self._digest(name.encode())[:4]) % len(costs)]
        if cost not in self._decoys:
            self._decoys[cost] = b"$2b$%02d$" % cost + b"abcdefghijklmnopqrstuu" + b"." * 31
        return self._decoys[cost]


class _Memory:
    """The digests that were asked for last."""

    def __init__(self) -> None:
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, digest: bytes) -> bool:
        if digest in self._digests:
            self._digests.move_to_end(digest)
            return True
        return False

    def add(self, digest: bytes) -> None:
        self._digests[digest] = None
        if len(self._digests) > REMEMBERED:
            self._digests.popitem(last=False)


def _check(password: str, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password.encode("utf-8", "surrogateescape")[:_LONGEST], hashed)
    except ValueError:
        return False


def _block(client: str) -> str:
    """The address, of IPv6 the network that one client has to itself."""
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return ""
    return str(ip_network((address, 64), strict=False)) if address.version == 6 else client
