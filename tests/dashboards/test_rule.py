"""The rules of Prometheus and the example for Alertmanager: names that exist, joins that can match, runbooks."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from exporter.metrics.catalogue import METRICS
from mailstat import reports
from mailstat.cli import build_parser, choose, parse, settle
from tests.dashboards import expression
from tests.dashboards.rulebook import ALERTS, FILES, FOLDER, KNOWN, RULES, Rule, check, check_names

RUNBOOKS = FOLDER.parent / "docs/runbooks"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_name_exists_and_the_sides_of_every_operator_match(rule: Rule) -> None:
    check(rule.body["expr"])


@pytest.mark.parametrize(
    "text",
    [
        "mail_delivery_total",
        'mail_deliveries_total{queue="active"}',
        'mail_deliveries_total{status="delivered"}',
        "mail_deliveries_total / mail_messages_removed_total",
        "sum by (queue) (mail_deliveries_total)",
    ],
)
def test_a_wrong_name_or_join_is_found(text: str) -> None:
    with pytest.raises(AssertionError):
        check(text)


def test_no_name_is_given_twice() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule.name)
def test_every_alert_tells_what_the_person_on_call_needs(rule: Rule) -> None:
    assert rule.name.startswith("Mail")
    assert rule.body["for"]
    assert rule.body["labels"]["severity"] in ("critical", "warning", "info")
    annotations = rule.body["annotations"]
    assert set(annotations) == {"summary", "description", "runbook_url"}
    assert annotations["description"].endswith(".")
    assert annotations["runbook_url"] == f"docs/runbooks/{rule.name}.md"
    had = expression.labels(expression.parsed(rule.body["expr"]), KNOWN) or set()
    assert set(re.findall(r"\$labels\.(\w+)", str(annotations))) <= set(had)
    assert set(rule.body["labels"]).isdisjoint(had), "an alert's own label would hide the series' label"


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {rule.name for rule in ALERTS}


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_a_runbook_says_what_it_means_how_to_see_it_and_what_to_do(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == ["What it means", "How to see it", "What to do"]
    assert re.search(r"^\| `mailstat", text, re.MULTILINE)
    assert all((page.parent / link).exists() for link in re.findall(r"\]\(([^)]+)\)", text))
    assert set(re.findall(r"\bmail(?:stat)?_(?!exporter\b)[a-z_]+", text)) <= set(METRICS)


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_the_reports_that_a_runbook_names_can_be_asked_for(page: Path) -> None:
    for command in re.findall(r"^\| `mailstat( [^`]*)?`", page.read_text(), re.MULTILINE):
        name, rest = choose(shlex.split(command), list(reports.helps()))
        parser = build_parser(name)
        settle(parse(parser, rest), parser, now=0.0)


def test_every_alert_is_shown_to_fire_and_not_to_fire() -> None:
    fires, stays = set(), set()
    for file in FOLDER.glob("rules/tests/*.yaml"):
        for test in yaml.safe_load(file.read_text())["tests"]:
            for step in test["promql_expr_test"]:
                if name := re.search(r'alertname="(\w+)"', step["expr"]):
                    (fires if step["exp_samples"] else stays).add(name[1])
    assert fires == stays == {rule.name for rule in ALERTS}


@pytest.mark.parametrize("file", sorted(FOLDER.glob("rules/tests/*.yaml")), ids=lambda file: file.stem)
def test_the_rules_tests_use_series_that_exist(file: Path) -> None:
    for test in yaml.safe_load(file.read_text())["tests"]:
        for series in test["input_series"]:
            check_names(series["series"])


def test_the_inhibitions_name_alerts_that_exist() -> None:
    names = {rule.name for rule in ALERTS}
    text = (FOLDER / "alertmanager/alertmanager.yaml").read_text()
    assert set(re.findall(r"\bMail[A-Z]\w+\b(?!\.\*)", text)) <= names
    for pattern in re.findall(r'alertname =~ "([^"]+)"', text):
        for part in pattern.split("|"):
            assert any(re.fullmatch(part, name) for name in names), part


def _tool(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"no {name} here: Debian has it in the package {package}")
    return path


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules() -> None:
    _run(_tool("promtool", "prometheus"), "check", "rules", *FILES)


def test_prometheus_takes_the_example() -> None:
    _run(_tool("promtool", "prometheus"), "check", "config", "prometheus.yaml")


@pytest.mark.parametrize("file", sorted(FOLDER.glob("rules/tests/*.yaml")), ids=lambda file: file.stem)
def test_the_alerts_fire_and_do_not_fire(file: Path) -> None:
    _run(_tool("promtool", "prometheus"), "test", "rules", file)


def test_alertmanager_takes_the_example() -> None:
    _run(_tool("amtool", "prometheus-alertmanager"), "check-config", "alertmanager/alertmanager.yaml")


@pytest.mark.parametrize(
    ("alert", "severity", "receiver"),
    [
        ("MailAccountsSuspicious", "critical", "abuse-team"),
        ("MailProbeFailing", "critical", "on-call"),
        ("MailQueueGrowing", "warning", "mail-team"),
        ("MailSeriesBudgetReached", "info", "mail-team"),
    ],
)
def test_an_alert_goes_to_those_who_can_act(alert: str, severity: str, receiver: str) -> None:
    command = "config routes test --config.file alertmanager/alertmanager.yaml --verify.receivers".split()
    labels = (f"alertname={alert}", f"severity={severity}")
    _run(_tool("amtool", "prometheus-alertmanager"), *command, receiver, *labels)
