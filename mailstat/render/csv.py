"""CSV (RFC 4180, with the line ends of Unix): values in base units, times in RFC 3339, for spreadsheets and scripts.

A text that a spreadsheet would take for a formula has an apostrophe before it. Sections follow each other after an
empty line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import tzinfo
from typing import Any, TextIO

from mailstat.cell import plain, show, visible
from mailstat.report import Column, Report, Row

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001 - spreadsheets take the wide ones too


def render(report: Report, out: TextIO, *, zone: tzinfo) -> None:
    """Write the report."""
    for at, section in enumerate(report.sections):
        rows = section.rows if report.records is None else report.rows_of_records()
        out.write("\n" if at else "")
        _write(section.columns, rows, out, zone)


def guarded(text: str) -> str:
    """The text, harmless to a terminal and a spreadsheet."""
    shown = visible(text)
    return f"'{shown}" if shown.lstrip().startswith(FORMULA) else shown


def _write(columns: Iterable[Column], rows: Iterable[Row], out: TextIO, zone: tzinfo) -> None:
    writer = csv.writer(out, lineterminator="\n")
    columns = list(columns)
    writer.writerow([guarded(column.name) for column in columns])
    for row in rows:
        writer.writerow([_cell(value, column, zone) for value, column in zip(row, columns, strict=True)])


def _cell(value: Any, column: Column, zone: tzinfo) -> Any:
    if isinstance(value, str):
        return guarded(value)
    if isinstance(value, bool):
        return show(value, column.kind, zone)
    return plain(value, column.kind, zone)
