"""Sendmail's queue: the control files of `mqueue` or `mqueue-client` (doc/op, "Queue file format"; sendmail/queue.c).

`qfID` is a line for each thing, by its first letter; `hfID` the same of a message in quarantine; `dfID` its text.
Queue groups and a split queue have directories below. Readable for the group `smmsp`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from exporter.queues.entry import LONGEST_REASON, MOST_RECIPIENTS, Entry, Place, Recipient

QUEUES = ("queued", "quarantined")
LONGEST = 1 << 18  # bytes of a file that are looked at
DEEPEST = 2  # a directory of a queue group, and in it one for each kind of file
_CONTROL = re.compile(r"(?P<kind>[qh])f(?P<id>[0-9A-Za-z]{8,20})")
_RECIPIENT = re.compile(r"R(?:[A-Z]*:)?<?(.*?)>?")


def entries(place: Place) -> Iterator[Entry]:
    """The messages that wait. Raises OSError where the directory may not be read."""
    yield from _below(place.spool, DEEPEST)


def control(spool: Path, queue_id: str) -> str | None:
    """The control file of a message, None where it does not wait here, or in quarantine. Raises OSError where the
    directory may not be read."""
    name = f"qf{queue_id}"
    for folder in _folders(spool, DEEPEST) if _CONTROL.fullmatch(name) else ():
        with suppress(FileNotFoundError):
            return text_of(folder / name)
    return None


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    yield folder
    if depth:
        with os.scandir(folder) as files:
            below = [folder / file.name for file in files if file.is_dir(follow_symlinks=False)]
        for it in below:
            yield from _folders(it, depth - 1)


def text_of(path: Path, most: int = LONGEST) -> str:
    """The first so many bytes of one of Sendmail's files. Raises OSError."""
    with path.open("rb") as file:
        return file.read(most).decode("utf-8", "replace")


def _below(folder: Path, depth: int) -> Iterator[Entry]:
    with os.scandir(folder) as files:
        for file in files:
            match = _CONTROL.fullmatch(file.name)
            if match:
                entry = _entry(folder, match["id"], match["kind"])
                if entry:
                    yield entry
            elif depth and file.is_dir(follow_symlinks=False):
                yield from _below(folder / file.name, depth - 1)


def _entry(folder: Path, queue_id: str, kind: str) -> Entry | None:
    """The message; None where it has just gone, or its file is damaged."""
    try:
        text = text_of(folder / f"{kind}f{queue_id}")
    except FileNotFoundError:
        return None
    arrival, sender, reason = "", "", ""
    recipients: list[Recipient] = []
    for line in text.split("\n"):
        if line.startswith("T"):
            arrival = line[1:]
        elif line.startswith("S"):
            sender = line[1:].strip("<>")
        elif line.startswith("M"):  # of all whom it names after this
            reason = line[1:].removeprefix("Deferred: ")[:LONGEST_REASON]
        elif (match := _RECIPIENT.fullmatch(line)) and len(recipients) < MOST_RECIPIENTS:
            recipients.append(Recipient(match[1], reason))
        elif line.startswith("H") or line == ".":
            break
    if not (arrival.isascii() and arrival.isdigit() and len(arrival) < 16):
        return None
    size = len(text) + _size(folder, queue_id)
    return Entry(queue_id, QUEUES[kind == "h"], size, int(arrival), sender, tuple(recipients))


def _size(folder: Path, queue_id: str) -> int:
    """Bytes of the text, which is beside the control file, or in a directory of its own."""
    name = f"df{queue_id}"
    path = folder.parent / "df" / name if folder.name == "qf" else folder / name
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
