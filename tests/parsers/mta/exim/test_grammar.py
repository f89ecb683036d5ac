"""The table of shapes as a whole: each sample has its own, and no line is worse than malformed or costs too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers.events import Origin
from parsers.mta.exim import GRAMMAR
from parsers.reader import understand
from parsers.shape import Shape
from tests.effort import is_linear
from tests.parsers.test_shape import hostile

ORIGIN = Origin("exim", "mail.example.com", "exim", "exim", 4711)
by_template = pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])


@by_template
def test_a_sample_is_of_its_own_shape(row: Shape) -> None:
    first, *others = [found for found, _, _ in GRAMMAR.matches(row.sample)]
    assert first is row
    assert all(other.general or other.unkeyed for other in others)


@by_template
def test_a_sample_is_understood(row: Shape) -> None:
    assert understand(row.sample, 1.0, ORIGIN)[0] in ("parsed", "ignored")


@by_template
def test_the_cost_of_a_hostile_line_grows_with_its_length_and_no_faster(row: Shape) -> None:
    assert all(is_linear(lambda line: understand(line, 1.0, ORIGIN), make) for make in hostile(row))


@by_template
def test_a_line_cut_anywhere_is_no_exception(row: Shape) -> None:
    for end in range(len(row.sample)):
        outcome, events = understand(row.sample[:end], 1.0, ORIGIN)
        assert bool(events) == (outcome == "parsed")


@given(st.text(alphabet=st.characters(codec=None), max_size=200), st.sampled_from(GRAMMAR.shapes), st.integers(0, 99))
def test_no_end_of_a_line_is_worse_than_malformed(text: str, row: Shape, cut: int) -> None:
    outcome, events = understand(row.sample[:cut] + text, 1.0, ORIGIN)
    assert outcome in ("parsed", "ignored", "unknown", "malformed")
    assert bool(events) == (outcome == "parsed")
