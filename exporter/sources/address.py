"""Where a syslog server listens, and to whom."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

Network = IPv4Network | IPv6Network


class Address(NamedTuple):
    """`scheme` is udp, tcp, tls or unix. Without a host it is every address of this one."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""


def shown_address(address: Address) -> str:
    """The address as it is configured."""
    if address.scheme == "unix":
        return f"unix://{address.path}"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{address.scheme}://{host}:{address.port}"
