"""`dmarc`: one policy, of the domain or of one above it (RFC 9989), that can be read. checkdmarc reads it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import dns.resolver

from exporter.probes.dns.verdict import Verdict, bad, good

if TYPE_CHECKING:
    from exporter.probes.dns.world import World
    from exporter.probes.estate import Posture

_STEPS = 8  # RFC 9989 4.10: names that the walk up the tree asks
_RECORD_LIMIT = 4096  # characters


async def check(posture: Posture, world: World) -> Verdict:
    """Whether there is exactly one policy, and it is well written."""
    for name in _walk(posture.domain):
        texts = (await world.resolver.ask(f"_dmarc.{name}", "TXT")).texts
        records = [text for text in texts if text.replace(" ", "").lower().startswith("v=dmarc1")]
        if len(records) > 1:
            return bad("several_records", f"_dmarc.{name} has {len(records)} policies: none counts")
        if records:
            return await asyncio.to_thread(_read, records[0][:_RECORD_LIMIT], name)
    return bad("no_record", "there is no DMARC record")


def _walk(domain: str) -> list[str]:
    """The domain and those above it, a top-level one left out; of a long name not those in the middle."""
    labels = domain.lower().split(".")
    above = [".".join(labels[start:]) for start in range(1, max(len(labels) - 1, 1))]
    return [domain.lower(), *above[-(_STEPS - 1) :]]


class _Silent(dns.resolver.Resolver):
    """Whether those accept reports whom a record names is theirs, and asked by nobody here."""

    def __init__(self) -> None:
        super().__init__(configure=False)

    def resolve(self, *_: object, **__: object) -> dns.resolver.Answer:
        raise dns.resolver.NXDOMAIN


def _read(record: str, name: str) -> Verdict:
    from checkdmarc import dmarc  # noqa: PLC0415 - an extra, and heavy

    try:
        known = dmarc.parse_dmarc_record(record, name, resolver=_Silent())
    except dmarc.DMARCError as error:
        return bad("bad_record", str(error)[:300])
    return good(f"{name}: p={known['tags']['p']['value']}")
