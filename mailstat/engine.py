"""Events as a table that SQL is asked of: Arrow batches into DuckDB.

The table lies in a private folder that goes with it; memory is bounded by the database's own limit, and what is
beyond it stands on disk. Only the kinds of event and the columns that the questions speak of are stored.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from fcntl import LOCK_SH, flock
from functools import cached_property
from hashlib import blake2b
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mailstat.cache import fingerprint
from mailstat.condition import PACKED, Clause, clause, packed
from mailstat.filter import ORIGIN, fields
from mailstat.report import Column, Report, ReportError, Section
from parsers.events import KINDS, Event

if TYPE_CHECKING:
    from argparse import Namespace
    from datetime import tzinfo

    from mailstat.cache import Cache
    from mailstat.filter import Filter
    from mailstat.log import Log

MEMORY = "150MB"  # of the database; what stands before it needs as much again
THREADS = 1  # each wants memory of its own to sort in: with two, large answers failed for want of it
BATCH = 50_000  # rows that go into the table at once
GREATEST = 2**63 - 1
KINDS_KEPT = b"kinds"  # of the events in a copy
DAMAGED = (OSError, pa.ArrowException)  # what reading a copy that is not whole raises
LONGEST_ERROR = 400  # characters of what the database says
NUMBERED = {"number": "BIGINT"}
MESSAGE = {"via": "VARCHAR", "message_since": "TIMESTAMPTZ", "message_size": "BIGINT"}
COUNTS = {"is_arrival": "BOOLEAN", "is_removal": "BOOLEAN", "logins": "BIGINT", "notification": "VARCHAR"}
HINDSIGHT = {"greylisted_at": "TIMESTAMPTZ"}  # on an acceptance: when the deferral was that it takes back
_TYPES = {"text": "VARCHAR", "number": "BIGINT", "bytes": "BIGINT", "seconds": "DOUBLE", "time": "TIMESTAMPTZ"}
_ARROW = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
}
_HALVES = re.compile("[\ud800-\udfff]")
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


class Query(NamedTuple):
    """A section of a report: what is asked for its rows. A parameter `$name` stands for an option of that name."""

    title: str
    columns: Sequence[Column]
    sql: str


def columns() -> dict[str, str]:
    """The columns of the event table and their types: the fields of the event record, and what stands in an event
    for those that count. `number` is the event's place in the log; `via`, `message_since` and `message_size` are of
    the message that it is about; `greylisted_at` is what the next attempt told of the one before."""
    record = {field.name: _TYPES[field.unit] for field in fields().values()}
    return NUMBERED | record | MESSAGE | COUNTS | HINDSIGHT


def report(
    log: Log,
    options: Namespace,
    name: str,
    title: str,
    queries: Sequence[Query],
    *,
    kinds: Collection[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Report:
    """Read the log into a table and ask it."""
    with table(log, options, [query.sql for query in queries], kinds) as events:
        return Report(name, title, [section(events, query, parameters or {}) for query in queries])


def section(events: Table, query: Query, parameters: Mapping[str, Any]) -> Section:
    """One question's answer."""
    used = {key: value for key, value in parameters.items() if f"${key}" in query.sql}
    return Section(query.title, query.columns, events.ask(query.sql, used))


@contextmanager
def table(
    log: Log, options: Namespace, questions: Iterable[str], kinds: Collection[str] | None = None
) -> Iterator[Table]:
    """The event table of a log, with what the questions need of the events that the options mean."""
    log.selection = replace(log.selection, where=None)  # the database looks for those
    words = frozenset(re.findall(r"\w+", " ".join(questions)))
    if "deliveries" in words:
        words |= OF_DELIVERIES
    with Table(words, kinds=kinds, zone=log.zone, where=options.where) as events:
        if not log.cache or not remember(log, log.cache, events):
            log.read(events)
            events.flush()
        yield events


def remember(log: Log, cache: Cache, events: Table) -> bool:
    """Fill the table from what is kept of the log, or read the log and keep what is in it. Whether there was
    anything to remember, or to keep."""
    name = fingerprint(log, ("events",))
    if name is None:
        return False
    for known in cache.names(name):
        path = cache.find(known)
        if path and events.could_recall(path):
            try:
                events.recall(path)
            except DAMAGED:
                events.clear()
                cache.drop(path)
            else:
                return True
    path = cache.begin(name)
    if path is None:
        return False
    with events.kept(path) as copy:
        log.read(events)
        events.flush()
    if copy.is_whole and log.is_whole and name == fingerprint(log, ("events",)):
        cache.keep(path, f"{name}.{events.mark}.parquet")
    else:
        cache.drop(path)
    return True


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
        self._copy: Copy | None = None
        self._count = 0
        self._zone = zone
        self._folder = TemporaryDirectory(prefix="mailstat-", ignore_cleanup_errors=True)
        self._lock = lock(self._folder.name)

    @cached_property
    def _database(self) -> duckdb.DuckDBPyConnection:
        """Not opened before there is something for it: other processes are begun until then, and it has threads."""
        with room():
            database = self._open(read_only=False)
        made = ", ".join(f'"{name}" {of}' for name, of in self.columns.items())
        database.execute(f"CREATE TABLE events ({made})")
        for macro in MACROS:
            database.execute(macro)
        if self.columns.keys() >= OF_DELIVERIES:
            database.execute(DELIVERIES)
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

    def merge(self, payload: list[pa.Table], base: int, *, told: Sequence[int]) -> None:
        """Add the events of a part of the log that begins after `base` of them."""
        self.flush()
        for batch in payload:
            self._insert(_placed(batch, base, told))

    # --- what is kept of a log ---

    @property
    def mark(self) -> str:
        """What tells the copy of this table from others of the same log."""
        words = [*sorted(self._kinds or ()), "|", *self._waiting.wanted]
        return blake2b(" ".join(words).encode(), digest_size=6).hexdigest()

    @contextmanager
    def kept(self, path: Path) -> Iterator[Copy]:
        """Write what comes into the table to a file too, with all columns, for there will be other questions."""
        self._waiting = Waiting(self._kinds, columns() | self._extra)
        with Copy(path, self._kinds) as self._copy:
            yield self._copy
        self._copy = None

    def could_recall(self, path: Path) -> bool:
        """Whether such a file has all that is asked for."""
        try:
            schema = pq.read_schema(path)
            kinds = json.loads((schema.metadata or {})[KINDS_KEPT])
        except (*DAMAGED, KeyError, ValueError):
            return False
        has_kinds = kinds is None or (self._kinds is not None and set(kinds) >= set(self._kinds))
        wanted = {name: _ARROW[of] for name, of in (self.columns | self._extra | {"kind": "VARCHAR"}).items()}
        return has_kinds and all(
            name in schema.names and schema.field(name).type == of for name, of in wanted.items()
        )

    def recall(self, path: Path) -> None:
        """Take the rows of such a file. Raises what `DAMAGED` has."""
        names = list(dict.fromkeys([*self.columns, *self._extra, "kind"]))
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(BATCH, columns=names):
                rows = pa.Table.from_batches([batch])
                if self._kinds is not None:
                    rows = rows.filter(pc.is_in(rows.column("kind"), value_set=pa.array(sorted(self._kinds))))
                self._insert(rows)

    def clear(self) -> None:
        """Begin anew."""
        self._database.execute("DELETE FROM events")

    def _insert(self, batch: pa.Table) -> None:
        if self._copy:
            self._copy.add(batch)
        names = ", ".join(f'"{name}"' for name in self.columns)
        with room():
            self._database.register("batch", batch)
            insert = f"INSERT INTO events SELECT {names} FROM batch WHERE {self._where.text}"  # noqa: S608
            self._database.execute(insert, list(self._where.values))
            self._database.unregister("batch")

    def ask(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of the answer. Raises ReportError where there is no room for the work that it takes."""
        with room():
            return self._database.execute(sql, dict(parameters or {})).fetchall()

    def close_doors(self) -> None:
        """From here on the table can be read and nothing else be done: no file, no network, no change."""
        self._database.close()
        self._database = self._open(read_only=True)
        self._database.execute("SET enable_external_access = false")
        self._database.execute("SET lock_configuration = true")

    def ask_freely(self, sql: str) -> pa.Table:
        """What somebody else asks. Raises ReportError."""
        try:
            statements = self._database.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise ReportError("one SELECT is needed, and nothing else")
            return self._database.sql(statements[0].query).to_arrow_table()
        except duckdb.Error as error:
            raise ReportError(str(error)[:LONGEST_ERROR]) from None

    def copy(self, sql: str, path: Path) -> None:
        """Write an answer to a Parquet file."""
        with room():
            self._database.sql(sql).write_parquet(str(path), compression="zstd")

    def _open(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        folder = Path(self._folder.name)
        config: dict[str, Any] = {
            "memory_limit": MEMORY,
            "threads": THREADS,
            "temp_directory": str(folder / "spill"),
            "preserve_insertion_order": False,  # costs memory; who wants an order asks for it
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,  # a name is a table, never a variable of this program
        }
        database = duckdb.connect(str(folder / "events.duckdb"), read_only=read_only, config=config)
        for name in reversed(zones(self._zone)):
            with suppress(duckdb.Error):
                database.execute("SET TimeZone = ?", [name])
        return database


def lock(folder: str) -> int:
    """Say that a folder is in use: what tidies temporary files up, as systemd-tmpfiles(8), leaves those alone that
    are locked, however old. The descriptor that holds the lock."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    flock(descriptor, LOCK_SH)
    return descriptor


@contextmanager
def room() -> Iterator[None]:
    """Say in a sentence that memory or disk do not suffice, or that somebody took the files away."""
    try:
        yield
    except duckdb.IOException as error:
        said = str(error)
        why = "the temporary files were taken away" if "No such file" in said else "no room"
        raise ReportError(f"{why}: {said[:LONGEST_ERROR]}") from None
    except (duckdb.OutOfMemoryException, duckdb.TransactionException) as error:
        raise ReportError(f"no room: {str(error)[:LONGEST_ERROR]}") from None


# --- from events to Arrow ---


class Copy:
    """A file of what comes into a table; it `is_whole` as long as there was room for it."""

    def __init__(self, path: Path, kinds: Collection[str] | None) -> None:
        self.is_whole = True
        self._path = path
        self._kinds = None if kinds is None else sorted(kinds)
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Copy:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        self.is_whole &= self._writer is not None

    def add(self, batch: pa.Table) -> None:
        """Write rows."""
        if not self.is_whole:
            return
        try:
            if self._writer is None:
                schema = batch.schema.with_metadata({KINDS_KEPT: json.dumps(self._kinds).encode()})
                self._writer = pq.ParquetWriter(
                    self._path, schema, compression="zstd", compression_level=1, write_page_checksum=True
                )
            self._writer.write_table(batch.replace_schema_metadata(self._writer.schema.metadata))
        except OSError:
            self.is_whole = False

    def _close(self) -> None:
        try:
            if self._writer:
                self._writer.close()
        except OSError:
            self.is_whole = False


class Waiting:
    """Events that wait for the table, of some `kinds` (None: all)."""

    def __init__(self, kinds: Collection[str] | None, wanted: Mapping[str, str]) -> None:
        self.count = 0
        self.wanted = wanted
        self._kinds = kinds
        self._rows = {kind: Rows(kind, wanted) for kind in KINDS if kinds is None or kind.kind in kinds}

    def add(self, events: list[Event], numbers: Sequence[int]) -> None:
        """Add events, as they are now, with their places in the log."""
        for kind, rows in self._rows.items():
            places = [place for place, event in enumerate(events) if type(event) is kind]
            if places:
                rows.add([events[place] for place in places], [numbers[place] for place in places])
                self.count += len(places)

    def taken(self) -> Iterator[pa.Table]:
        """All of it, a kind at a time, and nothing waits any more."""
        self.count = 0
        for rows in self._rows.values():
            if rows.numbers:
                yield rows.taken()

    def blank(self) -> Waiting:
        """Another one for the same table."""
        return Waiting(self._kinds, self.wanted)

    def payload(self) -> list[pa.Table]:
        """All of it, for a table in another process."""
        return list(self.taken())


def _placed(batch: pa.Table, base: int, told: Sequence[int]) -> pa.Table:
    """Rows with their places in the whole log, and without the logins of which was told before."""
    names, numbers = batch.column_names, batch.column("number")
    if told and "logins" in names:
        logins = batch.column("logins")
        left = pc.if_else(pc.is_in(numbers, value_set=pa.array(told, pa.int64())), pa.scalar(0, logins.type), logins)
        batch = batch.set_column(names.index("logins"), "logins", left)
    return batch.set_column(names.index("number"), "number", pc.add(numbers, base))


class Rows:
    """The events of one kind that wait for the table, column by column."""

    def __init__(self, kind: type[Event], wanted: Mapping[str, str]) -> None:
        self.kind = kind.kind
        self.types = {name: _ARROW[of] for name, of in wanted.items()}
        self.numbers: list[int] = []
        self.values: dict[str, list[Any]] = {}
        self._getters: dict[str, Callable[[Any], Any]] = {}
        for name in wanted:
            getter = _getter(kind, name)
            if getter:
                self._getters[name] = getter
                self.values[name] = []

    def add(self, events: list[Event], numbers: list[int]) -> None:
        """Add events and their places in the log."""
        self.numbers += numbers
        for name, getter in self._getters.items():
            self.values[name] += map(getter, events)

    def taken(self) -> pa.Table:
        """All that waits, with every column that is wanted, and none of it is here any more."""
        count = len(self.numbers)
        arrays = {name: self._array(name, of, count) for name, of in self.types.items()}
        self.numbers = []
        self.values = {name: [] for name in self.values}
        return pa.table(arrays)

    def _array(self, name: str, of: Any, count: int) -> Any:
        if name == "number":
            return pa.array(self.numbers, pa.int64())
        if name == "kind":
            return pa.array([self.kind] * count)
        values = self.values.get(name)
        if values is None:
            return pa.nulls(count, of)
        if pa.types.is_timestamp(of):
            return pa.array([None if value is None else round(value * 1e6) for value in values], pa.int64()).cast(of)
        try:
            return pa.array(values, of)
        except (UnicodeEncodeError, OverflowError, pa.ArrowInvalid):
            return pa.array(map(_clean, values), of)


def _getter(kind: type[Event], name: str) -> Callable[[Any], Any] | None:
    """What a column takes from an event of a kind; None where it has nothing."""
    if name.endswith(PACKED):
        get = _getter(kind, name.removesuffix(PACKED))
        return (lambda event: packed(get(event))) if get else None
    if name in ORIGIN:
        return attrgetter(f"origin.{name}")
    own = kind.__struct_fields__
    if name in MESSAGE:
        return _of_message(name.removeprefix("message_")) if "message" in own else None
    if name in HINDSIGHT:
        return _greylisted_at if "greylisted" in own else None
    return attrgetter(name) if name in own else None


def _of_message(name: str) -> Callable[[Any], Any]:
    get = attrgetter(name)
    return lambda event: (get(event.message) or None) if event.message else None


def _greylisted_at(event: Any) -> float | None:
    return event.greylisted.time if event.greylisted else None


def _clean(value: Any) -> Any:
    """What a database can hold: no half of a character (a byte that was not UTF-8), no number beyond its range."""
    if isinstance(value, str):
        return value if value.isascii() else _HALVES.sub("\ufffd", value)
    if isinstance(value, int) and abs(value) > GREATEST:
        return None
    return value


def zones(zone: tzinfo) -> list[str]:
    """Names under which a database may know the zone, best first; the last, the offset of now, it does know."""
    offset = datetime.now(zone).utcoffset()
    hours = round(offset.total_seconds() / 3600) if offset else 0
    linked = str(Path("/etc/localtime").resolve()).rpartition("zoneinfo/")[2]
    name = getattr(zone, "key", None) or str(zone)
    return [linked if name == "localtime" else name, f"Etc/GMT{-hours:+d}" if hours else "UTC"]
