"""`fcrdns`: a name of each address leads back to it, as receivers want it (RFC 8601 2.7.3, `iprev`)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from exporter.probes.dns import ptr
from exporter.probes.dns.verdict import Verdict, bad, good, unknown

if TYPE_CHECKING:
    from exporter.probes.dns.world import World
    from exporter.probes.estate import Posture


async def check(posture: Posture, world: World) -> Verdict:
    """Whether one of the names of each address has that address."""
    if not posture.addresses:
        return unknown("no_addresses", "no addresses are configured")
    confirmed = []
    for address in posture.addresses:
        names = await ptr.names(address, world)
        if not names:
            return bad("no_name", f"{address} has no name")
        name = await _first_with(address, names, world)
        if name is None:
            return bad("not_confirmed", f"{address} is {names[0]}, which is not {address}")
        confirmed.append(name)
    return good(", ".join(confirmed))


async def _first_with(address: str, names: list[str], world: World) -> str | None:
    wanted = ip_address(address)
    for name in names:
        if wanted in map(ip_address, await world.resolver.addresses(name, ("AAAA" if wanted.version == 6 else "A",))):
            return name
    return None
