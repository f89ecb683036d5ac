"""How long ago something was, for people who look at a terminal: "14:03:20, 3 min ago"."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailstat.report import Column, Report, Row, Section

MINUTE, HOUR, DAY = 60, 3600, 86400
LONGEST = 7 * DAY  # ago; before that, a date says more


def with_ages(report: Report, now: float, zone: tzinfo) -> Report:
    """The same with words in place of what lately was; all other times are left as they are."""
    return replace(report, sections=[_worded(section, now, zone) for section in report.sections])


def ago(time: float, now: float, zone: tzinfo) -> str | None:
    """The time of the day in the zone (before the last day, with the day of the week), and how long ago that was;
    None of what was not within the last week."""
    age = int(now) - int(time)
    if not 0 <= age < LONGEST:
        return None
    if age < DAY:
        return f"{datetime.fromtimestamp(time, zone):%H:%M:%S}, {_age(age)} ago"
    return f"{datetime.fromtimestamp(time, zone):%a %H:%M}, {_age(age)} ago"


def _age(seconds: int) -> str:
    if seconds < MINUTE:
        return f"{seconds} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min"
    if seconds < DAY:
        return f"{seconds // HOUR} h"
    days = seconds // DAY
    return f"{days} day{'s' if days > 1 else ''}"


def _worded(section: Section, now: float, zone: tzinfo) -> Section:
    if not any(column.is_past for column in section.columns):
        return section
    return replace(section, rows=[_row(row, section.columns, now, zone) for row in section.rows])


def _row(row: Row, columns: Sequence[Column], now: float, zone: tzinfo) -> Row:
    return [_cell(value, column, now, zone) for value, column in zip(row, columns, strict=True)]


def _cell(value: Any, column: Column, now: float, zone: tzinfo) -> Any:
    if not column.is_past or value is None:
        return value
    return ago(value, now, zone) or value
