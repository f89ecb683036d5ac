"""The rules and dashboards as Kubernetes' resources: what the Prometheus operator and Grafana's sidecar take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
FOLDER = HERE.parent / "packaging/kubernetes"
LABELS = {"app.kubernetes.io/name": "mailstat"}
NOTE = "# Made by `make dashboards` from {}: do not edit.\n"


def texts() -> dict[str, str]:
    """What is made, by the names of the files."""
    rules = [_rules(path) for path in sorted((HERE / "rules").glob("*.yaml"))]
    boards = [_board(path) for path in sorted((HERE / "grafana").glob("*.json"))]
    return {
        "rules.yaml": NOTE.format("dashboards/rules") + yaml.safe_dump_all(rules, sort_keys=False, width=118),
        "dashboards.yaml": NOTE.format("dashboards/grafana") + yaml.safe_dump_all(boards, sort_keys=False, width=118),
    }


def stale(folder: Path) -> list[str]:
    """Those that are missing or not what the rules and dashboards say now."""
    return sorted(name for name, text in texts().items() if not _is(folder / name, text))


def write(folder: Path) -> None:
    """Write all of them."""
    for name, text in texts().items():
        (folder / name).write_text(text, encoding="utf-8")


def _is(file: Path, text: str) -> bool:
    return file.exists() and file.read_text(encoding="utf-8") == text


def _rules(path: Path) -> dict[str, Any]:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": f"mailstat-{path.stem}", "labels": LABELS},
        "spec": yaml.safe_load(path.read_text(encoding="utf-8")),
    }


def _board(path: Path) -> dict[str, Any]:
    body = json.dumps(json.loads(path.read_text(encoding="utf-8")), separators=(",", ":"), sort_keys=True)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"mailstat-dashboard-{path.stem}",
            "labels": {**LABELS, "grafana_dashboard": "1"},
            "annotations": {"grafana_folder": "mailstat"},
        },
        "data": {path.name: body},
    }
