"""Debian's Prometheus with our rules."""

from __future__ import annotations

from typing import Any

import yaml

from stack import monitor
from stack.ground import ROOT, absent
from stack.pace import SCRAPE, duration, shorten_all
from stack.plan import Plan

NAME = "prometheus"
RULES = ROOT / "dashboards/rules"
EXAMPLE = ROOT / "dashboards/prometheus.yaml"


def missing() -> list[str]:
    """What this needs and is not here."""
    return absent("prometheus", "promtool")


def write_rules(plan: Plan) -> None:
    """All of ours, quicker if wanted."""
    folder = plan.folder / NAME / "rules"
    folder.mkdir(parents=True)
    for path in sorted(RULES.glob("*.yaml")):
        rules = yaml.safe_load(path.read_text())
        text = yaml.safe_dump(shorten_all(rules) if plan.is_quick else rules, sort_keys=False)
        (folder / path.name).write_text(text)


def configuration(plan: Plan) -> Any:
    """The example's, with the stack's addresses."""
    config = yaml.safe_load(EXAMPLE.read_text())
    for key in ("scrape_interval", "evaluation_interval"):
        config["global"][key] = duration(SCRAPE) if plan.is_quick else "15s"
    config["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [str(plan.entry("alertmanager"))]}]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [str(plan.entry("exporter"))]}]
    return config


def start(plan: Plan) -> None:
    """Start it."""
    write_rules(plan)
    monitor.start(plan, NAME, "prometheus", "tsdb.path", configuration(plan))
