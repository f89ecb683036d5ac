"""Old logs through alert rules, by Prometheus itself; and the same told by promtool's own test of rules."""

from __future__ import annotations

import json
import shutil
import signal
from argparse import ArgumentParser, Namespace
from contextlib import nullcontext
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailstat import cli, prometheus, virtual
from mailstat.log import Log, Selection
from mailstat.report import ReportError
from mailstat.reports import replay

START = 1_790_000_000 - 1_790_000_000 % 3600
RULES = """\
groups:
  - name: test
    interval: 1m
    rules:
      - record: provider:refused:rate5m
        expr: sum by (provider) (rate(mail_deliveries_total{status="bounced"}[5m]))
      - record: provider:refused:rate5m_max
        expr: max_over_time(provider:refused:rate5m[10m])
      - alert: Refused
        expr: provider:refused:rate5m > 0.01
        for: 3m
        labels: {severity: warning}
      - alert: RefusedLately
        expr: provider:refused:rate5m_max > 0.01
      - alert: ProbeDown
        expr: mail_probe_success == 0
"""


def line(minute: float, text: str) -> str:
    moment = datetime.fromtimestamp(START + 60 * minute, UTC).isoformat(timespec="seconds")
    return f"{moment} mx postfix/{text}\n"


def bounce(minute: float, number: int) -> str:
    return line(
        minute,
        f"smtp[1]: A{number:09X}: to=<a@example.com>, relay=mx.example.com[198.51.100.7]:25, delay=1, "
        "delays=0/0/0/1, dsn=5.1.1, status=bounced (host mx.example.com[198.51.100.7] said: 550 5.1.1 User unknown)",
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A bounce every ten seconds from minute 20 to 30 of an hour; something harmless else."""
    lines = [line(minute, "qmgr[1]: 4ABCDEF012: removed") for minute in range(60)]
    lines += [bounce(20 + number / 6, number) for number in range(60)]
    file = tmp_path / "mail.log"
    file.write_text("".join(sorted(lines)))
    return file


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    return file


needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="no prometheus here: Debian has it in the package prometheus",
)


def asked(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> list[dict[str, Any]]:
    assert cli.main(["replay", "--format", "json", *map(str, arguments)]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["rows"]
    return rows


def minute(row: dict[str, Any], key: str) -> float | None:
    return None if row[key] is None else (datetime.fromisoformat(row[key]).timestamp() - START) / 60


@needs_prometheus
def test_what_would_have_fired_and_when(log: Path, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row["alert"]: row for row in asked(capsys, "--timezone", "UTC", "--rules", rules, log)}
    assert set(rows) == {"Refused", "RefusedLately"}
    # Minute 21 is the first scrape with a bounce.
    assert minute(rows["Refused"], "from") == 21 + 3
    assert 30 < (minute(rows["Refused"], "until") or 0) <= 36
    assert minute(rows["RefusedLately"], "from") == 21
    assert (minute(rows["RefusedLately"], "until") or 0) > (minute(rows["Refused"], "until") or 0)
    assert rows["Refused"]["of"] == "provider=other"


@needs_prometheus
def test_promtools_test_of_rules_agrees(
    log: Path, rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The engine that runs rules for real, fed with the same samples, says that it fires just then."""
    out = StringIO()
    scrapes = virtual.Scrapes(out, {"mail_deliveries_total"}.__contains__, 60.0)
    (alone,) = virtual.split(Log([log], Selection(), zone=UTC))
    scrapes.follow([alone.batches()], [alone.tracker])
    series: dict[str, dict[int, str]] = {}
    for row in out.getvalue().splitlines():
        if row.startswith("mail_"):
            name, value, at = row.rsplit(" ", 2)
            series.setdefault(name, {})[round((float(at) - START) / 60)] = value
    inputs = [
        {"series": name, "values": " ".join(values.get(at, "_") for at in range(61))}
        for name, values in series.items()
    ]
    (row,) = (it for it in asked(capsys, "--timezone", "UTC", "--rules", rules, log) if it["alert"] == "Refused")
    begins, ends = minute(row, "from"), minute(row, "until")
    assert begins
    assert ends
    firing = [{"exp_labels": {"severity": "warning", "provider": "other"}}]
    steps = {begins - 1: [], begins: firing, ends - 1: firing, ends: []}
    tests = [
        {"eval_time": f"{at:.0f}m", "alertname": "Refused", "exp_alerts": alerts} for at, alerts in steps.items()
    ]
    file = tmp_path / "test.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "rule_files": [str(rules)],
                "evaluation_interval": "1m",
                "tests": [{"interval": "1m", "input_series": inputs, "alert_rule_test": tests}],
            }
        )
    )
    prometheus.promtool("test", "rules", file)


@needs_prometheus
def test_an_alert_on_what_no_log_tells_is_named(log: Path, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", "--rules", str(rules), str(log)]) == 0
    told = capsys.readouterr()
    assert "ProbeDown  mail_probe_success" in told.out
    assert told.err == ""


@needs_prometheus
def test_rules_that_prometheus_refuses_are_refused_in_its_words(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("groups: [{name: a, rules: [{alert: A, expr: 'rate(x'}]}]")
    assert cli.main(["replay", "--rules", str(bad), str(log)]) == 1
    assert "could not parse expression" in capsys.readouterr().err


def test_without_prometheus_it_says_what_to_install(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert cli.main(["replay", str(log)]) == 1
    assert "has to be installed" in capsys.readouterr().err


@needs_prometheus
def test_it_is_content_with_nothing(tmp_path: Path, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.log").write_text("")
    assert asked(capsys, "--rules", rules, tmp_path / "empty.log") == []


@needs_prometheus
def test_samples_may_become_many_blocks(
    log: Path, rules: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    once = asked(capsys, "--rules", rules, log)
    monkeypatch.setattr(prometheus, "CHUNK", 2000)
    assert asked(capsys, "--rules", rules, log) == once


@needs_prometheus
def test_a_log_out_of_order_is_told(log: Path, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[60:] + lines[:60]))
    assert cli.main(["replay", "--rules", str(rules), str(log)]) == 0
    assert "events that stand minutes behind younger ones: 60;" in capsys.readouterr().err


@needs_prometheus
def test_after_an_interrupt_it_tells_of_what_was_read(log: Path, rules: Path) -> None:
    read = Log([log], Selection(), zone=UTC)
    read.on_read = lambda _: signal.raise_signal(signal.SIGINT)
    (section, *_) = replay.make(read, Namespace(rules=[rules], every=60.0)).sections
    assert read.is_interrupted
    assert len(section.rows) == 2


@needs_prometheus
def test_a_disk_that_is_full_is_told(
    log: Path, rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "samples.txt").symlink_to("/dev/full")
    monkeypatch.setattr(replay, "TemporaryDirectory", lambda **_: nullcontext(str(full)))
    assert cli.main(["replay", "--rules", str(rules), str(log)]) == 1
    assert "no room for samples in " in capsys.readouterr().err


def test_a_log_that_is_too_long_is_refused(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual, "MOST", 10)
    alone = Log([log], Selection(), zone=UTC)
    with pytest.raises(ReportError, match="more than 10 steps"):
        virtual.Scrapes(StringIO(), bool, 60.0).follow([alone.batches()], [alone.tracker])


def test_two_servers_logs_are_read_side_by_side_and_a_rotated_one_before_its_successor(tmp_path: Path) -> None:
    names = ["mail.log", "mail.log.1", "mail.log.2.gz", "mainlog", "mainlog-20260921"]
    log = Log([tmp_path / name for name in names], Selection(), zone=UTC)
    assert [[path.name for path in it.paths] for it in virtual.split(log)] == [names[:3], names[3:]]


@pytest.mark.parametrize(
    ("times", "runs"), [([], []), ([0, 60], [[0, 60]]), ([0, 60, 180], [[0, 60], [180]]), ([0, 120], [[0], [120]])]
)
def test_points_that_follow_each_other_are_one_run(times: list[float], runs: list[list[float]]) -> None:
    found = replay._runs([(at, 1.0) for at in times], 60.0)
    assert [[at for at, _ in run] for run in found] == runs


def test_the_options_are_those_of_a_report() -> None:
    parser = ArgumentParser()
    replay.add_arguments(parser)
    assert parser.parse_args([]).every == 60
    assert parser.parse_args(["--every", "86400"]).every == 86_400
