"""How the programs of the Prometheus project are run: a configuration, a folder for data, an address."""

from __future__ import annotations

from typing import Any

import yaml

from mailstat.prometheus import is_ready
from stack import process
from stack.ground import is_listening
from stack.plan import Plan


def start(plan: Plan, name: str, program: str, storage: str, configuration: Any, *options: str) -> None:
    """Write the configuration and start the program with it; `storage` is how it calls the folder for its data."""
    folder, entry = plan.folder / name, plan.entry(name)
    config = folder / f"{name}.yml"
    config.write_text(yaml.safe_dump(configuration, sort_keys=False))
    command = (
        program,
        f"--config.file={config}",
        f"--storage.{storage}={folder}/data",
        f"--web.listen-address={entry}",
        "--log.level=warn",
        *options,
    )
    process.start(plan.folder, name, command, lambda: is_listening(entry) and is_ready(plan.url(name)))
