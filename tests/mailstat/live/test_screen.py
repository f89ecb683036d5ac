"""The screen of `mailstat top`, under the hands of a pilot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

from mailstat.live.pulse import Pulse
from mailstat.live.screen import Examples, Top, ordered
from parsers.events import Delivery, Origin

NOW = 1_767_571_200.0
ORIGIN = Origin("postfix", "mail", "postfix", "smtp", 7)
HOSTILE = "x\x1b[31m[bold]\u202e"


class Given:
    """A source of which all is known."""

    source = "mail.log"
    tells_lines = True

    def __init__(self) -> None:
        self.pulse = Pulse()
        self.error = ""
        self.polls = 0
        self.is_closed = False
        for provider, times in (("google", 3), ("yahoo", 1), (HOSTILE, 2)):
            self.deliver(provider, "sent", times)
        self.deliver("yahoo", "deferred", 4)
        self.pulse.queue = [("postfix deferred", (12.0, 90.0))]

    def deliver(self, provider: str, status: str, times: int) -> None:
        for _ in range(times):
            event = Delivery(NOW, ORIGIN, "A", f"a@{provider}.example", status, "outbound", provider=provider)
            self.pulse.add(event, f"{status} by {HOSTILE}")

    async def poll(self) -> bool:
        self.polls += 1
        return False

    def close(self) -> None:
        self.is_closed = True


def flown(steps: Callable[[Top, Pilot[None]], Awaitable[None]], size: tuple[int, int] = (120, 40)) -> Given:
    """Run the screen and let somebody press keys."""
    feed = Given()

    async def fly() -> None:
        app = Top(feed, lambda: NOW)
        async with app.run_test(size=size) as pilot:
            await pilot.pause(0.2)
            await steps(app, pilot)

    asyncio.run(fly())
    return feed


def names(app: Top, panel: str) -> list[str]:
    table: DataTable[Any] = app.query_one(f"#{panel}", DataTable)
    return [str(table.get_row_at(at)[0]) for at in range(table.row_count)]


def text(app: Top, name: str) -> str:
    return str(app.query_one(f"#{name}", Static).content)


def test_the_tables_show_what_is_counted_the_greatest_first() -> None:
    async def steps(app: Top, pilot: Pilot[None]) -> None:
        assert names(app, "providers")[0] == "google"
        assert names(app, "providers")[2] == "yahoo"
        assert names(app, "destinations") == ["yahoo.example"]
        table: DataTable[Any] = app.query_one("#queue", DataTable)
        assert [str(cell) for cell in table.get_row_at(0)] == ["postfix deferred", "12", "1 m 30 s"]

    assert flown(steps).is_closed


def test_hostile_names_are_text() -> None:
    async def steps(app: Top, pilot: Pilot[None]) -> None:
        assert names(app, "providers")[1] == "x\\x1b[31m[bold]\\u202e"

    flown(steps)


def test_keys_sort_and_reverse_the_table_that_has_the_cursor() -> None:
    async def steps(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        assert names(app, "providers")[0] == "yahoo"
        await pilot.press("r")
        assert names(app, "providers")[-1] == "yahoo"
        assert app.order["reasons"] == (1, True)
        await pilot.press("tab", "s")
        assert app.order["reasons"] == (2, True)

    flown(steps)


def test_a_filter_leaves_what_fits_until_it_is_cleared() -> None:
    async def steps(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("slash")
        await pilot.press(*"YAH", "enter")
        await pilot.pause()
        assert names(app, "providers") == ["yahoo"]
        assert "yah" in text(app, "state")
        assert not app.query_one("#filter", Input).has_focus
        await pilot.press("escape")
        await pilot.pause()
        assert len(names(app, "providers")) == 3

    flown(steps)


def test_enter_shows_the_last_lines_of_a_row_and_escape_goes_back() -> None:
    async def steps(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, Examples)
        lines = [str(line.content) for line in app.screen.query(".line").results(Static)]
        assert lines == ["sent by x\\x1b[31m[bold]\\u202e"] * 3
        await pilot.press("escape")
        assert not isinstance(app.screen, Examples)

    flown(steps)


def test_what_happens_goes_on_below_the_lines() -> None:
    async def steps(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await app._turn()
        assert isinstance(app.screen, Examples)

    flown(steps)


def test_the_cursor_stays_on_its_row_when_the_order_changes() -> None:
    async def steps(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("down", "down")
        app.feed.deliver("yahoo", "sent", 9)  # type: ignore[attr-defined]
        app._show()
        assert names(app, "providers")[0] == "yahoo"
        assert app.query_one("#providers", DataTable).cursor_row == 0

    flown(steps)


def test_a_pause_asks_for_nothing_new_and_keeps_the_time() -> None:
    async def steps(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("p")
        before = app.feed.polls  # type: ignore[attr-defined]
        await app._turn()
        assert app.feed.polls == before  # type: ignore[attr-defined]
        assert "PAUSED" in text(app, "state")
        await pilot.press("p")
        await app._turn()
        assert app.feed.polls > before  # type: ignore[attr-defined]

    flown(steps)


def test_the_window_can_be_longer_and_is_short_again_after_the_longest() -> None:
    async def steps(app: Top, pilot: Pilot[None]) -> None:
        seen = []
        for _ in range(4):
            seen.append(app.window)
            await pilot.press("w")
        assert seen == [300, 900, 3600, 60]
        assert "last 5 m" in text(app, "state")

    flown(steps)


def test_an_error_of_the_source_is_shown() -> None:
    async def steps(app: Top, pilot: Pilot[None]) -> None:
        app.feed.error = "no such file\x1b"
        app._show()
        assert "no such file\\x1b" in text(app, "state")

    flown(steps)


@pytest.mark.parametrize("size", [(20, 6), (60, 24), (89, 30), (250, 80)])
def test_any_terminal_will_do(size: tuple[int, int]) -> None:
    async def steps(app: Top, pilot: Pilot[None]) -> None:
        assert len(names(app, "providers")) == 3
        await pilot.press("q")

    flown(steps, size)


def test_a_long_name_leaves_room_for_the_numbers() -> None:
    async def steps(app: Top, pilot: Pilot[None]) -> None:
        app.feed.deliver("a" * 300, "deferred", 9)  # type: ignore[attr-defined]
        for width, shown in ((80, 34), (130, 19), (200, 40)):
            await pilot.resize_terminal(width, 40)
            await pilot.pause()
            await pilot.pause()
            table: DataTable[Any] = app.query_one("#destinations", DataTable)
            assert len(names(app, "destinations")[0]) == shown
            assert table.virtual_size.width <= table.size.width

    flown(steps)


def test_what_has_room_changes_with_the_terminal_also_in_a_pause() -> None:
    async def steps(app: Top, pilot: Pilot[None]) -> None:
        app.feed.deliver("a" * 300, "deferred", 9)  # type: ignore[attr-defined]
        app._show()
        await pilot.press("p")
        before = names(app, "destinations")[0]
        await pilot.resize_terminal(200, 50)
        await pilot.pause()
        await pilot.pause()
        assert len(names(app, "destinations")[0]) > len(before)

    flown(steps)


def test_while_there_is_more_to_read_it_is_shown_each_second() -> None:
    async def steps(app: Top, pilot: Pilot[None]) -> None:
        async def more() -> bool:
            app.feed.deliver("yahoo", "sent", 9)  # type: ignore[attr-defined]
            return True

        app.feed.poll = more  # type: ignore[method-assign]
        await app._turn()
        assert names(app, "providers")[0] == "google"
        app._now = lambda: NOW + 1
        await app._turn()
        assert names(app, "providers")[0] == "yahoo"

    flown(steps)


def test_rows_of_the_same_value_are_in_the_order_of_their_names() -> None:
    rows = [("b", (1.0,)), ("a", (1.0,)), ("c", (2.0,)), ("d", ())]
    assert [name for name, _ in ordered(rows, 1, is_down=True)] == ["c", "a", "b", "d"]
    assert [name for name, _ in ordered(rows, 0, is_down=False)] == ["d", "c", "b", "a"]
