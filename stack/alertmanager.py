"""Debian's Alertmanager with the example's routes; whatever it tells anybody goes to the stack's webhook."""

from __future__ import annotations

import shutil
from typing import Any

import yaml

from stack import monitor
from stack.ground import ROOT, absent
from stack.pace import shorten_all
from stack.plan import Plan

NAME = "alertmanager"
EXAMPLE = ROOT / "dashboards/alertmanager"


def missing() -> list[str]:
    """What this needs and is not here."""
    return absent("prometheus-alertmanager")


def configuration(plan: Plan) -> Any:
    """Routes and inhibitions are the example's."""
    config = yaml.safe_load((EXAMPLE / "alertmanager.yaml").read_text())
    config["receivers"] = [
        {
            "name": it["name"],
            "webhook_configs": [{"url": f"{plan.url('webhook')}/{it['name']}", "send_resolved": True}],
        }
        for it in config["receivers"]
    ]
    return shorten_all(config) if plan.is_quick else config


def start(plan: Plan) -> None:
    """Start it, without the cluster that it otherwise looks for."""
    folder = plan.folder / NAME
    folder.mkdir()
    shutil.copy(EXAMPLE / "mailstat.tmpl", folder)
    monitor.start(plan, NAME, "prometheus-alertmanager", "path", configuration(plan), "--cluster.listen-address=")
