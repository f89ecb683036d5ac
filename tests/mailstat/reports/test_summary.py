"""The whole of a log on one page."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC
from pathlib import Path

from mailstat.log import Log, Selection
from mailstat.report import Report
from mailstat.reports import summary

LINE = (
    "2026-01-05T10:00:00+00:00 mail postfix/smtp[7]: A1: to=<a@example.com>, relay=mx.example.com[192.0.2.1]:25,"
    " delay=1.2, delays=0.1/0/1/0.1, dsn=5.1.1, status=bounced (host mx.example.com[192.0.2.1] said: {reply})\n"
)


def report_of(reply: str, folder: Path) -> Report:
    path = folder / "mail.log"
    path.write_text(LINE.format(reply=reply))
    return summary.make(Log([path], Selection(), zone=UTC), Namespace(format="table", where=None))


def shown(report: Report) -> str:
    (failures,) = [section for section in report.sections if section.title == "Failures by reason"]
    return str(failures.rows[0][3])


def test_a_long_example_is_cut_for_people_and_whole_for_machines(tmp_path: Path) -> None:
    report = report_of("550 5.1.1 " + "no such user " * 20, tmp_path)
    assert report.document
    whole = report.document["reasons"][0]["example"]
    assert len(whole) > summary.EXAMPLE
    assert shown(report) == whole[: summary.EXAMPLE - 1] + "…"


def test_a_short_example_is_shown_as_it_is(tmp_path: Path) -> None:
    assert shown(report_of("550 5.1.1 no such user", tmp_path)) == "550 5.1.1 no such user"
