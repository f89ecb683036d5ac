"""The rotated files of a log: which they are, in what order they were written, which one holds a position.

Names are those of logrotate (``.1``, ``dateext`` with any ``dateformat``, ``extension``, an ``olddir`` below
the log's directory), savelog, newsyslog, ``postfix logrotate`` and Python's TimedRotatingFileHandler, each
plain or compressed. A name only makes a file a candidate; inode and fingerprint decide.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.sources.compression import CORRUPT, open_log
from exporter.sources.position import HEAD_BYTES, Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SECOND = 10**9
PACKED_SUFFIXES = frozenset((".gz", ".bz2", ".xz", ".zst"))

_NUMBER = r"\.(?P<number>\d{1,4})"
_DATE = r"[-._]?(?P<date>\d{4}[-._]?\d\d[\dT:._-]*)"
_PACKED = r"(?P<packed>\.(?:gz|bz2|xz|zst))?"
# A name as rotation makes it: `mail.log.1`, or `mail.1.log` with `extension`.
_ROTATED = tuple(
    re.compile(rf"(?P<stem>.+?){form}(?P<extension>{extension}){_PACKED}")
    for form in (_NUMBER, _DATE)
    for extension in ("", r"\.[^.\d][^.]*")
)


@dataclass(frozen=True, slots=True)
class Sibling:
    """A file with the name of a rotated log, or the log itself.

    ``series`` tells numbered from dated names; in one series a greater ``rank`` was rotated later.
    ``modified`` is in nanoseconds since the epoch, ``size`` in bytes as it lies there.
    """

    path: Path
    device: int
    inode: int
    modified: int
    size: int
    series: str = ""
    rank: str = ""
    is_packed: bool = False

    @classmethod
    def of(cls, path: Path, status: os.stat_result) -> Sibling:
        """The log itself."""
        return cls(path, status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)

    def is_written_since(self, moment: int) -> bool:
        """Whether it was last written at that moment (nanoseconds) or later."""
        if self.modified % SECOND == 0:  # bzip2 keeps the time of what it packs in whole seconds
            moment -= moment % SECOND
        return self.modified >= moment


@dataclass(frozen=True, slots=True)
class Generations:
    """All rotated files of a log, each series oldest first; ``below`` lie those in an ``olddir``."""

    beside: list[list[Sibling]]
    below: list[list[Sibling]]

    def renamed(self, position: Position) -> list[Sibling]:
        """The file of the position under its new name, and those rotated after it, oldest first."""
        return self._from(position, lambda it: position.is_at(device=it.device, inode=it.inode))

    def resembling(self, position: Position) -> list[Sibling]:
        """The file that starts like that of the position (a copy, or packed), and those rotated after it."""
        if not position.fingerprint.length:
            return []
        return self._from(position, lambda it: it.is_written_since(position.modified))

    def written_after(self, moment: int) -> list[Sibling]:
        """What was last written after that moment (nanoseconds), oldest first.

        By their names: the times of those that bzip2 packed are up to a second too early.
        """
        firsts = [next((it for it in series if it.modified > moment), None) for series in self.beside]
        later = [series[series.index(first) :] for first, series in zip(firsts, self.beside, strict=True) if first]
        later.sort(key=lambda series: series[0].modified)
        return [it for series in later for it in series if it.is_written_since(moment)]

    def named(self, path: Path) -> list[Sibling]:
        return [sibling for series in self.beside for sibling in series if sibling.path == path]

    def _from(self, position: Position, is_candidate: Callable[[Sibling], bool]) -> list[Sibling]:
        for series in (*self.beside, *self.below):
            for index, sibling in enumerate(series):
                if is_candidate(sibling) and position.fingerprint.matches(head(sibling.path)):
                    # A file of a former rotation scheme may lie there with a later name.
                    later = (it for it in series[index + 1 :] if it.is_written_since(position.modified))
                    return [sibling, *later]
        return []


def generations(log: Path) -> Generations:
    """The rotated files of a log, without the one that the log's own path leads to.

    Nor are empty ones among them: such a file may be a copy that is just being made.
    """
    logs = list(dict.fromkeys((log, Path(os.path.realpath(log)))))
    below = [directory / path.name for path in logs for directory in _directories(path.parent)]
    return Generations(
        beside=[series for path in logs for series in _series(path, log)],
        below=[series for path in below for series in _series(path, log)],
    )


def is_generation(name: str, log: str) -> bool:
    """Whether a file of this name is taken for a rotated one of a log of that name."""
    return _match(_patterns(log), name) is not None


def logs_of(path: Path) -> Iterator[Path]:
    """Logs that a file would be a rotated one of, by its name; a packed file is none by itself."""
    for pattern in _ROTATED:
        if found := pattern.fullmatch(path.name):
            yield path.with_name(found["stem"] + found["extension"])
    if path.suffix in PACKED_SUFFIXES:
        yield path


def head(path: Path) -> bytes:
    """The first bytes of a log, uncompressed, at most ``HEAD_BYTES``; empty when it cannot be read."""
    try:
        with open_log(path) as file:
            return file.read(HEAD_BYTES)
    except CORRUPT:
        return b""


def _directories(directory: Path) -> list[Path]:
    try:
        with os.scandir(directory) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir())
    except OSError:
        return []


def _series(name: Path, log: Path) -> Iterator[list[Sibling]]:
    """The files that rotation would name after ``name``, but for the log itself."""
    siblings = sorted(_settled(name, log), key=lambda sibling: (sibling.series, sibling.rank))
    for _, series in groupby(siblings, key=lambda sibling: sibling.series):
        yield [sibling for _, twins in groupby(series, key=lambda it: it.rank) for sibling in _distinct(twins)]


def _settled(name: Path, log: Path) -> list[Sibling]:
    """The siblings while nothing is renamed: logrotate moves a whole series, one after the other."""
    live, siblings = _inode(log), _siblings(name)
    for _ in range(100):
        live_again, again = _inode(log), _siblings(name)
        if live_again == live and {it.path: it.inode for it in again} == {it.path: it.inode for it in siblings}:
            break
        live, siblings = live_again, again
    return [it for it in siblings if it.size and (it.device, it.inode) != live]


def _inode(log: Path) -> tuple[int, int] | None:
    try:
        status = log.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _siblings(log: Path) -> list[Sibling]:
    patterns = _patterns(log.name)
    try:
        names = os.listdir(log.parent)  # noqa: PTH208 - Path.iterdir makes a Path of every name
    except OSError:
        return []
    found = (_sibling(log.with_name(name), match) for name in names if (match := _match(patterns, name)))
    return [it for it in found if it]


def _patterns(name: str) -> list[re.Pattern[str]]:
    """The names that rotation makes of one: ``mail.log.1``, or ``mail.1.log`` with ``extension``."""
    stem, extension = os.path.splitext(name)  # noqa: PTH122 - a name, not a path
    affixes = {(name, ""), (stem, extension)}
    return [
        re.compile(re.escape(prefix) + form + re.escape(suffix) + _PACKED)
        for prefix, suffix in sorted(affixes, reverse=True)
        for form in (_NUMBER, _DATE)
    ]


def _match(patterns: Iterable[re.Pattern[str]], name: str) -> re.Match[str] | None:
    return next((match for pattern in patterns if (match := pattern.fullmatch(name))), None)


def _sibling(path: Path, match: re.Match[str]) -> Sibling | None:
    try:
        status = path.stat()
    except OSError:  # removed or renamed since it was listed
        return None
    if not stat.S_ISREG(status.st_mode) or not os.access(path, os.R_OK, effective_ids=True):
        return None
    name = match.groupdict()
    return Sibling(
        path=path,
        device=status.st_dev,
        inode=status.st_ino,
        modified=status.st_mtime_ns,
        size=status.st_size,
        series=match.re.pattern,
        # Numbers count backwards; logrotate itself demands that dates sort as text.
        rank=name["date"] if "date" in name else f"{9999 - int(name['number']):04}",
        is_packed=name["packed"] is not None,
    )


def _distinct(twins: Iterable[Sibling]) -> list[Sibling]:
    """One rotated file, plain and packed at once, is being packed: only the plain one is whole."""
    plain: list[Sibling] = []
    packed: list[Sibling] = []
    for twin in sorted(twins, key=lambda it: it.modified):
        (packed if twin.is_packed else plain).append(twin)
    if plain and packed:
        start = head(plain[0].path)
        packed = [twin for twin in packed if not start.startswith(head(twin.path))]
    return sorted(plain + packed, key=lambda it: it.modified)
