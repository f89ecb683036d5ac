"""What shells complete, asked of the shells."""

from __future__ import annotations

import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from mailstat import reports
from mailstat.reports import completion

ROOT = Path(__file__).parents[3]
ASK = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_mailstat; echo "${COMPREPLY[@]}"'


def script(shell: str) -> str:
    lines = completion.make(Namespace(shell=shell)).lines
    assert lines
    return "".join(f"{line}\n" for line in lines)


def completed(tmp_path: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    (tmp_path / "mailstat.bash").write_text(script("bash"))
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", tmp_path / "mailstat.bash", *words],
        capture_output=True,
        encoding="utf-8",
        check=True,
        cwd=tmp_path,
    )
    return done.stdout.split()


def test_bash_completes_reports(tmp_path: Path) -> None:
    assert completed(tmp_path, "mailstat", "de") == ["deferrals", "deliveries", "destinations"]


def test_bash_completes_options_and_their_values(tmp_path: Path) -> None:
    assert "--suppress" in completed(tmp_path, "mailstat", "bounces", "--s")
    assert completed(tmp_path, "mailstat", "deliveries", "--by", "send") == ["sender", "sender-domain"]
    assert "html" in completed(tmp_path, "mailstat", "summary", "--format", "")


def test_bash_completes_files(tmp_path: Path) -> None:
    (tmp_path / "mail.log").touch()
    assert "mail.log" in completed(tmp_path, "mailstat", "summary", "mail")
    assert "mail.log" in completed(tmp_path, "mailstat", "summary", "--reasons", "mail")


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_a_script_knows_every_report_and_is_plain_text(shell: str) -> None:
    text = script(shell)
    assert all(name in text for name in reports.helps())
    assert all(line.isprintable() for line in text.splitlines())


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_a_shell_takes_its_script(shell: str, tmp_path: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    (tmp_path / "script").write_text(script(shell))
    done = subprocess.run([shell, "-n", tmp_path / "script"], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_writes_the_script_and_nothing_else() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mailstat", "completion", "bash"],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        check=True,
    )
    assert (done.stdout, done.stderr) == (script("bash"), "")
