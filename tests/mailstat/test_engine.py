"""What a log says when it is asked in SQL."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from exporter.demo import PostfixTraffic
from mailstat import engine
from mailstat.figures import Summary
from mailstat.log import Log, Selection
from mailstat.report import Column

OPTIONS = Namespace(where=None)


@pytest.fixture(name="log", scope="module")
def _log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "mail.log"
    lines = islice(PostfixTraffic(Random(3), rate=20.0, start=1_767_571_200.0), 6000)
    path.write_text("".join(f"{line}\n" for _, line in lines))
    return path


def open_log(path: Path) -> Log:
    return Log([path], Selection(), zone=UTC)


def test_sums_are_those_of_the_summary(log: Path) -> None:
    summary = Summary()
    open_log(log).read(summary)
    summary.settle()
    sql = """SELECT count(*) FILTER (is_arrival), sum(message_size) FILTER (is_arrival),
        count(*) FILTER (kind = 'removed' OR is_removal), count(*) FILTER (kind = 'connect'),
        count(*) FILTER (kind = 'notification' OR notification <> ''),
        coalesce(sum(logins), 0) + coalesce(sum(attempts) FILTER (kind = 'auth' AND result = 'success'), 0),
        count(*) FILTER (kind = 'reject'), min(epoch(time)), max(epoch(time)) FROM events"""
    with engine.table(open_log(log), OPTIONS, [sql]) as table:
        (found,) = table.ask(sql)
    assert summary.received > 100
    assert found == (
        summary.received,
        summary.size,
        summary.removed,
        summary.connections,
        summary.notifications,
        summary.logins["success"],
        summary.rejects.total(),
        summary.first,
        summary.last,
    )


def test_deliveries_and_their_delays_are_those_of_the_summary(log: Path) -> None:
    summary = Summary()
    open_log(log).read(summary)
    summary.settle()
    sql = """SELECT destination(direction, provider) AS name, count(*) FILTER (status = 'sent'),
        count(*) FILTER (status = 'deferred'), count(*) FILTER (status = 'bounced'),
        count(*) FILTER (status = 'expired'), quantile_disc(delay, 0.5) FILTER (status = 'sent'),
        quantile_disc(delay, 0.9) FILTER (status = 'sent') FROM events WHERE kind = 'delivery'
        GROUP BY name ORDER BY count(*) DESC, name"""
    with engine.table(open_log(log), OPTIONS, [sql]) as table:
        assert table.ask(sql) == [tuple(row.values()) for row in summary.providers()]


def test_rows_beyond_a_limit_are_counted_and_told_where_the_format_does_not(log: Path) -> None:
    column = (Column("queue_id"),)
    queries = [
        engine.Query("Some", column, "SELECT queue_id FROM events WHERE kind = 'removed' ORDER BY number LIMIT 10"),
        engine.Query("All", column, "SELECT DISTINCT kind FROM events ORDER BY kind LIMIT 1000"),
    ]
    read = open_log(log)
    options = Namespace(where=None, format="csv", limit=None)
    some, every = engine.report(read, options, "r", "R", queries).sections
    with engine.table(open_log(log), OPTIONS, ["kind"]) as table:
        ((removed,),) = table.ask("SELECT count(*) FROM events WHERE kind = 'removed'")
    assert (len(some.rows), some.left_out, every.left_out) == (10, removed - 10, 0)
    assert read.notes == [f"Some: {removed - 10:,d} rows more than the 10 that are shown"]
    for quiet in (Namespace(where=None, format="table", limit=None), Namespace(where=None, format="csv", limit=3)):
        read = open_log(log)
        engine.report(read, quiet, "r", "R", queries)
        assert read.notes == []
