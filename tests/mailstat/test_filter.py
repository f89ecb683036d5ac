"""The language of `--where`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstat.filter import (
    DEEPEST,
    LONGEST,
    Among,
    Compare,
    Every,
    Filter,
    FilterError,
    Not,
    Presence,
    Some,
    fields,
    glob,
    parse,
)
from parsers.events import CONTEXT, KINDS, Auth, Connect, Delivery, Origin, Queued, Received, as_record

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp()
ORIGIN = Origin("postfix", "mail", "postfix", "smtp", 77)
DEFERRED = Delivery(
    NOW - 3600,
    ORIGIN,
    "4F1ABC",
    "Bob@Example.COM",
    "deferred",
    "outbound",
    relay_ip="192.0.2.9",
    delay=400.0,
    reply_code=421,
    dsn="4.7.0",
    reply="421 4.7.0 Rate limited, try (again) later",
    provider="google",
    reason="rate_limited",
    sender="",
)
CONNECT = Connect(NOW - 60, ORIGIN, "client.example.net", "2001:db8::5")
QUEUED = Queued(NOW, ORIGIN, "4F1ABC", message_id="a.b@example.com", size=12_000)


def read(text: str) -> Filter:
    return parse(text, now=NOW, zone=UTC)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("status = sent", Compare("status", "=", "sent")),
        ("STATUS == sent", Compare("status", "=", "sent")),
        ("to=*@example.com", Compare("recipient", "=", "*@example.com")),
        ("from = <>", Compare("sender", "=", "")),
        ("from = <a@example.com>", Compare("sender", "=", "a@example.com")),
        ("client != '192.0.2.1'", Compare("client_ip", "!=", "192.0.2.1")),
        ("delay > 5m", Compare("delay", ">", 300.0)),
        ("delay_connect <= 250ms", Compare("delay_connect", "<=", 0.25)),
        ("size >= 10MiB", Compare("size", ">=", 10.0 * 1024 * 1024)),
        ("pid = 77", Compare("pid", "=", 77.0)),
        ("time > 2h ago", Compare("time", ">", NOW - 7200)),
        ("time < 2026-01-05", Compare("time", "<", NOW - 12 * 3600)),
        ('time < "2026-01-05 06:00"', Compare("time", "<", NOW - 6 * 3600)),
        ("reason in (blocked_ip, rate_limited)", Among("reason", ("blocked_ip", "rate_limited"))),
        ("client_ip in 192.0.2.0/24", Among("client_ip", (ip_network("192.0.2.0/24"),))),
        ("reply_code in (421, 450)", Among("reply_code", (421.0, 450.0))),
        ("message_id is absent", Presence("message_id", is_present=False)),
        ("not not not dsn is present", Not(Presence("dsn", is_present=True))),
        (
            "status = sent or status = deferred and not delay > 1",
            Some(
                (
                    Compare("status", "=", "sent"),
                    Every((Compare("status", "=", "deferred"), Not(Compare("delay", ">", 1.0)))),
                )
            ),
        ),
        (
            "(status = sent or dsn = 4.*) and pid = 1",
            Every((Some((Compare("status", "=", "sent"), Compare("dsn", "=", "4.*"))), Compare("pid", "=", 1.0))),
        ),
    ],
)
def test_an_expression_is_a_tree(text: str, tree: object) -> None:
    assert read(text).condition == tree


@pytest.mark.parametrize(
    "text",
    [
        "status = deferred and provider = google and delay > 5m",
        "to = *@example.com",
        "recipient = bob@*.com",
        "to != alice@*",
        'reply ~ "rate LIMITED"',
        "reply ~ '(again)'",
        "relay_ip in 192.0.2.0/24",
        "relay_ip in (198.51.100.1, 192.0.2.9)",
        "reason in (blocked_ip, rate_limited)",
        "reply_code in (421, 450)",
        "reply_code >= 400 and code < 500",
        "time > 2h ago and time < now",
        "kind = delivery",
        "program = smtp and pid = 77 and mta = postfix",
        "from = <>",
        "sender is present",
        "message_id is absent",
        "message_id != x",
        "not message_id = x",
        "id = 4F1ABC",
        "status = sent or (status = deferred)",
    ],
)
def test_an_event_fits(text: str) -> None:
    assert read(text).matches(DEFERRED) is True


@pytest.mark.parametrize(
    "text",
    [
        "status = sent",
        "to = *@example.org",
        "reply ~ 'R.te'",
        "relay_ip in 2001:db8::/32",
        "client_ip in 0.0.0.0/0",
        "relay_host = *",
        "relay_host ~ ''",
        "size < 1g",
        "size in (1, 2)",
        "message_id is present",
        "id = 4f1abc",
        "delay < 400",
        "time > 30m ago",
        "kind = queued",
        "not status = deferred",
        "status = sent and status = deferred",
    ],
)
def test_an_event_does_not_fit(text: str) -> None:
    assert read(text).matches(DEFERRED) is False


def test_what_is_no_address_is_in_no_network() -> None:
    odd = Connect(NOW, ORIGIN, "client.example.net", "unknown")
    assert not read("client_ip in 0.0.0.0/0").matches(odd)
    assert read("client_ip in 2001:db8::/32").matches(CONNECT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("provder = google", 'provder = google\n^ unknown field "provder": did you mean "provider"?'),
        (
            "pid = 1 and staus = sent",
            'pid = 1 and staus = sent\n            ^ unknown field "staus": did you mean "status"?',
        ),
        ("status = defered", 'status = defered\n         ^ status is never "defered": did you mean "deferred"?'),
        (
            "kind = 7",
            'kind = 7\n       ^ kind is never "7": it is one of connect, disconnect, tls, auth, received, queued,'
            " delivery, reject, notification, removed, queue_action, connection_error, problem",
        ),
        ("delay > 5 apples", 'delay > 5 apples\n          ^ expected "and", "or" or the end'),
        ("delay > five", "delay > five\n        ^ delay is compared with a duration as in 90s, 5m or 2h"),
        ("size > 5x", "size > 5x\n       ^ size is compared with a size as in 500, 10k or 2MiB"),
        ("pid = 1.5", "pid = 1.5\n      ^ pid is compared with a whole number"),
        ("status > sent", "status > sent\n       ^ status is a text and has no order: use =, !=, ~ or in"),
        ("time = now", "time = now\n     ^ time is a moment: use <, <=, > or >="),
        ("pid ~ 1", "pid ~ 1\n    ^ pid is a number: use =, !=, <, <=, >, >= or in"),
        (
            "client in example.com",
            "client in example.com\n          ^ no address or network, as in 192.0.2.0/24 or 2001:db8::/32",
        ),
        ("status", "status\n      ^ expected an operator: = != < <= > >= ~ in is"),
        ("status =", "status =\n        ^ expected a value"),
        ("status = 'sent", "status = 'sent\n         ^ expected a value"),
        ("status in (sent", "status in (sent\n               ^ expected ')'"),
        ("(status = sent", "(status = sent\n              ^ expected ')'"),
        ("dsn is here", 'dsn is here\n       ^ expected "absent" or "present"'),
        ("", "\n^ expected a field, not or a bracket"),
        ("and", "and\n^ expected a field, not or a bracket"),
        ("a\x1b[31m = 1", "a\\x1b[31m = 1\n ^ expected an operator: = != < <= > >= ~ in is"),
    ],
)
def test_an_error_shows_the_place_and_what_belongs_there(text: str, message: str) -> None:
    with pytest.raises(FilterError) as error:
        read(text)
    assert str(error.value) == message


def test_a_time_that_is_none_is_shown_in_its_place() -> None:
    with pytest.raises(FilterError, match=r"time > someday\n {7}\^ 'someday' is no moment"):
        read("time > someday")


def test_an_expression_is_bounded_in_length() -> None:
    with pytest.raises(FilterError, match=f"{LONGEST} characters at most"):
        read("status = sent" + " " * LONGEST)


def test_an_expression_is_bounded_in_depth() -> None:
    deep = "(" * DEEPEST + "status = sent" + ")" * DEEPEST
    assert read(deep).condition == Compare("status", "=", "sent")
    with pytest.raises(FilterError, match=f"more than {DEEPEST} brackets"):
        read(f"({deep})")


@pytest.mark.parametrize(
    "text", ["not " * 1000 + "pid = 1", "(" * 4000, "(pid=1)or" * 400 + "(pid=1)", "pid in (" + "1," * 2000]
)
def test_a_long_expression_is_read_or_refused(text: str) -> None:
    refusal = ""
    try:
        assert read(text).matches(DEFERRED) is False
    except FilterError as error:
        refusal = str(error)
    assert len(refusal) < 400


def test_every_field_of_the_event_record_is_known() -> None:
    received = Received(NOW, ORIGIN, "A1", client_name="c", client_ip="192.0.2.1", sasl_method="m", sasl_user="u")
    records = [as_record(event) for event in (DEFERRED, CONNECT, QUEUED, received, Auth(NOW, ORIGIN, "failure"))]
    assert set().union(*records) <= set(fields())
    assert all(set(kind.__struct_fields__) - {"origin"} - CONTEXT <= set(fields()) for kind in KINDS)


def test_what_the_tracker_adds_for_counting_is_no_field() -> None:
    with pytest.raises(FilterError, match="unknown field"):
        read("is_arrival = 1")


WORDS = st.sampled_from(
    [
        *fields(),
        *"and or not in is absent present ( ) , = != < <= > >= ~ * 5m 2h ago now 192.0.2.0/24".split(),
        "''",
        '"',
    ]
)


@given(
    st.one_of(
        st.text(max_size=200), st.lists(WORDS, max_size=40).map(" ".join), st.lists(WORDS, max_size=40).map("".join)
    )
)
def test_any_text_is_an_expression_or_a_filter_error(text: str) -> None:
    try:
        found = read(text)
    except FilterError as error:
        lines = str(error).split("\n")
        assert len(lines) == 2
        assert all(line.isprintable() for line in lines)
    else:
        assert all(isinstance(found.matches(event), bool) for event in (DEFERRED, CONNECT, QUEUED))


@given(st.text("ab*", max_size=12), st.text("ab", max_size=12))
def test_a_glob_is_what_a_regular_expression_would_say(pattern: str, text: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None
    assert glob(pattern)(text) is expected
