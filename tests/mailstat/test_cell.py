"""How values look to people."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstat.cell import show, visible
from mailstat.report import Kind


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (None, "number", ""),
        (1234567, "number", "1,234,567"),
        (0.25, "number", "0.25"),
        (0, "bytes", "0 B"),
        (1023, "bytes", "1023 B"),
        (1536, "bytes", "1.5 KiB"),
        (1048575, "bytes", "1 MiB"),
        (20 << 20, "bytes", "20 MiB"),
        (3 << 40, "bytes", "3 TiB"),
        (0, "seconds", "0 s"),
        (0.051, "seconds", "0.051 s"),
        (0.999, "seconds", "1 s"),
        (1.23, "seconds", "1.2 s"),
        (59.96, "seconds", "1 m"),
        (200, "seconds", "3 m 20 s"),
        (7500, "seconds", "2 h 5 m"),
        (86400 * 3 + 4 * 3600, "seconds", "3 d 4 h"),
        (-200, "seconds", "-3 m 20 s"),
        (float("nan"), "seconds", "-"),
        (float("inf"), "number", "-"),
        (0.125, "percent", "12.5 %"),
        (1767607201.9, "time", "2026-01-05 10:00:01"),
        (25, "text", "25"),
        ("other", "number", "other"),
    ],
)
def test_a_value_looks_as_its_column_says(value: object, kind: Kind, shown: str) -> None:
    assert show(value, kind, UTC) == shown


def test_a_time_is_told_in_the_zone() -> None:
    assert show(1767607201.0, "time", ZoneInfo("Europe/Berlin")) == "2026-01-05 11:00:01"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb\u2028", "a\\u202eb\\u2028"),
        ("\udcff\ud800", "\\xff\\ud800"),
        ("größe ✓", "größe ✓"),
    ],
)
def test_what_a_terminal_would_obey_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters()))
def test_all_text_becomes_printable_and_can_be_written(text: str) -> None:
    assert visible(text).isprintable()
    visible(text).encode()
