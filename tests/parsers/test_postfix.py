"""Every Postfix shape has a sample, and the sample is of that shape and of no other."""

from __future__ import annotations

import pytest

from parsers.mta.postfix import GRAMMAR
from parsers.shape import Shape


@pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])
def test_a_sample_is_of_its_own_shape_first_and_of_no_other_but_a_general_one(row: Shape) -> None:
    first, *others = [found for found, _, _ in GRAMMAR.matches(row.sample)]
    assert first == row
    assert all(other.general for other in others)


@pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])
def test_a_sample_has_a_value_in_some_field_of_its_shape(row: Shape) -> None:
    _, _, fields = next(GRAMMAR.matches(row.sample))
    assert not fields or any(fields)
