"""The table of events that SQL is asked of, in DuckDB.

It lies in a private folder that goes with it; memory is bounded by the database's own limit, and what is beyond it
stands on disk. Only the kinds of event and the columns that the questions speak of are stored.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from fcntl import LOCK_SH, flock
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from mailstat import keep
from mailstat.batch import HINDSIGHT, Waiting, columns, placed
from mailstat.condition import Clause, clause
from mailstat.report import ReportError

if TYPE_CHECKING:
    from datetime import tzinfo

    from mailstat.filter import Filter
    from parsers.events import Event

MEMORY = "150MB"  # of the database; what stands before it needs as much again
FILLED_WITH = "40MB"  # of it, as long as other processes read, which need room, too
THREADS = 1  # each wants memory of its own to sort in: with two, large answers failed for want of it
BATCH = 50_000  # rows that go into the table at once
ROW_GROUP = 20_480  # rows of a Parquet file that are held at once
LONGEST_ERROR = 400  # characters of what the database says
ALONE: dict[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # a name is a table, never a variable of this program
}
# Expressions that reports share.
MACROS = (
    "CREATE MACRO destination(direction, provider) AS"
    " CASE WHEN direction = 'local' THEN 'local' ELSE coalesce(provider, 'other') END",
    "CREATE MACRO domain(address) AS CASE WHEN contains(address, '@') THEN lower(split_part(address, '@', -1)) END",
    "CREATE MACRO why(reason) AS coalesce(reason, 'unclassified')",
)
# What was deferred for vague words, and accepted by the same host at the next attempt, was greylisted.
DELIVERIES = """
CREATE MACRO deliveries() AS TABLE SELECT * REPLACE (
    CASE WHEN status = 'deferred' AND (mta, coalesce(host, ''), queue_id, recipient, time) IN (
        SELECT (mta, coalesce(host, ''), queue_id, recipient, greylisted_at) FROM events
        WHERE greylisted_at IS NOT NULL
    ) THEN 'greylisted' ELSE reason END AS reason
) FROM events WHERE kind = 'delivery'"""
OF_DELIVERIES = frozenset({"mta", "host", "queue_id", "recipient", "time", "kind", "status", "reason", *HINDSIGHT})


class Table:
    """The table `events`: of some `kinds` (None: all), with those columns whose names are among the words."""

    def __init__(
        self, words: Collection[str], *, kinds: Collection[str] | None, zone: tzinfo, where: Filter | None = None
    ) -> None:
        self._where = clause(where.condition) if where else Clause("true", (), frozenset())
        every = columns()
        self.columns = {name: every[name] for name in every if name in words or name == "number"}
        self._extra = {name: every.get(name, "VARCHAR") for name in self._where.columns - self.columns.keys()}
        self._kinds = kinds
        self._waiting = Waiting(kinds, self.columns | self._extra)
        self._copy: keep.Copy | None = None
        self._count = 0
        self._is_closed = False  # but for questions
        # The first and the last moment of all events, whatever `where` wants.
        self.span: tuple[float, float] | None = None
        self._zone = zone
        self._folder = TemporaryDirectory(prefix="mailstat-", ignore_cleanup_errors=True)
        self._lock = lock(self._folder.name)

    @cached_property
    def _database(self) -> duckdb.DuckDBPyConnection:
        """Not opened before there is something for it: other processes are begun until then, and it has threads."""
        with room():
            database = self._open(read_only=False)
            _furnish(database, self.columns)
        return database

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: object) -> None:
        if "_database" in self.__dict__:
            self._database.close()
        os.close(self._lock)
        self._folder.cleanup()

    def add(self, events: list[Event], numbers: Sequence[int] | None = None) -> None:
        """Add events, as they are now, with their places in the log; by themselves they follow one another."""
        self._waiting.add(events, range(self._count, self._count + len(events)) if numbers is None else numbers)
        self._count += len(events)
        if self._waiting.count >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Put into the table what waits for it."""
        for batch in self._waiting.taken():
            self._insert(batch)

    def blank(self) -> Waiting:
        """What collects events of a part of the log for this table."""
        return self._waiting.blank()

    def payload(self) -> list[pa.Table]:
        """What waits for the table."""
        return self._waiting.payload()

    def merge(self, payload: list[pa.Table], base: int, *, told: Mapping[int, int]) -> None:
        """Add the events of a part of the log that begins after `base` of them."""
        self.flush()
        for batch in payload:
            self._insert(placed(batch, base, told))

    # --- what is kept of a log ---

    @property
    def mark(self) -> str:
        """What tells the copy of this table from others of the same log."""
        words = [*sorted(self._kinds or ()), "|", *self._waiting.wanted]
        return blake2b(" ".join(words).encode(), digest_size=6).hexdigest()

    @contextmanager
    def kept(self, path: Path) -> Iterator[keep.Copy]:
        """Write what comes into the table to a file too, with all columns, for there will be other questions."""
        self._waiting = Waiting(self._kinds, columns() | self._extra)
        with keep.Copy(path, self._kinds) as self._copy:
            yield self._copy
        self._copy = None

    def could_recall(self, path: Path) -> bool:
        """Whether such a file has all that is asked for."""
        return keep.has(path, self._kinds, self.columns | self._extra | {"kind": "VARCHAR"})

    def recall(self, path: Path) -> None:
        """Take the rows of such a file. Raises what `keep.DAMAGED` has."""
        for batch in keep.rows(path, self._kinds, [*self.columns, *self._extra]):
            self._insert(batch)

    def clear(self) -> None:
        """Begin anew."""
        self.span = None
        self._database.execute("DELETE FROM events")

    def _insert(self, batch: pa.Table) -> None:
        if self._copy:
            self._copy.add(batch)
        self._reach(batch)
        names = ", ".join(f'"{name}"' for name in self.columns)
        with room():
            self._database.register("batch", batch)
            insert = f"INSERT INTO events SELECT {names} FROM batch WHERE {self._where.text}"  # noqa: S608
            self._database.execute(insert, list(self._where.values))
            self._database.unregister("batch")
        del batch
        pa.default_memory_pool().release_unused()  # or Arrow keeps the room of what was the most

    def _reach(self, batch: pa.Table) -> None:
        """See how far the log reaches."""
        if "time" in batch.column_names and batch.num_rows:
            times = pc.min_max(batch.column("time")).as_py()
            first, last = times["min"].timestamp(), times["max"].timestamp()
            self.span = (min(first, self.span[0]), max(last, self.span[1])) if self.span else (first, last)

    def ask(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of the answer. Raises ReportError where there is no room for the work that it takes."""
        with room():
            self._make_room()
            return self._database.execute(sql, dict(parameters or {})).fetchall()

    def _make_room(self) -> None:
        """All is read, and there is room to ask."""
        if not self._is_closed:
            self._database.execute(f"SET memory_limit = '{MEMORY}'")

    def close_doors(self) -> None:
        """From here on the table can be read and nothing else be done: no file, no network, no change."""
        with room():
            self._database.close()
            self._database = self._open(read_only=True)
            self._is_closed = True
            self._database.execute("SET enable_external_access = false")
            self._database.execute("SET lock_configuration = true")

    def ask_freely(self, sql: str) -> pa.Table:
        """What somebody else asks. Raises ReportError."""
        with _told(), room():
            return self._database.sql(_select(self._database, sql)).to_arrow_table()

    def copy(self, sql: str, path: Path) -> None:
        """Write an answer to a Parquet file."""
        with room():
            self._make_room()
            self._database.sql(sql).write_parquet(str(path), compression="zstd", row_group_size=ROW_GROUP)

    def _open(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        folder = Path(self._folder.name)
        config: dict[str, Any] = {
            "memory_limit": MEMORY if read_only else FILLED_WITH,
            "threads": THREADS,
            "temp_directory": str(folder / "spill"),
            "preserve_insertion_order": False,  # costs memory; who wants an order asks for it
            **ALONE,
        }
        database = duckdb.connect(str(folder / "events.duckdb"), read_only=read_only, config=config)
        for name in reversed(zones(self._zone)):
            with suppress(duckdb.Error):
                database.execute("SET TimeZone = ?", [name])
        return database


def foreseen(sql: str, names: Collection[str]) -> list[tuple[str, str]]:
    """Names and types of what the answer to somebody's question would have, if the table had the columns of those
    names. Raises ReportError where there could be no answer, whatever is in the table."""
    every = columns()
    with _told(), room(), duckdb.connect(":memory:", config={**ALONE, "threads": THREADS}) as database:
        _furnish(database, {name: every[name] for name in every if name in names})
        database.execute("SET enable_external_access = false")
        answer = database.sql(_select(database, sql))
        return list(zip(answer.columns, map(str, answer.types), strict=True))


def _furnish(database: duckdb.DuckDBPyConnection, made: Mapping[str, str]) -> None:
    """Make the table, and what can be said of it."""
    fields = ", ".join(f'"{name}" {of}' for name, of in made.items())
    database.execute(f"CREATE TABLE events ({fields})")
    for macro in MACROS:
        database.execute(macro)
    if made.keys() >= OF_DELIVERIES:
        database.execute(DELIVERIES)


def _select(database: duckdb.DuckDBPyConnection, sql: str) -> str:
    statements = database.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ReportError("one SELECT is needed, and nothing else")
    return statements[0].query


@contextmanager
def _told() -> Iterator[None]:
    """Say what the database does not like about somebody's question."""
    try:
        yield
    except duckdb.Error as error:
        raise ReportError(str(error)[:LONGEST_ERROR].rstrip()) from None


def lock(folder: str) -> int:
    """Say that a folder is in use: what tidies temporary files up, as systemd-tmpfiles(8), leaves those alone that
    are locked, however old. The descriptor that holds the lock."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    flock(descriptor, LOCK_SH)
    return descriptor


@contextmanager
def room() -> Iterator[None]:
    """Say in a sentence that memory or disk do not suffice, or that somebody took the files away. Ctrl-C while the
    database works is a KeyboardInterrupt."""
    try:
        yield
    except (duckdb.InterruptException, RuntimeError) as error:
        if "interrupted" not in str(error).lower():
            raise
        raise KeyboardInterrupt from None
    except duckdb.IOException as error:
        said = str(error)
        why = "the temporary files were taken away" if "No such file" in said else "no room"
        raise ReportError(f"{why}: {said[:LONGEST_ERROR]}") from None
    except (duckdb.OutOfMemoryException, duckdb.TransactionException) as error:
        raise ReportError(f"no room: {str(error)[:LONGEST_ERROR]}") from None


def zones(zone: tzinfo) -> list[str]:
    """Names under which a database may know the zone, best first; the last, the offset of now, it does know."""
    offset = datetime.now(zone).utcoffset()
    hours = round(offset.total_seconds() / 3600) if offset else 0
    linked = str(Path("/etc/localtime").resolve()).rpartition("zoneinfo/")[2]
    name = getattr(zone, "key", None) or str(zone)
    return [linked if name == "localtime" else name, f"Etc/GMT{-hours:+d}" if hours else "UTC"]
