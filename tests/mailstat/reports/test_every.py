"""Every report, in every format, of every mail server: on the samples that its line shapes have."""

from __future__ import annotations

import io
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from functools import cache

import pytest

from mailstat import render, reports
from mailstat.cli import build_parser
from mailstat.log import Digest, Log, Selection
from parsers.events import Delivery, Event, Origin
from parsers.mta import SERVERS
from parsers.reader import understand
from parsers.tracker import Tracker

START = 1_767_571_200.0
MTAS = [mta for mta, server in SERVERS.items() if server.grammar]
SEARCHES = {"trace", "replay"}  # the files themselves, not the events; Prometheus
NAMES = [name for name in reports.helps() if reports.reads_log(reports.load(name)) and name not in SEARCHES]
PERIODS = ["2026-01-05", "2026-01-05T00:01..2026-01-06", "--all"]
ARGUMENTS = {"diff": [PERIODS], "query": [["SELECT * FROM events"]], "bounces": [["--suppress", "1"], []]}


@cache
def events_of(mta: str) -> tuple[Event, ...]:
    """The events of all samples, a second each, then in context."""
    grammar = SERVERS[mta].grammar
    assert grammar
    found: list[Event] = []
    for number, row in enumerate(grammar.shapes):
        for program in ("smtp", mta):
            events = understand(row.sample, START + number, Origin(mta, "mail", mta, program))[1]
            if all(isinstance(event, Event) and hasattr(event, "kind") for event in events):
                found += events
    Tracker().follow(found)
    return tuple(found)


class Samples(Log):
    """A log of the samples of one server."""

    def __init__(self, mta: str) -> None:
        super().__init__([], Selection(), zone=UTC)
        self.mta = mta

    def batches(self) -> Iterator[list[Event]]:
        yield list(events_of(self.mta))

    def read(self, digest: Digest) -> None:
        for batch in self.batches():
            digest.add(batch, range(len(batch)))


def options_of(name: str, words: list[str]) -> Namespace:
    options = build_parser(name).parse_intermixed_args(words)
    options.now, options.zone = START, UTC
    return options


@pytest.mark.parametrize("mta", MTAS)
@pytest.mark.parametrize("name", NAMES)
def test_every_report_tells_of_every_server_in_every_format(name: str, mta: str) -> None:
    for words in ARGUMENTS.get(name, [[]]):
        options = options_of(name, words)
        made = reports.load(name).make(Samples(mta), options)
        records = list(made.records or ())
        for form in render.names():
            out = io.StringIO()
            again = made if made.records is None else replace(made, records=iter(records))
            render.render(form, again, out, zone=UTC)
            text = out.getvalue()
            assert "Traceback" not in text
            if form == "json":
                assert [json.loads(line) for line in text.splitlines()] if name == "events" else json.loads(text)
            else:
                assert text


@pytest.mark.parametrize("name", NAMES)
def test_every_report_is_content_with_nothing(name: str) -> None:
    words = ARGUMENTS.get(name, [[]])[0]
    made = reports.load(name).make(Log([], Selection(), zone=UTC), options_of(name, words))
    for form in render.names():
        render.render(form, made, io.StringIO(), zone=UTC)


@pytest.mark.parametrize("mta", MTAS)
@pytest.mark.parametrize("name", ["summary", "deliveries"])
def test_a_page_has_charts_of_every_server(name: str, mta: str) -> None:
    out = io.StringIO()
    made = reports.load(name).make(Samples(mta), options_of(name, ["--format", "html"]))
    render.render("html", made, out, zone=UTC)
    has_deliveries = any(isinstance(event, Delivery) for event in events_of(mta))
    assert ("<svg" in out.getvalue()) >= has_deliveries


def choices(name: str) -> Iterator[list[str]]:
    """Each choice of each option that is the report's own."""
    parser = ArgumentParser()
    reports.add_arguments(reports.load(name), parser)
    for action in parser._actions:
        for choice in action.choices or ():
            yield [action.option_strings[0], str(choice)]


@pytest.mark.parametrize(("name", "words"), [(name, words) for name in NAMES for words in choices(name)])
def test_every_choice_of_an_option_gives_a_report(name: str, words: list[str]) -> None:
    needed = ARGUMENTS.get(name, [[]])[0]
    made = reports.load(name).make(Samples("postfix"), options_of(name, [*needed, *words]))
    assert made.sections
    assert all(len(row) == len(section.columns) for section in made.sections for row in section.rows)
