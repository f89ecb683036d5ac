"""`--where` as SQL says of each row what it says of the event."""

from __future__ import annotations

from datetime import UTC
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailstat.condition import clause
from mailstat.database import Table
from mailstat.filter import Among, Compare, Condition, Every, Filter, Not, Presence, Some, compiled, parse
from parsers.events import Auth, Connect, Delivery, Event, Origin, Queued

ORIGIN = Origin("postfix", "mail", "postfix", "smtp", 77)
WORDS = [
    "",
    "a",
    "A",
    "ab",
    "aB.b",
    "a*",
    "%",
    "_",
    "\\",
    "é",
    "É",
    "\u0130",
    "ΑΣ",
    "ß",
    "a\nb",
    "\0",
    "\u017f",
    "*",
    "[a]",
]
texts = st.one_of(st.sampled_from(WORDS), st.text("abAB*%_\\.éÉΣς\n\0", max_size=5))
addresses = st.sampled_from(
    ["192.0.2.7", "192.0.3.0", "2001:db8::5", "::ffff:192.0.2.7", "fe80::1%eth0", "unknown", ""]
)
times = st.integers(0, 4 * 10**9).map(lambda tenths: tenths / 10)
numbers = st.one_of(st.integers(0, 5), st.integers(2**40, 2**40 + 3))
delays = st.sampled_from([0.0, 0.1, 0.30000000000000004, 299.99, 300.0])


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


# Not st.builds: it would ask for the types of all fields.
events: st.SearchStrategy[Event] = st.one_of(
    st.tuples(times, maybe(texts), maybe(addresses)).map(lambda of: Connect(of[0], ORIGIN, *of[1:])),
    st.tuples(times, maybe(addresses)).map(lambda of: Auth(of[0], ORIGIN, "failure", client_ip=of[1])),
    st.tuples(times, texts, maybe(numbers)).map(lambda of: Queued(of[0], ORIGIN, of[1], size=of[2])),
    st.tuples(times, maybe(texts), maybe(texts), maybe(texts), maybe(delays), maybe(st.sampled_from([250, 450]))).map(
        lambda of: Delivery(
            of[0], ORIGIN, of[1], of[2], "sent", "outbound", reply=of[3], delay=of[4], reply_code=of[5]
        )
    ),
)
text_fields = st.sampled_from(["recipient", "reply", "queue_id", "client_name", "kind", "mta", "status"])
number_fields = st.sampled_from(["size", "reply_code", "pid"])
signs = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
floats = numbers.map(float)
networks = st.sampled_from(["192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0", "::/0", "192.0.2.7/32"]).map(ip_network)
leaves: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Compare, text_fields, st.sampled_from(["=", "!=", "~"]), texts),
    st.builds(Compare, number_fields, signs, floats),
    st.builds(Compare, st.just("delay"), signs, delays),
    st.builds(Compare, st.just("time"), st.sampled_from(["<", "<=", ">", ">="]), times),
    st.builds(Presence, st.one_of(text_fields, number_fields), st.booleans()),
    st.builds(Among, text_fields, st.lists(texts, min_size=1, max_size=3).map(tuple)),
    st.builds(Among, number_fields, st.lists(floats, min_size=1, max_size=3).map(tuple)),
    st.builds(Among, st.just("client_ip"), st.lists(networks, min_size=1, max_size=2).map(tuple)),
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(Every, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Some, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)


def chosen(condition: Condition, given_events: list[Event]) -> list[int]:
    where = Filter(condition, compiled(condition))
    with Table({"number"}, kinds=None, zone=UTC, where=where) as table:
        table.add(given_events)
        table.flush()
        return [number for (number,) in table.ask("SELECT number FROM events ORDER BY number")]


@settings(max_examples=60)
@given(st.lists(conditions, min_size=1, max_size=6), st.lists(events, min_size=1, max_size=15))
def test_the_database_chooses_the_events_that_the_function_does(
    trees: list[Condition], given_events: list[Event]
) -> None:
    for tree in trees:
        matches = compiled(tree)
        assert chosen(tree, given_events) == [
            number for number, event in enumerate(given_events) if matches(event)
        ], tree


def test_what_somebody_wrote_is_a_parameter_and_no_text_of_the_query() -> None:
    found = clause(parse('to = "x\'; DROP TABLE events; --" and reply ~ "\'"', now=0.0, zone=UTC).condition)
    assert "DROP" not in found.text
    assert found.values == ("x'; drop table events; --", "'")


def test_a_column_that_no_event_has_is_refused() -> None:
    with pytest.raises(ValueError, match="no column"):
        clause(Compare('x" OR 1 --', "=", "1"))
