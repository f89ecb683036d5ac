"""Arriving in a Maildir of this host (and its folders, Maildir++): `new` and `cur` are looked through."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from exporter.probes.arrival import RAW_LIMIT, Found

_FILES = 20_000  # of a folder that are looked at
_FOLDERS = 200
_SEEN = 100_000
_JUNK = re.compile(r"junk|spam|bulk", re.IGNORECASE)

Take = Callable[[Found], bool]
"""Shown each mail that a mailbox has not shown before; whether it is ours, and can be deleted."""


def is_junk(folder: str) -> bool:
    """Whether a folder of this name is one for junk."""
    return bool(_JUNK.search(folder))


class Maildir:
    """A Maildir: only regular files, of which no more than RAW_LIMIT is read."""

    def __init__(self, path: Path, *, is_deleting: bool = True) -> None:
        self._path = path
        self._is_deleting = is_deleting
        self._seen: set[str] = set()

    async def visit(self, take: Take) -> None:
        """Show what is new. Raises OSError where there is no such Maildir."""
        seen = frozenset(self._seen) if len(self._seen) < _SEEN else frozenset[str]()
        fresh, present = await asyncio.to_thread(self._look, seen)
        self._seen = present
        for path, found in fresh:
            if take(found) and self._is_deleting:
                path.unlink(missing_ok=True)

    def _look(self, seen: frozenset[str]) -> tuple[list[tuple[Path, Found]], set[str]]:
        fresh: list[tuple[Path, Found]] = []
        present: set[str] = set()
        for folder, path in self._files():
            # A mail keeps the part before the colon when it goes from `new` to `cur`.
            place = f"{folder}/{path.name.partition(':')[0]}"
            if place in seen:
                present.add(place)
                continue
            if len(fresh) < 1000 and (read := _read(path)):
                present.add(place)
                raw, arrived = read
                fresh.append((path, Found(raw, folder, is_junk(folder), place, arrived)))
        return fresh, present

    def _files(self) -> Iterator[tuple[str, Path]]:
        if not (self._path / "new").is_dir():
            raise FileNotFoundError(2, "no Maildir", str(self._path))
        folders = [("INBOX", self._path)]
        folders += [(it.name.lstrip("."), it) for it in self._path.glob(".*") if (it / "new").is_dir()]
        for name, folder in folders[:_FOLDERS]:
            for part in ("new", "cur"):
                with os.scandir(folder / part) as entries:
                    for entry in itertools.islice(entries, _FILES):
                        yield name, Path(entry.path)


def _read(path: Path) -> tuple[bytes, float] | None:
    """The beginning of a file and when it was written; None where it is gone, or no plain file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as opened:
        status = os.fstat(handle)
        return (opened.read(RAW_LIMIT), status.st_mtime) if stat.S_ISREG(status.st_mode) else None
