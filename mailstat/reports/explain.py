"""What one reply or one line of a log means, and what to do about it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from mailstat.report import Column, Report, Section

if TYPE_CHECKING:
    from parsers.events import Event
    from parsers.explanation import Explanation, Item

NAME = "explain"
HELP = "what a server's reply means: whose fault it is, and what to do"
DESCRIPTION = (
    "What a reply, or a line of a log, means: the reason, whether trying again can help, whose fault it is, who runs "
    "the destination, the rule that told it, and what to do. With -, one item a line from standard input: a text, or "
    "a JSON object with any of reply, reply_code, dsn, phase, relay_host, recipient, mta."
)
READS_LOG = False
COLUMNS = (Column("what"), Column("answer"))
FIELDS = ("reply_code", "dsn", "phase", "reason", "nature", "fault", "provider", "rule")
LONGEST = 100_000  # characters of an item that are looked at


def add_arguments(parser: ArgumentParser) -> None:
    """The text itself."""
    parser.add_argument("text", nargs="+", metavar="TEXT", help="a reply or a line of a log; - is standard input")


def make(options: Namespace) -> Report:
    """Explain the words of the command line, or what standard input has."""
    if options.text == ["-"]:
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
        return Report(
            NAME, "Explanations", [Section("", [Column(name) for name in FIELDS])], records=_each(sys.stdin)
        )
    found = _explain(_item(" ".join(options.text)))
    return Report(NAME, "Explanation", [_what(found), _advice(found)], document=_record(found))


def _each(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    return (_record(_explain(_item(line.rstrip("\n")))) for line in lines)


def _explain(item: Item) -> Explanation:
    from parsers.explanation import explain  # noqa: PLC0415 - the help of all reports must not wait for the rules

    return explain(item)


def _record(found: Explanation) -> dict[str, Any]:
    return {name: getattr(found, name) for name in FIELDS} | {"advice": " ".join(found.advice), "page": found.page}


def _what(found: Explanation) -> Section:
    rows = [("means", found.means), *((name.replace("_", " "), getattr(found, name)) for name in FIELDS)]
    return Section("", COLUMNS, [row for row in rows if row[1] is not None])


def _advice(found: Explanation) -> Section:
    page = [("its own page", found.page)] if found.page else []
    steps = [(str(number), text) for number, text in enumerate(found.advice, start=1)]
    return Section("What to do", (Column("step"), Column("advice")), [*steps, *page])


# --- what an item is: an object, a line of a log, or the words of a reply ---


def _item(text: str) -> Item:
    import msgspec  # noqa: PLC0415

    from parsers.explanation import Item  # noqa: PLC0415

    text = text[:LONGEST]
    if text.lstrip().startswith("{"):
        try:
            return msgspec.convert(msgspec.json.decode(text), Item, strict=False)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):  # bad JSON, or types
            pass
    if _is_reply(text):
        return Item(reply=text)
    for event in _events(text):
        record = {"mta": event.origin.mta, **msgspec.structs.asdict(event)}
        if record.get("reply"):
            return msgspec.convert(
                {name: record.get(name) for name in Item.__struct_fields__ if name in record}, Item
            )
    return Item(reply=text)


def _is_reply(text: str) -> bool:
    """Whether a text begins with a reply code, as no line of a log does: nobody is asked what it means there."""
    return text[:1] in ("2", "4", "5") and text[:3].isdecimal() and text[3:4] in ("", " ", "-")


def _events(line: str) -> list[Event]:
    """The events of a line of a log, whole or from its message on; none where it is no such line."""
    from datetime import UTC  # noqa: PLC0415
    from time import time  # noqa: PLC0415

    from parsers.clock import Clock  # noqa: PLC0415
    from parsers.events import Origin  # noqa: PLC0415
    from parsers.mta import SERVERS  # noqa: PLC0415
    from parsers.reader import LogReader, understand  # noqa: PLC0415

    found = LogReader(Clock(UTC, time)).read(line + "\n")
    if found:
        return found
    messages = (understand(line, 0.0, Origin(mta, "", mta, "smtp"))[1] for mta in SERVERS)
    return next((events for events in messages if events), [])
