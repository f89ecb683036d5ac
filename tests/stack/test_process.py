"""What was started is ended, all of it, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stack import process

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")


def told(file: Path) -> Callable[[], str]:
    """Whether a file has its text: it is there before."""
    return lambda: process.tail(file)


def number_of(folder: Path, name: str) -> int:
    return int((folder / f"{name}.pid").read_text().split()[0])


def test_a_process_is_ended_with_its_children(tmp_path: Path) -> None:
    script = f"{sys.executable} -c 'import time; time.sleep(600)' & echo $! > {tmp_path}/child; wait"
    process.start(tmp_path, "it", ("sh", "-c", script), told(tmp_path / "child"))
    child = int((tmp_path / "child").read_text())
    assert process.read_status(child)
    assert process.stop(tmp_path, "it")
    assert process.read_status(child) is None
    assert not process.stop(tmp_path, "it")


def test_a_child_with_a_session_of_its_own_is_ended_too(tmp_path: Path) -> None:
    """As Postfix' master is."""
    script = (
        "import subprocess, pathlib, sys;"
        "it = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True);"
        f"pathlib.Path({str(tmp_path / 'child')!r}).write_text(str(it.pid)); it.wait()"
    )
    process.start(tmp_path, "it", (sys.executable, "-c", script), told(tmp_path / "child"))
    process.stop(tmp_path, "it")
    assert process.read_status(int((tmp_path / "child").read_text())) is None


def test_what_does_not_go_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    )
    process.start(tmp_path, "it", (sys.executable, "-c", script), lambda: process.tail(tmp_path / "it.out"))
    number = number_of(tmp_path, "it")
    monkeypatch.setattr(process, "PATIENCE", 0.5)
    process.stop(tmp_path, "it")
    assert process.read_status(number) is None


def test_a_number_that_another_process_has_by_now_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEP, start_new_session=True) as other:
        (tmp_path / "it.pid").write_text(f"{other.pid} 1\n")
        assert not process.stop(tmp_path, "it")
        assert other.poll() is None
        other.kill()


def test_another_one_is_not_taken_for_it(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="it runs already"):
        process.start(tmp_path, "it", SLEEP, lambda: True)
    assert not process.any_in(tmp_path)


def test_what_runs_of_it_is_known_by_name(tmp_path: Path) -> None:
    process.start(tmp_path, "it", ("sh", "-c", "sleep 600 & wait"), lambda: "sleep" in process.names(tmp_path, "it"))
    assert process.names(tmp_path, "it") == {"sh", "sleep"}
    assert process.any_in(tmp_path)
    process.stop(tmp_path, "it")
    assert not process.any_in(tmp_path)


def test_what_does_not_start_is_told_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="it does not start:\nno such luck"):
        process.start(tmp_path, "it", ("sh", "-c", "echo no such luck; exit 1"), lambda: False)
    process.stop(tmp_path, "it")
