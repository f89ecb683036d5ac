"""`dkim`: the keys of all selectors are there, and good enough (RFC 6376 3.6.1, RFC 8301)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from exporter.probes.dns.verdict import Verdict, bad, good, unknown

if TYPE_CHECKING:
    from exporter.probes.dns.world import World
    from exporter.probes.estate import Posture

_LEAST_BITS = 1024  # RFC 8301 3.2: fewer are not verified
_KEY_LIMIT = 4096  # bytes of a record


async def check(posture: Posture, world: World, seen: Iterable[str] = ()) -> Verdict:
    """Whether each selector has one good key: those configured, and those that were `seen` (in small letters) in
    signatures."""
    configured = [selector.lower() for selector in posture.selectors]
    selectors = list(dict.fromkeys((*configured, *seen)))
    if not selectors:
        return unknown("no_selectors", "no selector is configured, and none was seen")
    for selector in selectors:
        name = f"{selector}._domainkey.{posture.domain}"
        records = (await world.resolver.ask(name, "TXT")).texts
        if verdict := await asyncio.to_thread(_fault, selector, records):
            why = "" if selector in configured else "; mail is signed with it, or was of late"
            return verdict._replace(text=f"{verdict.text}{why}")
    return good(", ".join(selectors))


def _fault(selector: str, records: list[str]) -> Verdict | None:
    import dkim  # noqa: PLC0415 - an extra, and heavy

    if len(records) != 1:  # RFC 6376 3.6.2.2
        return bad("several_keys" if records else "no_key", f"{selector}: there are {len(records)} keys")
    record = "".join(records[0].split())
    if "p=;" in f"{record};":
        return bad("revoked", f"{selector}: the key is revoked")
    try:
        _, bits, kind, _ = dkim.evaluate_pk(selector, record[:_KEY_LIMIT].encode("ascii", "replace"))
    except dkim.NaClNotFoundError:
        return None  # Ed25519, which this host cannot look into
    except (dkim.DKIMException, ValueError, LookupError, TypeError) as error:
        return bad("bad_key", f"{selector}: {str(error)[:200]}")
    if kind == b"rsa" and bits < _LEAST_BITS:
        return bad("short_key", f"{selector}: {bits} bits")
    return None
