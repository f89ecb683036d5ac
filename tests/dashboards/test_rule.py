"""The rules of Prometheus and the example for Alertmanager: names that exist, joins that can match, runbooks."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from exporter.metrics.catalogue import METRICS
from parsers.reason import REASONS
from tests.dashboards import expression

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "dashboards"
FILES = sorted(FOLDER.glob("rules/*.yaml"))
RUNBOOKS = ROOT / "docs/runbooks"

# Labels with a closed set of values. A value outside it would make a rule that never fires.
VALUES = {
    "status": {"sent", "deferred", "bounced", "expired"},
    "direction": {"inbound", "outbound", "local"},
    "outcome": {"parsed", "ignored", "unknown", "malformed"},
    "severity": {"warning", "error", "fatal", "panic"},
    "reason": set(REASONS),
    "queue": {"maildrop", "incoming", "active", "deferred", "hold", "corrupt", "queued", "frozen"},
    "result": {"success", "failure", "sent", "send_failed", "arrived", "late", "lost", "spam_folder"},
    "le": {"900", "900.0"},
}


class Rule(NamedTuple):
    """A rule of a file: the alert's or the recorded series' name, and the rule itself."""

    file: Path
    name: str
    body: dict[str, Any]


def _rules() -> list[Rule]:
    groups = [(file, group) for file in FILES for group in yaml.safe_load(file.read_text())["groups"]]
    return [
        Rule(file, rule.get("alert") or rule["record"], rule) for file, group in groups for rule in group["rules"]
    ]


RULES = _rules()
ALERTS = [rule for rule in RULES if "alert" in rule.body]


def known() -> dict[str, frozenset[str]]:
    """All names that an expression may use: the catalogue's, and what the rules record."""
    found = expression.catalogued()
    recorded = {rule.name: rule.body["expr"] for rule in RULES if "record" in rule.body}
    while waiting := {name: text for name, text in recorded.items() if name not in found}:
        ready = [
            name
            for name, text in waiting.items()
            if all(it.name in found for it in expression.selectors(expression.parsed(text)))
        ]
        assert ready, f"these use names that do not exist: {sorted(waiting)}"
        for name in ready:
            found[name] = expression.labels(expression.parsed(waiting[name]), found) or frozenset()
    return found


KNOWN = known()


def check_names(text: str) -> None:
    """Every metric, label and closed value that an expression names exists."""
    for selector in expression.selectors(expression.parsed(text)):
        assert selector.name in KNOWN, selector.name
        for matcher in selector.matchers.matchers:
            assert matcher.name in KNOWN[selector.name], f"{selector.name} has no label {matcher.name}"
            if matcher.name in VALUES and "$" not in matcher.value:
                wanted = re.compile(matcher.value)
                assert any(wanted.fullmatch(value) for value in VALUES[matcher.name]), matcher.value


def check(text: str) -> None:
    """The names, and that the two sides of every operator can match."""
    check_names(text)
    expression.labels(expression.parsed(text), KNOWN)


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


def test_every_alert_is_shown_to_fire_and_not_to_fire() -> None:
    fires, stays = set(), set()
    for file in FOLDER.glob("rules/tests/*.yaml"):
        for test in yaml.safe_load(file.read_text())["tests"]:
            for check in test["promql_expr_test"]:
                if name := re.search(r'alertname="(\w+)"', check["expr"]):
                    (fires if check["exp_samples"] else stays).add(name[1])
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
