"""Start all of it, and end exactly what was started."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import ModuleType

from stack import (
    alertmanager,
    exim,
    exporter,
    loopback,
    postfix,
    process,
    prometheus,
    resolver,
    traffic,
    turn,
    webhook,
    world,
)
from stack import plan as plans
from stack.plan import Plan

# In the order in which they need each other.
COMPONENTS: tuple[ModuleType, ...] = (
    resolver,
    world,
    postfix,
    exim,
    exporter,
    webhook,
    alertmanager,
    prometheus,
    traffic,
)


def missing() -> list[str]:
    """What this needs and is not here."""
    found = [name for it in (loopback, postfix, exim, prometheus, alertmanager) for name in it.missing()]
    return (["the rights of root"] if os.geteuid() else []) + sorted(set(found))


def up(folder: Path, *, is_quick: bool = False, is_kept: bool = False, patience: float = 0.0) -> Plan:
    """Start the stack in a folder that is not there. What was started is ended where the rest cannot be.

    One that is not `is_kept` is ended by this process. Raises RuntimeError where another stack runs for longer than
    `patience`, in seconds.
    """
    turn.take(folder, is_kept=is_kept, end=end, patience=patience)
    try:
        plan = plans.make(folder, is_quick=is_quick)
        loopback.route(folder)
        for component in COMPONENTS:
            component.start(plan)
    except BaseException:
        end(folder)
        raise
    return plan


def end(folder: Path) -> list[str]:
    """End all that was started in a folder and still runs: their names. The folder stays."""
    ended = [it.NAME for it in reversed(COMPONENTS) if process.stop(folder, it.NAME)]
    loopback.unroute(folder)
    turn.give_back(folder)
    return ended


def down(folder: Path) -> list[str]:
    """End the stack and remove its folder. Raises FileNotFoundError where there is none."""
    plans.load(folder)
    ended = end(folder)
    shutil.rmtree(folder)
    return ended
