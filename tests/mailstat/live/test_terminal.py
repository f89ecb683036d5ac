"""`mailstat top` as a process, on a terminal and on none."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TOP = [sys.executable, "-m", "mailstat", "top"]
LINE = (
    "2026-01-05T10:00:00+00:00 mail postfix/smtp[7]: A1: to=<a@example.org>, relay=mx.example.org[192.0.2.1]:25,"
    " delay=1.2, delays=0.1/0/1/0.1, dsn=2.0.0, status=sent (250 ok)\n"
)


def test_it_shows_a_log_on_a_terminal_until_q(tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_text(LINE)
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    process = subprocess.Popen(
        [*TOP, str(tmp_path / "mail.log")], stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=environment
    )
    os.close(theirs)
    seen = b""
    try:
        while b"Providers" not in seen or (b"example.org" not in seen and b"mail.log" not in seen):
            seen += os.read(ours, 1 << 16)
        os.write(ours, b"q")
        while part := os.read(ours, 1 << 16):
            seen += part
    except OSError:  # a terminal's end, where the process has gone
        pass
    os.close(ours)
    assert process.wait() == 0
    assert b"Traceback" not in seen
    assert b"Providers" in seen


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["mail.log"], 1, "needs a terminal"),
        (["missing.log"], 1, "missing.log: No such file or directory"),
        (["-"], 1, "standard input is none"),
        ([], 1, "is a directory"),
        (["--url", "http://127.0.0.1:1/metrics"], 1, "needs a terminal"),
        (["--format", "json"], 2, "--format"),
        (["--where", "nonsense ="], 2, "--where"),
    ],
    ids=str,
)
def test_what_it_cannot_do_it_says(tmp_path: Path, arguments: list[str], status: int, words: str) -> None:
    (tmp_path / "mail.log").write_text(LINE)
    done = subprocess.run(
        [*TOP, *(arguments or [str(tmp_path)])],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == status
    assert words.lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr
