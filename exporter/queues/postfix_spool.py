"""Postfix' queue by its directories: for the user `postfix` and root, where showq does not answer.

A directory is flat or hashed (`hash_queue_names`). What it tells is few and cheap: a file for each message, its size,
and the time of arrival in the file's own time - but in `deferred`, where that is the time of the next attempt, so
there the age is counted from the file's change (src/qmgr/qmgr_active.c); addresses and reasons stay unread.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from exporter.queues.entry import Entry

QUEUES = ("maildrop", "incoming", "active", "deferred", "hold", "corrupt")
_DEEPEST = 4  # levels of hash_queue_depth that anybody uses
_DIGITS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
_LONG_ID = re.compile(f"([{_DIGITS}]{{6}})([{_DIGITS}]{{4}})z[{_DIGITS[:-1]}]+")


def entries(spool: Path) -> Iterator[Entry]:
    """The messages of each directory, without sender and recipients. Raises OSError where one may not be read."""
    for queue in QUEUES:
        yield from _below(spool / queue, queue, _DEEPEST)


def arrival(queue_id: str) -> float | None:
    """When a message arrived, which a long queue id says; None for a short id (src/global/mail_queue.h)."""
    match = _LONG_ID.fullmatch(queue_id)
    if match is None:
        return None
    seconds, micros = (_value(part) for part in match.groups())
    return seconds + micros / 1e6


def _value(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * len(_DIGITS) + _DIGITS.index(digit)
    return value


def _below(directory: Path, queue: str, depth: int) -> Iterator[Entry]:
    with os.scandir(directory) as files:
        for file in files:
            if file.is_dir(follow_symlinks=False):
                if depth and len(file.name) == 1:
                    yield from _below(directory / file.name, queue, depth - 1)
                continue
            try:
                status = file.stat(follow_symlinks=False)
            except FileNotFoundError:  # delivered between two looks
                continue
            if stat.S_ISREG(status.st_mode):
                yield Entry(file.name, queue, status.st_size, _arrival(file.name, status))


def _arrival(queue_id: str, status: os.stat_result) -> float:
    told = arrival(queue_id)
    return min(status.st_mtime, status.st_ctime) if told is None else told
