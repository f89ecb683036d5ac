"""One stack at a time, and none that is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stack import process, turn


@pytest.fixture(autouse=True)
def _note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "NOTE", tmp_path / "turn.json")


def take(folder: Path, *, is_kept: bool = False) -> list[Path]:
    """The folders of the stacks that had to be ended for it."""
    ended: list[Path] = []
    turn.take(folder, is_kept=is_kept, end=ended.append, patience=0)
    return ended


def test_one_after_the_other(tmp_path: Path) -> None:
    assert take(tmp_path / "one") == []
    with pytest.raises(RuntimeError, match=f"a stack runs already: .*{tmp_path / 'one'}"):
        take(tmp_path / "two")
    turn.give_back(tmp_path / "two")
    with pytest.raises(RuntimeError):
        take(tmp_path / "two")
    turn.give_back(tmp_path / "one")
    assert take(tmp_path / "two") == []


def test_what_a_process_left_that_is_gone_is_ended(tmp_path: Path) -> None:
    script = f"from stack import turn; turn.NOTE = type(turn.NOTE)({str(turn.NOTE)!r})"
    call = "; turn.take(turn.NOTE.parent / 'one', is_kept=False, end=print, patience=0)"
    subprocess.run([sys.executable, "-c", script + call], check=True, cwd=Path(__file__).parents[2])
    assert take(tmp_path / "two") == [tmp_path / "one"]


def test_one_that_is_kept_lasts_as_long_as_anything_of_it_runs(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    take(folder, is_kept=True)
    process.start(folder, "it", ("sleep", "600"), lambda: "sleep" in process.names(folder, "it"))
    with pytest.raises(RuntimeError):
        take(tmp_path / "two")
    process.stop(folder, "it")
    assert take(tmp_path / "two") == [folder]


def test_a_number_that_another_process_has_by_now_owns_nothing(tmp_path: Path) -> None:
    take(tmp_path / "one")
    known = json.loads(turn.NOTE.read_text())
    turn.NOTE.write_text(json.dumps({**known, "owner": known["owner"].split()[0] + " 1"}))
    assert take(tmp_path / "two") == [tmp_path / "one"]
