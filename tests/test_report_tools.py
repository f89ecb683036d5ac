"""The page for those who come from other report tools names commands that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mailstat import reports
from mailstat.cli import build_parser, choose, settle

TEXT = (Path(__file__).parents[1] / "docs" / "report-tools.md").read_text(encoding="utf-8")
COMMANDS = sorted({" ".join(found.split()) for found in re.findall(r"`(mailstat [^`]+)`", TEXT)})


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_is_one(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rules.yml").write_text("{}")
    name, rest = choose(shlex.split(command)[1:], list(reports.helps()))
    assert name
    parser = build_parser(name)
    needed = (
        ["2026-01-05"] * 2 if command == "mailstat diff" else ["x"] * (rest == [] and name in ("trace", "explain"))
    )
    settle(parser.parse_intermixed_args([*rest, *needed]), parser, now=0.0)


def test_the_page_has_each_report_on_logs() -> None:
    named = {command.split()[1] for command in COMMANDS}
    assert {name for name in reports.helps() if reports.reads_log(reports.load(name))} <= named
