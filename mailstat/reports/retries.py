"""What it costs to try again, and what it brings."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from mailstat.report import Column, grouped

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.report import Report

NAME = "retries"
HELP = "what it costs to try again and what it brings: by provider, by reason, by number of attempts, by domain"
DESCRIPTION = (
    "Recipients that took more than one attempt, or still wait: by provider, by the reason of the first failure, by "
    "how many attempts it took, and by domain. Retries are the attempts after the first; wasted are those that did "
    "not end in a delivery. Seconds connected are what failed attempts spent to connect and to transmit. The wait is "
    "from the first attempt to the delivery."
)
COLUMNS = (
    Column("recipients", "number"),
    Column("retries", "number"),
    Column("wasted", "number"),
    Column("wasted_share", "percent"),
    Column("connected", "seconds"),
    Column("sent", "number"),
    Column("failed", "number"),
    Column("waiting", "number"),
    Column("brought", "percent"),
    Column("wait_p50", "seconds"),
    Column("wait_p90", "seconds"),
    Column("attempts_most", "number"),
)
# Each recipient of each message, with what came first and last of it.
JOURNEYS = """
WITH journey AS (
    SELECT arg_min(destination(direction, provider), number) AS towards,
        arg_min(why(reason), number) FILTER (status <> 'sent') AS cause,
        domain(any_value(recipient)) AS place,
        count(*) FILTER (status <> 'expired') AS tries, count(*) FILTER (status = 'deferred') AS deferrals,
        sum(coalesce(delay_connect + delay_transmit, delay_connect, delay_transmit))
            FILTER (status <> 'sent') AS connected,
        arg_max(status, number) AS outcome, epoch(max(time)) - epoch(min(time)) AS wait
    FROM events WHERE kind = 'delivery' AND queue_id IS NOT NULL AND recipient IS NOT NULL
    GROUP BY mta, host, service, queue_id, recipient
    HAVING count(*) FILTER (status = 'deferred') > 0
)
"""
MEASURES = """
    count(*) AS recipients, sum(tries - 1)::BIGINT AS retries, sum(deferrals)::BIGINT AS wasted,
    sum(deferrals) / sum(tries), sum(connected),
    count(*) FILTER (outcome = 'sent') AS sent, count(*) FILTER (outcome IN ('bounced', 'expired')),
    count(*) FILTER (outcome = 'deferred'), count(*) FILTER (outcome = 'sent') / count(*),
    quantile_disc(wait, 0.5) FILTER (outcome = 'sent'), quantile_disc(wait, 0.9) FILTER (outcome = 'sent'),
    max(tries)
FROM journey"""
PARTS = (
    ("By provider", Column("provider"), "towards", "wasted DESC, label"),
    ("By reason of the first failure", Column("reason"), "cause", "wasted DESC, label"),
    ("By attempts", Column("attempts", "number"), "tries", "label"),
    ("By domain", grouped("domain"), "place", "wasted DESC, label"),
)
MOST = 1000  # rows


def make(log: Log, options: Namespace) -> Report:
    """Ask for the deliveries of what was deferred."""
    from mailstat.engine import Query, report  # noqa: PLC0415 - the help of all reports must not wait for it

    queries = [
        Query(
            title,
            (head, *COLUMNS),
            f"{JOURNEYS} SELECT {label} AS label, {MEASURES} GROUP BY label ORDER BY {order} LIMIT {MOST}",
        )
        for title, head, label, order in PARTS
    ]
    return report(log, options, NAME, "Retries and their cost", queries, kinds=("delivery",))
