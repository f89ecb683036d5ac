"""The rules as data, and what an expression beside them may name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from parsers.reason import REASONS
from tests.dashboards import expression

FOLDER = Path(__file__).parents[2] / "dashboards"
FILES = sorted(FOLDER.glob("rules/*.yaml"))

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
