"""Pictures of panels: values in their units, and pictures of every board that are small."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack import panel, picture

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


def test_every_unit_and_kind_of_panel_is_known() -> None:
    for it in panel.read():
        assert it.kind in picture.DRAW
        assert it.body["fieldConfig"]["defaults"]["unit"] in picture.UNITS


def test_every_board_has_a_picture_that_is_small() -> None:
    assert {path.stem for path in IMAGES.glob("*.png")} == set(panel.boards())
    assert all(path.stat().st_size < 300_000 for path in IMAGES.glob("*.png"))
