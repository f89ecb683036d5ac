"""Tables for people: within the width of a terminal, or whole and plain where something else reads them."""
# ruff: noqa: PLC0415 - what only a terminal needs is imported for a terminal, for it takes as long as a short report

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo
from itertools import islice
from typing import TYPE_CHECKING, TextIO

from rich.cells import cell_len

from mailstat.cell import RIGHT, show, visible
from mailstat.report import Column, Report, Row, Section

if TYPE_CHECKING:
    from rich.console import Console

PAGE = 200  # records that are measured together, for there is no end to measure to
Cells = list[str]


def render(report: Report, out: TextIO, *, zone: tzinfo) -> None:
    """Write the report."""
    if out.isatty():
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
    for section in report.sections:
        for page in pages(report, section, zone):
            _print(console, section, page, is_endless=report.records is not None)
        if section.left_out:
            console.print(Text(f"and {section.left_out:,d} more", "dim"))


def _print(console: Console, section: Section, page: list[Cells], *, is_endless: bool) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = Text(visible(section.title), "bold") if section.title else None
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in section.columns:
        is_right = column.kind in RIGHT
        table.add_column(
            Text(visible(column.name)),
            justify="right" if is_right else "left",
            no_wrap=is_endless or is_right or column.kind == "time",
            overflow="ellipsis" if is_endless else "fold",
        )
    for cells in page:
        table.add_row(*map(Text, cells))
    console.print(table)
