"""Debian's Prometheus with our rules, and a thing or two to ask it."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from stack import process
from stack.ground import ROOT, absent, is_listening
from stack.pace import FASTEST, duration, shorten_all
from stack.plan import Plan

NAME = "prometheus"
RULES = ROOT / "dashboards/rules"
EXAMPLE = ROOT / "dashboards/prometheus.yaml"
TIMEOUT = 30  # seconds for an answer


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
        config["global"][key] = duration(FASTEST) if plan.is_quick else "15s"
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


def is_ready(url: str) -> bool:
    """Whether it answers."""
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=TIMEOUT) as answer:  # noqa: S310 - our own
            return bool(answer.status == 200)
    except OSError:
        return False


def ask(url: str, path: str, **parameters: str | float) -> Any:
    """The data of an answer of its API. Raises OSError, with what it says, where it refuses."""
    query = urllib.parse.urlencode(parameters)
    try:
        with urllib.request.urlopen(f"{url}/api/v1/{path}?{query}", timeout=TIMEOUT) as answer:  # noqa: S310
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        raise OSError(f"{path}?{query}: {error.read().decode()}") from None


def instant(url: str, expression: str) -> list[tuple[dict[str, str], float]]:
    """What an expression is now: labels and value of each series."""
    found = ask(url, "query", query=expression)
    if found["resultType"] == "scalar":
        return [({}, float(found["result"][1]))]
    return [(row["metric"], float(row["value"][1])) for row in found["result"]]


def over_time(
    url: str, expression: str, start: float, end: float, step: float
) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
    """What it was at each step: labels, and times with values, of each series."""
    found = ask(url, "query_range", query=expression, start=start, end=end, step=step)
    return [(row["metric"], [(at, float(value)) for at, value in row["values"]]) for row in found["result"]]


def rule_files(folder: Path) -> list[Path]:
    """The rules of a folder."""
    return sorted(folder.glob("*.yaml"))
