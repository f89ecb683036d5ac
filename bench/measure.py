"""What a program costs: the processor time and the memory of its whole process, from its start to its end."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from subprocess import STDOUT, Popen
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """User and system time in seconds; the most memory that was resident, in bytes, of the process or of one that it
    started; what was printed; and how long it took."""

    cpu_seconds: float
    peak_rss_bytes: int
    output: str
    wall_seconds: float = 0.0


class RunError(Exception):
    """A program that could not be measured, and why."""


def run(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> Usage:
    """Run a program to its end. Raises RunError when it fails.

    Linux counts what was resident before exec too, so the memory is never less than that of this process.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        began = monotonic()
        process = Popen(command, stdout=output, stderr=STDOUT, env=env)  # noqa: S603  # our own commands
        _, status, used = os.wait4(process.pid, 0)
        wall_seconds = monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        printed = output.read()
    if process.returncode:
        raise RunError(f"{' '.join(command)}: exit status {process.returncode}\n{printed[-500:]}")
    return Usage(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, printed, wall_seconds)


def cpu_seconds_of(pid: int) -> float:
    """User and system time that a living process has used (utime and stime of proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def peak_rss_bytes_of(pid: int) -> int:
    """VmHWM of proc_pid_status(5)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024
