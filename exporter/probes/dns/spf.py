"""`spf`: one policy that can be evaluated (RFC 7208), that lets our addresses send, and not everybody.

pyspf evaluates it, with its limits: ten lookups, two of them void. An address that nobody has goes through the whole
policy, so that a limit that only some senders meet is met.
"""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import spf

from exporter.probes.dns.resolver import Answer, LookupFailedError, Names
from exporter.probes.dns.verdict import Verdict, bad, good

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.probes.dns.world import World
    from exporter.probes.estate import Posture

_NOBODY = {4: "240.0.0.1", 6: "100::1"}  # RFC 1112 4, RFC 6666


class _Query(spf.query):  # type: ignore[misc] # it has no types
    """An evaluation that asks our resolver, which follows aliases by itself."""

    def __init__(self, address: str, domain: str, ask: Callable[[str, str], Answer]) -> None:
        super().__init__(i=address, s=f"postmaster@{domain}", h=domain)
        self._ask = ask

    def dns(self, name: str, qtype: str, cnames: object = None, ignore_void: bool = False) -> list[Any]:  # noqa: ARG002
        """The records as pyspf has them. Raises its errors."""
        try:
            found = [_value(record, qtype) for record in self._ask(str(name).rstrip("."), qtype).records]
        except LookupFailedError as error:
            raise spf.TempError(f"DNS {error}") from None
        if not found and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError(f"Void lookup limit of {spf.MAX_VOID_LOOKUPS} exceeded")
        return found


def _value(record: Any, kind: str) -> Any:
    if kind == "MX":
        return record.preference, str(record.exchange).rstrip(".")
    if kind in ("TXT", "SPF"):
        return record.strings
    return str(record.to_text()).rstrip(".")


async def check(posture: Posture, world: World) -> Verdict:
    """Whether all our addresses pass and nobody else does. Raises LookupFailedError."""
    names = Names(world.resolver, world.seconds)
    versions = {ip_address(address).version for address in posture.addresses} or {4}
    for version in sorted(versions):
        result, text, _ = await _evaluated(_NOBODY[version], posture.domain, names)
        if verdict := _of_nobody(result, text):
            return verdict
    lookups = 0
    for address in posture.addresses:
        result, text, lookups = await _evaluated(address, posture.domain, names)
        if result == "temperror":
            raise LookupFailedError(text)
        if result != "pass":
            return bad("not_covered", f"{address}: {result}")
    return good(f"{', '.join(posture.addresses)} pass, {lookups} lookups" if posture.addresses else "")


def _of_nobody(result: str, text: str) -> Verdict | None:
    if result == "temperror":
        raise LookupFailedError(text)
    if result == "none":
        return bad("no_record", "there is no SPF record")
    if result == "permerror":
        is_limit = "lookup" in text.lower()
        return bad("lookup_limit" if is_limit else "permerror", text)
    return bad("everybody", "it lets everybody send") if result == "pass" else None


async def _evaluated(address: str, domain: str, names: Names) -> tuple[str, str, int]:
    """Result, explanation, and how many lookups it took."""

    def evaluate() -> tuple[str, str, int]:
        query = _Query(address, domain, names.ask)
        result, _, text = query.check()
        return str(result), str(text), int(query.lookups)

    return await asyncio.to_thread(evaluate)
