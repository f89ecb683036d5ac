"""How long ago something was."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mailstat.age import ago, with_ages
from mailstat.report import FIRST, LAST, Column, Report, Section

ROOT = Path(__file__).parents[2]
NOW = 1_767_607_201.5  # 2026-01-05 10:00:01, a Monday


@pytest.mark.parametrize(
    ("age", "told"),
    [
        (0, "0 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (86399, "23 h ago"),
        (86400, "1 day ago"),
        (7 * 86400 - 1, "6 days ago"),
        (7 * 86400, None),
        (-1, None),
    ],
)
def test_it_is_told_roughly(age: int, told: str | None) -> None:
    assert ago(NOW - age, NOW) == told


def test_only_what_people_ask_that_of_is_told_so() -> None:
    columns = (Column("name"), FIRST, LAST, Column("time", "time"), Column("count", "number"))
    row = ("x", NOW - 8 * 86400, NOW - 60, NOW - 60, 5)
    report = with_ages(Report("r", "R", [Section("", columns, [row, ("y", None, None, None, 0)])]), NOW)
    (section,) = report.sections
    assert [*map(list, section.rows)] == [
        ["x", NOW - 8 * 86400, "1 min ago", NOW - 60, 5],
        ["y", None, None, None, 0],
    ]
    assert section.columns == columns


# --- as people and machines see it ---


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> Path:
    stamp = datetime.fromtimestamp(time.time() - 7260, UTC).isoformat(timespec="seconds")
    path = tmp_path / "mail.log"
    path.write_text(
        f"{stamp} mail postfix/smtp[7]: A1: to=<a@example.org>, relay=mx.example.org[192.0.2.1]:25, delay=1.2,"
        " delays=0.1/0/1/0.1, dsn=5.1.1, status=bounced (host mx.example.org said: 550 5.1.1 no such user)\n"
    )
    return path


def command(log: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "mailstat", "bounces", str(log), "--timezone", "Asia/Kolkata", *options]


def on_a_terminal(*arguments: str) -> str:
    reader, writer = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "200", "NO_COLOR": "1"}
    done = subprocess.Popen(arguments, stdout=writer, stderr=writer, stdin=writer, cwd=ROOT, env=environment)
    os.close(writer)
    seen = b""
    try:
        while part := os.read(reader, 1 << 16):
            seen += part
    except OSError:  # a terminal's end, where the process has gone
        pass
    os.close(reader)
    assert done.wait() == 0
    return seen.decode()


def test_a_terminal_shows_how_long_ago_it_was(log: Path) -> None:
    assert " 2 h ago " in on_a_terminal(*command(log))


@pytest.mark.parametrize("name", ["table", "json", "csv", "markdown", "html"])
def test_what_is_no_terminal_has_the_time_itself(log: Path, name: str, tmp_path: Path) -> None:
    when = datetime.fromisoformat(log.read_text()[:25]).astimezone(ZoneInfo("Asia/Kolkata"))
    done = subprocess.run(command(log, "--format", name), cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"{when:%Y-%m-%d}" in done.stdout
    assert " ago" not in done.stdout
    on_a_terminal(*command(log, "--format", name, "--output", str(tmp_path / "made")))
    assert (tmp_path / "made").read_text() == done.stdout
