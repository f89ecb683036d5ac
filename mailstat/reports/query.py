"""The user's own question."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mailstat.report import Column, Kind, Report, ReportError, Section

if TYPE_CHECKING:
    import pyarrow as pa

    from mailstat.log import Log

DAY = 86400  # seconds
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
    from mailstat.engine import table  # noqa: PLC0415 - the help of all reports must not wait for it

    with table(log, options, _questions(options.sql)) as events:
        events.close_doors()
        answer = events.ask_freely(options.sql)
    return Report(NAME, "Query", [_section(answer)])


def _questions(sql: str) -> list[str]:
    """The question, and the names of all columns where it speaks of more than it names. Raises ReportError, before
    anything is read."""
    from mailstat.batch import columns  # noqa: PLC0415
    from mailstat.database import foreseen  # noqa: PLC0415
    from mailstat.engine import words  # noqa: PLC0415

    whole = [sql, *columns()]
    answer = foreseen(sql, columns())
    if "*" in sql or sql.split(maxsplit=1)[0].upper() in ("DESCRIBE", "DESC", "SUMMARIZE"):
        return whole
    try:
        return [sql] if foreseen(sql, words([sql]) | {"number"}) == answer else whole
    except ReportError:  # a name in capitals, as one may write it
        return whole


def _section(answer: pa.Table) -> Section:
    columns: list[Column] = []
    values: list[list[Any]] = []
    for name, column in zip(answer.column_names, answer.columns, strict=True):
        kind = _kind(column.type)
        told = _micros(column) if kind == "time" else column.to_pylist()
        columns.append(Column(name, kind))
        values.append([None if value is None else _VALUES[kind](value) for value in told])
    return Section("", columns, list(zip(*values, strict=True)))


def _kind(of: pa.DataType) -> Kind:
    from pyarrow import types  # noqa: PLC0415

    if types.is_timestamp(of):
        return "time" if of.tz else "text"
    if types.is_interval(of):
        return "seconds"
    return "number" if types.is_integer(of) or types.is_floating(of) or types.is_decimal(of) else "text"


def _micros(column: Any) -> list[int | None]:
    import pyarrow as pa  # noqa: PLC0415

    micros: list[int | None] = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()
    return micros


def _number(value: Any) -> int | float:
    """A sum of whole numbers comes as a decimal number, for it may be a large one."""
    if isinstance(value, Decimal):
        return float(value) if value.as_tuple().exponent else int(value)
    return value  # type: ignore[no-any-return]


def _seconds(value: Any) -> float:
    """Of an interval; a month counts as the database counts it."""
    return float((value.months * 30 + value.days) * DAY + value.nanoseconds / 1e9)


def _text(value: Any) -> str | bool:
    return value if isinstance(value, bool) else str(value)


_VALUES = {"time": lambda micros: micros / 1e6, "number": _number, "seconds": _seconds, "text": _text}
