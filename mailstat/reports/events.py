"""Every event, one after the other, as it was understood: for other programs, and to see what is behind a number."""

from __future__ import annotations

import marshal
import shutil
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TextIO

from mailstat.log import STANDARD_INPUT
from mailstat.report import Column, Record, Report, ReportError, Section
from parsers.events import as_record

if TYPE_CHECKING:
    from mailstat.log import Log
    from parsers.events import Event

NAME = "events"
HELP = "every event of the log, one by one"
DESCRIPTION = (
    "Every event of the log, one by one. JSON has one object a line with all that is known of the event; "
    "the other formats show the main fields, and Parquet has a column for each field there is, and for what the "
    "event counts for. Memory does not grow with the log."
)
FORMATS = ("parquet",)
COLUMNS = (
    Column("time", "time"),
    Column("program"),
    Column("kind"),
    Column("queue_id"),
    Column("client_ip"),
    Column("sender"),
    Column("recipient"),
    Column("status"),
    Column("delay", "seconds"),
    Column("relay_host"),
    Column("reply"),
)


def make(log: Log, options: Namespace) -> Report:  # noqa: ARG001 - it has no options of its own
    """The events as they come; nothing is read before somebody asks for the first."""
    return Report(NAME, "Events", [Section("", COLUMNS)], records=_records(log))


def _records(log: Log) -> Iterator[Record]:
    """One after the other; what is waited for, line by line, no part of is kept back."""
    from mailstat.reading import Reading, is_long  # noqa: PLC0415 - the help of all reports must not wait for it
    from mailstat.sequence import InOrder  # noqa: PLC0415

    if STANDARD_INPUT in log.paths or not is_long(log):
        yield from (as_record(event) for batch in log.batches() for event in batch)
        return
    packed: list[bytes] = []
    digest = InOrder(_packed, packed.append)
    for _ in Reading(log, digest).steps():
        yield from map(marshal.loads, packed)
        packed.clear()
    digest.settle()
    yield from map(marshal.loads, packed)


def _packed(event: Event) -> bytes:
    """A record on its way from another process, in little memory."""
    return marshal.dumps(as_record(event))


def write(log: Log, options: Namespace, out: TextIO) -> None:
    """The events as a Parquet file, in the order of the log."""
    from mailstat.batch import columns  # noqa: PLC0415 - the help of all reports must not wait for it
    from mailstat.engine import table  # noqa: PLC0415

    if out.isatty():
        raise ReportError("Parquet is nothing for a terminal: say --output FILE")
    most = "" if options.limit is None else f" LIMIT {options.limit:d}"
    with table(log, options, columns()) as events, TemporaryDirectory(prefix="mailstat-") as folder:
        path = Path(folder) / "events.parquet"
        events.copy(f"SELECT * FROM events ORDER BY number{most}", path)  # noqa: S608 - the limit is a number
        with path.open("rb") as made:
            shutil.copyfileobj(made, out.buffer)
