"""When Postfix tries a message again: the time of its file in `deferred` (src/qmgr/qmgr_active.c).

Only root and Postfix' own user may see that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from exporter.queues.entry import Attempt

_QUEUE_ID = re.compile(r"[0-9A-Za-z]{5,30}")
_DEEPEST = 2  # levels of hash_queue_depth that are looked into


def due(spool: Path, queue_id: str, _now: float) -> Attempt | None:
    """The next attempt for a message, None where it is not deferred. Raises OSError where that may not be read."""
    for path in _paths(spool / "deferred", queue_id, _DEEPEST) if _QUEUE_ID.fullmatch(queue_id) else ():
        with suppress(FileNotFoundError):
            return Attempt(path.stat(follow_symlinks=False).st_mtime)
    return None


def _paths(directory: Path, queue_id: str, depth: int) -> Iterator[Path]:
    yield directory / queue_id
    if depth:
        for letter in "0123456789ABCDEF":
            if (directory / letter).is_dir():
                yield from _paths(directory / letter, queue_id, depth - 1)
