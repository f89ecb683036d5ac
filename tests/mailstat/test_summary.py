"""The summary: its shape for machines, and what the options of all reports leave of it."""

from __future__ import annotations

import json
import os
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from exporter.demo import PostfixTraffic
from mailstat.cli import main
from mailstat.figures import Delays

START = 1_790_000_000.0  # 2026-09-21T14:13:20Z
OLD = (
    "Mar  1 10:00:00 mail postfix/smtp[7]: 4F2A31C: to=<kim@example.com>, relay=mx.example.com[192.0.2.1]:25,"
    " delay=1.2, delays=0.1/0/1/0.1, dsn=2.0.0, status=sent (250 ok)\n"
)
SHAPE = {
    "period": {"first", "last"},
    "lines": {"total", "parsed", "ignored", "unknown", "malformed"},
    "messages": {"received", "bytes", "removed", "notifications"},
    "deliveries": {"sent", "deferred", "bounced", "expired"},
    "rejects": {"total", "by_reason"},
    "auth": {"success", "failure"},
    "delay": {"p50", "p90", "p99", "max"},
}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "mail.log"
    traffic = PostfixTraffic(Random(4), rate=2.0, start=START, rfc3339=True)
    path.write_text("".join(f"{line}\n" for _, line in islice(traffic, 6000)))
    return path


def summary(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    assert main(["summary", "--format", "json", "--timezone", "UTC", *map(str, arguments)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    told = json.loads(out)
    assert isinstance(told, dict)
    return told


def delivered(log: Path, *marks: str, since: str = "", until: str = "9") -> int:
    """Deliveries that were sent, by the words of their lines."""
    return sum(
        since <= line[:19] < until and " status=sent (" in line and all(mark in line for mark in marks)
        for line in log.read_text().splitlines()
    )


def test_the_document_has_the_shape_that_is_promised(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = summary(capsys, log)
    assert {key: set(told[key]) for key in SHAPE} == SHAPE
    assert set(told) == {*SHAPE, "connections", "providers", "reasons"}
    for row in told["providers"]:
        assert set(row) == {"provider", "sent", "deferred", "bounced", "expired", "delay_p50", "delay_p90"}
    for row in told["reasons"]:
        assert set(row) == {"status", "reason", "count", "example"}
    assert told["providers"] == sorted(
        told["providers"], key=lambda row: (-sum(row[it] for it in SHAPE["deliveries"]), row["provider"])
    )


def test_since_and_until(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    since, until = "2026-09-21T14:15:00", "2026-09-21T14:18:00"
    told = summary(capsys, log, "--since", since, "--until", until)
    assert 0 < told["deliveries"]["sent"] == delivered(log, since=since, until=until) < delivered(log)
    assert since <= told["period"]["first"] <= told["period"]["last"] < until
    halves = [summary(capsys, log, "--until", since), summary(capsys, log, "--since", since)]
    whole = summary(capsys, log)
    for kind in ("messages", "deliveries", "auth"):
        for name, count in whole[kind].items():
            assert sum(half[kind][name] for half in halves) == count, (kind, name)


def test_where(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = summary(capsys, log, "--where", "provider = google and status = sent")
    assert 0 < told["deliveries"]["sent"] == delivered(log, "l.google.com[") < delivered(log)
    assert told["deliveries"]["deferred"] == told["connections"] == told["rejects"]["total"] == 0
    assert [row["provider"] for row in told["providers"]] == ["google"]
    assert told["lines"]["total"] == 6000


@pytest.mark.parametrize(("mta", "share"), [("postfix", 1), ("exim", 0)])
def test_mta(log: Path, mta: str, share: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert summary(capsys, log, "--mta", mta)["deliveries"]["sent"] == share * delivered(log)


@pytest.mark.parametrize("year", ["1999", "2024"])
def test_year(tmp_path: Path, year: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mail.log"
    path.write_text(OLD)
    assert summary(capsys, path, "--year", year)["period"]["first"] == f"{year}-03-01T10:00:00+00:00"


def test_without_a_year_it_is_that_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mail.log"
    path.write_text(OLD)
    os.utime(path, (1_300_000_000, 1_300_000_000))  # 2011-03-13
    assert summary(capsys, path)["period"]["first"] == "2011-03-01T10:00:00+00:00"


@pytest.fixture
def parts(log: Path, tmp_path: Path) -> list[Path]:
    """The same log in three files, whose names are not in its order."""
    lines = log.read_text().splitlines(keepends=True)
    made = [tmp_path / name for name in "cab"]
    for number, part in enumerate(made):
        part.write_text("".join(lines[number * 2000 : (number + 1) * 2000]))
    return made


def test_the_parts_of_a_log_are_the_same_in_any_order(parts: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert summary(capsys, *parts) == summary(capsys, *reversed(parts)) == summary(capsys, *sorted(parts))


@pytest.mark.parametrize(
    "key",
    [
        *sorted(SHAPE.keys() - {"auth"}),
        "connections",
        "providers",
        "reasons",
        "auth",
    ],
)
def test_the_parts_of_a_log_are_the_whole(
    log: Path, parts: list[Path], key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert summary(capsys, *parts)[key] == summary(capsys, log)[key]


@pytest.mark.parametrize("form", ["table", "csv", "markdown", "html"])
def test_other_formats_have_the_same_numbers(log: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = summary(capsys, log)
    assert main(["summary", "--format", form, "--timezone", "UTC", str(log)]) == 0
    out = capsys.readouterr().out
    statuses = [str(told["deliveries"][it]) for it in ("sent", "deferred", "bounced")]
    for number in (*statuses, str(told["messages"]["removed"]), str(told["lines"]["total"])):
        assert number in out.replace(",", ""), number


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], (None, None, None)),
        ([3.0], (3.0, 3.0, 3.0)),
        ([1.0, 2.0, 3.0, 4.0], (2.0, 4.0, 4.0)),
        ([float(it) for it in range(1, 101)], (50.0, 90.0, 100.0)),
    ],
)
def test_quantiles_are_values_that_came(values: list[float], expected: tuple[float | None, ...]) -> None:
    assert tuple(Delays(values).quantiles(0.5, 0.9, 1.0)) == expected
