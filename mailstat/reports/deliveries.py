"""Traffic and its outcome, hour by hour or otherwise."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from mailstat.report import NONE, Chart, Column, grouped

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.report import Kind, Report, Section

NAME = "deliveries"
HELP = "traffic and its outcome per hour, day, host, domain and more"
DESCRIPTION = (
    "Messages received and removed, connections, and deliveries by outcome, with the median and the 99th percentile "
    "of the delay of what was sent. --by tells what makes a row; what has none of it is one row, too, so that they "
    "add up to all."
)
# What makes a row: the kind of its column and its expression; those of deliveries alone have no other counts.
GROUPS: dict[str, tuple[Kind, str]] = {
    "hour": ("time", "epoch(date_trunc('hour', time))"),
    "day": ("time", "epoch(date_trunc('day', time))"),
    "hour-of-day": ("text", "strftime(date_trunc('hour', time), '%H:00')"),
    "weekday": ("text", "strftime(time, '%u %A')"),
    "host": ("text", "nullif(host, '')"),
    "mta": ("text", "mta"),
    "service": ("text", "nullif(service, '')"),
    "domain": ("text", "domain(recipient)"),
    "recipient": ("text", "lower(recipient)"),
    "sender": ("text", "CASE WHEN sender = '' THEN '<>' ELSE lower(sender) END"),
    "sender-domain": ("text", "CASE WHEN sender = '' THEN '<>' ELSE domain(sender) END"),
    "provider": ("text", "destination(direction, provider)"),
    "transport": ("text", "nullif(transport, '')"),
    "relay": ("text", "nullif(relay_host, '')"),
    "via": ("text", "via"),
}
IN_ORDER = frozenset({"hour", "day", "hour-of-day", "weekday"})
WHOLE = frozenset({*IN_ORDER, "host", "mta", "service"})  # what every event has, so that all can be counted
STATUSES = ("sent", "deferred", "bounced", "expired")
UPRIGHT, LYING = 400, 15  # rows that a chart has room for
OF_DELIVERIES = (
    *(Column(name, "number") for name in STATUSES),
    Column("delay_p50", "seconds"),
    Column("delay_p99", "seconds"),
)
DELIVERIES = """
    count(*) FILTER (status = 'sent') AS sent, count(*) FILTER (status = 'deferred') AS deferred,
    count(*) FILTER (status = 'bounced') AS bounced, count(*) FILTER (status = 'expired') AS expired,
    quantile_disc(delay, 0.5) FILTER (status = 'sent') AS delay_p50,
    quantile_disc(delay, 0.99) FILTER (status = 'sent') AS delay_p99"""
OTHERS = (
    Column("received", "number"),
    Column("bytes", "bytes"),
    Column("removed", "number"),
    Column("connections", "number"),
    Column("rejects", "number"),
)
COUNTS = """
    count(*) FILTER (is_arrival) AS received,
    coalesce(sum(message_size) FILTER (is_arrival), 0)::BIGINT AS bytes,
    count(*) FILTER (kind = 'removed' OR is_removal) AS removed,
    count(*) FILTER (kind = 'connect') AS connections, count(*) FILTER (kind = 'reject') AS rejects,"""


def add_arguments(parser: ArgumentParser) -> None:
    """What makes a row."""
    parser.add_argument("--by", choices=GROUPS, default="hour", help="what makes a row; hour")


def make(log: Log, options: Namespace) -> Report:
    """Count, group by group."""
    from mailstat.engine import Query, report  # noqa: PLC0415 - the help of all reports must not wait for it

    kind, expression = GROUPS[options.by]
    is_whole = options.by in WHOLE
    order = "1" if options.by in IN_ORDER else "count(*) DESC, 1"
    sql = f"""SELECT {expression} AS label, {COUNTS if is_whole else ""} {DELIVERIES}
        FROM events WHERE {"true" if is_whole else "kind = 'delivery'"}
        GROUP BY label ORDER BY {order}"""  # noqa: S608 - made of its own parts
    columns = (grouped(options.by.replace("-", "_"), kind), *(OTHERS if is_whole else ()), *OF_DELIVERIES)
    query = Query("", columns, sql)
    kinds = None if is_whole else ("delivery",)
    made = report(log, options, NAME, f"Deliveries by {options.by}", [query], kinds=kinds)
    return replace(made, charts=[_chart(made.sections[0], is_whole and options.by in IN_ORDER)])


def _chart(section: Section, is_upright: bool) -> Chart:
    """The outcome of each row, or of as many as a chart has room for."""
    rows = section.rows[:UPRIGHT] if is_upright else section.rows[:LYING]
    names = [column.name for column in section.columns]
    series = {name: [row[names.index(name)] for row in rows] for name in STATUSES}
    form: Literal["columns", "bars"] = "columns" if is_upright else "bars"
    return Chart(
        "Outcome", form, [NONE if row[0] is None else row[0] for row in rows], series, section.columns[0].kind
    )
