"""`ptr`: every address that mail is sent from has a name; see fcrdns for whether the name has the address."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from exporter.probes.dns.verdict import Verdict, bad, good, unknown

if TYPE_CHECKING:
    from exporter.probes.dns.world import World
    from exporter.probes.estate import Posture

_NAMES = 10


async def names(address: str, world: World) -> list[str]:
    """The names of an address."""
    answer = await world.resolver.ask(ip_address(address).reverse_pointer, "PTR")
    return answer.texts[:_NAMES]


async def check(posture: Posture, world: World) -> Verdict:
    """Whether each address has a name."""
    if not posture.addresses:
        return unknown("no_addresses", "no addresses are configured")
    found = []
    for address in posture.addresses:
        known = await names(address, world)
        if not known:
            return bad("no_name", f"{address} has no name")
        found += known
    return good(", ".join(found))
