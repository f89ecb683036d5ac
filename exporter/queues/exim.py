"""Exim's queue: the files of `input`, split or not (doc/spec, "Format of spool files"; src/spool_in.c).

A message is `ID-H` (sender, time, variables, who has got it, recipients, headers) and `ID-D` (its text); `ID-J` has
those who got it since. What the last attempt said is in `msglog`. Readable for the group `Debian-exim`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from exporter.queues.entry import LONGEST_REASON, MOST_RECIPIENTS, Entry, Place, Recipient

QUEUES = ("queued", "frozen")
LONGEST = 1 << 18  # bytes of a file that are looked at
# Of 16 characters before Exim 4.97, of 23 from then on.
_HEADERS = re.compile(r"([0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{11}-[0-9A-Za-z]{4}))-H")
_DEFERRED = re.compile(
    r"[\d-]{10} [\d:.]{8,15}(?: [+-]\d{4})? (\S+) [^\n]*? defer \(-?\d+\)(?: H=\S+(?: \[[^\]]*\])?)?: ?(.*)"
)
_NOT_TRIED = "retry time not reached"  # says nothing of why
_DONE = re.compile(r"[YN][YN] (.+)")


def entries(place: Place) -> Iterator[Entry]:
    """The messages that wait. Raises OSError where the spool may not be read."""
    folder = place.spool / "input"
    yield from _of(place.spool, folder)
    with os.scandir(folder) as files:
        split = [file.name for file in files if len(file.name) == 1]
    for name in split:
        yield from _of(place.spool, folder / name)


def find(spool: Path, queue_id: str) -> Entry | None:
    """This message, None where it does not wait here. Raises OSError where the spool may not be read."""
    return _entry(spool, _folder(spool, queue_id), queue_id) if is_queue_id(queue_id) else None


def log(spool: Path, queue_id: str) -> str:
    """What was noted of the attempts for a message, "" where that is nothing or may not be read."""
    return _log(spool, _folder(spool, queue_id), queue_id) if is_queue_id(queue_id) else ""


def is_queue_id(text: str) -> bool:
    """Whether a message may be called so."""
    return _HEADERS.fullmatch(f"{text}-H") is not None


def _folder(spool: Path, queue_id: str) -> Path:
    """Where a message is: of a spool that is split, in the folder of the last character of its time."""
    split = spool / "input" / queue_id[queue_id.index("-") - 1]
    return split if (split / f"{queue_id}-H").exists() else spool / "input"


def _of(spool: Path, folder: Path) -> Iterator[Entry]:
    with os.scandir(folder) as files:
        for file in files:
            match = _HEADERS.fullmatch(file.name)
            entry = _entry(spool, folder, match[1]) if match else None
            if entry:
                yield entry


def _entry(spool: Path, folder: Path, queue_id: str) -> Entry | None:
    """The message; None where it has just gone, or where its file is damaged: Exim will not deliver that either."""
    try:
        head = _text(folder / f"{queue_id}-H")
        size = (folder / f"{queue_id}-D").stat().st_size + (folder / f"{queue_id}-H").stat().st_size
    except FileNotFoundError:
        return None
    lines = iter(head.split("\n"))
    _, _, sender, times = (next(lines, "") for _ in range(4))
    arrival = times.partition(" ")[0]
    if not (arrival.isascii() and arrival.isdigit() and len(arrival) < 16):
        return None
    is_frozen = False
    done: set[str] = set()
    for line in lines:
        if line.startswith("-"):
            is_frozen |= line.startswith("-frozen")
        elif match := _DONE.fullmatch(line):
            done.add(match[1])
        elif line.isdigit() or not line:
            break
    waiting = _waiting(lines, done | _journal(folder / f"{queue_id}-J"))
    reasons = _reasons(_log(spool, folder, queue_id)) if waiting else {}
    recipients = tuple(Recipient(to, reasons.get(to, "")) for to in waiting)
    return Entry(queue_id, QUEUES[is_frozen], size, int(arrival), sender.strip("<>"), recipients)


def _waiting(lines: Iterator[str], done: set[str]) -> list[str]:
    """The recipients up to the empty line before the headers. One may have more fields, after a space."""
    waiting: list[str] = []
    for line in lines:
        if not line or len(waiting) >= MOST_RECIPIENTS:
            break
        address = line if line.startswith('"') else line.partition(" ")[0]
        if address not in done:
            waiting.append(address)
    return waiting


def _journal(path: Path) -> set[str]:
    try:
        return set(_text(path).split("\n"))
    except OSError:
        return set()


def _log(spool: Path, folder: Path, queue_id: str) -> str:
    """What was noted of the attempts; a split spool has split logs."""
    split = () if folder.name == "input" else (folder.name,)
    try:
        return _text(spool.joinpath("msglog", *split, queue_id))
    except OSError:
        return ""


def _reasons(log: str) -> dict[str, str]:
    """The text of the last attempt for each address."""
    reasons: dict[str, str] = {}
    for line in log.split("\n"):
        match = _DEFERRED.match(line)
        if match and not (match[2].startswith(_NOT_TRIED) and match[1] in reasons):
            reasons[match[1]] = match[2][:LONGEST_REASON]
    return reasons


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(LONGEST).decode("utf-8", "replace")
