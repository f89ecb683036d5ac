"""Through what a check looks at the world."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.probes.dns.resolver import Resolver


@dataclass(frozen=True, kw_only=True)
class World:
    """Whom to ask; where the servers of others listen; whom to trust, where that is not whom the host trusts."""

    resolver: Resolver
    smtp_port: int = 25
    https_port: int = 443
    ca_file: Path | None = None
    seconds: float = 20.0  # that a connection to a server of others may take
