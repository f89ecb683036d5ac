"""Every report, as a part of the command."""

from __future__ import annotations

import pytest

from mailstat import reports


def test_reports_are_found_by_listing_the_folder() -> None:
    assert {"events", "unparsed"} <= set(reports.helps())


@pytest.mark.parametrize("name", reports.helps())
def test_a_report_is_what_its_module_says(name: str) -> None:
    report = reports.load(name)
    assert name == report.NAME
    assert reports.helps()[name] == report.HELP
    assert "\n" not in report.HELP
    assert report.DESCRIPTION
    assert callable(reports.load_live(name).run if reports.is_live(report) else report.make)
