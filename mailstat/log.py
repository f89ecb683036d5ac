"""Log files in, batches of events out, in the order of time: what every report is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from parsers.events import Event
from parsers.reader import Tally
from parsers.tracker import Tracker

BLOCK = 1 << 16  # small enough that a block's lines and events stay in the processor's cache


@dataclass(frozen=True)
class Selection:
    """Which events a report is about; times in seconds since the epoch."""

    since: float | None = None
    until: float | None = None
    mta: str | None = None
    where: Callable[[Event], bool] | None = None


class Log:
    """The files of one question. `zone` and `year` are for logs that do not write theirs."""

    def __init__(self, paths: Sequence[Path], selection: Selection, *, zone: tzinfo, year: int | None = None) -> None:
        self.paths = paths
        self.selection = selection
        self.zone = zone
        self.year = year
        self.tracker = Tracker()
        self.errors: list[str] = []  # files that could not be read, in words
        self.on_strange: Callable[[str, str], None] | None = None
        self.on_read: Callable[[int], None] = lambda size: None  # for a progress bar: bytes of the files as they are
        self.tallies: dict[str, Tally] = {}

    def batches(self) -> Iterator[list[Event]]:
        """Events in context, block by block."""
        raise NotImplementedError
