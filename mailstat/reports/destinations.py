"""Where mail goes, how much of it arrives, and which stage of a delivery takes the time."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from mailstat.failure import KINDS, TOLD, WAITING
from mailstat.report import LAST, OLDEST, Column, grouped

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.report import Report

NAME = "destinations"
HELP = "where mail goes: outcome and delays, stage by stage, by provider, domain and relay"
DESCRIPTION = (
    "Deliveries by provider, by domain of the recipient and by relay: how many were sent, deferred, bounced and "
    "expired, how many wait where the log ends and since when the oldest of them is in the queue, and of those that "
    "were sent the median and the 90th percentile of the delay, and of each of its stages "
    "(before the queue, in it, to connect, to transmit), in seconds. What has no domain, or no relay (which was not "
    "reached), is one row; so is what was delivered on this host."
)
STAGES = ("delay", "delay_before_queue", "delay_in_queue", "delay_connect", "delay_transmit")
COUNTS = (
    *(Column(name, "number") for name in ("sent", "deferred", "bounced", "expired")),
    Column("failed", "percent"),
    Column("waiting", "number"),
    OLDEST,
    *(Column(f"{stage}_{share}", "seconds") for stage in STAGES for share in ("p50", "p90")),
    LAST,
)
PERCENTILES = ",\n".join(
    f"    quantile_disc({stage}, {share}) FILTER (status = 'sent')" for stage in STAGES for share in (0.5, 0.9)
)
MEASURES = f"""
    count(*) FILTER (status = 'sent') AS sent, count(*) FILTER (status = 'deferred') AS deferred,
    count(*) FILTER (status = 'bounced') AS bounced, count(*) FILTER (status = 'expired') AS expired,
    count(*) FILTER (status IN ('bounced', 'expired')) / nullif(count(*) FILTER (status <> 'deferred'), 0) AS failed,
    {WAITING.strip()},
{PERCENTILES},
    epoch(max(time)) AS last
FROM told"""
BY_PROVIDER = f"""{TOLD}
SELECT towards, {MEASURES} GROUP BY towards ORDER BY count(*) DESC, towards"""
BY_DOMAIN = f"""{TOLD}
SELECT domain(recipient) AS place, CASE WHEN place IS NOT NULL THEN arg_max(towards, number) END, {MEASURES}
GROUP BY place ORDER BY count(*) DESC, place LIMIT 1000"""
BY_RELAY = f"""{TOLD}
SELECT CASE WHEN direction = 'local' THEN 'local' ELSE relay_host END AS relay,
    CASE WHEN relay IS NOT NULL THEN arg_max(towards, number) END, {MEASURES}
GROUP BY relay ORDER BY count(*) DESC, relay LIMIT 1000"""


def make(log: Log, options: Namespace) -> Report:
    """Ask for all deliveries."""
    from mailstat.engine import Query, report  # noqa: PLC0415 - the help of all reports must not wait for it

    queries = [
        Query("By provider", (Column("provider"), *COUNTS), BY_PROVIDER),
        Query("By domain", (grouped("domain"), Column("provider"), *COUNTS), BY_DOMAIN),
        Query("By relay", (grouped("relay"), Column("provider"), *COUNTS), BY_RELAY),
    ]
    return report(log, options, NAME, "Destinations", queries, kinds=KINDS)
