"""Who runs the host that mail goes to: `parsers/providers/providers.yaml`, by suffixes of names."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from parsers import knowledge

if TYPE_CHECKING:
    from collections.abc import Mapping

NOBODY = ""
LONGEST_NAME = 255  # RFC 1035 2.3.4


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provider: `relays` are suffixes of its mail exchangers' names, `domains` of its customers' addresses.

    A suffix is of whole labels, and stands for itself and all names below it; `evidence` says how we know.
    `customers` are suffixes below those of `relays` where customers run servers of their own: these are nobody's.
    """

    name: str
    evidence: str = ""
    relays: list[str] = []
    domains: list[str] = []
    customers: list[str] = []


class Directory(NamedTuple):
    """The names of providers by suffix."""

    relays: dict[str, str]
    domains: dict[str, str]


_read = knowledge.reader("parsers.providers", list[Provider])


def read_providers() -> list[Provider]:
    """The rows of the file. Raises msgspec.ValidationError where one is not as `Provider` says."""
    return _read("providers.yaml")


_own_providers: list[Provider] = []


def use_providers(rows: list[Provider]) -> None:
    """Put the operator's providers beside ours, in place of those given before. Of a suffix of both, it is theirs."""
    _own_providers[:] = rows
    for cached in (directory, find_relay, find_domain):
        cached.cache_clear()


@cache
def directory() -> Directory:
    """All providers, read at first use."""
    rows = [*read_providers(), *_own_providers]
    return Directory(
        {suffix: row.name for row in rows for suffix in row.relays}
        | {suffix: NOBODY for row in rows for suffix in row.customers},
        {suffix: row.name for row in rows for suffix in row.domains},
    )


def longest_suffix(name: str, known: Mapping[str, str]) -> str | None:
    """What is known of a name, or else of the names above it: `mx.example.org`, `example.org`, `org`."""
    rest = name.removesuffix(".").lower()
    while rest:
        found = known.get(rest)
        if found is not None:
            return found or None
        rest = rest.partition(".")[2]
    return None


@lru_cache(maxsize=8192)
def find_relay(host: str) -> str | None:
    """The provider of a relay's name, which is not longer than a name can be."""
    return longest_suffix(host, directory().relays)


@lru_cache(maxsize=8192)
def find_domain(domain: str) -> str | None:
    """The provider of a domain, which is not longer than a name can be."""
    return longest_suffix(domain, directory().domains)


def provider_of_relay(host: str) -> str | None:
    """The provider whose mail exchanger has this name."""
    return find_relay(host) if len(host) <= LONGEST_NAME else None


def provider_of_domain(domain: str) -> str | None:
    """The provider whose customers have addresses in this domain, where no relay says more."""
    return find_domain(domain) if len(domain) <= LONGEST_NAME else None
