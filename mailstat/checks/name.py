"""Whether the DNS agrees with itself about the host: its name, its addresses, and back (RFC 8601, section 2.7.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address

from mailstat.host import Finding, Host

_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.(?!-)[a-z0-9-]{1,63})+\.?", re.ASCII | re.IGNORECASE)


def check(host: Host) -> Iterator[Finding]:
    """The name that the server says in EHLO."""
    name = (host.postfix("smtp_helo_name") or host.postfix("myhostname") or host.name).strip()
    if not _NAME.fullmatch(name) or len(name) > 253:
        text = "the host has no full name to say in EHLO, and others refuse what has none"
        yield Finding("warning", "host name", text, "hostnamectl set-hostname mail.DOMAIN")
        return
    addresses = host.addresses_of(name)
    public = [it for it in addresses if _is_public(it)]
    if not addresses:
        text = "it has no address in the DNS, and others refuse mail from a host without one"
        yield Finding("warning", name, text, f"dig +short {name} A {name} AAAA")
    elif not public:
        text = f"it resolves to {', '.join(addresses[:3])} alone: what others see cannot be told from here"
        yield Finding("note", name, text, f"dig +short @9.9.9.9 {name} A {name} AAAA")
    for address in public:
        yield _back(host, name, address)


def _back(host: Host, name: str, address: str) -> Finding:
    names = [it.rstrip(".").lower() for it in host.names_of(address)]
    question = f"dig +short -x {address}"
    if not names:
        return Finding("error", address, "it has no name (PTR): many refuse mail from such an address", question)
    if name.rstrip(".").lower() not in names:
        text = f"its name (PTR) is {names[0][:253]}, and the server calls itself {name}"
        return Finding("warning", address, text, question)
    return Finding("good", address, f"its name is {name}, and back")


def _is_public(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_global
    except ValueError:
        return False
