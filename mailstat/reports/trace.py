"""Everything that happened to a message, wherever it went."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from mailstat.report import Column, Report, ReportError, Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mailstat.journey import Stage
    from mailstat.log import Log
    from parsers.events import Event

NAME = "trace"
HELP = "everything that happened to a message: by queue id, message-id, address, or a piece of a line"
DESCRIPTION = (
    "Everything that happened to a message, found by a queue id, a message-id, an address, or any piece of a line, "
    "and followed through filters, forwards, notifications, hosts and servers: by the id that the next queue gave, "
    "and by the message-id. The log is searched, not read as a whole."
)
COLUMNS = (
    Column("time", "time"),
    Column("host"),
    Column("program"),
    Column("queue_id"),
    Column("kind"),
    Column("what"),
)
# Of each event, what tells people most.
TOLD = (
    ("from", "sender"),
    ("to", "recipient"),
    ("client", "client_ip"),
    ("user", "sasl_user"),
    ("size", "size"),
    ("message-id", "message_id"),
    ("", "status"),
    ("", "action"),
    ("", "type"),
    ("", "error"),
    ("relay", "relay_host"),
    ("delay", "delay"),
    ("reason", "reason"),
    ("as", "new_queue_id"),
    ("", "reply"),
    ("", "text"),
)
LABEL = 60  # characters of a text in a diagram


def add_arguments(parser: ArgumentParser) -> None:
    """What to look for, which stands before the files."""
    parser.add_argument("what", metavar="TEXT", help="a queue id, a message-id, an address, or a piece of a line")
    parser.add_argument("--mermaid", action="store_true", help="as a diagram, in the words of Mermaid")


def make(log: Log, options: Namespace) -> Report:
    """Look for it. Raises ReportError where it is not found."""
    from mailstat.journey import trace  # noqa: PLC0415 - the help of all reports must not wait for it

    text = options.what.strip("<> ")
    if not text:
        raise ReportError("nothing to look for: say a queue id, a message-id, an address or a piece of a line")
    found = trace(log, text)
    if not found and not log.errors:
        raise ReportError(f"nothing was found of {text!r}")
    title = f"Trace of {text}"
    events = sorted((event for stage in found for event in stage.events), key=lambda event: event.time)
    document = {"messages": [_document(stage, log) for stage in found]}
    section = Section("", COLUMNS, [_row(event) for event in events])
    return Report(NAME, title, [section], document=document, lines=mermaid(found) if options.mermaid else None)


def mermaid(found: Sequence[Stage]) -> list[str]:
    """A sequence of boxes, one for each id, with what led from one to the next and what came of it."""
    names = {stage.queue_id: f"m{number}" for number, stage in enumerate(found)}
    lines = ["flowchart LR"]
    for number, stage in enumerate(found):
        head = stage.queue_id or "no queue"
        words = f"{head}<br/>{stage.host}<br/>{stage.sender or '<>'}"
        lines.append(f'    m{number}["{_label(words)}"]')
        lines += [f"    m{number} --> {names[name]}" for name in stage.following if name in names]
        lines += _outcomes(number, stage)
    return lines


def _outcomes(number: int, stage: Stage) -> Iterator[str]:
    last = {event.recipient: event for event in stage.events if event.kind == "delivery"}  # type: ignore[attr-defined]
    for place, (recipient, event) in enumerate(last.items()):
        status = event.status  # type: ignore[attr-defined]
        yield f'    m{number} -->|{status}| m{number}r{place}("{_label(recipient or "all")}")'


def _label(text: str) -> str:
    """Text that ends no string and no tag of the diagram: anything else than plain characters is a number."""
    parts = text[:LABEL].split("<br/>")
    return "<br/>".join(re.sub(r"[^\w .@:=/+-]", lambda found: f"#{ord(found[0])};", part) for part in parts)


def _document(stage: Stage, log: Log) -> dict[str, Any]:
    from parsers.clock import rfc3339  # noqa: PLC0415
    from parsers.events import as_record  # noqa: PLC0415

    events = [as_record(event) | {"time": rfc3339(event.time, log.zone)} for event in stage.events]
    return {**stage.record(), "events": events, "next": stage.following}


def _row(event: Event) -> tuple[Any, ...]:
    values = [(name, getattr(event, field, None)) for name, field in TOLD]
    what = " ".join(f"{name}={value}" if name else str(value) for name, value in values if value is not None)
    return (event.time, event.origin.host, event.origin.program, getattr(event, "queue_id", None), event.kind, what)
