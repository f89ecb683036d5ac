"""Processes that outlive who started them, each with all that it starts in a session of its own.

What was started is written down as number and start time: a number that another process has by now is not ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from stack.ground import ROOT, environment

PATIENCE = 30.0  # seconds until a process that does not listen, or does not end, is given up
TICK = 0.05


class Status(NamedTuple):
    """What proc(5) tells of a process in /proc/PID/stat."""

    number: int
    state: str
    session: int
    started: int  # ticks since the host's start


def read_status(number: int) -> Status | None:
    """None where there is no such process, or only what its parent has not asked for."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    status = Status(number, fields[0], int(fields[3]), int(fields[19]))
    return None if status.state in "ZX" else status


def start(folder: Path, name: str, command: Sequence[str | Path], is_ready: Callable[[], object]) -> None:
    """Start, and wait until it is ready. What it says is in `NAME.out`. Raises RuntimeError where that fails."""
    with (folder / f"{name}.out").open("ab") as out:
        process = subprocess.Popen(  # noqa: S603 - our own commands
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=ROOT,
            env=environment(),
            start_new_session=True,
        )
    status = read_status(process.pid)
    (folder / f"{name}.pid").write_text(f"{process.pid} {status.started if status else 0}\n")
    end = time.monotonic() + PATIENCE
    while not is_ready():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{name} does not start:\n{tail(folder / f'{name}.out')}")
        time.sleep(TICK)


def stop(folder: Path, name: str, number: signal.Signals = signal.SIGTERM) -> bool:
    """End a process and all of its session; what does not go is killed. Returns whether there was any."""
    file = folder / f"{name}.pid"
    if not file.exists():
        return False
    leader, started = map(int, file.read_text().split())
    found = _session(leader, started)
    _send(found, number)
    if not _wait(leader, started):
        _send(_session(leader, started), signal.SIGKILL)
        _wait(leader, started)
    file.unlink()
    return bool(found)


def is_running(folder: Path, name: str) -> bool:
    """Whether anything of it still runs."""
    file = folder / f"{name}.pid"
    return file.exists() and bool(_session(*map(int, file.read_text().split())))


def tail(file: Path, most: int = 4000) -> str:
    """The end of what it said."""
    return file.read_text(errors="replace")[-most:] if file.exists() else ""


def _session(leader: int, started: int) -> list[Status]:
    """All processes of the session that began with this one. While any of them runs, no other process gets its
    number, so a leader of another age means that the whole session is gone."""
    status = read_status(leader)
    if status and status.started != started:
        return []
    return [it for it in _all() if it.session == leader]


def _all() -> Iterator[Status]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (status := read_status(int(entry.name))):
            yield status


def _send(processes: Sequence[Status], number: signal.Signals) -> None:
    for process in processes:
        now = read_status(process.number)
        if now and now.started == process.started:
            os.kill(process.number, number)


def _wait(leader: int, started: int) -> bool:
    """Whether all of them are gone in time."""
    end = time.monotonic() + PATIENCE
    while _session(leader, started):
        if time.monotonic() > end:
            return False
        time.sleep(TICK)
    return True
