"""To whom mail goes, how much of it, and how it fares."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from mailstat.report import LAST, Column, grouped

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.report import Report

NAME = "recipients"
HELP = "to whom mail goes: by address and domain, with messages, bytes, outcome, delay"
DESCRIPTION = (
    "Recipients by address, then by domain: messages, how much was delivered (the size of a message counts for each "
    "recipient that it was sent to), outcome, the median delay, senders that are different. --order bytes puts "
    "those first that took most."
)
ORDERS = {"messages": "messages", "bytes": "size", "failures": "bounced + expired"}
COLUMNS = (
    Column("messages", "number"),
    Column("bytes", "bytes"),
    *(Column(name, "number") for name in ("sent", "deferred", "bounced", "expired")),
    Column("failed", "percent"),
    Column("delay_p50", "seconds"),
    Column("senders", "number"),
    LAST,
)
MEASURES = """
    count(DISTINCT (mta, host, queue_id)) AS messages,
    coalesce(sum(message_size) FILTER (status = 'sent'), 0)::BIGINT AS size,
    count(*) FILTER (status = 'sent') AS sent, count(*) FILTER (status = 'deferred') AS deferred,
    count(*) FILTER (status = 'bounced') AS bounced, count(*) FILTER (status = 'expired') AS expired,
    count(*) FILTER (status IN ('bounced', 'expired')) / nullif(count(*) FILTER (status <> 'deferred'), 0) AS share,
    quantile_disc(delay, 0.5) FILTER (status = 'sent'), count(DISTINCT lower(sender)), epoch(max(time))"""
GROUPED = """
SELECT * FROM (
    SELECT {label} AS label, {measures} FROM events WHERE kind = 'delivery' GROUP BY label
) ORDER BY {order} DESC, label LIMIT {most}"""
MOST = 10_000  # rows


def add_arguments(parser: ArgumentParser) -> None:
    """What comes first."""
    parser.add_argument("--order", choices=ORDERS, default="messages", help="what comes first: most of these")


def make(log: Log, options: Namespace) -> Report:
    """Ask for all deliveries."""
    from mailstat.engine import Query, report  # noqa: PLC0415 - the help of all reports must not wait for it

    queries = [
        Query("By address", (grouped("recipient"), *COLUMNS), _grouped("lower(recipient)", options.order)),
        Query("By domain", (grouped("domain"), *COLUMNS), _grouped("domain(recipient)", options.order)),
    ]
    return report(log, options, NAME, "Recipients", queries, kinds=("delivery",))


def _grouped(label: str, order: str) -> str:
    return GROUPED.format(label=label, measures=MEASURES, order=ORDERS[order], most=MOST)
