"""The bench of reasons counts as it says, and prints no text that is held back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.reasons import HELD_BACK, Answer, case_of, macro_f1

ROOT = Path(__file__).parents[2]


def row(text: str, category: str, *also: str, family: str = "zone-mta") -> dict[str, object]:
    return {
        "family": family,
        "text": text,
        "code": "550",
        "enhanced": None,
        "relay_domain": None,
        "command": "RCPT",
        "category": category,
        "also": list(also),
    }


def answer(given: str, category: str, *also: str) -> Answer:
    return Answer(case_of(row("", category, *also)), given, 0.0, 0.0)


def test_what_is_not_wrong_counts_as_the_label() -> None:
    assert answer("loop", "expired", "loop").is_right
    assert not answer("loop", "expired").is_right
    assert macro_f1([answer("loop", "expired", "loop"), answer("expired", "expired")]) == 1.0
    # One of two found, none wrong; what is no label here has no F1.
    assert macro_f1([answer("loop", "expired"), answer("expired", "expired")]) == pytest.approx(2 / 3)
    wrong = [answer("loop", "expired"), answer("expired", "expired"), answer("expired", "loop")]
    assert macro_f1(wrong) == pytest.approx((2 * 1 / (2 + 2) + 0) / 2)


def test_wrong_suppression_is_of_what_is_not_the_recipients_fault() -> None:
    assert answer("user_unknown", "blocked_ip").is_wrong_suppression
    assert not answer("user_unknown", "blocked_ip", "user_unknown").is_wrong_suppression
    assert not answer("user_unknown", "mailbox_full").is_wrong_suppression
    assert not answer("spam_content", "blocked_ip").is_wrong_suppression


def test_no_text_is_printed(tmp_path: Path) -> None:
    rows = [row("550 zebra user unknown", "user_unknown", family=family) for family in (*HELD_BACK, "open")]
    rows.append(row("550 zebra mailbox full", "blocked_ip"))
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    done = subprocess.run(
        [sys.executable, "-m", "bench.reasons", "--confusions", tmp_path],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    table = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[:2] for line in table[1:6]] == [
        ["sisimai-comments", "1"],
        ["sisimai-tests", "1"],
        ["zone-mta", "2"],
        ["held back", "4"],
        ["open", "1"],
    ]
    assert table[6][0].split() == ["1", "blocked_ip", "->", "mailbox_full"]
    assert "zebra" not in done.stdout + done.stderr


def test_a_folder_without_texts_is_said(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.reasons", tmp_path], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode
    assert "no labelled texts" in done.stderr
