"""What the daemons complain of."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from mailstat.report import FIRST, LAST, Column

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.report import Report

NAME = "problems"
HELP = "warnings and errors of the daemons, alike ones together, the worst first"
DESCRIPTION = (
    "What the daemons complain of (panic, fatal, error, warning), the worst first: lines that differ by numbers, "
    "ids, addresses and hosts alone are one row, with the last of them as an example; then how much each daemon "
    "complains."
)
SEEN = (FIRST, LAST)
TEXTS = (
    Column("severity"),
    Column("mta"),
    Column("program"),
    Column("count", "number"),
    *SEEN,
    Column("example"),
)
PROGRAMS = (
    Column("host"),
    Column("mta"),
    Column("program"),
    *(Column(name, "number") for name in ("panic", "fatal", "error", "warning")),
    *SEEN,
)
# What tells apart lines that say the same: addresses, hosts in brackets and by name, ids and numbers.
ALIKE = r"""
SELECT severity, mta, program, count(*) AS times, epoch(min(time)), epoch(max(time)), arg_max(text, number)
FROM events WHERE kind = 'problem'
GROUP BY severity, mta, program, regexp_replace(regexp_replace(left(text, 500),
    '[^ <>@]+@[^ <>,;]+|\[[0-9A-Fa-f.:]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+', '*', 'g'),
    '[0-9A-Za-z/+=-]*[0-9][0-9A-Za-z/+=-]*', '#', 'g')
ORDER BY list_position(['panic', 'fatal', 'error', 'warning'], severity), times DESC, max(number) LIMIT 1000"""
BY_PROGRAM = """
SELECT host, mta, program, count(*) FILTER (severity = 'panic'), count(*) FILTER (severity = 'fatal'),
    count(*) FILTER (severity = 'error'), count(*) FILTER (severity = 'warning'),
    epoch(min(time)), epoch(max(time))
FROM events WHERE kind = 'problem'
GROUP BY host, mta, program ORDER BY count(*) DESC, host, mta, program LIMIT 1000"""


def make(log: Log, options: Namespace) -> Report:
    """Ask for the complaints."""
    from mailstat.engine import Query, report  # noqa: PLC0415 - the help of all reports must not wait for it

    queries = [Query("By what is said", TEXTS, ALIKE), Query("By daemon", PROGRAMS, BY_PROGRAM)]
    return report(log, options, NAME, "Problems", queries, kinds=("problem",))
