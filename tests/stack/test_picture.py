"""Pictures of panels: values in their units, and pictures of every board that are small."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from stack import panel, picture, story

IMAGES = Path(__file__).parents[2] / "docs/img"


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("short", 0.0, "0"),
        ("short", 1234.0, "1.23 k"),
        ("short", float("nan"), "-"),
        ("s", 0.25, "250 ms"),
        ("s", 5400.0, "1.5 h"),
        ("percentunit", 0.125, "12.5 %"),
        ("bytes", 2048.0, "2.05 kB"),
        ("cps", 3.0, "3/s"),
    ],
)
def test_a_value_in_its_unit(unit: str, value: float, text: str) -> None:
    assert picture.UNITS[unit](value) == text


def drawn(pixels: int, columns: list[str], rows: list[dict[str, str]]) -> list[Text]:
    """The texts of a table that is so wide."""
    figure = Figure(figsize=(pixels / picture.DPI, 3), dpi=picture.DPI)
    picture.draw_table(figure.add_axes((0, 0, 1, 1)), columns, rows)
    FigureCanvasAgg(figure).draw()
    return list(figure.axes[0].texts)


ALERTS = [
    {"alertname": "MailQueueNeverDrains", "severity": "warning", "provider": "W" * 30, "Value": "1"},
    {"alertname": "Mail" + "Wide" * 30, "severity": "critical", "reason": "policy_rejected", "Value": "1.23 k"},
    *({"alertname": "MailBouncesRising", "severity": "info", "Value": "1"} for _ in range(20)),
]
COLUMNS = ["alertname", "severity", "provider", "reason", "Value"]


@pytest.mark.parametrize("pixels", [120, 300, 452, 692, 1412])
def test_no_text_of_a_table_lies_over_another_or_beyond_its_edge(pixels: int) -> None:
    boxes = [it.get_window_extent() for it in drawn(pixels, COLUMNS, ALERTS) if it.get_text()]
    assert len(boxes) > picture.MOST_ROWS
    assert all(box.x0 >= -1 and box.x1 <= pixels + 1 for box in boxes)
    assert [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])] == []


def test_what_does_not_fit_into_a_column_is_cut() -> None:
    texts = [it.get_text() for it in drawn(692, COLUMNS, ALERTS)]
    assert "MailQueueNeverDrains" in texts
    assert any(it.startswith("MailWide") and it.endswith("…") for it in texts)
    assert "7 of 22" in texts


def test_every_unit_and_kind_of_panel_is_known() -> None:
    for it in panel.read():
        assert it.kind in picture.DRAW
        assert it.body["fieldConfig"]["defaults"]["unit"] in picture.UNITS


def test_no_two_panels_are_taken_for_one() -> None:
    assert len(story.expressions()) == sum(len(it.targets) for it in panel.read())


def test_every_board_has_a_picture_that_is_small() -> None:
    assert {path.stem for path in IMAGES.glob("*.png")} == set(panel.boards())
    assert all(path.stat().st_size < 300_000 for path in IMAGES.glob("*.png"))
