"""How long ago something was, for people who look at a terminal: "3 min ago" leaves room there for the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailstat.report import Column, Report, Row, Section

MINUTE, HOUR, DAY = 60, 3600, 86400
LONGEST = 7 * DAY  # ago; before that, a date says more


def with_ages(report: Report, now: float) -> Report:
    """The same with words in place of what lately was; all other times are left as they are."""
    return replace(report, sections=[_worded(section, now) for section in report.sections])


def ago(time: float, now: float) -> str | None:
    """How long ago that was, roughly; None of what was not within the last week."""
    age = int(now) - int(time)
    return f"{_age(age)} ago" if 0 <= age < LONGEST else None


def _age(seconds: int) -> str:
    if seconds < MINUTE:
        return f"{seconds} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min"
    if seconds < DAY:
        return f"{seconds // HOUR} h"
    days = seconds // DAY
    return f"{days} day{'s' if days > 1 else ''}"


def _worded(section: Section, now: float) -> Section:
    if not any(column.is_past for column in section.columns):
        return section
    return replace(section, rows=[_row(row, section.columns, now) for row in section.rows])


def _row(row: Row, columns: Sequence[Column], now: float) -> Row:
    return [_cell(value, column, now) for value, column in zip(row, columns, strict=True)]


def _cell(value: Any, column: Column, now: float) -> Any:
    if not column.is_past or value is None:
        return value
    return ago(value, now) or value
