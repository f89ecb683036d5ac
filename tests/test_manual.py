"""The manual pages, as a reader of them sees them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from docs import manual
from mailstat import reports

NAMES = ("mailstat.1", "mailstat_exporter.8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("man")
    assert manual.main([str(made)]) == 0
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_page_can_be_read(folder: Path, name: str) -> None:
    if not shutil.which("man"):
        pytest.skip("no man here")
    done = subprocess.run(
        ["man", "--local-file", folder / name],
        capture_output=True,
        encoding="utf-8",
        check=True,
        env={"MANWIDTH": "80", "PATH": "/usr/bin:/bin"},
    )
    assert "DESCRIPTION" in done.stdout


def test_the_page_has_every_report_with_its_options(folder: Path) -> None:
    text = (folder / "mailstat.1").read_text().replace("\\-", "-")
    assert all(f"mailstat {name}" in text for name in reports.helps())
    assert all(option in text for option in ("--suppress", "--since", "--format", "--url"))


def test_the_same_code_makes_the_same_page() -> None:
    assert manual.pages() == manual.pages()
    assert manual.DAY in manual.pages()["mailstat.1"].replace("\\-", "-")
