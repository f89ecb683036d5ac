"""Pieces of a page in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def page(title: str, *parts: str) -> str:
    """A whole page."""
    return "\n\n".join([f"# {title}", *(part.strip("\n") for part in parts)]) + "\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; cells are Markdown of one line."""
    titles = list(head)
    lines = [_row(titles), _row(["---"] * len(titles)), *map(_row, rows)]
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    escaped = (cell.replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def code(text: object) -> str:
    """A name or a value within a line."""
    ticks = "``" if "`" in str(text) else "`"
    return f"{ticks}{text}{ticks}"


def codes(names: Iterable[object]) -> str:
    """Names or values, one after the other."""
    return ", ".join(map(code, names))


def block(*lines: str) -> str:
    """Lines as they are."""
    return "\n".join(["```text", *lines, "```"])


def summary(text: str | None) -> str:
    """A docstring as Markdown: its lines joined within paragraphs."""
    paragraphs = (text or "").strip().split("\n\n")
    return "\n\n".join(" ".join(line.strip() for line in paragraph.splitlines()) for paragraph in paragraphs)
