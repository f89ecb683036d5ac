"""Stamps without a year, a zone, or a name that one expects."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers.clock import Clock, is_leap, rfc3339

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def clock(now: str, year: int | None = None) -> Clock:
    return Clock(UTC, lambda: at(now), year)


@pytest.mark.parametrize(
    ("now", "stamp", "time"),
    [
        ("2026-03-01T12:00:00Z", "Mar  1 11:59:59 ", "2026-03-01T11:59:59Z"),
        ("2026-01-01T00:00:10Z", "Dec 31 23:59:59 ", "2025-12-31T23:59:59Z"),
        ("2026-01-01T00:00:10Z", "Jan  1 00:00:05 ", "2026-01-01T00:00:05Z"),
        # Another host's clock may be ahead, and its zone too: up to a day.
        ("2025-12-31T23:59:50Z", "Jan  1 00:00:05 ", "2026-01-01T00:00:05Z"),
        ("2026-03-01T12:00:00Z", "Mar  2 11:00:00 ", "2026-03-02T11:00:00Z"),
        ("2026-03-01T12:00:00Z", "Mar  3 12:00:00 ", "2025-03-03T12:00:00Z"),
        ("2026-11-01T00:00:00Z", "Nov 30 00:00:00 ", "2025-11-30T00:00:00Z"),
        # A 29 February is of the last year that had one.
        ("2026-03-01T12:00:00Z", "Feb 29 12:00:00 ", "2024-02-29T12:00:00Z"),
        ("2028-03-01T12:00:00Z", "Feb 29 12:00:00 ", "2028-02-29T12:00:00Z"),
        ("2103-03-01T12:00:00Z", "Feb 29 12:00:00 ", "2096-02-29T12:00:00Z"),
    ],
)
def test_a_stamp_is_of_the_latest_year_that_does_not_put_it_in_the_future(now: str, stamp: str, time: str) -> None:
    assert clock(now).rfc3164(stamp) == at(time)


def test_a_log_that_is_followed_over_new_year() -> None:
    now = at("2025-12-31T23:59:58Z")
    followed = Clock(UTC, lambda: now)
    assert followed.rfc3164("Dec 31 23:59:58 ") == now
    now = at("2026-01-01T00:00:01Z")
    assert followed.rfc3164("Jan  1 00:00:01 ") == now
    assert followed.rfc3164("Dec 31 23:59:59 ") == now - 2


@pytest.mark.parametrize(
    ("stamps", "years"),
    [
        (["Dec 30", "Dec 31", "Jan  1", "Jun  1", "Dec 31", "Jan  1"], [2020, 2020, 2021, 2021, 2021, 2022]),
        (["Dec 31", "Jan  1", "Dec 31", "Jan  1"], [2020, 2021, 2020, 2021]),  # lines of two hosts, not in order
        (["Jan  1", "Mar  1"], [2020, 2020]),
    ],
)
def test_where_the_first_year_is_given_later_ones_count_on(stamps: list[str], years: list[int]) -> None:
    given_year = clock("2026-03-01T12:00:00Z", year=2020)
    times = [given_year.rfc3164(f"{stamp} 12:00:00 ") for stamp in stamps]
    assert [datetime.fromtimestamp(time, UTC).year for time in times] == years


@pytest.mark.parametrize(
    "stamp", ["Nov  1 00:00:00 ", "Nov 1 00:00:00 ", "Nov 01 00:00:00 ", "Nov  1 00:00:00", "nov 01 00:00:00.000 "]
)
def test_a_day_is_padded_or_not(stamp: str) -> None:
    assert clock("2026-11-01T01:00:00Z").rfc3164(stamp) == at("2026-11-01T00:00:00Z")


def test_a_fraction_of_a_second() -> None:
    assert clock("2026-11-01T01:00:00Z").rfc3164("Nov 01 00:00:00.25 ") == at("2026-11-01T00:00:00.25Z")


@pytest.mark.parametrize("rest", [":60:00 ", ":00:61 ", ":99:99 ", "x00x00 ", ": 1:-1 ", ":0a:00 ", "::::: :"])
def test_an_hour_that_is_known_makes_no_time_of_what_is_none(rest: str) -> None:
    warm = clock("2026-11-01T01:00:00Z")
    warm.rfc3164("Nov  1 00:00:00 ")
    with pytest.raises(ValueError, match="time stamp"):
        warm.rfc3164(f"Nov  1 00{rest}")


def test_a_leap_second_is_a_time() -> None:
    assert clock("2017-01-01T01:00:00Z").rfc3164("Dec 31 23:59:60 ") == at("2017-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ("Jul  1 12:00:00 ", "2026-07-01T12:00:00+02:00"),
        ("Jan  1 12:00:00 ", "2026-01-01T12:00:00+01:00"),
        ("Mar 29 01:59:59 ", "2026-03-29T01:59:59+01:00"),
        ("Mar 29 03:00:00 ", "2026-03-29T03:00:00+02:00"),
        ("Oct 25 01:59:59 ", "2026-10-25T01:59:59+02:00"),
        ("Oct 25 03:00:00 ", "2026-10-25T03:00:00+01:00"),
    ],
)
def test_summer_time(stamp: str, time: str) -> None:
    summer = Clock(BERLIN, lambda: at("2026-12-01T00:00:00Z"))
    assert summer.rfc3164(stamp) == at(time)
    assert summer.iso8601(time[:19] + " ") == at(time)
    assert summer.zoned(f"{time[:10]} {time[11:19]} CEST ") == at(time)


def read_in_autumn(clock: Clock, hours: list[str], *, iso: bool) -> list[str]:
    """Times of day on the day when summer time ends, as read, with their offset."""
    read = (
        (lambda hour: clock.iso8601(f"2026-10-25 {hour} "))
        if iso
        else (lambda hour: clock.rfc3164(f"Oct 25 {hour} "))
    )
    return [rfc3339(read(hour), BERLIN)[11:] for hour in hours]


@pytest.mark.parametrize("iso", [True, False])
def test_the_hour_that_comes_twice_is_read_twice(iso: bool) -> None:
    autumn = Clock(BERLIN, lambda: at("2026-12-01T00:00:00Z"))
    hours = [
        "01:59:59",
        "02:00:00",
        "02:59:58",
        "02:00:01",
        "02:00:00",
        "02:31:00",
        "02:59:59",
        "03:00:00",
        "02:59:59",
    ]
    assert read_in_autumn(autumn, hours, iso=iso) == [
        "01:59:59+02:00",
        "02:00:00+02:00",
        "02:59:58+02:00",
        "02:00:01+01:00",
        "02:00:00+01:00",
        "02:31:00+01:00",
        "02:59:59+01:00",
        "03:00:00+01:00",
        "02:59:59+01:00",
    ]


@pytest.mark.parametrize("iso", [True, False])
def test_lines_that_are_not_in_order_make_no_second_hour(iso: bool) -> None:
    autumn = Clock(BERLIN, lambda: at("2026-12-01T00:00:00Z"))
    hours = ["02:40:00", "02:15:00", "02:41:00", "02:12:00"]
    assert read_in_autumn(autumn, hours, iso=iso) == [f"{hour}+02:00" for hour in hours]


def test_the_hour_of_another_year_comes_twice_too() -> None:
    years = Clock(BERLIN, lambda: at("2028-12-01T00:00:00Z"), year=2026)
    days = [("Oct", 25, 50), ("Oct", 25, 10), ("Mar", 1, 0), ("Jul", 1, 0), ("Oct", 31, 50), ("Oct", 31, 10)]
    stamps = [f"{month} {day:2} 02:{minute:02}:00 " for month, day, minute in days]
    assert [rfc3339(years.rfc3164(stamp), BERLIN) for stamp in stamps] == [
        "2026-10-25T02:50:00+02:00",
        "2026-10-25T02:10:00+01:00",
        "2027-03-01T02:00:00+01:00",
        "2027-07-01T02:00:00+02:00",
        "2027-10-31T02:50:00+02:00",
        "2027-10-31T02:10:00+01:00",
    ]


def test_the_hour_that_spring_leaves_out_is_a_time() -> None:
    spring = Clock(BERLIN, lambda: at("2026-12-01T00:00:00Z"))
    assert spring.rfc3164("Mar 29 02:30:00 ") == at("2026-03-29T02:30:00+01:00")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z"),
        ("2026-11-01T00:00:00+0530", "2026-11-01T00:00:00+05:30"),
        ("2026-11-01T00:00:00.5-03:00 ", "2026-11-01T00:00:00.5-03:00"),
        ("2026-11-01 00:00:00,5", "2026-11-01T00:00:00.5Z"),
        ("2026-11-01T00:00:00,123456789+01:00", "2026-11-01T00:00:00.123456+01:00"),
        ("2026-11-01T00:00:00.123456789Z", "2026-11-01T00:00:00.123456Z"),
    ],
)
def test_iso_8601(text: str, time: str) -> None:
    assert clock("2026-11-01T01:00:00Z").iso8601(text) == at(time)


@given(st.text(max_size=40))
def test_no_text_is_worse_than_an_error(text: str) -> None:
    any_clock = Clock(BERLIN, lambda: at("2026-11-01T01:00:00Z"))
    any_clock.rfc3164("Nov  1 00:00:00 ")
    for read in (any_clock.rfc3164, any_clock.iso8601, lambda words: any_clock.zoned(f"{words} x")):
        for words in (text, f"Nov  1 00{text}", f"2026-11-01T00:00{text}"):
            try:
                read(words)
            except ValueError:
                continue


@given(st.datetimes(), st.sampled_from([UTC, BERLIN]))
def test_every_moment_of_the_calendar_is_a_time(moment: datetime, zone: ZoneInfo) -> None:
    try:
        time = Clock(zone, lambda: 0.0).iso8601(moment.isoformat())
    except ValueError:
        return
    assert isinstance(time, float)


@pytest.mark.parametrize(("year", "leap"), [(2024, True), (2026, False), (2000, True), (2100, False)])
def test_leap_years(year: int, leap: bool) -> None:
    assert is_leap(year) == leap


def test_a_time_is_written_as_precise_as_it_is() -> None:
    assert rfc3339(at("2026-11-01T00:00:00Z")) == "2026-11-01T00:00:00+00:00"
    assert rfc3339(at("2026-11-01T00:00:00.25Z"), BERLIN) == "2026-11-01T01:00:00.250000+01:00"


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-25 01:59:07.5",
        "2026-10-25 01:59:08",
        "2026-10-25 02:00:00.25 ",  # in an hour that comes twice
        "2026-10-25 01:59:07.123456789 ",
        "2026-10-25T01:59:07.5",
        "2026-10-25 01:59:07.5+05:00",
        "2026-10-25 01:59:07Z",
        "2026-10-25 01:59:59.999999",
    ],
)
def test_a_minute_that_is_known_changes_no_time(text: str) -> None:
    known = Clock(BERLIN, lambda: 0.0)
    known.iso8601("2026-10-25 01:59:30.75")
    assert known.iso8601(text) == pytest.approx(Clock(BERLIN, lambda: 0.0).iso8601(text), abs=1e-6, rel=0)


@pytest.mark.parametrize("rest", ["60", "7", "07x", "07.", "07.5.5", "-7", " 07", "1e1"])
def test_a_minute_that_is_known_makes_no_time_of_what_is_none(rest: str) -> None:
    known = Clock(UTC, lambda: 0.0)
    known.iso8601("2026-10-25 01:59:30")
    with pytest.raises(ValueError, match=r"isoformat|second"):
        known.iso8601(f"2026-10-25 01:59:{rest}")
