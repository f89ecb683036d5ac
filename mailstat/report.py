"""What a report is, before anybody decides how it looks.

Values are in base units whatever people will see: seconds, bytes, a ratio of 0 to 1 for a percentage, seconds since
the epoch for a time. None is a value that is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal, NamedTuple

Kind = Literal["text", "number", "bytes", "seconds", "percent", "time", "sparkline"]
Row = Sequence[Any]
Record = Mapping[str, Any]


class ReportError(Exception):
    """The report cannot be made; the text says to people why not."""


class Column(NamedTuple):
    """A column; `kind` tells in what form people see its values. What looks like a number and is none (a port, a
    reply code) is text. A sparkline is text, too, of which a narrow terminal may show fewer bars. Of a time that
    `is_past`, people ask how long ago it was. `none` is what people see where there is no value."""

    name: str
    kind: Kind = "text"
    is_past: bool = False
    none: str = ""


NOT_TOLD, NONE = "(not told)", "(none)"  # of what makes a row; machines are told that there is no value
FIRST = Column("first", "time", is_past=True)
LAST = Column("last", "time", is_past=True)
OLDEST = Column("oldest", "time", is_past=True)


def grouped(name: str, kind: Kind = "text", none: str = NONE) -> Column:
    """The column of what makes a row, one of which may stand for all that have none of it."""
    return Column(name, kind, none=none)


@dataclass(frozen=True)
class Section:
    """One table of a report; `left_out` counts the rows that a limit took away. JSON has the first of a report, and
    beside it those with a `key`."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row] = ()
    left_out: int = 0
    key: str = ""

    def limited(self, most: int) -> Section:
        """The first `most` rows."""
        return replace(self, rows=self.rows[:most], left_out=self.left_out + max(len(self.rows) - most, 0))


class Figure(NamedTuple):
    """One number that says much, in the units of a column of that kind."""

    name: str
    value: Any
    kind: Kind = "number"


@dataclass(frozen=True)
class Chart:
    """A picture of numbers that the report has, for a format that can show one.

    `columns` and `bars` are stacked series, upright or lying, one value for each of `labels` (of `label_kind`; text
    that the log chose is welcome); of a `ring` only the sums count. Series that mean a status are named like it.
    """

    title: str
    form: Literal["columns", "bars", "ring"]
    labels: Sequence[Any]
    series: Mapping[str, Sequence[float]]
    label_kind: Kind = "text"
    kind: Kind = "number"


@dataclass(frozen=True)
class Report:
    """An answer: sections for people, and for machines the first section, or `document` where the report has one.

    A report as long as the log has `records` instead of rows, made while they are read, and one section whose columns
    are the fields that a table shows of each; in JSON a record is a line of its own, with all it has.

    With `lines`, these stand in place of a table, for another program to read. `figures` and `charts` are for a
    format that can show them, with the `period` below the title: the first moment and the last. `status` is the exit
    status of the command, where the answer itself has one.
    """

    name: str
    title: str
    sections: Sequence[Section]
    document: Mapping[str, Any] | None = None
    records: Iterator[Record] | None = None
    lines: Sequence[str] | None = None
    figures: Sequence[Figure] = ()
    charts: Sequence[Chart] = ()
    period: tuple[float, float] | None = None
    status: int = 0

    def limited(self, most: int) -> Report:
        """The same with at most so many rows in a section, or so many records; nothing more is read for them."""
        return replace(
            self,
            sections=[section.limited(most) for section in self.sections],
            records=None if self.records is None else islice(self.records, most),
            lines=None if self.lines is None else self.lines[:most],
        )

    def rows_of_records(self) -> Iterator[Row]:
        """The records as rows of the first section."""
        names = [column.name for column in self.sections[0].columns]
        for record in self.records or ():
            yield [record.get(name) for name in names]
