"""What is remembered of logs: the same answers, from an entry that fits in all, or else from the log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from exporter.demo import PostfixTraffic
from mailstat import cache, fingerprint
from mailstat.cache import Cache, user_cache

ROOT = Path(__file__).parents[2]


@pytest.fixture(name="log", scope="module")
def _log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "mail.log"
    lines = islice(PostfixTraffic(Random(3), rate=20.0, start=1_767_571_200.0), 8000)
    path.write_text("".join(f"{line}\n" for _, line in lines))
    assert path.stat().st_size > fingerprint.LEAST_BYTES
    return path


class Command:
    """The command with a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "mailstat"
        self.environment = os.environ | {"TZ": "UTC", "XDG_CACHE_HOME": str(folder)}

    def __call__(self, *arguments: str | Path) -> str:
        command = [sys.executable, "-m", "mailstat", *map(str, arguments), "--format", "json"]
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", cwd=ROOT, env=self.environment, check=True
        )
        assert done.stderr == ""
        return done.stdout

    @property
    def entries(self) -> list[Path]:
        return sorted(self.folder.glob("*"))


@pytest.fixture(name="command")
def _command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def test_a_summary_is_remembered(command: Command, log: Path) -> None:
    first = command("summary", log)
    (entry,) = command.entries
    assert command("summary", log) == first
    _, _, text = entry.read_text().partition("\n")
    told = json.loads(text)
    told["connections"] = 4711
    changed = json.dumps(told).encode()
    entry.write_bytes(cache._mark(changed) + b"\n" + changed)
    assert json.loads(command("summary", log))["connections"] == 4711, "it was not the entry that answered"
    assert command("summary", log, "--no-cache") == first


def test_reports_share_what_is_remembered_of_events(command: Command, log: Path) -> None:
    # What is asked first needs all that the others need.
    reports = [("deferrals",), ("bounces",), ("latency",), ("bounces", "--where", "provider = google")]
    fresh = [command(*report, log, "--no-cache") for report in reports]
    assert command.entries == []
    assert [command(*report, log) for report in reports] == fresh
    (entry,) = command.entries
    before = entry.read_bytes()
    assert [command(*report, log) for report in reports] == fresh
    assert [it.read_bytes() for it in command.entries] == [before]


@pytest.mark.parametrize("report", ["summary", "bounces"])
@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other"])
def test_a_damaged_entry_counts_as_missing(command: Command, log: Path, report: str, damage: str) -> None:
    first = command(report, log)
    (entry,) = command.entries
    text = entry.read_bytes()
    middle = len(text) // 3
    wrong = {
        "cut": text[:-100],
        "changed": text[:middle] + bytes(255 - byte for byte in text[middle : middle + 64]) + text[middle + 64 :],
        "empty": b"",
        "other": b"\x80\x04}q\x00." * 99,
    }
    entry.write_bytes(wrong[damage])
    assert command(report, log) == first
    assert [it.read_bytes() for it in command.entries] == [text] or report == "bounces"
    assert command(report, log) == first


def test_an_entry_that_cannot_take_its_place_leaves_nothing_behind(command: Command, log: Path) -> None:
    first = command("summary", log)
    (entry,) = command.entries
    entry.unlink()
    entry.mkdir()
    assert command("summary", log) == first
    assert list(command.folder.iterdir()) == [entry]


def test_what_changes_is_asked_anew(command: Command, log: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.log"
    copy.write_bytes(log.read_bytes())
    first = json.loads(command("summary", copy))
    with copy.open("a") as file:
        file.write("Jan  5 23:59:59 mail postfix/smtpd[1]: connect from unknown[192.0.2.9]\n")
    assert json.loads(command("summary", copy))["connections"] == first["connections"] + 1
    other = json.loads(command("summary", copy, "--where", "status = bounced"))
    assert other["deliveries"]["sent"] == 0
    assert len(command.entries) == 3


def test_a_folder_that_others_can_enter_is_not_used(command: Command, log: Path) -> None:
    command.folder.mkdir(parents=True)
    command.folder.chmod(0o755)
    command("summary", log)
    assert command.entries == []


def test_only_the_user_can_look_into_it(command: Command, log: Path) -> None:
    command("summary", log)
    command("bounces", log)
    assert command.folder.stat().st_mode & 0o777 == 0o700
    assert [it.stat().st_mode & 0o777 for it in command.entries] == [0o600, 0o600]


def test_what_nobody_asks_again_is_not_kept(command: Command, log: Path) -> None:
    command("summary", log, "--since", "2020-01-01T00:00:01Z")
    assert command.entries == []
    command("summary", log, "--since", "2020-01-01")
    assert len(command.entries) == 1


def test_short_logs_are_not_worth_it(command: Command, tmp_path: Path) -> None:
    short = tmp_path / "short.log"
    short.write_text("Jan  5 23:59:59 mail postfix/smtpd[1]: connect from unknown[192.0.2.9]\n")
    command("summary", short)
    assert command.entries == []


def test_what_was_not_used_for_longest_goes(tmp_path: Path) -> None:
    kept = Cache(tmp_path / "mailstat", most_bytes=1000)
    for number in range(5):
        kept.keep_text(f"{number}", b"x" * 300)
        os.utime(kept.folder / f"{number}", (number, number)) if kept.find(f"{number}") else None
        if number == 1:
            os.utime(kept.folder / "0", (9, 9))
    assert [path.name for path in sorted(kept.folder.iterdir())] == ["0", "4"]


def test_a_link_is_no_entry(tmp_path: Path) -> None:
    kept = Cache(tmp_path / "mailstat")
    kept.keep_text("real", b"text")
    (kept.folder / "link").symlink_to(kept.folder / "real")
    assert kept.text("real") == b"text"
    assert kept.text("link") is None


def test_without_a_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    found = user_cache()
    assert found is not None
    assert found.folder == tmp_path / ".cache" / "mailstat"
