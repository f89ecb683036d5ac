"""Tables for people: within the width of a terminal, or whole and plain where something else reads them."""
# ruff: noqa: PLC0415 - what only a terminal needs is imported for a terminal, for it takes as long as a short report

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

from rich.cells import cell_len

from mailstat.cell import RIGHT, show, visible
from mailstat.report import Column, Report, Row, Section

if TYPE_CHECKING:
    from rich.table import Table

PAGE = 200  # records that are measured together, for there is no end to measure to
WIDEST = 28  # columns of a terminal that one cell takes where each row has one line
Cells = list[str]


def render(report: Report, out: TextIO, *, zone: tzinfo) -> None:
    """Write the report."""
    if report.lines is not None:
        out.writelines(f"{visible(line)}\n" for line in report.lines)
    elif out.isatty():
        _on_terminal(report, out, zone)
    else:
        _on_pipe(report, out, zone)


def pages(report: Report, section: Section, zone: tzinfo) -> Iterator[list[Cells]]:
    """The section's rows in words; those of a report that has no end in pages. There is one page at least."""
    rows = section.rows if report.records is None else report.rows_of_records()
    size = max(len(section.rows), 1) if report.records is None else PAGE
    cells = (_words(row, section.columns, zone) for row in rows)
    page = list(islice(cells, size))
    yield page
    while page := list(islice(cells, size)):
        yield page


def _words(row: Row, columns: Sequence[Column], zone: tzinfo) -> Cells:
    return [show(value, column.kind, zone) for value, column in zip(row, columns, strict=True)]


# --- something else reads: all of every cell, nothing but text ---


def _on_pipe(report: Report, out: TextIO, zone: tzinfo) -> None:
    out.write(f"{visible(report.title)}\n")
    for section in report.sections:
        out.write(f"\n{visible(section.title)}\n" if section.title else "\n")
        head = [visible(column.name) for column in section.columns]
        widths = [cell_len(name) for name in head]
        for number, page in enumerate(pages(report, section, zone)):
            widths = _widths(widths, page)
            lines = page if number else [head, ["-" * width for width in widths], *page]
            out.writelines(_line(cells, section.columns, widths) for cells in lines)
        if section.left_out:
            out.write(f"and {section.left_out:,d} more\n")


def _widths(widths: Iterable[int], page: list[Cells]) -> list[int]:
    columns = zip(*page, strict=True) if page else [() for _ in widths]
    return [max([width, *map(cell_len, column)]) for width, column in zip(widths, columns, strict=True)]


def _line(cells: Cells, columns: Sequence[Column], widths: list[int]) -> str:
    padded = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        blanks = " " * (width - cell_len(cell))
        padded.append(blanks + cell if column.kind in RIGHT else cell + blanks)
    return "  ".join(padded).rstrip() + "\n"


# --- a terminal ---


def _on_terminal(report: Report, out: TextIO, zone: tzinfo) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(file=out, highlight=False, markup=False, emoji=False)
    console.print(Text(visible(report.title), "bold"))
    build = _whole if report.records is None else _line_by_line
    for section in report.sections:
        for page in pages(report, section, zone):
            console.print(build(section, page))
        if section.left_out:
            console.print(Text(f"and {section.left_out:,d} more", "dim"))


def _whole(section: Section, page: list[Cells]) -> Table:
    """All of every cell, on as many lines as it takes; a number that has no room for all its digits shows that."""
    from rich.text import Text

    title = Text(visible(section.title), "bold") if section.title else None
    table = _empty(title=title, title_justify="left")
    for column in section.columns:
        is_number = column.kind in RIGHT
        is_whole = is_number or column.kind == "time"
        table.add_column(
            Text(visible(column.name)),
            justify="right" if is_number else "left",
            no_wrap=is_whole,
            overflow="ellipsis" if is_whole else "fold",
        )
    for cells in page:
        table.add_row(*map(Text, cells))
    return table


def _line_by_line(section: Section, page: list[Cells]) -> Table:
    """A line for each row, without the columns that are empty on this page; the last column takes what is left."""
    from rich.text import Text

    used = [at for at in range(len(section.columns)) if not page or any(cells[at] for cells in page)]
    table = _empty(expand=True)
    for at in used:
        column = section.columns[at]
        is_last = at == len(section.columns) - 1
        table.add_column(
            Text(visible(column.name)),
            justify="right" if column.kind in RIGHT else "left",
            no_wrap=True,
            overflow="ellipsis",
            max_width=None if is_last else WIDEST,
            ratio=1 if is_last else None,
        )
    for cells in page:
        table.add_row(*(Text(cells[at]) for at in used))
    return table


def _empty(**options: Any) -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), **options)
