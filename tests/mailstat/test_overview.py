"""The summary in pictures."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC
from pathlib import Path

import pytest

from mailstat.log import Log, Selection
from mailstat.report import Report
from mailstat.reports import summary

LINE = (
    "2026-01-05T{hour:02}:00:00+00:00 mail postfix/smtp[7]: A{hour}: to=<a@d{hour}.example>, orig_to=<a@example.org>,"
    " relay=mx.example.com[192.0.2.1]:25, delay={delay}, delays=0.1/0/1/0.1, dsn={dsn}, status={status} ({reply})\n"
)
SENT = {"dsn": "2.0.0", "status": "sent", "reply": "250 ok"}
DEFERRED = {"dsn": "4.2.2", "status": "deferred", "reply": "host mx.example.com[192.0.2.1] said: 452 4.2.2 full"}


@pytest.fixture
def report(tmp_path: Path) -> Report:
    log = tmp_path / "mail.log"
    lines = [LINE.format(hour=0, delay=0.125, **SENT), LINE.format(hour=1, delay=0.126, **SENT)]
    lines += [LINE.format(hour=1, delay=7, **SENT), LINE.format(hour=2, delay=1, **DEFERRED)]
    log.write_text("".join(lines))
    return summary.make(Log([log], Selection(), zone=UTC), Namespace(format="html"))


def series(report: Report, title: str) -> dict[str, list[float]]:
    (chart,) = [chart for chart in report.charts if chart.title == title]
    return {name: list(values) for name, values in chart.series.items()}


def test_traffic_is_told_over_time(report: Report) -> None:
    told = series(report, "Deliveries")
    assert sum(told["sent"]) == 3
    assert (told["sent"][0], told["sent"][-1], told["deferred"][-1]) == (1, 0, 1)


def test_delays_are_told_in_bars_whose_bounds_double(report: Report) -> None:
    (chart,) = [chart for chart in report.charts if chart.title == "Delay of what was sent"]
    assert list(chart.labels) == [0.125, 0.25, 0.5, 1, 2, 4, 8]
    assert list(chart.series["within"]) == [1, 1, 0, 0, 0, 0, 1]


def test_outcome_providers_and_reasons_are_told(report: Report) -> None:
    assert series(report, "Outcome") == {"sent": [3], "deferred": [1], "bounced": [0], "expired": [0]}
    assert series(report, "Providers")["sent"] == [3]
    assert series(report, "Reasons of failures")["deferred"] == [1]


def test_the_chief_numbers_are_there(report: Report) -> None:
    told = {figure.name: figure.value for figure in report.figures}
    assert (told["sent"], told["deferred"], told["arrived of all that ended"]) == (3, 1, 1.0)


def test_other_formats_do_not_wait_for_charts(tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_text(LINE.format(hour=0, delay=1, **SENT))
    made = summary.make(Log([tmp_path / "mail.log"], Selection(), zone=UTC), Namespace(format="table"))
    assert made.charts == ()
