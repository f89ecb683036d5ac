"""What happened when, as a line one can see."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from mailstat.measure import MEASURES, amount
from mailstat.report import NONE, Chart, Column, Report, Section, grouped

if TYPE_CHECKING:
    from mailstat.log import Log

NAME = "timeline"
HELP = "any measure over time, as a sparkline"
DESCRIPTION = (
    "Each measure over the time of the log, as a line of small bars from its first moment to its last (a dot is "
    "nothing), with the sum, the highest bar and when that was. --by tells one measure apart by provider, reason, "
    "domain, host or client; what has none of it is a line, too."
)
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 48  # bars of a line
CHARTS = 12  # on a page
GROUPS = {
    "provider": "destination(direction, provider)",
    "reason": "why(reason)",
    "domain": "domain(recipient)",
    "host": "nullif(host, '')",
    "client": "client_ip",
}
COLUMNS = (
    grouped("measure"),
    Column("total", "number"),
    Column("peak", "number"),
    Column("peak_at", "time"),
    Column("timeline", "sparkline"),
)
PERIOD = "SELECT epoch(min(time)), epoch(max(time)) FROM events"
EACH = """
SELECT CAST(least(floor((epoch(time) - $first) / $width), $last) AS INTEGER) AS bar, {label} AS label,
    CAST({amount} AS BIGINT)
FROM events WHERE ({test}) GROUP BY bar, label"""


def add_arguments(parser: ArgumentParser) -> None:
    """Which measure, and what tells it apart."""
    parser.add_argument("--measure", choices=MEASURES, help="this one; without it all, or sent with --by")
    parser.add_argument("--by", choices=GROUPS, help="a line for each of these")


def make(log: Log, options: Namespace) -> Report:
    """Count, bar by bar."""
    from mailstat.engine import table  # noqa: PLC0415 - the help of all reports must not wait for it

    chosen = options.measure or ("sent" if options.by else None)
    names = [chosen] if chosen else list(MEASURES)
    label = GROUPS[options.by] if options.by else "''"
    questions = {name: EACH.format(label=label, test=MEASURES[name], amount=amount(name)) for name in names}
    lines: dict[str | None, list[int]] = {}
    with table(log, options, [PERIOD, *questions.values()]) as events:
        ((first, last),) = events.ask(PERIOD)
        if first is None:
            return Report(NAME, "Timeline", [Section("", COLUMNS)])
        width = max((last - first) / WIDTH, 1e-3)
        for name, sql in questions.items():
            for bar, group, count in events.ask(sql, {"first": first, "width": width, "last": WIDTH - 1}):
                lines.setdefault(group if options.by else name, [0] * WIDTH)[bar] += count
    rows = [_row(name, counts, first, width) for name, counts in lines.items()]
    if options.by:
        rows.sort(key=lambda row: (-row[1], row[0] or ""))
    title = f"Timeline of {chosen}" if chosen else "Timeline"
    starts = [first + bar * width for bar in range(WIDTH)]
    charts = [
        Chart(row[0] or NONE, "columns", starts, {row[0] or NONE: lines[row[0]]}, "time") for row in rows[:CHARTS]
    ]
    return Report(NAME, title, [Section("", COLUMNS, rows)], charts=charts, period=(first, last))


def sparkline(counts: list[int]) -> str:
    """A bar for each count; the highest is the greatest, and a dot stands for nothing: blanks would not stay."""
    most = max(counts, default=0) or 1
    return "".join(BARS[(count * len(BARS) - 1) // most] if count else "·" for count in counts)


def _row(name: str | None, counts: list[int], first: float, width: float) -> tuple[str | None, int, int, float, str]:
    peak = max(counts)
    return name, sum(counts), peak, first + counts.index(peak) * width, sparkline(counts)
