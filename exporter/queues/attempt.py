"""When a message that waits is tried again, as far as the queue tells that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from exporter.queues.entry import Place

_QUEUE_ID = re.compile(r"[0-9A-Za-z]{5,30}")
_DEEPEST = 2  # levels of hash_queue_depth that are looked into


def next_attempt(places: Iterable[Place], queue_id: str) -> float | None:
    """The time of the next attempt, in seconds since the epoch; None where that is not known.

    Postfix writes it into the time of the file in `deferred` (src/qmgr/qmgr_active.c), which only root and the user
    `postfix` may see. A hint of Exim's is in a database of its own.
    """
    if not _QUEUE_ID.fullmatch(queue_id):
        return None
    for place in places:
        if place.mta == "postfix":
            for path in _paths(place.spool / "deferred", queue_id, _DEEPEST):
                try:
                    return path.stat(follow_symlinks=False).st_mtime
                except OSError:
                    continue
    return None


def _paths(directory: Path, queue_id: str, depth: int) -> Iterator[Path]:
    yield directory / queue_id
    if depth:
        for letter in "0123456789ABCDEF":
            if (directory / letter).is_dir():
                yield from _paths(directory / letter, queue_id, depth - 1)
