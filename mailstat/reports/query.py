"""The user's own question."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from mailstat.report import Column, Report, Section

if TYPE_CHECKING:
    import pyarrow as pa

    from mailstat.log import Log

NAME = "query"
HELP = "your own SQL on the table of events"
DESCRIPTION = (
    "The answer to a SELECT in the SQL of DuckDB. The table events has a row for each event and a column for each "
    "field of the event record, and besides: number (its place in the log), via, message_since and message_size (of "
    "the message that it is about), is_arrival, is_removal, logins and notification (what it counts for), and "
    "greylisted_at (on an acceptance: when the deferral was that it takes back). deliveries() has the deliveries, "
    "with greylisting told afterwards; destination(direction, provider), domain(address) and why(reason) are there "
    "too. SQL can read the table, and nothing else."
)


def add_arguments(parser: ArgumentParser) -> None:
    """The question, which stands before the files."""
    parser.add_argument(
        "sql", metavar="SQL", help="one SELECT, as in: SELECT status, count(*) FROM events GROUP BY 1"
    )


def make(log: Log, options: Namespace) -> Report:
    """Read the log into the table, and ask."""
    from mailstat.batch import columns  # noqa: PLC0415 - the help of all reports must not wait for it
    from mailstat.engine import table  # noqa: PLC0415

    questions = [options.sql, *columns()] if "*" in options.sql else [options.sql]
    with table(log, options, questions) as events:
        events.close_doors()
        answer = events.ask_freely(options.sql)
    return Report(NAME, "Query", [_section(answer)])


def _section(answer: pa.Table) -> Section:
    import pyarrow as pa  # noqa: PLC0415

    columns: list[Column] = []
    values: list[list[Any]] = []
    for name, column in zip(answer.column_names, answer.columns, strict=True):
        if pa.types.is_timestamp(column.type) and column.type.tz:
            columns.append(Column(name, "time"))
            values.append([None if time is None else time / 1e6 for time in _micros(column)])
        elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            columns.append(Column(name, "number"))
            values.append(column.to_pylist())
        else:
            columns.append(Column(name))
            values.append([_text(value) for value in column.to_pylist()])
    return Section("", columns, list(zip(*values, strict=True)))


def _micros(column: Any) -> list[int | None]:
    import pyarrow as pa  # noqa: PLC0415

    micros: list[int | None] = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()
    return micros


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
