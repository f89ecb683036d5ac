"""Tables for people: within the width of a terminal, or whole and plain where something else reads them."""
# ruff: noqa: PLC0415 - what only a terminal needs is imported for a terminal, for it takes as long as a short report

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from rich.cells import cell_len

from mailstat.cell import RIGHT, show_in, visible
from mailstat.report import FIRST, LAST, OLDEST, Column, Report, Row, Section

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PAGE = 200  # records that are measured together, for there is no end to measure to
LINE_TEXT = (28, 20, 14, 10, 8)  # columns of a terminal that one text takes where each row has one line
TEXT = (20, 10)  # columns of a terminal that are left to a longer text, at first and where they are few
LINES = 4  # of an example in a narrow column
NAME = 4  # that are left to the name of a column, at least
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
    return [show_in(column, value, zone) for value, column in zip(row, columns, strict=True)]


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
            if report.records is not None:
                table, hidden = _line_by_line(section, page, console.width)
                console.print(table)
                _name_hidden(console, hidden)
                continue
            shown = _narrowed(section.columns, page, console.width)
            kept = _kept(section.columns, _rooms(section.columns, shown), console.width)
            columns, cells = [section.columns[at] for at in kept], [[row[at] for at in kept] for row in shown]
            widths = _fitting(_rooms(columns, cells), console.width)
            console.print(_whole(section.title, columns, cells, widths))
            _name_hidden(console, [visible(it.name) for at, it in enumerate(section.columns) if at not in kept])
        if section.left_out:
            console.print(Text(f"and {section.left_out:,d} more", "dim"))


def _name_hidden(console: Console, names: list[str]) -> None:
    from rich.text import Text

    if names:
        console.print(Text(f"no room for {', '.join(names)}", "dim"))


def _narrowed(columns: Sequence[Column], page: list[Cells], width: int) -> list[Cells]:
    """The rows with as many bars of a sparkline as there is room for beside the rest. A bar is then the highest of
    those it stands for, so that the peak stays."""
    lines = [at for at, column in enumerate(columns) if column.kind == "sparkline"]
    rest = sum(max(cell_len(text) for text in texts) + 2 for at, texts in _texts(columns, page) if at not in lines)
    room = max(width - rest - 2, TEXT[-1])
    return [[_fewer(cell, room) if at in lines else cell for at, cell in enumerate(cells)] for cells in page]


def _texts(columns: Sequence[Column], page: list[Cells]) -> Iterator[tuple[int, list[str]]]:
    for at, column in enumerate(columns):
        yield at, [visible(column.name), *(cells[at] for cells in page)]


def _fewer(bars: str, room: int) -> str:
    if len(bars) <= room:
        return bars
    return "".join(max(bars[at * len(bars) // room : (at + 1) * len(bars) // room]) for at in range(room))


def _whole(title: str, columns: Sequence[Column], page: list[Cells], widths: Sequence[int | None]) -> Table:
    """Each cell on as many lines as it takes; of an example in a narrow column, as much as tells what it is."""
    from rich.text import Text

    table = _empty(title=Text(visible(title), "bold") if title else None, title_justify="left")
    for column, width in zip(columns, widths, strict=True):
        name = visible(column.name)
        is_whole = _is_whole(column)
        table.add_column(
            Text(name if width is None else name.replace("_", " "), no_wrap=False, overflow="fold"),
            justify="right" if column.kind in RIGHT else "left",
            no_wrap=is_whole,
            overflow="ellipsis" if is_whole else "fold",
            width=width,
        )
    for cells in page:
        texts = [*map(Text, cells)]
        if columns[-1].name == "example" and widths[-1] is not None:
            texts[-1].truncate(LINES * widths[-1], overflow="ellipsis")
        table.add_row(*texts)
    return table


class Room(NamedTuple):
    """The columns of a terminal that a name and the widest cell below it want; `is_whole`: they cannot be folded."""

    name: int
    cell: int
    is_whole: bool

    @property
    def most(self) -> int:
        """What is of use: nobody needs the whole of a long name over short cells."""
        return self.cell if self.is_whole else max(self.name, self.cell)

    def least(self, name: int, text: int) -> int:
        """What is needed where names and texts have so much at most."""
        return max(min(self.name, name), self.cell if self.is_whole else min(self.cell, text))


def _rooms(columns: Sequence[Column], page: list[Cells]) -> list[Room]:
    cells = zip(*page, strict=True) if page else [()] * len(columns)
    return [
        Room(cell_len(visible(column.name)), max(map(cell_len, below), default=0), _is_whole(column))
        for column, below in zip(columns, cells, strict=True)
    ]


def _is_whole(column: Column) -> bool:
    return column.kind in RIGHT or column.kind == "time"


def _have_room(rooms: Iterable[Room], width: int, name: int, text: int) -> bool:
    return sum(room.least(name, text) + 2 for room in rooms) <= width


def _kept(columns: Sequence[Column], rooms: list[Room], width: int) -> list[int]:
    """The columns that have room. When something was seen goes first, for an example says more; then the last one."""
    kept = list(range(len(columns)))
    is_told = columns[-1].name == "example"
    seen = [at for at in reversed(kept) if columns[at] in (FIRST, LAST)]
    for at in seen + [at for at in kept if is_told and columns[at] == OLDEST]:
        if not _have_room([rooms[each] for each in kept], width, NAME, TEXT[0] if is_told else TEXT[-1]):
            kept.remove(at)
    while len(kept) > 1 and not _have_room([rooms[each] for each in kept], width, NAME, TEXT[-1]):
        kept.pop()
    return kept


def _fitting(rooms: list[Room], width: int) -> list[int | None]:
    """How wide columns are (None: as it comes). Names are folded before texts are."""
    widest = max((room.name for room in rooms), default=0)
    names = range(widest, NAME - 1, -1)
    fitting = ((name, text) for text in TEXT for name in names if _have_room(rooms, width, name, text))
    name, text = next(fitting, (widest, 0))
    if name == widest:
        return [None] * len(rooms)
    return list(_grown(rooms, [room.least(name, text) for room in rooms], width))


def _grown(rooms: Sequence[Room], widths: list[int], width: int) -> list[int]:
    """What is left goes to the columns that need least to be whole."""
    spare = width - sum(widths) - 2 * len(widths)
    for at in sorted(range(len(rooms)), key=lambda at: rooms[at].most - widths[at]):
        more = min(max(rooms[at].most - widths[at], 0), spare)
        widths[at] += more
        spare -= more
    return widths


def _line_by_line(section: Section, page: list[Cells], width: int) -> tuple[Table, list[str]]:
    """A line for each row, without the columns that are empty on this page, and the names of those that have no room;
    the last column takes what is left."""
    from rich.text import Text

    used = [at for at in range(len(section.columns)) if not page or any(cells[at] for cells in page)]
    rooms = _rooms([section.columns[at] for at in used], [[cells[at] for at in used] for cells in page])
    text = next((text for text in LINE_TEXT if _have_room(rooms, width, text, text)), LINE_TEXT[-1])
    count = len(used)
    while count > 1 and not _have_room(rooms[:count], width, text, text):
        count -= 1
    table = _empty(expand=True)
    widths = _grown(rooms[:count], [room.least(text, text) for room in rooms[:count]], width)
    for at, wide in zip(used, widths, strict=False):
        column = section.columns[at]
        is_last = at == used[count - 1]
        table.add_column(
            Text(visible(column.name)),
            justify="right" if column.kind in RIGHT else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=None if is_last else wide,
            ratio=1 if is_last else None,
        )
    for cells in page:
        table.add_row(*(Text(cells[at]) for at in used[:count]))
    return table, [visible(section.columns[at].name) for at in used[count:]]


def _empty(**options: Any) -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), **options)
