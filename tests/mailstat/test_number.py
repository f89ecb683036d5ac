"""The whole numbers that options take."""

from __future__ import annotations

from argparse import ArgumentTypeError

import pytest

from mailstat.number import positive, seconds


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("007", 7), ("999999999999999", 10**15 - 1)])
def test_a_number_from_one_on(text: str, number: int) -> None:
    assert positive(text) == number


@pytest.mark.parametrize("text", ["", "0", "000", "-1", "+1", "1.5", " 1", "1_000", "\u0663", "\u00b2", "9" * 16])
def test_what_is_no_such_number(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="from 1 on"):
        positive(text)


@pytest.mark.parametrize("text", ["0", "86401", "08640000", "1e3", "864000000000000000"])
def test_more_than_a_day_is_none(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="from 1 to 86400"):
        seconds(text)


def test_a_day_is_taken() -> None:
    assert (seconds("1"), seconds("86400")) == (1, 86_400)
