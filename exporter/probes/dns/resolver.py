"""Questions to the DNS: cached for their TTL or less, never more than so many in a second, and each with an end.

dnspython asks, goes over to TCP where an answer is cut, and caches; needs the extra `mailstat[posture]`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdataclass
import dns.rdatatype
import dns.resolver

from exporter.probes.estate import ResolverSection, endpoint

_ANSWERS = 5000  # that are kept
# Seconds that they are kept at most: records less than the week of RFC 8767 4, for what changes is looked for here;
# that there are none, RFC 2308 5; and where nobody tells how long that holds: dnspython before 2.9 kept it for years.
_KEPT = 86400.0
_NONE_KEPT = 10800.0
_UNTOLD_KEPT = 60.0
_AT_ONCE = 16
_RECORDS = 200  # of an answer that are looked at
_TRY_SECONDS = 2.0


class LookupFailedError(OSError):
    """Nobody answers, or the answer is that there will be none (SERVFAIL): nothing is known."""


class Answer(NamedTuple):
    """The records of a name and a type, none where there are none; `is_secure` where the resolver validated them."""

    records: tuple[Any, ...]
    is_secure: bool

    @property
    def texts(self) -> list[str]:
        """The records as text; of TXT, the strings joined (RFC 7208 3.3)."""
        return [_text(record) for record in self.records]


class Resolver:
    """Asks these servers, or those of the host."""

    def __init__(self, section: ResolverSection) -> None:
        self._section = section
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._next = 0.0
        self.asked = 0

    async def ask(self, name: str, kind: str) -> Answer:
        """The records of this name. Raises LookupFailedError; a name that cannot be has none."""
        try:
            asked = dns.name.from_text(name)
        except (dns.exception.DNSException, UnicodeError, struct.error):  # the last of dnspython 2.7 for `\\300`
            return Answer((), is_secure=False)
        return await self._ask(asked, dns.rdatatype.from_text(kind))

    async def addresses(self, host: str, kinds: Iterable[str] = ("A", "AAAA")) -> list[str]:
        """The addresses of a host."""
        return [text for kind in kinds for text in (await self.ask(host, kind)).texts]

    async def is_working(self) -> bool:
        """Whether it answers what everybody can: who serves the root. Else no failure is anybody else's."""
        try:
            await self._ask(dns.name.root, dns.rdatatype.NS, is_fresh=True)
        except LookupFailedError:
            return False
        return True

    async def _ask(self, name: dns.name.Name, kind: dns.rdatatype.RdataType, *, is_fresh: bool = False) -> Answer:
        resolver = self._made()
        if is_fresh or not _is_known(resolver, name, kind):
            await self._turn()
        try:
            async with self._free:
                found = await (self._fresh(name, kind) if is_fresh else self._resolved(resolver, name, kind))
        except (dns.resolver.NXDOMAIN, dns.resolver.YXDOMAIN):
            return Answer((), is_secure=False)
        except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
            raise LookupFailedError(f"{name} {kind.name}: {_words(error)}") from None
        is_secure = bool(found.response.flags & dns.flags.AD)
        return Answer(tuple(found.rrset or ())[:_RECORDS], is_secure)

    async def _resolved(
        self, resolver: dns.asyncresolver.Resolver, name: dns.name.Name, kind: dns.rdatatype.RdataType
    ) -> dns.resolver.Answer:
        return await resolver.resolve(name, kind, raise_on_no_answer=False, search=False)

    async def _fresh(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.resolver.Answer:
        return await self._resolved(self._new(), name, kind)

    async def _turn(self) -> None:
        """Wait until there may be one more question."""
        loop = asyncio.get_running_loop()
        self.asked += 1
        begin = max(self._next, loop.time())
        self._next = begin + 1.0 / self._section.rate
        await asyncio.sleep(begin - loop.time())

    def _made(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            self._resolver = self._new()
            self._resolver.cache = _Cache(_ANSWERS)
        return self._resolver

    def _new(self) -> dns.asyncresolver.Resolver:
        servers = self._section.servers
        try:
            made = dns.asyncresolver.Resolver(configure=not servers)
        except (dns.exception.DNSException, OSError) as error:
            raise LookupFailedError(f"the host has no resolver: {error}") from None
        if servers:
            made.nameservers = [dns.nameserver.Do53Nameserver(*endpoint(server)) for server in servers]
        made.timeout = min(_TRY_SECONDS, self._section.timeout)
        made.lifetime = self._section.timeout
        made.use_edns(0, dns.flags.DO, 1232)
        made.flags = dns.flags.RD | dns.flags.AD
        return made


class _Cache(dns.resolver.LRUCache):
    """What an answer says of its own life is the word of whoever gave it: a mistake must not last for years."""

    def put(self, key: Any, value: dns.resolver.Answer) -> None:
        """Keep an answer."""
        value.expiration = min(value.expiration, time.time() + _longest(value))
        super().put(key, value)


def _longest(answer: dns.resolver.Answer) -> float:
    """For how many seconds an answer may be kept."""
    if answer.rrset is not None:
        return _KEPT
    zones = [it.name for it in answer.response.authority if it.rdtype == dns.rdatatype.SOA]
    is_told = any(map(answer.canonical_name.is_subdomain, zones))
    return _NONE_KEPT if is_told else _UNTOLD_KEPT


def _is_known(resolver: dns.asyncresolver.Resolver, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> bool:
    cache = resolver.cache
    keys = [(name, of, dns.rdataclass.IN) for of in (kind, dns.rdatatype.ANY)]
    return cache is not None and any(cache.get(key) is not None for key in keys)


def _words(error: Exception) -> str:
    """Why nobody answered, without dnspython's own terms."""
    if isinstance(error, dns.exception.Timeout):
        tried = {str(it[0]).removeprefix("Do53:").replace("@", " port ") for it in error.kwargs.get("errors", ())}
        return f"no answer in time{' from ' if tried else ''}{', '.join(sorted(tried))}"
    return str(error)[:300] or type(error).__name__


def _text(record: Any) -> str:
    if record.rdtype == dns.rdatatype.TXT:
        return b"".join(record.strings).decode("utf-8", "replace")
    return str(record.to_text()).rstrip(".")


class Names:
    """The same resolver for code that does not await: of another thread than the event loop's."""

    def __init__(self, resolver: Resolver, seconds: float) -> None:
        self._resolver = resolver
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds

    def ask(self, name: str, kind: str) -> Answer:
        """The records of this name. Raises LookupFailedError."""
        asking = asyncio.run_coroutine_threadsafe(self._resolver.ask(name, kind), self._loop)
        try:
            return asking.result(self._seconds)
        except TimeoutError:
            asking.cancel()
            raise LookupFailedError(f"{name} {kind}: no answer in time") from None

    def txt(self, name: str) -> str | None:
        """The first TXT record. Raises LookupFailedError."""
        return next(iter(self.ask(name, "TXT").texts), None)


def sockets(addresses: Sequence[str]) -> list[tuple[socket.AddressFamily, str]]:
    """The addresses with their families, as a connection needs them."""
    return [(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in addresses]
