"""The certificates that a server shows, also where they are refused: Python's ssl tells of those by its inner objects
alone, and decodes them without a library."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

_NAMES = 100
_NAME = re.compile(r"[A-Za-z0-9*._:-]{1,253}")  # what may be a label: whoever is refused writes what he likes
_DER = 2  # _ssl.ENCODING_DER


class Certificate(NamedTuple):
    """When the first certificate of a server's chain ends (seconds since the epoch), and the names that the server's
    own one is for."""

    expiry: float
    names: tuple[str, ...]

    def __str__(self) -> str:
        """In words, for people."""
        names = ", ".join(self.names[:10]) or "no name"
        expiry = datetime.fromtimestamp(self.expiry, UTC).strftime("%Y-%m-%d")
        return f"the certificate is for {names}; the chain is good until {expiry}"


def shown(tls: ssl.SSLObject | None) -> Certificate | None:
    """What a server shows, whether or not its handshake came to a good end; None where that is nothing, or nothing
    that can be read."""
    inner = cast("Any", tls)._sslobj if tls else None
    # The chain that was looked at, as far as it goes: others may be shown that nobody needs, and old ones among them.
    chain = inner and (inner.get_verified_chain() or inner.get_unverified_chain())
    if not chain:
        return None
    try:
        known = [one.get_info() for one in chain]
        return Certificate(min(map(_end, _renewed(known))), _names(known[0]))
    except (ValueError, LookupError, ssl.SSLError):
        return None


def chain(tls: ssl.SSLObject) -> list[bytes]:
    """All certificates that were shown (DER), the server's own first."""
    if hasattr(tls, "get_unverified_chain"):  # public from Python 3.13 on
        return [bytes(one) for one in tls.get_unverified_chain()]
    return [bytes(one.public_bytes(_DER)) for one in cast("Any", tls)._sslobj.get_unverified_chain() or ()]


def _renewed(known: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The certificates that somebody has to renew in time: not the authority's own, which each host has by itself."""
    return [known[0], *(one for one in known[1:] if one.get("issuer") != one.get("subject"))]


def _end(known: Mapping[str, Any]) -> float:
    return float(ssl.cert_time_to_seconds(str(known["notAfter"])))


def _names(known: Mapping[str, Any]) -> tuple[str, ...]:
    pairs = known.get("subjectAltName", ())
    names = [str(value).strip() for kind, value in pairs[:_NAMES] if kind in ("DNS", "IP Address")]
    return tuple(name for name in names if _NAME.fullmatch(name))
