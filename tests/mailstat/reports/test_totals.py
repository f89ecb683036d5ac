"""What the rows of a report add up to is what the summary says of the same log: nothing is left out in silence."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from functools import cache
from io import StringIO
from typing import Any

import pytest

from mailstat import render, reports
from mailstat.log import Digest, Log, Selection
from mailstat.report import Report, Section
from mailstat.reports import deliveries, timeline
from parsers.events import KINDS, Delivery, Event, Origin
from tests.mailstat.reports.test_every import MTAS, events_of, options_of
from tests.mailstat.reports.test_parts import DAY, Given, delivery

STATUSES = ("sent", "deferred", "bounced", "expired")
COUNTS = (*STATUSES, "received", "bytes", "removed", "connections", "rejects", "failures", "failed_logins")
MEASURES = set(timeline.MEASURES) - {"connection-errors", "problems"}  # of which the summary does not tell


@cache
def samples() -> list[Event]:
    """The events that the samples of all servers give."""
    return [event for mta in MTAS for event in events_of(mta) if type(event) in KINDS]


class Samples(Log):
    """A log of all samples."""

    def __init__(self) -> None:
        super().__init__([], Selection(), zone=options_of("summary", []).zone)

    def batches(self) -> Iterator[list[Event]]:
        yield samples()

    def read(self, digest: Digest) -> None:
        digest.add(samples(), range(len(samples())))


@cache
def made(name: str, *words: str) -> Report:
    return reports.load(name).make(Samples(), options_of(name, list(words)))


@cache
def totals() -> dict[str, int]:
    document = made("summary").document
    assert document
    messages, auth = document["messages"], document["auth"]
    of_log = {name: messages[name] for name in ("received", "bytes", "removed", "notifications")}
    return {
        **document["deliveries"],
        **of_log,
        "connections": document["connections"],
        "rejects": document["rejects"]["total"],
        **dict.fromkeys(("failures", "failed_logins", "logins-failed"), auth["failure"]),
    }


def column(section: Section, name: str) -> list[Any]:
    at = [column.name for column in section.columns].index(name)
    return [row[at] for row in section.rows]


def counted(section: Section) -> dict[str, int]:
    names = [column.name for column in section.columns if column.name in COUNTS]
    return {name: sum(column(section, name)) for name in names}


def test_the_samples_have_all_that_is_counted() -> None:
    assert all(totals().values())


@pytest.mark.parametrize(
    ("name", "words", "title"),
    [
        *(("deliveries", ("--by", by), "") for by in deliveries.GROUPS),
        *(("destinations", (), f"By {by}") for by in ("provider", "domain", "relay")),
        *(("recipients", (), f"By {by}") for by in ("address", "domain")),
        *(("rejects", (), f"By {by}") for by in ("reason and phase", "client", "domain of the sender", "recipient")),
        *(("auth", (), part) for part in ("Blocks", "Users")),
    ],
)
def test_rows_add_up_to_the_summary(name: str, words: tuple[str, ...], title: str) -> None:
    (section,) = (section for section in made(name, *words).sections if section.title == title)
    found = counted(section)
    if name == "recipients":  # the size of a message counts for each of them
        del found["bytes"]
    assert found
    assert found == {name: totals()[name] for name in found}


def test_clients_add_up_to_the_summary() -> None:
    found = counted(made("connections").sections[0])
    assert {name: found[name] for name in ("connections", "rejects", "failed_logins")} == {
        name: totals()[name] for name in ("connections", "rejects", "failed_logins")
    }


@pytest.mark.parametrize(("name", "statuses"), [("deferrals", ["deferred"]), ("bounces", ["bounced", "expired"])])
def test_failures_add_up_to_the_summary(name: str, statuses: list[str]) -> None:
    wanted = sum(totals()[status] for status in statuses)
    assert [sum(column(section, "attempts")) for section in made(name).sections] == [wanted, wanted]


def test_senders_add_up_to_the_summary() -> None:
    (section,) = made("senders").sections
    rows = zip(*(column(section, name) for name in ("kind", "messages", "bytes")), strict=True)
    sums = [row[1:] for row in rows if row[0] == "sender"]
    assert [sum(each) for each in zip(*sums, strict=True)] == [totals()["received"], totals()["bytes"]]


def test_delays_are_told_of_all_that_was_sent() -> None:
    percentiles, histogram, _ = made("latency").sections
    assert sum(column(percentiles, "sent")) == 2 * totals()["sent"]  # the first row is that of all
    assert sum(column(percentiles, "known")) == 2 * sum(column(histogram, "count"))


@pytest.mark.parametrize("by", [None, *timeline.GROUPS])
@pytest.mark.parametrize("measure", sorted(MEASURES))
def test_a_timeline_adds_up_to_the_summary(measure: str, by: str | None) -> None:
    words = ("--by", by) if by else ()
    (section,) = made("timeline", "--measure", measure, *words).sections
    assert sum(column(section, "total")) == totals()[measure]


# --- how the row of what has none looks ---


def given(by: str) -> Report:
    events = [delivery(0, "sent", "a@example.org"), delivery(1, "bounced", "root"), delivery(2, "sent", "root")]
    return deliveries.make(Given(events), Namespace(where=None, by=by))


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("table", "\n(none) "),
        ("markdown", "| \\(none\\) |"),
        ("html", ">(none)</td>"),
        ("csv", "\n,1,0,1,0,"),
        ("json", '"domain": null,\n      "sent": 1,'),
    ],
)
def test_what_has_none_is_a_row_that_says_so(form: str, words: str) -> None:
    out = StringIO()
    render.render(form, given("domain"), out, zone=options_of("summary", []).zone)
    assert words in out.getvalue()


def test_what_has_none_stands_where_its_number_puts_it() -> None:
    assert [row[0] for row in given("domain").sections[0].rows] == [None, "example.org"]


def test_a_log_that_names_no_host_has_none() -> None:
    events = [Delivery(DAY, Origin("exim", "", "exim", "exim"), "A1", "a@example.org", "sent", "outbound")]
    assert [row[0] for row in deliveries.make(Given(events), Namespace(where=None, by="host")).sections[0].rows] == [
        None
    ]


def test_the_null_sender_is_not_an_unknown_one() -> None:
    events = [delivery(0, "sent", queue_id="A1"), delivery(1, "sent", queue_id="B2"), delivery(2, "sent")]
    log = Given(events)
    for event, sender in zip(events, ["", None, "Kim@Example.com"], strict=True):
        event.sender = sender
    found = deliveries.make(log, Namespace(where=None, by="sender")).sections[0].rows
    assert sorted(str(row[0]) for row in found) == ["<>", "None", "kim@example.com"]
