"""One stack at a time on a host: its addresses are the same for all.

Whose turn it is stands in a file. What a process left behind that was killed is ended by the next one.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from stack import process

NOTE = Path("/run/mailstat-stack.json")
TICK = 0.5


def take(folder: Path, *, is_kept: bool, end: Callable[[Path], object], patience: float) -> None:
    """Take the turn for the stack of this folder, within so many seconds. Raises RuntimeError where another runs.

    One that is not `is_kept` belongs to this process: when that is gone, who comes next calls `end` with its folder.
    """
    deadline = time.monotonic() + patience
    while other := _take(folder, 0 if is_kept else os.getpid(), end):
        if time.monotonic() >= deadline:
            raise RuntimeError(f"a stack runs already: `python -m stack down {other}` ends it")
        time.sleep(TICK)


def give_back(folder: Path) -> None:
    """Let others have their turn, where it is that of this folder."""
    if (known := _noted()) and known["folder"] == str(folder):
        NOTE.unlink(missing_ok=True)


def _noted() -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(NOTE.read_text())
    except FileNotFoundError:
        return {}
    return found


def _take(folder: Path, owner: int, end: Callable[[Path], object]) -> Path | None:
    """The folder of the stack that runs, if any does; without one, the turn is taken."""
    with NOTE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if known := _noted():
            other = Path(known["folder"])
            if process.is_same(known["owner"]) if known["owner"] else process.any_in(other):
                return other
            end(other)
        NOTE.write_text(json.dumps({"folder": str(folder), "owner": process.identity(owner) if owner else ""}))
    return None
