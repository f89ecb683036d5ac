"""Every event, one by one."""

from __future__ import annotations

import io
import json
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyarrow import parquet

from mailstat import render
from mailstat.log import Digest, Log, Selection
from mailstat.reports import events
from parsers.events import Connect, Delivery, Event, Origin

ORIGIN = Origin("postfix", "mail", "postfix-out", "smtp", 7)
DELIVERY = Delivery(
    1767607200.25, ORIGIN, "A1", "a@example.com", "sent", "outbound", sender="", delay=0.5, reply="ok \udcff"
)


class Given(Log):
    """A log of which the events are known."""

    def __init__(self, *batches: list[Event]) -> None:
        super().__init__([], Selection(), zone=UTC)
        self.taken = 0
        self._batches = batches

    def batches(self) -> Iterator[list[Event]]:
        for batch in self._batches:
            self.taken += 1
            yield batch

    def read(self, digest: Digest) -> None:
        number = 0
        for batch in self._batches:
            digest.add(batch, range(number, number + len(batch)))
            number += len(batch)


def written(name: str, log: Log) -> str:
    out = io.StringIO()
    render.render(name, events.make(log, Namespace()), out, zone=UTC)
    return out.getvalue()


def test_json_has_one_object_a_line_with_what_is_known_of_the_event() -> None:
    lines = written("json", Given([DELIVERY], [], [Connect(1767607200.0, ORIGIN, "c", "192.0.2.1")])).splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "time": "2026-01-05T10:00:00.250000+00:00",
            "mta": "postfix",
            "host": "mail",
            "service": "postfix-out",
            "program": "smtp",
            "pid": 7,
            "kind": "delivery",
            "queue_id": "A1",
            "recipient": "a@example.com",
            "status": "sent",
            "direction": "outbound",
            "delay": 0.5,
            "reply": "ok \ufffd",
            "sender": "",
        },
        {
            "time": "2026-01-05T10:00:00+00:00",
            "mta": "postfix",
            "host": "mail",
            "service": "postfix-out",
            "program": "smtp",
            "pid": 7,
            "kind": "connect",
            "client_name": "c",
            "client_ip": "192.0.2.1",
        },
    ]


@pytest.mark.parametrize("name", ["table", "csv", "markdown", "html"])
def test_the_other_formats_show_the_main_fields(name: str) -> None:
    text = written(name, Given([DELIVERY])).replace("\\", "")
    assert all(word in text for word in ("relay_host", "a@example.com", "sent", "A1"))


def test_nothing_is_read_before_it_is_asked_for() -> None:
    log = Given([DELIVERY], [DELIVERY])
    report = events.make(log, Namespace())
    assert log.taken == 0
    assert report.records is not None
    next(report.records)
    assert log.taken == 1


def test_parquet_has_a_column_for_each_field(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    with path.open("w", encoding="utf-8") as out:
        events.write(Given([DELIVERY], [Connect(1767607200.0, ORIGIN, "c")]), Namespace(where=None, limit=None), out)
    found = parquet.read_table(path).to_pylist()
    assert [row["kind"] for row in found] == ["delivery", "connect"]
    assert found[0]["time"] == datetime(2026, 1, 5, 10, 0, 0, 250_000, tzinfo=UTC)
    assert (found[0]["delay"], found[0]["reply"], found[0]["client_name"]) == (0.5, "ok \ufffd", None)


def test_parquet_is_limited_too(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    with path.open("w", encoding="utf-8") as out:
        events.write(Given([DELIVERY] * 5), Namespace(where=None, limit=2), out)
    assert parquet.read_table(path).num_rows == 2
