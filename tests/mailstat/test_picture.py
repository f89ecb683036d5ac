"""Charts as SVG."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree.ElementTree import Element, fromstring
from zoneinfo import ZoneInfo

import pytest

from mailstat.picture import svg, ticks
from mailstat.report import Chart

SVG = "{http://www.w3.org/2000/svg}"
TIMES = [1_767_571_200.0 + 3600 * hour for hour in range(12)]
ALLOWED = set("svg g rect path text title".split())
ATTRIBUTES = set("viewBox role aria-label class transform x y rx ry width height d".split())


def drawn(chart: Chart) -> Element:
    return fromstring(svg(chart, zone=UTC))


def texts(root: Element) -> list[str]:
    return [each.text or "" for each in root.iter(f"{SVG}text")]


def titles(root: Element) -> list[str]:
    return [each.text or "" for each in root.iter(f"{SVG}title")]


def some(form: str) -> Chart:
    return Chart("Things", form, ["a", "b"], {"sent": [1, 2000], "bounced": [0, 3]})  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["columns", "bars", "ring"])
def test_nothing_is_left_that_a_strict_page_would_refuse(form: str) -> None:
    for each in drawn(some(form)).iter():
        assert each.tag.removeprefix(SVG) in ALLOWED
        assert set(each.attrib) <= ATTRIBUTES


@pytest.mark.parametrize("form", ["columns", "bars"])
def test_each_bar_says_what_it_is(form: str) -> None:
    assert sorted(titles(drawn(some(form)))) == ["a: bounced 0", "a: sent 1", "b: bounced 3", "b: sent 2,000"]


def test_a_ring_tells_sums() -> None:
    assert titles(drawn(some("ring"))) == ["sent 2,001", "bounced 3"]


def test_bars_stand_in_the_order_of_their_labels() -> None:
    root = drawn(some("bars"))
    heights = {each.text: float(each.attrib["y"]) for each in root.iter(f"{SVG}text")}
    assert heights["a"] < heights["b"]


@pytest.mark.parametrize("form", ["columns", "bars", "ring"])
def test_hostile_text_is_text(form: str) -> None:
    hostile = '<script>alert(1)</script>"\x1b[31m\u202e\udcff'
    chart = Chart(hostile, form, [hostile], {hostile: [1]})  # type: ignore[arg-type]
    written = svg(chart, zone=UTC)
    assert "<script" not in written
    assert written.isprintable()
    assert {each.tag.removeprefix(SVG) for each in fromstring(written).iter()} <= ALLOWED


def test_times_are_told_as_far_as_they_differ() -> None:
    day = Chart("Things", "columns", TIMES, {"sent": [1] * 12}, "time")
    assert "02:00" in texts(drawn(day))
    month = Chart("Things", "columns", [time * 1.0 + 86400 * at for at, time in enumerate(TIMES)], day.series, "time")
    assert "01-07 02:00" in texts(drawn(month))


@pytest.mark.parametrize("step", [18.0, 600.0, 7 * 3600.0, 86400.0], ids=int)
def test_no_time_is_written_twice_below_bars(step: float) -> None:
    times = [1_767_571_200.0 + step * at for at in range(60)]
    written = [text for text in texts(drawn(Chart("Things", "columns", times, {"sent": [1] * 60}, "time"))) if text]
    assert len(written) == len(set(written))
    assert 6 <= len(written) <= 6 + len("01")


def test_the_hour_that_an_autumn_night_has_twice_is_written_once_for_each() -> None:
    times = [datetime(2026, 10, 25, tzinfo=UTC).timestamp() + 1800 * at for at in range(6)]
    chart = Chart("Things", "columns", times, {"sent": [1] * 6}, "time")
    assert texts(fromstring(svg(chart, zone=ZoneInfo("Europe/Prague")))).count("02:00") == 2


def test_few_labels_are_written_below_many_bars() -> None:
    chart = Chart("Things", "columns", [str(number) for number in range(60)], {"sent": list(range(60))})
    assert len([text for text in texts(drawn(chart)) if text in chart.labels]) < 20


@pytest.mark.parametrize(
    ("most", "wanted"),
    [(0, [0, 1]), (1, [0, 1]), (3, [0, 1, 2, 3]), (7, [0, 2, 4, 6, 8]), (0.2, [0, 0.05, 0.1, 0.15, 0.2])],
)
def test_an_axis_has_round_numbers(most: float, wanted: list[float]) -> None:
    assert ticks(most) == pytest.approx(wanted)


@pytest.mark.parametrize("most", [1, 9, 99, 12345, 0.037, 1e9])
def test_an_axis_reaches_the_highest_bar_with_few_numbers(most: float) -> None:
    assert ticks(most)[-1] >= most * 0.999
    assert 2 <= len(ticks(most)) <= 6
