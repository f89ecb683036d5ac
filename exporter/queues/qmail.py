"""qmail's queue: `mess`, `info`, `local`, `remote`, each with a file for a message (INTERNALS, qmail-send.c).

`info` has the sender, and its time is that of the arrival; `local` and `remote` have recipients, T those who wait.
What has no `info` yet is still to be processed: `todo`. Why somebody waits stands in the log alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from exporter.queues.entry import LONGEST_REASON, MOST_RECIPIENTS, Entry, Place, Recipient

QUEUES = ("todo", "queued")
LONGEST = 1 << 18  # bytes of a file that are looked at


def entries(place: Place) -> Iterator[Entry]:
    """The messages that wait. Raises OSError where the queue may not be read."""
    with os.scandir(place.spool / "mess") as folders:
        for folder in folders:
            if folder.name.isdecimal() and folder.is_dir(follow_symlinks=False):
                yield from _of(place.spool, folder.name)


def _of(queue: Path, split: str) -> Iterator[Entry]:
    with os.scandir(queue / "mess" / split) as files:
        for file in files:
            if not file.name.isdecimal():
                continue
            try:
                status = file.stat(follow_symlinks=False)
            except FileNotFoundError:  # delivered between two looks
                continue
            yield _entry(queue, f"{split}/{file.name}", status)


def _entry(queue: Path, name: str, status: os.stat_result) -> Entry:
    queue_id = name.rpartition("/")[2]
    info = queue / "info" / name
    try:
        arrival = info.stat().st_mtime
    except FileNotFoundError:
        return Entry(queue_id, "todo", status.st_size, status.st_mtime)
    sender = next((text[1:] for text in _records(info) if text.startswith("F")), "")
    told = [text for kind in ("local", "remote") for text in _records(queue / kind / name)]
    waiting = [Recipient(text[1:]) for text in told if text.startswith("T")][:MOST_RECIPIENTS]
    return Entry(queue_id, "queued", status.st_size, arrival, sender, tuple(waiting))


def _records(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            records = file.read(LONGEST).split(b"\0")
    except FileNotFoundError:
        return []
    return [record[:LONGEST_REASON].decode("utf-8", "replace") for record in records]
