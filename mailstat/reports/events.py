"""Every event, one after the other, as it was understood: for other programs, and to see what is behind a number."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from mailstat.report import Column, Report, Section
from parsers.events import as_record

if TYPE_CHECKING:
    from mailstat.log import Log

NAME = "events"
HELP = "every event of the log, one by one"
DESCRIPTION = (
    "Every event of the log, one by one. JSON has one object a line with all that is known of the event; "
    "the other formats show the main fields. Memory does not grow with the log."
)
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
    records = (as_record(event) for batch in log.batches() for event in batch)
    return Report(NAME, "Events", [Section("", COLUMNS)], records=records)
