"""Arriving in a Maildir of this host (and its folders, Maildir++): `new` and `cur` are looked through."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from exporter.probes.arrival import RAW_LIMIT, Found, Polled, Take

_FILES = 20_000  # of a folder that are looked at
_FOLDERS = 200
_AT_A_LOOK = 1000  # new files that are read at a look
_JUNK = re.compile(r"junk|spam|bulk", re.IGNORECASE)


def is_junk(folder: str) -> bool:
    """Whether a folder of this name is one for junk."""
    return bool(_JUNK.search(folder))


class Maildir(Polled):
    """A Maildir: only regular files, of which no more than RAW_LIMIT is read."""

    def __init__(self, path: Path, *, is_deleting: bool = True) -> None:
        self._path = path
        self._is_deleting = is_deleting
        self._seen: set[str] = set()

    async def visit(self, take: Take) -> None:
        """Show what is new, one after the other. Raises OSError where there is no such Maildir."""
        listed = await asyncio.to_thread(lambda: list(self._files()))
        self._seen &= {place for place, _, _ in listed}
        fresh = [it for it in listed if it[0] not in self._seen]
        for place, folder, path in fresh[:_AT_A_LOOK]:
            read = await asyncio.to_thread(_read, path)
            if read is None:
                continue
            raw, arrived = read
            if take(Found(raw, folder, is_junk(folder), place, arrived)) and self._is_deleting:
                path.unlink(missing_ok=True)
            else:
                self._seen.add(place)

    def _files(self) -> Iterator[tuple[str, str, Path]]:
        """The place, the folder and the path of each mail."""
        if not (self._path / "new").is_dir():
            raise FileNotFoundError(2, "no Maildir", str(self._path))
        folders = [("INBOX", self._path)]
        folders += [(it.name.lstrip("."), it) for it in self._path.glob(".*") if (it / "new").is_dir()]
        for name, folder in folders[:_FOLDERS]:
            for part in ("new", "cur"):
                with os.scandir(folder / part) as entries:
                    for entry in itertools.islice(entries, _FILES):
                        # A mail keeps the part before the colon when it goes from `new` to `cur`.
                        yield f"{name}/{entry.name.partition(':')[0]}", name, Path(entry.path)


def _read(path: Path) -> tuple[bytes, float] | None:
    """The beginning of a file and when it was written; None where it is gone, or no plain file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as opened:
        status = os.fstat(handle)
        return (opened.read(RAW_LIMIT), status.st_mtime) if stat.S_ISREG(status.st_mode) else None
