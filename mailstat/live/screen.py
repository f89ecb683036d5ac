"""The screen of `mailstat top`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, Static

from mailstat.cell import duration, visible
from mailstat.live.pulse import PANELS, RATES, SLOT, WINDOWS, Pulse, Row
from mailstat.reports.timeline import sparkline

SECONDS = 1.0  # between two looks
NARROW = 90  # columns; on less, everything is one below the other
RATE = 27  # columns that a rate takes without its curve
BARS = 60  # of the longest curve
STYLES = {"sent": "green", "deferred": "yellow", "bounced": "red", "rejects": "magenta", "failed logins": "red"}
SHORTEST, LONGEST = 16, 40  # characters of a name, where it leaves no room for what is counted
PADDING = 2  # columns of the terminal beside a cell
FRAME = 6  # those of a table's border, its scroll bar and the one beside it


class Feed(Protocol):
    """Where the numbers come from."""

    pulse: Pulse
    source: str
    error: str
    tells_lines: bool

    async def poll(self) -> bool:
        """Take what is new; whether there is more at once."""

    def close(self) -> None:
        """Stop."""


class Examples(ModalScreen[None]):
    """The last lines about something."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q", "app.pop_screen", "Back")]

    def __init__(self, title: str, lines: list[str]) -> None:
        super().__init__()
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        """A box over all else."""
        with VerticalScroll(id="examples"):
            yield Static(Text(self._title, "bold"))
            for line in self._lines:
                yield Static(Text(visible(line)), classes="line")
            yield Footer()


class Top(App[None]):
    """Tables of the last minutes, which are looked at again each second."""

    TITLE = "mailstat top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #state { height: 1; background: $boost; padding: 0 1; }
    #rates { height: auto; padding: 0 1; }
    #panels { grid-size: 2; grid-gutter: 0 1; grid-rows: 2fr 2fr 1fr; }
    .-narrow #panels { grid-size: 1; grid-rows: 9; overflow-y: auto; }
    DataTable { border: round $primary-darken-1; height: 1fr; }
    DataTable { border-subtitle-color: $text-muted; }
    DataTable:focus { border: round $accent; }
    #queue { column-span: 2; }
    .-narrow #queue { column-span: 1; }
    #filter { display: none; height: 3; }
    #filter.open { display: block; }
    Examples { align: center middle; }
    #examples { width: 92%; height: 80%; border: round $accent; background: $surface; padding: 0 1; }
    .line { margin: 1 0 0 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("p,space", "pause", "Pause"),
        Binding("w", "widen", "Window"),
        Binding("s", "sort", "Sort"),
        Binding("r", "reverse", "Reverse"),
        Binding("slash", "filter", "Filter"),
        Binding("escape", "clear", "Clear", show=False),
        Binding("tab", "focus_next", "Next table"),
    ]

    def __init__(self, feed: Feed, now: Callable[[], float]) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (NARROW, "-wide")]
        self.feed = feed
        self.window = WINDOWS[1]
        self.is_paused = False
        self.wanted = ""
        self.order = dict.fromkeys(PANELS, (1, True))  # column, and whether the greatest comes first
        self._now = now
        self._frozen = 0.0
        self._shown = 0.0
        # What is shown is known here: another screen may lie above it.
        self._top, self._rate = Static(id="state"), Static(id="rates")
        self._tables = {name: _table(name) for name in PANELS}

    def compose(self) -> ComposeResult:
        """State, rates, a table for each panel, and the keys."""
        yield self._top
        yield self._rate
        with Grid(id="panels"):
            yield from self._tables.values()
        yield Input(placeholder="part of a name; empty for all", id="filter")
        yield Footer()

    def on_mount(self) -> None:
        """Begin."""
        self._tables["providers"].focus()
        self._show()
        self.set_timer(0.05, self._turn)

    async def on_unmount(self) -> None:
        """Let go of the source."""
        self.feed.close()

    async def _turn(self) -> None:
        is_more = False
        if not self.is_paused:
            is_more = await self.feed.poll()
            if not is_more or not self._shown <= self._now() < self._shown + SECONDS:  # to show takes time to read
                self._show()
        self.set_timer(0.01 if is_more else SECONDS, self._turn)

    def on_resize(self) -> None:
        """Show what has room now, also while nothing moves."""
        self.call_after_refresh(self._show)

    # --- keys ---

    def action_pause(self) -> None:
        """Stand still, or go on."""
        self.is_paused = not self.is_paused
        self._frozen = self._now()
        self._show()

    def action_widen(self) -> None:
        """The next window."""
        self.window = WINDOWS[(WINDOWS.index(self.window) + 1) % len(WINDOWS)]
        self._show()

    def action_sort(self) -> None:
        """By the next column of the table that has the cursor."""
        name = self._focused()
        if name:
            self.order[name] = ((self.order[name][0] + 1) % (len(PANELS[name].columns) + 1), self.order[name][1])
            self._show()

    def action_reverse(self) -> None:
        """The least first, or the greatest."""
        name = self._focused()
        if name:
            self.order[name] = (self.order[name][0], not self.order[name][1])
            self._show()

    def action_filter(self) -> None:
        """Ask for a part of names."""
        field = self.query_one("#filter", Input)
        field.add_class("open")
        field.focus()

    def action_clear(self) -> None:
        """All names again."""
        self.query_one("#filter", Input).value = ""
        self._close_filter()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what fits while it is typed."""
        self.wanted = event.value.strip().lower()
        self._show()

    def on_input_submitted(self) -> None:
        """Back to the tables."""
        self._close_filter()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Drill down to lines."""
        panel, name = event.data_table.id or "", str(event.row_key.value)
        if panel == "queue":
            return
        lines = list(reversed(self.feed.pulse.lines(panel, name)))
        if not lines:
            lines = [
                "no line is kept of it"
                if self.feed.tells_lines
                else "an exporter's metrics have no lines: watch its logs"
            ]
        self.push_screen(Examples(f"{PANELS[panel].head} {visible(name)}", lines))

    def _close_filter(self) -> None:
        self.query_one("#filter").remove_class("open")
        self._tables["providers"].focus()

    def _focused(self) -> str:
        found = self.focused
        return found.id or "" if isinstance(found, DataTable) else ""

    # --- what is seen ---

    def _show(self) -> None:
        self._shown = self._now()
        now = self._frozen if self.is_paused else self._shown
        self._top.update(self._state())
        self._rate.update(self._rates(now))
        for name in PANELS:
            self._fill(name, self.feed.pulse.rows(name, now, self.window))

    @property
    def _beside(self) -> int:
        """How many tables stand side by side."""
        return 1 if self.size.width < NARROW else 2

    def _state(self) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append("PAUSED  " if self.is_paused else "", "bold reverse")
        text.append(f"last {duration(self.window)}  ", "bold")
        if self.wanted:
            text.append(f"with {visible(self.wanted)!r}  ", "bold")
        text.append(visible(self.feed.error or self.feed.source), "red" if self.feed.error else "dim")
        return text

    def _rates(self, now: float) -> Table:
        beside = self._beside
        bars = min(max(self.size.width // beside - RATE, 1), BARS, self.window // SLOT)
        rates = self.feed.pulse.rates(now, self.window)
        table = Table.grid(padding=(0, 2, 0, 0))
        for _ in range(beside):
            for width in (13, 8, bars):
                table.add_column(no_wrap=True, width=width)
        cells: list[Text] = []
        for name in RATES:
            curve = sparkline(self.feed.pulse.curve(name, now, self.window, bars))
            cells += [
                Text(name),
                Text(_rate(rates[name]), "bold", justify="right"),
                Text(curve, STYLES.get(name, "")),
            ]
        for at in range(0, len(cells), 3 * beside):
            table.add_row(*cells[at : at + 3 * beside])
        return table

    def _fill(self, name: str, rows: list[Row]) -> None:
        table = self._tables[name]
        at, is_down = self.order[name]
        kept = table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value if table.row_count else None
        table.clear(columns=True)
        heads = [head.removesuffix("_seconds") for head in (PANELS[name].head, *PANELS[name].columns)]
        heads[at] += " ▼" if is_down else " ▲"
        for place, head in enumerate(heads):
            table.add_column(Text(head, justify="right" if place else "left"))
        room = self.size.width // self._beside - FRAME - sum(len(head) + PADDING for head in heads[1:]) - PADDING
        found = [row for row in rows if name == "queue" or self.wanted in row[0].lower()]
        for label, values in ordered(found, at, is_down=is_down):
            cells = [
                Text(_short(label, min(max(room, SHORTEST), LONGEST))),
                *(_cell(column, value) for column, value in zip(PANELS[name].columns, values, strict=False)),
            ]
            table.add_row(*cells, *[""] * (len(PANELS[name].columns) - len(values)), key=label)
        if kept is not None and kept in [row[0] for row in found]:
            table.move_cursor(row=table.get_row_index(kept))


def _table(name: str) -> DataTable[Any]:
    table: DataTable[Any] = DataTable(id=name, cursor_type="row", zebra_stripes=True)
    table.border_title = PANELS[name].title
    table.border_subtitle = "enter: last lines" if name != "queue" else ""
    return table


def ordered(rows: list[Row], at: int, *, is_down: bool) -> list[Row]:
    """Rows by the name (0) or a value (1 and on); those of the same value by name."""
    rows = sorted(rows, key=lambda row: row[0])
    if at == 0:
        return rows if is_down else rows[::-1]
    return sorted(rows, key=lambda row: row[1][at - 1] if at <= len(row[1]) else -1, reverse=is_down)


def _rate(value: float) -> str:
    return f"{value:,.1f}/m" if value < 1000 else f"{value:,.0f}/m"


def _cell(column: str, value: float) -> Text:
    if column.endswith("_seconds"):
        return Text(duration(value), justify="right")
    return Text(f"{value:,.0f}" if value else "·", STYLES.get(column, "") if value else "dim", justify="right")


def _short(name: str, most: int) -> str:
    shown = visible(name)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
