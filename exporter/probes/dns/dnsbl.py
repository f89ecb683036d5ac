"""Block lists of addresses (RFC 5782). A zone is tested before it is believed: one that is dead lists nobody, and one
that has a new owner, or wants no questions from here, lists everybody; neither says anything of us."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from exporter.probes.dns.resolver import LookupFailedError
from exporter.probes.dns.verdict import Verdict, bad, good, unknown

if TYPE_CHECKING:
    from exporter.probes.dns.world import World
    from exporter.probes.estate import Posture

_LISTINGS = ip_network("127.0.0.0/8")
# 127.255.255.x: errors of Spamhaus, which are no listings; 127.0.0.1: those of SURBL, URIBL and others (RFC 5782 2.1
# keeps it from being a listing).
_ERRORS = ip_network("127.255.255.0/24")
_NEVER = IPv4Address("127.0.0.1")
_TESTS = {4: ("127.0.0.2", "127.0.0.1"), 6: ("::ffff:7f00:2", "::ffff:7f00:1")}  # RFC 5782 5: listed, and not


async def check(posture: Posture, zone: str, world: World) -> Verdict:
    """Whether this zone has none of our addresses; unknown where it does not pass its own test."""
    addresses = [ip_address(address) for address in posture.addresses]
    if not addresses:
        return unknown("no_addresses", "no addresses are configured")
    try:
        for version in sorted({address.version for address in addresses}):
            if fault := await _fault(zone, version, world):
                return fault
        for address in addresses:
            codes = await _codes(address, zone, world)
            if any(map(_is_error, codes)):
                return unknown("zone_error", f"{zone} answers {codes[0]}: that is an error, not a listing")
            if codes:
                return bad("listed", f"{zone} lists {address}: {', '.join(map(str, codes[:5]))}")
    except LookupFailedError as error:
        return unknown("zone_trouble", str(error))
    return good()


async def _fault(zone: str, version: int, world: World) -> Verdict | None:
    """Why the zone is not to be believed."""
    listed, unlisted = map(ip_address, _TESTS[version])
    codes = await _codes(listed, zone, world)
    if any(map(_is_error, codes)):
        return unknown("zone_error", f"{zone} answers {codes[0]} to its own test: it wants no questions from here")
    if not codes:
        return unknown("zone_dead", f"{zone} does not list {listed}, as every zone has to (RFC 5782)")
    if await _codes(unlisted, zone, world):
        return unknown("zone_lists_all", f"{zone} lists {unlisted}, as no zone may (RFC 5782)")
    return None


async def _codes(address: IPv4Address | IPv6Address, zone: str, world: World) -> list[IPv4Address]:
    """What the zone says of an address."""
    reversed_address = address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    return [IPv4Address(text) for text in (await world.resolver.ask(f"{reversed_address}.{zone}", "A")).texts]


def _is_error(code: IPv4Address) -> bool:
    return code not in _LISTINGS or code in _ERRORS or code == _NEVER
