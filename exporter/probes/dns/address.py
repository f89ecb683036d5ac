"""`a`: every mail server of the domain has an address that the world can reach."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from exporter.probes.dns import mx
from exporter.probes.dns.verdict import Verdict, bad, good

if TYPE_CHECKING:
    from exporter.probes.dns.world import World
    from exporter.probes.estate import Posture

_NETWORKS = (
    "0.0.0.0/8 10.0.0.0/8 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 224.0.0.0/3 fc00::/7 fe80::/10"
)
_OURS_ALONE = [ip_network(text) for text in (*_NETWORKS.split(), "ff00::/8", "::/127")]  # RFC 1918, 4193, 4291, 6890


def is_reachable(address: str) -> bool:
    """Whether it is an address of the internet at large."""
    return not any(ip_address(address) in network for network in _OURS_ALONE)


async def check(posture: Posture, world: World) -> Verdict:
    """Whether each mail server has one, and none has one that leads nowhere."""
    names = await mx.hosts(posture.domain, world) or [posture.domain]
    found = []
    for name in names:
        addresses = await world.resolver.addresses(name)
        if not addresses:
            return bad("no_address", f"{name} has no address")
        if wrong := [address for address in addresses if not is_reachable(address)]:
            return bad("private_address", f"{name} has {wrong[0]}")
        found += addresses
    return good(", ".join(dict.fromkeys(found)))
