"""A file of what came into the event table, for other questions about the same log."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mailstat.batch import ARROW

ROWS = 50_000  # that are read at once
KINDS_KEPT = b"kinds"  # of the events in a copy
DAMAGED = (OSError, pa.ArrowException)  # what reading a copy that is not whole raises


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


def has(path: Path, kinds: Collection[str] | None, wanted: Mapping[str, str]) -> bool:
    """Whether such a file has events of these kinds (None: all) with these columns, of these types."""
    try:
        schema = pq.read_schema(path)
        kept = json.loads((schema.metadata or {})[KINDS_KEPT])
    except (*DAMAGED, KeyError, ValueError):
        return False
    has_kinds = kept is None or (kinds is not None and set(kept) >= set(kinds))
    return has_kinds and all(
        name in schema.names and schema.field(name).type == ARROW[of] for name, of in wanted.items()
    )


def rows(path: Path, kinds: Collection[str] | None, names: Collection[str]) -> Iterator[pa.Table]:
    """What such a file has of these kinds, with these columns. Raises what `DAMAGED` has."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(ROWS, columns=list(dict.fromkeys([*names, "kind"]))):
            found = pa.Table.from_batches([batch])
            if kinds is not None:
                found = found.filter(pc.is_in(found.column("kind"), value_set=pa.array(sorted(kinds))))
            yield found
