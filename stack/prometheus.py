"""Debian's Prometheus with our rules."""

from __future__ import annotations

import yaml

from mailstat.prometheus import is_ready
from stack import process
from stack.ground import ROOT, absent, is_listening
from stack.pace import SCRAPE, duration, shorten_all
from stack.plan import Plan

NAME = "prometheus"
RULES = ROOT / "dashboards/rules"
EXAMPLE = ROOT / "dashboards/prometheus.yaml"


def missing() -> list[str]:
    """What this needs and is not here."""
    return absent("prometheus", "promtool")


def configure(plan: Plan) -> None:
    """Write the rules and the example's configuration, with the stack's addresses; all of it quicker if wanted."""
    folder = plan.folder / NAME
    (folder / "rules").mkdir(parents=True)
    for path in sorted(RULES.glob("*.yaml")):
        rules = yaml.safe_load(path.read_text())
        text = yaml.safe_dump(shorten_all(rules) if plan.is_quick else rules, sort_keys=False)
        (folder / "rules" / path.name).write_text(text)
    config = yaml.safe_load(EXAMPLE.read_text())
    for key in ("scrape_interval", "evaluation_interval"):
        config["global"][key] = duration(SCRAPE) if plan.is_quick else "15s"
    config["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [str(plan.entry("alertmanager"))]}]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [str(plan.entry("exporter"))]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config, sort_keys=False))


def start(plan: Plan) -> None:
    """Start it."""
    configure(plan)
    folder, entry = plan.folder / NAME, plan.entry(NAME)
    command = (
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={entry}",
        "--log.level=warn",
    )
    process.start(plan.folder, NAME, command, lambda: is_listening(entry) and is_ready(plan.url(NAME)))
