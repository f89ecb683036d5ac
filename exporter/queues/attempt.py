"""When a message that waits is tried again, as far as the queue tells that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from exporter.queues import exim_retry
from exporter.queues.entry import Place

_QUEUE_ID = re.compile(r"[0-9A-Za-z]{5,30}")
_DEEPEST = 2  # levels of hash_queue_depth that are looked into


def next_attempt(places: Iterable[Place], queue_id: str) -> float | None:
    """The time from which on a message is tried again, in seconds since the epoch; None where that is not known."""
    known = {"postfix": _of_postfix, "exim": exim_retry.due}
    for place in places:
        with suppress(OSError):  # the queue of another server, or one that we may not look into
            due = known[place.mta](place.spool, queue_id) if place.mta in known else None
            if due is not None:
                return due
    return None


def _of_postfix(spool: Path, queue_id: str) -> float | None:
    """Postfix writes it into the time of the file in `deferred` (src/qmgr/qmgr_active.c), which only root and its own
    user may see."""
    for path in _paths(spool / "deferred", queue_id, _DEEPEST) if _QUEUE_ID.fullmatch(queue_id) else ():
        with suppress(FileNotFoundError):
            return path.stat(follow_symlinks=False).st_mtime
    return None


def _paths(directory: Path, queue_id: str, depth: int) -> Iterator[Path]:
    yield directory / queue_id
    if depth:
        for letter in "0123456789ABCDEF":
            if (directory / letter).is_dir():
                yield from _paths(directory / letter, queue_id, depth - 1)
