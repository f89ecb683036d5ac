"""What somebody asks in SQL, and how the answer is told."""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import UTC
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from mailstat import render
from mailstat.log import Log, Selection
from mailstat.report import Report, ReportError
from mailstat.reports import query

LINE = (
    "2026-01-05T1{hour}:00:00+00:00 mail postfix/smtp[7]: A{hour}: to=<a{hour}@example.com>,"
    " relay=mx.example.com[192.0.2.1]:25, delay=1.2, delays=0.1/0/1/0.1, dsn=2.0.0, status=sent (250 ok)\n"
)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    path = tmp_path / "mail.log"
    path.write_text("".join(LINE.format(hour=hour) for hour in range(3)))
    return Log([path], Selection(), zone=UTC)


def asked(log: Log, sql: str) -> Report:
    return query.make(log, Namespace(sql=sql, where=None))


def rows(report: Report) -> list[dict[str, Any]]:
    out = StringIO()
    render.render("json", report, out, zone=UTC)
    found: list[dict[str, Any]] = json.loads(out.getvalue())["rows"]
    return found


@pytest.mark.parametrize(
    ("sql", "value", "kind", "shown"),
    [
        ("sum(relay_port)", 75, "number", "75"),  # of whole numbers, which the database adds up in wider ones
        ("any_value(1.50)", 1.5, "number", "1.50"),
        ("count(*) / 1000", 0.003, "number", "0.003"),
        ("max(time) - min(time)", 7200.0, "seconds", "2 h"),
        ("any_value(INTERVAL 3 DAY)", 259200.0, "seconds", "3 d"),
        ("bool_and(status = 'sent')", True, "text", "true"),
        ("CAST(max(time) AS DATE)", "2026-01-05", "text", "2026-01-05"),
        ("max(time)", "2026-01-05T12:00:00+00:00", "time", "2026-01-05 12:00:00"),
        ("any_value(NULL)", None, "text", ""),
    ],
)
def test_values_are_what_they_mean(log: Log, sql: str, value: object, kind: str, shown: str) -> None:
    report = asked(log, f"SELECT {sql} AS found FROM events")
    assert rows(report) == [{"found": value}]
    assert report.sections[0].columns[0].kind == kind
    out = StringIO()
    render.render("csv", report, out, zone=UTC)
    table = StringIO()
    render.render("table", report, table, zone=UTC)
    assert table.getvalue().splitlines()[4].strip() == shown
    assert out.getvalue().splitlines()[1] in (str(value), shown, '""')


@pytest.mark.parametrize("sql", ["FROM events", "SELECT * FROM events", "SELECT COLUMNS('st.tus|kind') FROM events"])
def test_all_columns_are_there_for_who_names_none(log: Log, sql: str) -> None:
    assert {"kind": "delivery", "status": "sent"}.items() <= rows(asked(log, sql))[0].items()


def test_names_may_be_in_capitals(log: Log) -> None:
    assert rows(asked(log, "SELECT STATUS FROM EVENTS LIMIT 1")) == [{"status": "sent"}]
    assert rows(asked(log, "SELECT COUNT() AS all FROM DELIVERIES()")) == [{"all": 3}]


@pytest.mark.parametrize("sql", ["DESCRIBE events", "SUMMARIZE events"])
def test_the_table_describes_itself(log: Log, sql: str) -> None:
    assert {"number", "recipient", "delay"} <= {row["column_name"] for row in rows(asked(log, sql))}


def test_what_cannot_be_asked_is_told_before_anything_is_read(log: Log) -> None:
    with pytest.raises(ReportError, match="syntax error"):
        asked(log, "SELCT 1")
    assert not log.tallies
