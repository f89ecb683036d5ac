"""All checks of a domain's posture, each by its own file in `dns/`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from exporter.probes.dns import address, dkim, dmarc, dnsbl, fcrdns, mta_sts, mx, ptr, spf, tls_rpt, tlsa
from exporter.probes.dns.resolver import LookupFailedError
from exporter.probes.dns.verdict import Verdict, bad, unknown

if TYPE_CHECKING:
    from exporter.probes.dns.world import World
    from exporter.probes.estate import Posture

logger = logging.getLogger(__name__)

Check = Callable[["Posture", "World"], Awaitable[Verdict]]

CHECKS: Mapping[str, Check] = {
    "mx": mx.check,
    "a": address.check,
    "ptr": ptr.check,
    "fcrdns": fcrdns.check,
    "spf": spf.check,
    "dkim": dkim.check,
    "dmarc": dmarc.check,
    "mta_sts": mta_sts.check,
    "tls_rpt": tls_rpt.check,
    "tlsa": tlsa.check,
}


class Findings(NamedTuple):
    """What was found, by check, and by zone of block lists."""

    checks: Mapping[str, Verdict]
    zones: Mapping[str, Verdict]


async def examine(posture: Posture, world: World, seen: Iterable[str] = ()) -> Findings:
    """All checks of a domain. `seen` are selectors of its signatures besides those of the configuration."""
    checks: dict[str, Check] = {**CHECKS, "dkim": partial(dkim.check, seen=tuple(seen))}
    verdicts = await asyncio.gather(*(_checked(check, posture, world) for check in checks.values()))
    lists = dict.fromkeys(map(str, posture.zones), dnsbl.check)
    lists |= dict.fromkeys(map(str, posture.domain_zones), dnsbl.check_domain)
    zones = await asyncio.gather(*(check(posture, zone, world) for zone, check in lists.items()))
    return Findings(dict(zip(checks, verdicts, strict=True)), dict(zip(lists, zones, strict=True)))


async def _checked(check: Check, posture: Posture, world: World) -> Verdict:
    """What it came to. Where the DNS says nothing, the domain is at fault, unless the resolver is."""
    try:
        return await check(posture, world)
    except LookupFailedError as error:
        if await world.resolver.is_working():
            return bad("no_answer", str(error))
        return unknown("resolver", str(error))
    except Exception as error:
        # Libraries read what strangers wrote: what one of them stumbles over must not end the other checks.
        logger.exception("a check failed for a reason nobody foresaw", extra={"domain": posture.domain})
        return unknown("internal", type(error).__name__)
