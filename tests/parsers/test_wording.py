"""Replies in words of our own, of many kinds of servers: their classes do not change by chance."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from parsers.reason import REASONS, reason_of

# A row: the class, the reply code, the enhanced status code, the text; a dash where there is no code.
ROWS = [
    line.split("\t", 3) for line in Path(__file__).with_name("wordings.tsv").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize(("reason", "code", "dsn", "text"), ROWS)
def test_a_wording_keeps_its_class(reason: str, code: str, dsn: str, text: str) -> None:
    assert reason_of(text, None if code == "-" else int(code), None if dsn == "-" else dsn, None) == reason


def test_every_class_but_the_one_without_words_is_here() -> None:
    assert set(Counter(row[0] for row in ROWS)) == set(REASONS) - {"unclassified"}
