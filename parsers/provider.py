"""Who runs the host that mail goes to."""

from __future__ import annotations


def provider_of_relay(host: str) -> str | None:
    """The provider whose mail exchanger has this name."""
    return None


def provider_of_domain(domain: str) -> str | None:
    """The provider whose customers have addresses in this domain, where no relay says more."""
    return None
