"""Block lists of addresses, or of domains (RFC 5782). A zone is tested before it is believed: one that is dead lists
nobody, and one that has a new owner, or wants no questions from here, lists everybody; neither says a thing of us."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple

from exporter.probes.dns.resolver import LookupFailedError
from exporter.probes.dns.verdict import Verdict, bad, good, unknown

if TYPE_CHECKING:
    from exporter.probes.dns.world import World
    from exporter.probes.estate import Posture

_LISTINGS = ip_network("127.0.0.0/8")
# 127.255.255.x: errors of Spamhaus, which are no listings, and 127.0.1.255, its list of domains asked for an address;
# 127.0.0.1: those of SURBL, URIBL and others (RFC 5782 2.1 keeps it from being a listing).
_ERRORS = ip_network("127.255.255.0/24")
_NEVER = (IPv4Address("127.0.0.1"), IPv4Address("127.0.1.255"))


class _Test(NamedTuple):
    """What stands before the zone in a question about its test entries: one of the first is listed, the other not."""

    listed: tuple[str, ...]
    unlisted: str


def _reversed(address: IPv4Address | IPv6Address) -> str:
    return address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


# RFC 5782 5.
_OF_ADDRESSES = {4: _Test(("2.0.0.127",), "1.0.0.127")}
_OF_ADDRESSES[6] = _Test((_reversed(IPv6Address("::ffff:7f00:2")),), _reversed(IPv6Address("::ffff:7f00:1")))
# The same, then the entries that Spamhaus, SURBL and URIBL tell of.
_OF_DOMAINS = _Test(("test", "dbltest.com", "surbl-org-permanent-test-point.com", "2.0.0.127"), "invalid")


async def check(posture: Posture, zone: str, world: World) -> Verdict:
    """Whether this zone has none of our addresses; unknown where it does not pass its own test."""
    addresses = [ip_address(address) for address in posture.addresses]
    if not addresses:
        return unknown("no_addresses", "no addresses are configured")
    tests = [_OF_ADDRESSES[version] for version in sorted({address.version for address in addresses})]
    return await _judged({str(it): _reversed(it) for it in addresses}, tests, zone, world)


async def check_domain(posture: Posture, zone: str, world: World) -> Verdict:
    """Whether this zone has not our domain; unknown where it does not pass its own test."""
    return await _judged({posture.domain: posture.domain}, (_OF_DOMAINS,), zone, world)


async def _judged(ours: Mapping[str, str], tests: Iterable[_Test], zone: str, world: World) -> Verdict:
    """Of what is ours, each with how it stands in a question."""
    try:
        for test in tests:
            if fault := await _fault(zone, test, world):
                return fault
        for name, asked in ours.items():
            codes = await _codes(asked, zone, world)
            if any(map(_is_error, codes)):
                return unknown("zone_error", f"{zone} answers {codes[0]}: that is an error, not a listing")
            if codes:
                return bad("listed", f"{zone} lists {name}: {', '.join(map(str, codes[:5]))}")
    except LookupFailedError as error:
        return unknown("zone_trouble", str(error))
    return good()


async def _fault(zone: str, test: _Test, world: World) -> Verdict | None:
    """Why the zone is not to be believed."""
    for name in test.listed:
        codes = await _codes(name, zone, world)
        if any(map(_is_error, codes)):
            return unknown(
                "zone_error", f"{zone} answers {codes[0]} to its own test: it wants no questions from here"
            )
        if codes:
            break
    else:
        return unknown("zone_dead", f"{zone} does not list {test.listed[0]}, as every zone has to (RFC 5782)")
    if await _codes(test.unlisted, zone, world):
        return unknown("zone_lists_all", f"{zone} lists {test.unlisted}, as no zone may (RFC 5782)")
    return None


async def _codes(name: str, zone: str, world: World) -> list[IPv4Address]:
    """What the zone says of a name."""
    return [IPv4Address(text) for text in (await world.resolver.ask(f"{name}.{zone}", "A")).texts]


def _is_error(code: IPv4Address) -> bool:
    return code not in _LISTINGS or code in _ERRORS or code in _NEVER
