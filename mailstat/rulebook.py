"""Rules of Prometheus as data: what they record, what they warn of, and what has to be recorded before what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mailstat.report import ReportError

INTERVAL = 60.0  # seconds between evaluations, where a group has no other: Prometheus' default
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
TEXT = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}


@dataclass(frozen=True)
class Rule:
    """One rule; `interval` and `wait` (its `for`) in seconds, `labels` those that it adds."""

    name: str
    expression: str
    interval: float
    is_alert: bool
    wait: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """The words of its expression, which metrics are among."""
        return frozenset(NAME.findall(TEXT.sub("", self.expression)))


def shipped() -> Path:
    """The folder of the rules that come with us. Raises ReportError where they did not."""
    for folder in (Path(__file__).parent / "rules", Path(__file__).parents[1] / "dashboards/rules"):
        if folder.is_dir():
            return folder
    raise ReportError("the rules did not come with this installation: name them with --rules")


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files that are named, and those of the folders. Raises ReportError where there is none."""
    found = [file for path in paths for file in (sorted(path.glob("*.y*ml")) if path.is_dir() else [path])]
    if not found:
        raise ReportError(f"no rules (*.yaml) in {', '.join(map(str, paths))}")
    return found


def read(files: Sequence[Path]) -> list[Rule]:
    """All rules of files that promtool has checked, in their order."""
    return [rule for file in files for rule in _rules(yaml.safe_load(file.read_text(encoding="utf-8")))]


def _rules(content: Any) -> Iterator[Rule]:
    for group in content["groups"] or ():
        interval = seconds(str(group.get("interval") or "")) or INTERVAL
        for rule in group["rules"]:
            expression = str(rule["expr"])
            labels = {name: str(text) for name, text in (rule.get("labels") or {}).items()}
            wait = seconds(str(rule.get("for") or ""))
            name = rule.get("alert") or rule["record"]
            yield Rule(name, expression, interval, is_alert="alert" in rule, wait=wait, labels=labels)


def seconds(text: str) -> float:
    """A duration as Prometheus writes it (`1h30m`); 0 of nothing."""
    return sum(int(number) * UNITS[unit] for number, unit in DURATION.findall(text))


def layers(rules: Sequence[Rule]) -> Iterator[list[Rule]]:
    """What records, by what it needs: each layer uses only what the ones before it have recorded. Raises ReportError
    where rules need each other."""
    waiting = [rule for rule in rules if not rule.is_alert]
    while waiting:
        unknown = {rule.name for rule in waiting}
        ready = [rule for rule in waiting if not rule.names & unknown]
        if not ready:
            raise ReportError(f"these rules need each other: {', '.join(sorted(unknown))}")
        yield ready
        waiting = [rule for rule in waiting if rule not in ready]


def sources(rule: Rule, rules: Sequence[Rule]) -> set[str]:
    """The names that an alert uses in the end, with those behind what is recorded."""
    recorded = {it.name: it for it in rules if not it.is_alert}
    found: set[str] = set()
    waiting = [rule]
    while waiting:
        for name in waiting.pop().names - found:
            found.add(name)
            if name in recorded:
                waiting.append(recorded[name])
    return found
