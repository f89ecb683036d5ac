"""Templates: what they mean, that a row's mistakes are found at once, and that no line costs more than its length."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers.events import Connect, Origin, Problem, Queued, Removed
from parsers.mta import SERVERS
from parsers.mta.postfix import GRAMMAR
from parsers.reader import understand
from parsers.shape import Extras, Field, Grammar, Latent, Literal, Optional, Shape, compile_shape, parse, shape
from tests.effort import is_linear

ORIGIN = Origin("postfix", "mail.example.com", "postfix", "smtpd", 4711)


def other_names(time: float, origin: Origin, b: str) -> None:
    """A meaning that no template with other fields fits."""


def fields(template: str, text: str) -> list[tuple[str | None, ...]]:
    grammar = Grammar("test", [shape(template, text, general=True)], lead=": ")
    return [found for _, _, found in grammar.matches(text)]


# --- the template language ---


def test_a_template_has_parts() -> None:
    assert parse("to={a}[ x={b:y|z}]{...} [[{_}]]") == (
        Literal("to="),
        Field("a", ()),
        Optional((Literal(" x="), Field("b", ("y", "z")))),
        Extras(),
        Literal(" ["),
        Field("_", ()),
        Literal("]"),
    )


@pytest.mark.parametrize("template", ["abc [x", "abc x]", "abc [x[y]"])
def test_brackets_match(template: str) -> None:
    with pytest.raises(ValueError, match="without"):
        parse(template)


@pytest.mark.parametrize(
    ("template", "text", "found"),
    [
        ("say {word}", "say hello there", ("hello there",)),
        ("say {word}.", "say hello. there.", ("hello. there",)),
        ("say {word}, {more}", "say a, b, c", ("a", "b, c")),
        ("say {word}[, then {more}]", "say a", ("a", None)),
        ("say {word}[, then {more}]", "say a, then b", ("a", "b")),
        ("say {word}[, then {more}]", "say a, b", ("a, b", None)),
        ("say {word:yes|no}", "say yes", ("yes",)),
        ("say {_} and {word}", "say this and that", ("that",)),
        ("say <{word}>, x={x}", "say <a>b>, x=1", ("a>b", "1")),
        ("say a={a},{...} b={b}", "say a=1, q=2, r=3, b=4", ("1", "4")),
        ("say a={a},{...} b={b}", "say a=1, b=4", ("1", "4")),
        ("{queue_id}: say {word}", "A1: say b", ("A1", "b")),
    ],
)
def test_a_field_ends_where_the_next_literal_begins(template: str, text: str, found: tuple[str | None, ...]) -> None:
    assert fields(template, text) == [found]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("say {word:yes|no}", "say maybe"),
        ("say {word}.", "say hello"),
        ("say {word}, {more}", "say a b"),
        ("{queue_id}: say {word}", "A 1: say b"),
    ],
)
def test_what_lacks_a_literal_is_of_another_shape(template: str, text: str) -> None:
    assert fields(template, text) == []


@pytest.mark.parametrize(
    ("row", "line", "error"),
    [
        (shape("connect {client_nam}", "", Connect), "connect x", "has no client_nam"),
        (shape("connect {a}{b}", ""), "connect x", "without a literal between"),
        (shape("{queue_id} removed", "", Removed, unkeyed=True), "1: removed", "must end at"),
        (shape("a{x}", ""), "1: removed", "must begin with 3 characters"),
        (shape("for {a> S=}{b} and {c}", ""), "for x", "any text behind ' S='"),
        (shape("connect {a}", "", other_names), "connect x", "the template gives"),
    ],
)
def test_a_row_that_cannot_be_is_an_error_at_first_use(row: Shape, line: str, error: str) -> None:
    with pytest.raises((ValueError, TypeError), match=error):
        list(Grammar("test", [row], lead=": ").matches(line))


@pytest.mark.parametrize("mta", [mta for mta, server in SERVERS.items() if server.grammar])
def test_every_row_of_every_server_can_be(mta: str) -> None:
    grammar = SERVERS[mta].grammar
    assert grammar
    assert all(compile_shape(row, grammar.lead) for row in grammar.shapes)


def test_shapes_are_compiled_when_a_line_first_may_have_them_and_only_then() -> None:
    rows = [shape("say {word}", "say a"), shape("say {word}, {more}", "say a, b"), shape("ask {word}", "ask a")]
    grammar = Grammar("test", rows, lead=": ")
    assert [type(found) for found in grammar.by_start.values()] == [Latent, Latent]
    assert len(list(grammar.matches("say a, b"))) == 2
    assert [type(found) for found in grammar.by_start.values()] == [tuple, Latent]
    assert len(list(grammar.matches("say a, b"))) == 2


def test_fields_stand_where_the_kind_of_event_has_them() -> None:
    row = shape("size {size} of {queue_id}", "size 5 of A", Queued)
    _, build, found = next(Grammar("test", [row], lead=": ").matches("size 5 of A"))
    assert build is not None
    assert build(1.0, ORIGIN, *found) == Queued(1.0, ORIGIN, "A", size=5)


def test_a_constant_is_a_field_of_the_event() -> None:
    row = shape("oh {text}", "oh dear", Problem, severity="warning")
    _, build, found = next(Grammar("test", [row], lead=": ").matches("oh dear"))
    assert build is not None
    assert build(1.0, ORIGIN, *found) == Problem(1.0, ORIGIN, "warning", "dear")


def test_the_special_shape_comes_before_the_general_one() -> None:
    general = shape("oh {text}", "oh dear", general=True)
    special = shape("oh {word:dear}", "oh dear")
    assert [found for found, _, _ in Grammar("test", [general, special], lead=": ").matches("oh dear")] == [
        special,
        general,
    ]


# --- linear time ---


def literals(row: Shape) -> str:
    """Everything that a template says itself, in order: what its matcher looks for."""
    return re.sub(r"\{[^{}]*\}", "x", row.template.replace("[[", "").replace("]]", "")).translate({91: "", 93: ""})


def hostile(row: Shape) -> list[Callable[[int], str]]:
    """Lines that begin as the shape does, go on with its own literals again and again, and never end as it does."""
    words = literals(row)
    sample = row.sample
    tail = sample[len(sample) // 2 :] or "x"
    return [
        lambda size: (sample[:40] + words * (size // max(len(words), 1) + 1))[:size] + "\0",
        lambda size: (words + tail * (size // len(tail) + 1))[:size] + "\0",
        lambda size: (sample + sample[-1:] * size)[:size] + "\0",
        lambda size: (sample + ", " * size)[:size] + "\0",
        lambda size: (sample + " from x[1]: " * size)[:size] + "\0",
    ]


@pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])
def test_the_cost_of_a_hostile_line_grows_with_its_length_and_no_faster(row: Shape) -> None:
    assert all(is_linear(lambda line: understand(line, 1.0, ORIGIN), make) for make in hostile(row))


def test_what_is_quadratic_would_be_found() -> None:
    assert not is_linear(re.compile("x+y").search, lambda size: "x" * (size // 16))


@given(st.text(alphabet=st.characters(codec=None), max_size=200), st.sampled_from(GRAMMAR.shapes), st.integers(0, 99))
def test_no_end_of_a_line_is_worse_than_malformed(text: str, row: Shape, cut: int) -> None:
    outcome, events = understand(row.sample[:cut] + text, 1.0, ORIGIN)
    assert outcome in ("parsed", "ignored", "unknown", "malformed")
    assert bool(events) == (outcome == "parsed")


@pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])
def test_a_line_cut_anywhere_is_no_exception(row: Shape) -> None:
    for end in range(len(row.sample)):
        outcome, events = understand(row.sample[:end], 1.0, ORIGIN)
        assert bool(events) == (outcome == "parsed")


def test_an_unkeyed_shape_is_found_by_all_of_it_where_no_other_fits() -> None:
    rows = (
        shape("{queue_id}: {client} went away", "1: mx[192.0.2.1] went away", unkeyed=True),
        shape("{queue_id}: removed", "1: removed"),
    )
    grammar = Grammar("postfix", rows, lead=": ")
    assert [row for row, _, _ in grammar.matches(rows[0].sample)] == [rows[0]]
    assert [row for row, _, _ in grammar.matches(rows[1].sample)] == [rows[1]]


def test_an_unkeyed_shape_begins_with_an_id() -> None:
    with pytest.raises(ValueError, match="unkeyed"):
        list(Grammar("postfix", [shape("went away", "went away", unkeyed=True)], lead=": ").matches("1: went away"))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("way A=1 S=2 S=3 id=x", ("A=1 S=2 S=", "3", "x")),
        ("way S=3", None),
        ("way A S=3", ("A S=", "3", None)),
        ("way A S=3 4", None),
    ],
)
def test_a_field_may_hold_the_last_place_of_what_ends_it(text: str, fields: tuple[str | None, ...] | None) -> None:
    row = shape("way {a> S=}{size}[ id={b: }]", text)
    grammar = Grammar("test", [row], lead=": ")
    assert [found for _, _, found in grammar.matches(text)] == ([fields] if fields else [])
