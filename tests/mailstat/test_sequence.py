"""Items in the order of the log, however they come."""

from __future__ import annotations

import pytest

from mailstat.sequence import InOrder
from parsers.events import Event, Origin, Problem

ORIGIN = Origin("postfix", "mail", "postfix", "smtp")


def event(text: str) -> Event:
    return Problem(1.0, ORIGIN, "warning", text)


def told(event: Event) -> str | None:
    text = getattr(event, "text", "")
    return text if text != "nothing" else None


@pytest.fixture(name="taken")
def _taken() -> list[str]:
    return []


def test_what_was_late_in_a_part_stands_where_it_is_in_the_log(taken: list[str]) -> None:
    digest = InOrder(told, taken.append)
    digest.add([event("a"), event("nothing"), event("b")], range(3))
    digest.merge([(0, "c"), (2, "e"), (5, "h")], 3, told={})
    digest.merge([(1, "d"), (4, "g"), (3, "f")], 3, told={})
    assert taken == ["a", "b"]
    digest.merge([(0, "i")], 9, told={})
    assert taken == [*"abcdefgh"]
    digest.add([event("j")], [10])
    assert taken == [*"abcdefghij"]


def test_the_last_part_is_taken_when_nothing_more_comes(taken: list[str]) -> None:
    digest = InOrder(told, taken.append)
    digest.merge([(0, "a")], 0, told={})
    digest.settle()
    digest.settle()
    assert taken == ["a"]


@pytest.mark.parametrize(("are_firsts", "found"), [(True, ["a", "d"]), (False, ["a", "b", "d"])])
def test_a_login_that_was_told_of_before_is_none(taken: list[str], found: list[str], are_firsts: bool) -> None:
    digest = InOrder(told, taken.append, are_firsts=are_firsts)
    digest.merge([(0, "a"), (1, "b")], 7, told={1: 1})
    digest.merge([(2, "d")], 7, told={})
    digest.settle()
    assert taken == found


def test_a_part_has_the_places_of_its_items() -> None:
    part = InOrder(told, bool).blank()
    part.add([event("a"), event("nothing"), event("b")], [4, 5, 7])
    assert part.payload() == [(4, "a"), (7, "b")]
