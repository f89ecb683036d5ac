"""Debian's Alertmanager with the example's routes; whatever it tells anybody goes to the stack's webhook."""

from __future__ import annotations

import shutil

import yaml

from stack import process
from stack.ground import ROOT, absent, is_listening
from stack.pace import shorten_all
from stack.plan import Plan

NAME = "alertmanager"
EXAMPLE = ROOT / "dashboards/alertmanager"


def missing() -> list[str]:
    """What this needs and is not here."""
    return absent("prometheus-alertmanager")


def configure(plan: Plan) -> None:
    """Write its configuration: routes and inhibitions are the example's."""
    folder = plan.folder / NAME
    folder.mkdir()
    shutil.copy(EXAMPLE / "mailstat.tmpl", folder)
    config = yaml.safe_load((EXAMPLE / "alertmanager.yaml").read_text())
    config["receivers"] = [
        {
            "name": it["name"],
            "webhook_configs": [{"url": f"{plan.url('webhook')}/{it['name']}", "send_resolved": True}],
        }
        for it in config["receivers"]
    ]
    content = shorten_all(config) if plan.is_quick else config
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(content, sort_keys=False))


def start(plan: Plan) -> None:
    """Start it, without the cluster that it otherwise looks for."""
    configure(plan)
    folder, entry = plan.folder / NAME, plan.entry(NAME)
    command = (
        "prometheus-alertmanager",
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/data",
        f"--web.listen-address={entry}",
        "--cluster.listen-address=",
        "--log.level=warn",
    )
    process.start(plan.folder, NAME, command, lambda: is_listening(entry))
