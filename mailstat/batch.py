"""Events as Arrow: tables of some of their kinds, with some of their columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mailstat.condition import PACKED, packed
from mailstat.filter import ORIGIN, fields
from parsers.events import KINDS, Event

GREATEST = 2**63 - 1
NUMBERED = {"number": "BIGINT"}
MESSAGE = {"via": "VARCHAR", "message_since": "TIMESTAMPTZ", "message_size": "BIGINT"}
COUNTS = {"is_arrival": "BOOLEAN", "is_removal": "BOOLEAN", "logins": "BIGINT", "notification": "VARCHAR"}
HINDSIGHT = {"greylisted_at": "TIMESTAMPTZ"}  # on an acceptance: when the deferral was that it takes back
_TYPES = {"text": "VARCHAR", "number": "BIGINT", "bytes": "BIGINT", "seconds": "DOUBLE", "time": "TIMESTAMPTZ"}
ARROW = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
}
_HALVES = re.compile("[\ud800-\udfff]")


def columns() -> dict[str, str]:
    """The columns of the event table and their types: the fields of the event record, and what stands in an event
    for those that count. `number` is the event's place in the log; `via`, `message_since` and `message_size` are of
    the message that it is about; `greylisted_at` is what the next attempt told of the one before."""
    record = {field.name: _TYPES[field.unit] for field in fields().values()}
    return NUMBERED | record | MESSAGE | COUNTS | HINDSIGHT


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
        tables = list(self.taken())
        pa.default_memory_pool().release_unused()  # or Arrow keeps the room of what was the most
        return tables


def placed(batch: pa.Table, base: int, told: Mapping[int, int]) -> pa.Table:
    """Rows with their places in the whole log, and without the logins of which was told before."""
    names, numbers = batch.column_names, batch.column("number")
    if told and "logins" in names:
        logins = batch.column("logins")
        left = pc.if_else(
            pc.is_in(numbers, value_set=pa.array(list(told), pa.int64())), pa.scalar(0, logins.type), logins
        )
        batch = batch.set_column(names.index("logins"), "logins", left)
    return batch.set_column(names.index("number"), "number", pc.add(numbers, base))


class Rows:
    """The events of one kind that wait for the table, column by column."""

    def __init__(self, kind: type[Event], wanted: Mapping[str, str]) -> None:
        self.kind = kind.kind
        self.types = {name: ARROW[of] for name, of in wanted.items()}
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
