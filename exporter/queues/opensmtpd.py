"""OpenSMTPD's queue: `queue/ab/ab12cd34/`, with `message` and an envelope for each recipient (smtpd/queue_fs.c).

An envelope is `key: value` lines (smtpd/envelope.c). Only root and the queue's own user may read it. One that is
compressed or encrypted counts as a message, but tells no recipient.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from exporter.queues.entry import LONGEST_REASON, MOST_RECIPIENTS, Entry, Place, Recipient

QUEUES = ("queued",)
LONGEST = 1 << 16  # bytes of an envelope
_HASH = re.compile(r"[0-9a-f]{2}")
_MESSAGE = re.compile(r"[0-9a-f]{8}")
_ENVELOPE = re.compile(r"[0-9a-f]{16}")


def entries(place: Place) -> Iterator[Entry]:
    """The messages that wait. Raises OSError where the queue may not be read."""
    for folder in _directories(place.spool / "queue", _HASH):
        for message in _directories(folder, _MESSAGE):
            try:
                yield _entry(message)
            except FileNotFoundError:  # delivered while we looked
                continue


def _directories(folder: Path, name: re.Pattern[str]) -> Iterator[Path]:
    with os.scandir(folder) as files:
        for file in files:
            if name.fullmatch(file.name):
                yield folder / file.name


def _entry(folder: Path) -> Entry:
    status = (folder / "message").stat()
    arrival, sender = status.st_mtime, ""
    recipients: list[Recipient] = []
    for _, fields in envelopes(folder):
        if len(recipients) >= MOST_RECIPIENTS:
            break
        if "rcpt" in fields:
            recipients.append(Recipient(fields["rcpt"], fields.get("errorline", "")[:LONGEST_REASON]))
            sender = fields.get("sender", "")
            arrival = _time(fields.get("ctime", ""), arrival)
    return Entry(folder.name, QUEUES[0], status.st_size, arrival, sender, tuple(recipients))


def envelopes(folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """The envelopes of a message, with their fields. Raises OSError."""
    for path in _directories(folder, _ENVELOPE):
        yield path, _fields(path)


def _fields(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        text = file.read(LONGEST).decode("utf-8", "replace")
    return {key: value for line in text.split("\n") for key, colon, value in [line.partition(": ")] if colon}


def _time(text: str, fallback: float) -> float:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else fallback
