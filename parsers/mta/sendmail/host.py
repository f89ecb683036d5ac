"""Hosts as Sendmail writes them, clients and next hops alike: `name [address]`, and what may stand around it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import NamedTuple

from parsers.memo import Memo
from parsers.provider import LONGEST_NAME, directory, provider_of_relay

SHORTENED = "..."  # of a name longer than 40 characters both ends are kept (shortenstring() in libsm)
TELLING = 12  # characters of such an end that are enough to know it by


class Client(NamedTuple):
    """`name` is None where the client's address has no name."""

    name: str | None
    ip: str | None


class Relay(NamedTuple):
    """A next hop. `ip` is None where no connection was tried: the host was found down a moment ago."""

    host: str | None
    ip: str | None
    provider: str | None
    is_ours: bool  # the host itself


def read_ip(text: str) -> str | None:
    """`192.0.2.1`, `IPv6:2001:db8:0:0:0:0:0:1` in its short form; None for anything else (a path of a socket)."""
    try:
        return ip_address(text.removeprefix("IPv6:")).compressed
    except ValueError:
        return None


def read_client(text: str) -> Client:
    """`name [address] (may be forged)`, `[address]`, `user@name [address]`, `name`. Raises ValueError: cut off."""
    name, bracket, rest = text.rpartition("[")
    if not bracket:
        return Client(text.rpartition("@")[2].strip() or None, None)
    address, end, _ = rest.partition("]")
    if not end:
        raise ValueError("an address that is cut off")
    name = name.strip().rpartition("@")[2]
    return Client(None if not name or name[0] == "[" else name, read_ip(address))


def read_relay(text: str | None) -> Relay:
    """`host. [address]`, `host.`, `[address] [address]`, None. Raises ValueError where it is cut."""
    if not text:
        return Relay(None, None, None, is_ours=False)
    host, ip = read_client(text)
    host = host.removesuffix(".") if host else None
    is_ours = ip.startswith("127.") or ip == "::1" if ip else host in ("localhost", "localhost.localdomain")
    provider = provider_of(host) if host and not is_ours else None
    return Relay(host, ip, provider, is_ours)


def provider_of(host: str) -> str | None:
    """Who runs a mail exchanger, also one that lacks its middle: `example-org.mail.p...ction.outlook.com`."""
    if SHORTENED not in host:
        return provider_of_relay(host)
    end = host[:LONGEST_NAME].rpartition(SHORTENED)[2]
    found = provider_of_relay(end.partition(".")[2])
    if found or len(end) < TELLING:
        return found
    return next((name for suffix, name in directory().relays.items() if suffix.endswith(end)), None)


CLIENTS: Memo[str, Client] = Memo(read_client)
RELAYS: Memo[str | None, Relay] = Memo(read_relay)
