"""The event table."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import UTC, timedelta, timezone
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from shutil import rmtree
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from mailstat import database
from mailstat.report import ReportError
from parsers.events import Connect, Delivery, Event, Origin

ORIGIN = Origin("postfix", "mail", "postfix-out", "smtp", 7)


def table_of(*events: Event, words: str = "number time kind recipient reply delay") -> database.Table:
    table = database.Table(words.split(), kinds=None, zone=UTC)
    table.add(events)
    table.flush()
    return table


def test_only_what_is_asked_for_is_stored() -> None:
    with database.Table({"reply", "SELECT"}, kinds=("delivery",), zone=UTC) as table:
        table.add([Connect(1.0, ORIGIN, "c", "192.0.2.1"), Delivery(2.0, ORIGIN, "A", "b", "sent", "outbound")])
        table.flush()
        assert table.columns.keys() == {"number", "reply"}
        assert table.ask("SELECT * FROM events") == [(1, None)]


def test_an_answer_is_foreseen_from_the_columns_there_are() -> None:
    assert database.foreseen("SELECT kind, count() FROM deliveries() GROUP BY 1", database.OF_DELIVERIES) == [
        ("kind", "VARCHAR"),
        ("count_star()", "BIGINT"),
    ]
    assert [name for name, _ in database.foreseen("FROM events", {"kind"})] == ["kind"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("", "one SELECT is needed"),
        ("DROP TABLE events", "one SELECT is needed"),
        ("SELECT 1; SELECT 2", "one SELECT is needed"),
        ("SELCT 1", "LINE 1: SELCT 1\n        ^"),
        ("SELECT statsu FROM events", 'Candidate bindings: "status"'),
        ("SELECT * FROM read_text('/etc/hostname')", "disabled by configuration"),
    ],
)
def test_a_question_that_has_no_answer_is_told_before_there_is_a_table(sql: str, message: str) -> None:
    with pytest.raises(ReportError) as error:
        database.foreseen(sql, {"status", "kind"})
    assert message in str(error.value)


def test_text_that_is_none_and_numbers_beyond_all_are_survived() -> None:
    odd = Delivery(1.0, ORIGIN, "A", "a\0\udcff@x", "sent", "outbound", reply="é \ud800", reply_code=10**30)
    with table_of(odd, words="recipient reply reply_code") as table:
        assert table.ask("SELECT recipient, reply_code FROM events") == [("a\0\ufffd@x", None)]


def test_days_begin_where_the_reader_is() -> None:
    event = Connect(1_767_571_200.0, ORIGIN)  # midnight in UTC
    with database.Table({"time"}, kinds=None, zone=ZoneInfo("Asia/Tokyo")) as table:
        table.add([event])
        table.flush()
        assert table.ask("SELECT epoch(date_trunc('day', time)) FROM events") == [(1_767_538_800.0,)]


def test_a_zone_that_has_no_name_is_its_offset() -> None:
    assert database.zones(timezone(timedelta(hours=2)))[-1] == "Etc/GMT-2"
    assert database.zones(UTC)[-1] == "UTC"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM batch",
        "ATTACH '/tmp/x.db'",
        "COPY events TO '/tmp/x.csv'",
        "CREATE TABLE x AS SELECT 1",
        "DELETE FROM events",
        "SET memory_limit = '9GB'",
        "SELECT 1; SELECT 2",
        "INSTALL httpfs",
        "EXPORT DATABASE '/tmp/x'",
        "PRAGMA enable_profiling",
        "SELECT",
        "",
    ],
)
def test_sql_of_others_reads_the_table_and_nothing_else(sql: str) -> None:
    with table_of(Connect(1.0, ORIGIN)) as table:
        table.close_doors()
        assert table.ask_freely("SELECT count(*) FROM events").column(0).to_pylist() == [1]
        with pytest.raises(ReportError):
            table.ask_freely(sql)


def test_more_than_the_memory_holds_is_put_on_disk() -> None:
    replies = [f"{number} " + "x" * 600 for number in range(1000)]  # 400 times: more than database.MEMORY
    with database.Table({"reply", "number"}, kinds=None, zone=UTC) as table:
        for _ in range(400):
            table.add([Delivery(1.0, ORIGIN, "A", "b", "sent", "outbound", reply=reply) for reply in replies])
        table.flush()
        table.close_doors()
        sql = (
            "SELECT count(*), max(rank) FROM (SELECT row_number() OVER (ORDER BY reply, number) AS rank FROM events)"
        )
        assert table.ask(sql) == [(400_000, 400_000)]


def test_a_question_that_takes_too_much_room_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MEMORY", "10MB")
    with table_of(Connect(1.0, ORIGIN)) as table, pytest.raises(ReportError, match="no room"):
        table.ask(
            "SELECT max(length(list)) FROM (SELECT string_agg(repeat('x', 1000), ',') AS list FROM range(100000))"
        )


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with table_of(Connect(1.0, ORIGIN)) as table:
        assert table.ask("SELECT count(*) FROM events") == [(1,)]
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", ["exporter.cli", "exporter.pipeline", "mailstat.cli", "mailstat.reports.summary"])
def test_what_does_not_ask_a_database_does_not_load_one(module: str) -> None:
    code = f"import sys, {module}; print([name for name in ('duckdb', 'pyarrow') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_its_folder_is_locked_while_it_is_used() -> None:
    """As systemd-tmpfiles(8) asks before it takes what is old."""
    with table_of(Connect(1.0, ORIGIN)) as table:
        folder = os.open(table._folder.name, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            flock(folder, LOCK_EX | LOCK_NB)
        os.close(folder)


def test_a_folder_that_is_taken_away_is_told_in_a_sentence() -> None:
    """Somebody tidied up: DuckDB then misses `events.duckdb.wal`, in the middle of the work."""
    with database.Table({"reply", "number"}, kinds=None, zone=UTC) as table:
        rmtree(table._folder.name)
        with pytest.raises(ReportError, match="temporary files were taken away"):
            table.add([Delivery(1.0, ORIGIN, "A", "b", "sent", "outbound", reply="x")] * database.BATCH)


def test_two_tables_at_once_know_nothing_of_each_other() -> None:
    with table_of(Connect(1.0, ORIGIN)) as one, table_of(Connect(1.0, ORIGIN), Connect(2.0, ORIGIN)) as other:
        assert [table.ask("SELECT count(*) FROM events") for table in (one, other)] == [[(1,)], [(2,)]]


def test_a_file_is_written_in_pieces_that_memory_holds(tmp_path: Path) -> None:
    with database.Table({"number"}, kinds=None, zone=UTC) as table:
        table.add([Connect(1.0, ORIGIN)] * (3 * database.ROW_GROUP))
        table.flush()
        table.copy("SELECT * FROM events ORDER BY number", tmp_path / "events.parquet")
    with pq.ParquetFile(tmp_path / "events.parquet") as file:
        assert file.num_row_groups == 3
