"""What changed between two periods, in volume: how much of it, and whether it may be chance."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC
from io import StringIO
from math import comb
from typing import Any

import pytest

from mailstat import render
from mailstat import volume as volumes
from mailstat.filter import parse
from mailstat.report import Report
from mailstat.reports import diff
from mailstat.volume import chance
from parsers.events import Connect, Delivery, Event, Origin
from tests.mailstat.reports.test_parts import DAY, Given

ORIGIN = Origin("postfix", "mail", "postfix", "smtp", 7)
HOUR, NEXT = 3600.0, 86400.0
DAYS = ("2026-01-05", "2026-01-06")


def mail(count: int, to: str = "a@example.org", *, since: float = 0, within: float = NEXT, **of: Any) -> list[Event]:
    """So many messages to one recipient each, sent at equal distances."""
    times = [DAY + since + (at + 0.5) * within / count for at in range(count)]
    return [Delivery(time, ORIGIN, f"{time:.3f}{to}{of}", to, "sent", "outbound", **of) for time in times]


def edges(*days: float) -> list[Event]:
    """The log is whole on these days: somebody connects when they begin and when they end."""
    return [Connect(DAY + day + at, ORIGIN) for day in days for at in (0, NEXT - 1)]


def compared(
    events: Sequence[Event], first: str = DAYS[0], second: str = DAYS[1], *, now: float = 3 * NEXT, **options: Any
) -> tuple[Report, list[str]]:
    log = Given(sorted(events, key=lambda event: event.time))
    asked = {"all": False, "where": None, "zone": UTC, "now": DAY + now} | options
    return diff.make(log, Namespace(first=first, second=second, **asked)), list(log.notes)


def volume(events: Sequence[Event], *periods: str, of: str = "", **options: Any) -> dict[Any, dict[str, Any]]:
    """The rows of the volume of that kind, by their names."""
    section = compared(events, *periods, **options)[0].sections[-1]
    assert section.title == "Volume"
    names = [column.name for column in section.columns]
    rows = [dict(zip(names, row, strict=True)) for row in section.rows]
    return {row["name"]: row for row in rows if row["of"] == of}


def test_half_as_much_mail_is_told() -> None:
    found = volume([*edges(0, NEXT), *mail(480), *mail(240, since=NEXT)], of="all")
    assert list(found) == ["sent"]
    row = found["sent"]
    assert (row["before"], row["after"], row["times"]) == (480, 240, 0.5)
    assert (row["per_hour_before"], row["per_hour_after"]) == pytest.approx((20, 10), rel=1e-3)
    assert row["p"] < 1e-9


def test_a_destination_that_gets_no_mail_any_more_is_told() -> None:
    same = [*mail(100, "b@example.net"), *mail(100, "b@example.net", since=NEXT)]
    found = volume([*edges(0, NEXT), *same, *mail(30)], of="domain")
    assert [(name, row["before"], row["after"], row["times"]) for name, row in found.items()] == [
        ("example.org", 30, 0, 0.0)
    ]


def test_a_sender_who_sends_ten_times_as_much_is_told() -> None:
    usual, more = {"sender": "kim@example.com"}, {"sender": "Lee@example.com"}
    events = [*mail(100, **usual), *mail(100, since=NEXT, **usual), *mail(4, **more), *mail(40, since=NEXT, **more)]
    found = volume([*edges(0, NEXT), *events], of="sender")
    assert [(name, row["times"]) for name, row in found.items()] == [("lee@example.com", 10.0)]


def test_what_was_not_there_before_has_no_times() -> None:
    found = volume([*edges(0, NEXT), *mail(30, provider="google", since=NEXT)], of="provider")
    assert [(row["before"], row["after"], row["times"]) for row in found.values()] == [(0, 30, None)]


def test_an_hour_is_compared_with_a_day_by_the_hour() -> None:
    events = [*edges(0, NEXT), *mail(240), *mail(240, since=NEXT)]
    assert volume(events, DAYS[0], "2026-01-06T10:00..2026-01-06T11:00", of="all") == {}
    burst = mail(60, since=NEXT + 10 * HOUR, within=HOUR)
    (row,) = volume([*events, *burst], DAYS[0], "2026-01-06T10:00..2026-01-06T11:00", of="all").values()
    assert row["times"] == pytest.approx(7, rel=1e-3)


def test_a_day_that_is_not_over_is_as_long_as_it_has_been() -> None:
    events = [*edges(0), *mail(240), *mail(30, since=NEXT, within=3 * HOUR)]
    assert volume(events, DAYS[0], "today", of="all", now=NEXT + 3 * HOUR) == {}


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([*mail(60, since=18 * HOUR, within=6 * HOUR), *mail(240, since=NEXT)], "2026-01-05: the log begins at "),
        ([*edges(0), *mail(240), *mail(60, since=NEXT, within=6 * HOUR)], "2026-01-06: the log ends at "),
    ],
)
def test_of_a_period_that_the_log_has_in_part_the_rate_is_of_that_part(events: list[Event], words: str) -> None:
    assert volume(events, of="all") == {}
    (note,) = compared(events)[1]
    assert note.startswith(words)


def test_of_what_was_before_the_log_nothing_is_told() -> None:
    events = [*edges(NEXT), *mail(60, since=NEXT)]
    assert volume(events, of="all") == {}
    assert compared(events)[1][-1] == "2026-01-05: the log begins later, so no volume can be compared"


def test_a_log_that_stopped_before_is_silence() -> None:
    (row,) = volume([*edges(0), *mail(60)], of="domain").values()
    assert (row["before"], row["after"]) == (60, 0)


def test_a_filter_does_not_make_a_log_shorter() -> None:
    """Of a log that goes on, mail that stopped did stop."""
    where = parse("to = *@example.org", now=DAY, zone=UTC)
    others = [*mail(100, "b@example.net"), *mail(100, "b@example.net", since=NEXT)]
    events = [*edges(0, NEXT), *others, *mail(60), *mail(20, since=NEXT, within=6 * HOUR)]
    assert [row["times"] for row in volume(events, of="domain", where=where).values()] == pytest.approx(
        [1 / 3], rel=0.01
    )


def test_attempts_and_recipients_of_a_message_are_one_message() -> None:
    """A host that is down, or a long list of recipients, is no change of volume."""
    later = mail(20, since=NEXT)
    tries = [
        Delivery(DAY + NEXT + at, ORIGIN, "AGAIN", f"a{at % 50}@example.org", "deferred", "outbound")
        for at in range(1000)
    ]
    assert volume([*edges(0, NEXT), *mail(21), *later, *tries], of="domain") == {}


def test_what_may_be_chance_or_is_little_is_told_only_with_all() -> None:
    little = [*edges(0, NEXT), *mail(10_000), *mail(11_000, since=NEXT)]
    assert volume(little, of="domain") == {}
    (row,) = volume(little, of="domain", all=True).values()
    assert row["p"] < 0.01
    chancy = [*edges(0, NEXT), *mail(2), *mail(5, since=NEXT)]
    assert volume(chancy, of="domain") == {}
    (row,) = volume(chancy, of="domain", all=True).values()
    assert row["p"] > 0.01


def test_a_destination_without_a_name_has_a_row() -> None:
    events = [*edges(0, NEXT), *mail(30, "root"), *mail(3, "b@example.net")]
    assert list(volume(events, of="domain")) == [None]
    shares = compared([*mail(30, "root"), *mail(30, "root", since=NEXT)], all=True)[0].sections[1]
    assert [row[0] for row in shares.rows] == [None]


def test_names_beyond_the_last_row_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "OF_NAME", volumes.OF_NAME.replace(f"LIMIT {volumes.MOST}", "LIMIT 2"))
    events = [event for at in range(5) for event in mail(at + 1, f"a@{at}.example.org", since=NEXT)]
    report, notes = compared([*edges(0, NEXT), *events], all=True, format="json", limit=None)
    assert report.sections[-1].left_out == 3
    assert notes[-1] == "Volume: 3 rows more than the 6 that are shown"
    assert compared([*edges(0, NEXT), *events])[0].sections[-1].left_out == 0


def test_json_has_the_volume_beside_the_shares() -> None:
    report, _ = compared([*edges(0, NEXT), *mail(480), *mail(240, since=NEXT)])
    out = StringIO()
    render.render("json", report, out, zone=UTC)
    document = json.loads(out.getvalue())
    assert list(document) == ["report", "columns", "rows", "volume"]
    assert document["columns"][0] == "provider"
    assert document["volume"]["rows"][0]["name"] == "sent"
    assert document["volume"]["columns"] == list(document["volume"]["rows"][0])


# --- chance ---


def test_the_chance_of_a_rate_is_that_of_the_textbook() -> None:
    assert round(chance(10, 20, 0.5), 4) == 0.0987
    assert chance(0, 8, 0.5) == pytest.approx(2 / 256)
    assert chance(7, 7, 0.5) == 1.0
    assert chance(0, 0, 0.5) is None


@pytest.mark.parametrize("share", [0.5, 1 / 25, 0.9])
@pytest.mark.parametrize(("before", "after"), [(0, 1), (3, 9), (40, 2), (100, 4), (250, 260), (1, 300)])
def test_the_chance_is_the_sum_of_its_terms(before: int, after: int, share: float) -> None:
    every = before + after
    terms = [comb(every, at) * share**at * (1 - share) ** (every - at) for at in range(every + 1)]
    tails = sum(terms[: after + 1]), sum(terms[after:])
    assert chance(before, after, share) == pytest.approx(min(2 * min(tails), 1.0), rel=1e-9)


@pytest.mark.parametrize(
    ("before", "after", "is_chance"),
    [(5_000_000, 5_001_000, True), (5_000_000, 5_100_000, False), (0, 10_000_000, False), (10_000_000, 0, False)],
)
def test_large_numbers_have_a_chance_too(before: int, after: int, is_chance: bool) -> None:
    found = chance(before, after, 0.5)
    assert found is not None
    assert 0.0 <= found <= 1.0
    assert (found > 0.01) == is_chance
