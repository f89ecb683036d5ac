"""Processes that outlive who started them, each in a session of its own.

What was started is written down as number and start time: a number that another process has by now is not ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from stack.ground import ROOT, environment

PATIENCE = 120.0  # seconds until a process that does not listen, or does not end, is given up
TICK = 0.05

_children: dict[int, subprocess.Popen[bytes]] = {}  # those of this process: it has to ask for their end


class Status(NamedTuple):
    """What proc(5) tells of a process in /proc/PID/stat."""

    number: int
    name: str
    state: str
    parent: int
    session: int
    started: int  # ticks since the host's start


def read_status(number: int) -> Status | None:
    """None where there is no such process, or only what its parent has not asked for."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    begin, _, rest = text.rpartition(")")
    fields = rest.split()
    status = Status(number, begin.partition("(")[2], fields[0], int(fields[1]), int(fields[3]), int(fields[19]))
    return None if status.state in "ZX" else status


def start(folder: Path, name: str, command: Sequence[str | Path], is_ready: Callable[[], object]) -> None:
    """Start, and wait until it is ready. What it says is in `NAME.out`.

    Raises RuntimeError where that fails, or where another one is ready before it is started.
    """
    if is_ready():
        raise RuntimeError(f"{name} runs already, and not in {folder}")
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
    _children[process.pid] = process
    (folder / f"{name}.pid").write_text(identity(process.pid))
    end = time.monotonic() + PATIENCE
    while not is_ready():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{name} does not start:\n{tail(folder / f'{name}.out')}")
        time.sleep(TICK)


def stop(folder: Path, name: str, number: signal.Signals = signal.SIGTERM) -> bool:
    """End a process and all that it started; what does not go is killed. Returns whether there was any."""
    file = folder / f"{name}.pid"
    if not file.exists():
        return False
    sessions = {it.session for it in _family(file)}
    _send(sessions, number)
    if not _are_gone(sessions):
        _send(sessions, signal.SIGKILL)
        _are_gone(sessions)
    if child := _children.pop(int(file.read_text().split()[0]), None):
        child.wait()
    file.unlink()
    return bool(sessions)


def identity(number: int) -> str:
    """The number and start time of a process: no other has both."""
    status = read_status(number)
    return f"{number} {status.started if status else 0}"


def is_same(process: str) -> bool:
    """Whether the process of this identity still runs."""
    number, started = map(int, process.split())
    status = read_status(number)
    return status is not None and status.started == started


def names(folder: Path, name: str) -> set[str]:
    """What runs of all that was started as this."""
    return {it.name for it in _family(folder / f"{name}.pid")}


def any_in(folder: Path) -> bool:
    """Whether anything runs of what was started in this folder."""
    return any(_family(file) for file in folder.glob("*.pid"))


def tail(file: Path, most: int = 4000) -> str:
    """The end of what it said."""
    return file.read_text(errors="replace")[-most:] if file.exists() else ""


def _family(file: Path) -> list[Status]:
    """All processes of the session that is noted in a file, and of the sessions that these began: Postfix' master has
    one of its own. While any of a session runs, no other process gets its number, so a leader of another age means
    that the whole session is gone."""
    if not file.exists():
        return []
    leader, started = map(int, file.read_text().split())
    status = read_status(leader)
    if status and status.started != started:
        return []
    processes, found = list(_all()), {leader}
    while more := {it.session for it in processes if it.session in found or it.parent in found} - found:
        found |= more | {it.number for it in processes if it.session in more}
    return [it for it in processes if it.session in found]


def _all() -> Iterator[Status]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (status := read_status(int(entry.name))):
            yield status


def _send(sessions: set[int], number: signal.Signals) -> None:
    for process in _all():
        if process.session in sessions:
            with suppress(ProcessLookupError):
                os.kill(process.number, number)


def _are_gone(sessions: set[int]) -> bool:
    """Whether all of them are in time."""
    end = time.monotonic() + PATIENCE
    while any(it.session in sessions for it in _all()):
        if time.monotonic() > end:
            return False
        time.sleep(TICK)
    return True
