"""Moments as people name them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import tzdata
from hypothesis import given
from hypothesis import strategies as st

from exporter.zone import host_zone, read_zone
from mailstat.period import read_time

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 29, 12, 30, tzinfo=BERLIN).timestamp()  # the day that summer time began there


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-03-29T12:30:00+02:00"),
        ("today", "2026-03-29T00:00:00+01:00"),
        ("yesterday", "2026-03-28T00:00:00+01:00"),
        ("2h ago", "2026-03-29T10:30:00+02:00"),
        ("30m ago", "2026-03-29T12:00:00+02:00"),
        ("45 sec ago", "2026-03-29T12:29:15+02:00"),
        ("3 days ago", "2026-03-26T11:30:00+01:00"),
        ("1 week ago", "2026-03-22T11:30:00+01:00"),
        ("  Yesterday ", "2026-03-28T00:00:00+01:00"),
        ("2026-01-05", "2026-01-05T00:00:00+01:00"),
        ("2026-07-05 10:00", "2026-07-05T10:00:00+02:00"),
        ("2026-01-05T10:00:00Z", "2026-01-05T11:00:00+01:00"),
        ("2026-01-05T10:00:00.25-05:00", "2026-01-05T16:00:00.250+01:00"),
    ],
)
def test_a_moment_is_told_in_the_zone(text: str, expected: str) -> None:
    assert read_time(text, now=NOW, zone=BERLIN) == datetime.fromisoformat(expected).timestamp()


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2 fortnights ago", "ago", "2h", "2026-13-01", "2h ago x", "-1h ago"]
)
def test_what_is_no_moment_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="2h ago"):
        read_time(text, now=NOW, zone=UTC)


def test_a_day_at_the_epoch_is_a_moment_too() -> None:
    assert read_time("today", now=10.0, zone=UTC) == 0.0


@given(st.text(max_size=100))
def test_any_text_is_a_moment_or_refused(text: str) -> None:
    refusal = ""
    try:
        read_time(text, now=NOW, zone=BERLIN)
    except ValueError as error:
        refusal = str(error)
    assert not refusal or "an ISO 8601 time" in refusal


@pytest.mark.parametrize("name", ["", "Europe", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "a\0b"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        read_zone(name)


def test_the_host_s_zone_is_that_of_tz_first() -> None:
    assert host_zone({"TZ": ":Europe/Berlin"}) == BERLIN


def test_the_host_s_zone_knows_summer_time_from_the_host_s_file() -> None:
    zone = host_zone({}, Path(tzdata.__file__).with_name("zoneinfo") / "Europe" / "Berlin")
    assert datetime(2026, 1, 1, tzinfo=zone).utcoffset() != datetime(2026, 7, 1, tzinfo=zone).utcoffset()


@pytest.mark.parametrize("environment", [{}, {"TZ": "nowhere at all"}])
def test_a_host_that_tells_no_zone_has_an_offset_all_the_same(environment: dict[str, str], tmp_path: Path) -> None:
    assert datetime(2026, 1, 1, tzinfo=host_zone(environment, tmp_path / "none")).utcoffset() is not None
