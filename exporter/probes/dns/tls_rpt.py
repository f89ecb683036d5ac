"""`tls_rpt`: where reports on TLS go (RFC 8460). checkdmarc reads it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from exporter.probes.dns.verdict import Verdict, bad, good

if TYPE_CHECKING:
    from exporter.probes.dns.world import World
    from exporter.probes.estate import Posture

_RECORD_LIMIT = 4096  # characters


async def check(posture: Posture, world: World) -> Verdict:
    """Whether there is exactly one record, and it is well written."""
    texts = (await world.resolver.ask(f"_smtp._tls.{posture.domain}", "TXT")).texts
    records = [text for text in texts if text.startswith("v=TLSRPTv1")]
    if not records:
        return bad("no_record", "there is no TLS-RPT record")
    if len(records) > 1:
        return bad("several_records", f"there are {len(records)} records: none counts")
    return await asyncio.to_thread(_read, records[0][:_RECORD_LIMIT])


def _read(record: str) -> Verdict:
    from checkdmarc import smtp_tls_reporting  # noqa: PLC0415 - an extra, and heavy

    try:
        smtp_tls_reporting.parse_smtp_tls_reporting_record(record)
    except smtp_tls_reporting.SMTPTLSReportingError as error:
        return bad("bad_record", str(error)[:300])
    return good(record[:200])
