"""`mx`: the domain names its mail servers (RFC 5321 5.1), by names that are hosts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exporter.probes.dns.verdict import Verdict, bad, good

if TYPE_CHECKING:
    from exporter.probes.dns.world import World
    from exporter.probes.estate import Posture

_HOSTS = 20
_HOST = re.compile(
    r"(?=.{1,253}$)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)


async def hosts(domain: str, world: World) -> list[str]:
    """The names of the mail servers, the preferred first; none where the domain takes no mail (RFC 7505)."""
    records = sorted((await world.resolver.ask(domain, "MX")).records, key=lambda it: int(it.preference))
    names = [str(record.exchange).rstrip(".").lower() for record in records]
    return [name for name in dict.fromkeys(names) if name][:_HOSTS]


async def check(posture: Posture, world: World) -> Verdict:
    """Whether there are mail servers, and none of them is an address or an alias (RFC 2181 10.3)."""
    answer = await world.resolver.ask(posture.domain, "MX")
    if not answer.records:
        return bad("no_mx", "there is no MX record")
    names = await hosts(posture.domain, world)
    if not names:
        return bad("null_mx", "the domain says that it takes no mail: some servers take none from it either")
    for name in names:
        if not _HOST.fullmatch(name):
            return bad("not_a_host", f"{name} is no name of a host")
        if (await world.resolver.ask(name, "CNAME")).records:
            return bad("alias", f"{name} is an alias")
    return good(", ".join(names))
