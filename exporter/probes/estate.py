"""What the operator says is theirs: the sections `posture`, `negative` and `resolver` of the configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Annotated

from exporter.probes.section import check_text
from exporter.schema import Between, Duration, Text, doc

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$&'*+/=?^_{|}~-]{1,64}")
_ENDPOINT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?|([0-9.]+)(?::(\d{1,5}))?|([0-9A-Fa-f:]+)", re.ASCII)
_LISTED = 20  # addresses, selectors and zones that one posture may have


@dataclass(frozen=True, kw_only=True)
class ResolverSection:
    """Who is asked in the DNS. What is known is kept for its TTL."""

    servers: tuple[Text, ...] = field(
        default=(),
        metadata=doc("Addresses, `192.0.2.53` or `[2001:db8::53]:5353`; without it, the host's resolvers."),
    )
    timeout: Duration = field(default=Duration(5.0), metadata=doc("How long one question may take."))
    rate: Annotated[int, Between(1, 1000)] = field(
        default=20, metadata=doc("Questions in a second at most; what is known already is no question.")
    )

    def __post_init__(self) -> None:
        if not 0 < self.timeout <= 60:
            raise ValueError("timeout: expected more than nothing and at most 1m")
        for server in self.servers:
            endpoint(server)


@dataclass(frozen=True, kw_only=True)
class Posture:
    """What the DNS and the block lists say of a domain that sends mail, and of the addresses it sends from."""

    name: Text = field(metadata=doc("The label `probe`: letters, digits, `_`, `.`, `-`."))
    domain: Text = field(metadata=doc("The domain of the senders."))
    addresses: tuple[Text, ...] = field(
        default=(),
        metadata=doc("Where its mail comes from. Without it `ptr`, `fcrdns` and `zones` are not looked at."),
    )
    selectors: tuple[Text, ...] = field(
        default=(),
        metadata=doc(
            "DKIM selectors; those that probes sign with, or that within five days arrived on their mail or stood in"
            " a followed log of [what signs](lines.md#what-signs-mail), are looked at as well."
        ),
    )
    zones: tuple[Text, ...] = field(default=(), metadata=doc("Block lists of addresses, as `zen.example.net`."))
    domain_zones: tuple[Text, ...] = field(
        default=(), metadata=doc("Block lists of domains, as `dbl.example.net`, which are asked for `domain`.")
    )
    every: Duration = field(default=Duration(3600.0), metadata=doc("How often."))

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_host("domain", self.domain)
        for address in self.addresses:
            _check_address(address)
        for key in ("selectors", "zones", "domain_zones"):
            for name in getattr(self, key):
                _check_host(key, name)
        if max(map(len, (self.addresses, self.selectors, self.zones, self.domain_zones))) > _LISTED:
            raise ValueError(f"expected at most {_LISTED} addresses, selectors and zones each")
        if both := {*map(str.lower, self.zones)} & {*map(str.lower, self.domain_zones)}:
            raise ValueError(f"domain_zones: {min(both)} is one of `zones`, and has one value of the label `zone`")
        if self.every < 60:
            raise ValueError("every: expected at least 1m")


@dataclass(frozen=True, kw_only=True)
class Negative:
    """A server of our own that has to refuse what an abuser would try. No message is sent by it; only a server that
    ends messages where it must not keeps one for `recipient`. Run it from a host that the server does not trust,
    and expect its attempts in the server's log."""

    name: Text = field(metadata=doc("The label `probe`: letters, digits, `_`, `.`, `-`."))
    server: Text = field(metadata=doc("Host name or address; has to be our own."))
    domain: Text = field(metadata=doc("A domain that the server takes mail for."))
    recipient: Text | None = field(
        default=None, metadata=doc("The local part of a mailbox there; without it, `postmaster`.")
    )
    foreign: Text = field(
        default=Text("example.org"),
        metadata=doc(
            "A domain that the server takes no mail for; best one that has an MX, for some servers refuse others"
            " anyway. Nothing is sent to it."
        ),
    )
    smtp_port: Annotated[int, Between(1, 65535)] = field(default=25, metadata=doc("Where other servers deliver."))
    submission_port: Annotated[int, Between(1, 65535)] = field(
        default=587, metadata=doc("Where users submit; a port that is closed refuses all.")
    )
    implicit_port: Annotated[int, Between(1, 65535)] = field(
        default=465, metadata=doc("Where users submit with TLS from the start.")
    )
    source_address: Text | None = field(default=None, metadata=doc("The own address to come from."))
    helo: Text | None = field(default=None, metadata=doc("The name in EHLO; without it, the host's."))
    smuggling: bool = field(
        default=True, metadata=doc("Whether to begin a message, which a healthy server never gets to the end of.")
    )
    patience: Duration = field(
        default=Duration(3.0), metadata=doc("How long to wait for what must not come, at each try.")
    )
    timeout: Duration = field(default=Duration(120.0), metadata=doc("How long all of it may take."))
    every: Duration = field(default=Duration(21600.0), metadata=doc("How often."))

    def __post_init__(self) -> None:
        _check_name(self.name)
        check_text("server", self.server)
        _check_host("domain", self.domain)
        _check_host("foreign", self.foreign)
        if self.foreign.lower() == self.domain.lower():
            raise ValueError("foreign: expected another domain than `domain`")
        if self.recipient and not _LOCAL_PART.fullmatch(self.recipient):
            raise ValueError("recipient: expected a local part such as postmaster")
        if self.helo:
            check_text("helo", self.helo)
        if self.source_address:
            _check_address(self.source_address, "source_address")
        if self.every < 300:
            raise ValueError("every: expected at least 5m")
        if not 0 < self.patience <= 60:
            raise ValueError("patience: expected more than nothing and at most 1m")
        if not 0 < self.timeout <= 600:
            raise ValueError("timeout: expected more than nothing and at most 10m")

    @property
    def mailbox(self) -> str:
        """The address of our own that attempts are made with."""
        return f"{self.recipient or 'postmaster'}@{self.domain}"


def endpoint(server: str) -> tuple[str, int]:
    """Address and port of a DNS server. Raises ValueError."""
    match = _ENDPOINT.fullmatch(server)
    port = int(match[2] or match[4] or 53) if match else 0
    if match is None or not 0 < port < 65536:
        raise ValueError("servers: expected addresses such as 192.0.2.53 or [2001:db8::53]:5353")
    try:
        return str(ip_address(match[1] or match[3] or match[5])), port
    except ValueError:
        raise ValueError("servers: expected addresses such as 192.0.2.53 or [2001:db8::53]:5353") from None


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError("name: expected letters, digits, _, ., - (at most 64)")


def _check_host(key: str, name: str) -> None:
    if len(name) > 253 or not _HOST.fullmatch(name):
        raise ValueError(f"{key}: expected names such as example.com")


def _check_address(text: str, key: str = "addresses") -> None:
    try:
        ip_address(text)
    except ValueError:
        raise ValueError(f"{key}: expected an address such as 192.0.2.1") from None
