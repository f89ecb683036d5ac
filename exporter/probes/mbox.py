"""Arriving in an mbox of this host: what is appended is read, nothing is changed."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.probes.arrival import RAW_LIMIT, Found, Polled

if TYPE_CHECKING:
    from exporter.probes.arrival import Take

_READ_LIMIT = 1 << 24  # bytes of the end of the file that are looked at
_MAILS_LIMIT = 2000  # that are looked at, the newest
_BEGIN = re.compile(rb"^From [^\n]{1,500}\n", re.MULTILINE)


class Mbox(Polled):
    """An mbox. Mails in it have no place of their own that lasts, so a duplicate cannot be told."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._upto = 0

    async def visit(self, take: Take) -> None:
        """Show what has been appended, the last mail again until another follows it. Raises OSError."""
        start, text = await asyncio.to_thread(self._read)
        begins = list(deque((match.start() for match in _BEGIN.finditer(text)), maxlen=_MAILS_LIMIT))
        for begin, end in pairwise([*begins, len(text)]):
            raw = text[begin:end].partition(b"\n")[2]
            take(Found(raw[:RAW_LIMIT], "INBOX", is_junk=False, place=str(self._path), arrived=time.time()))
        if begins:
            self._upto = start + begins[-1]  # it may have been half written

    def _read(self) -> tuple[int, bytes]:
        with self._path.open("rb") as opened:
            size = opened.seek(0, 2)
            start = max(self._upto if size >= self._upto else 0, size - _READ_LIMIT)
            opened.seek(start)
            return start, opened.read(_READ_LIMIT)
