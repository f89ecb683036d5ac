"""How long mail takes: percentiles and a histogram."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from typing import TYPE_CHECKING

from mailstat.report import Chart, Column

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.report import Report

NAME = "latency"
HELP = "how long mail takes: percentiles by provider, and a histogram"
DESCRIPTION = (
    "The delay of what was sent, from arrival to the end of the delivery, or of one stage of it: percentiles by "
    "provider, then a histogram, whose bounds double, then the percentiles of each stage. Known is how many of "
    "what was sent have a delay in the log; the others have no part in the rest."
)
STAGES = ("before_queue", "in_queue", "connect", "transmit")
SHARES = (("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999))
LEAST = 0.125  # seconds of the first bar; a power of two, so that the bounds are exact
BAR = 40  # characters of the longest bar


def add_arguments(parser: ArgumentParser) -> None:
    """Which delay."""
    parser.add_argument("--stage", choices=STAGES, help="of this stage; without it, of the whole delivery")


def make(log: Log, options: Namespace) -> Report:
    """Ask for the delays of what was sent."""
    from mailstat.engine import Query, report  # noqa: PLC0415 - the help of all reports must not wait for it

    delay = f"delay_{options.stage}" if options.stage else "delay"
    sent = "FROM events WHERE kind = 'delivery' AND status = 'sent'"
    shares = ", ".join(f"quantile_disc({delay}, {share})" for _, share in SHARES)
    # The line of all stands first.
    percentiles = f"""
        SELECT CASE WHEN grouping(destination(direction, provider)) = 1 THEN '(all)'
            ELSE destination(direction, provider) END AS towards,
            count(*), count({delay}), min({delay}), {shares}, max({delay}), round(favg({delay}), 6) {sent}
        GROUP BY ROLLUP (destination(direction, provider)) HAVING count(*) > 0
        ORDER BY grouping(destination(direction, provider)) DESC, count(*) DESC, towards"""
    histogram = f"""
        WITH bars AS (
            SELECT CASE WHEN {delay} <= {LEAST} THEN {LEAST}
                ELSE {LEAST} * pow(2, ceil(log2({delay} / {LEAST}))) END AS bound, count(*) AS count
            {sent} AND {delay} IS NOT NULL GROUP BY bound)
        SELECT bound, count, count / sum(count) OVER () AS share,
            sum(count) OVER (ORDER BY bound) / sum(count) OVER () AS up_to_here,
            repeat('#', CAST(ceil({BAR} * count / max(count) OVER ()) AS INTEGER)) AS bar
        FROM bars ORDER BY bound"""  # noqa: S608
    table = [
        Column("provider"),
        Column("sent", "number"),
        Column("known", "number"),
        *(Column(name, "seconds") for name in ("min", *(name for name, _ in SHARES), "max", "mean")),
    ]
    bars = (
        Column("up_to", "seconds"),
        Column("count", "number"),
        Column("share", "percent"),
        Column("cumulative", "percent"),
        Column("bar"),
    )
    queries = [Query("Percentiles", table, percentiles), Query("Histogram", bars, histogram)]
    if not options.stage:
        queries.append(Query("Stages", [Column("stage"), *table[1:]], _stages(shares)))
    title = f"Latency: {options.stage}" if options.stage else "Latency"
    made = report(log, options, NAME, title, queries, kinds=("delivery",))
    rows = made.sections[1].rows
    chart = Chart("Delays", "columns", [row[0] for row in rows], {"up to": [row[1] for row in rows]}, "seconds")
    return replace(made, charts=[chart])


def _stages(shares: str) -> str:
    """The same percentiles of each stage, in the order of the stages."""
    each = [
        f"SELECT {place} AS place, '{stage}' AS stage, delay_{stage} AS delay FROM sent"  # noqa: S608
        for place, stage in enumerate(STAGES)
    ]
    return f"""
        WITH sent AS (SELECT * FROM events WHERE kind = 'delivery' AND status = 'sent')
        SELECT stage, count(*), count(delay), min(delay), {shares}, max(delay), avg(delay)
        FROM ({" UNION ALL ".join(each)})
        GROUP BY place, stage HAVING count(delay) > 0 ORDER BY place"""  # noqa: S608
