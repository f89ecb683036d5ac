"""Markdown (GitHub's tables), for issues, wikis and chats."""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import TextIO

from mailstat.cell import RIGHT, show_in, visible
from mailstat.report import Column, Report, Row, Section

_SPECIAL = re.compile(r"[\\`*_{}\[\]<>()#|~!&@:$^]")  # what could begin markup, a link or a mention


def render(report: Report, out: TextIO, *, zone: tzinfo) -> None:
    """Write the report."""
    out.write(f"# {escaped(report.title)}\n")
    for section in report.sections:
        rows = section.rows if report.records is None else report.rows_of_records()
        _head(section, out)
        out.writelines(_line(row, section, zone) for row in rows)
        if section.left_out:
            out.write(f"\nand {section.left_out:,d} more\n")


def escaped(text: str) -> str:
    """The text as itself, whatever marks it holds."""
    return _SPECIAL.sub(r"\\\g<0>", visible(text))


def _head(section: Section, out: TextIO) -> None:
    if section.title:
        out.write(f"\n## {escaped(section.title)}\n")
    out.write("\n| " + " | ".join(escaped(column.name) for column in section.columns) + " |\n")
    out.write("| " + " | ".join(_rule(column) for column in section.columns) + " |\n")


def _rule(column: Column) -> str:
    return "---:" if column.kind in RIGHT else "---"


def _line(row: Row, section: Section, zone: tzinfo) -> str:
    cells = (escaped(show_in(column, value, zone)) for value, column in zip(row, section.columns, strict=True))
    return "| " + " | ".join(cells) + " |\n"
