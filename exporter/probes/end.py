"""What is written to the logs of this host from now on, for as long as somebody waits for a mail, and the last that
was written before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from exporter.zone import host_zone
from parsers.clock import Clock
from parsers.events import Event
from parsers.reader import LogReader
from parsers.signature import Signatures
from parsers.tracker import Tracker

_READ_LIMIT = 1 << 20  # bytes at a time


class LogEnds:
    """The ends of some logs, with so many bytes of what they hold already. Those that cannot be read are left out:
    `is_reading` tells whether there is any."""

    def __init__(self, paths: Iterable[Path], now: Callable[[], float], *, back: int = 0) -> None:
        self.signatures = Signatures()
        self._tracker = Tracker()
        self._ends = [end for path in paths if (end := _End.of(path, now, back, self.signatures))]

    @property
    def is_reading(self) -> bool:
        """Whether there is a log that can be read."""
        return bool(self._ends)

    def read(self) -> list[Event]:
        """The events since the last time."""
        events = [event for end in self._ends for event in end.read()]
        self._tracker.follow(events)
        return events


class _End:
    def __init__(self, path: Path, upto: int, reader: LogReader) -> None:
        self._path = path
        self._upto = upto
        self._reader = reader

    @classmethod
    def of(cls, path: Path, now: Callable[[], float], back: int, signatures: Signatures) -> _End | None:
        reader = LogReader(Clock(host_zone(), now), signatures=signatures)
        try:
            with path.open("rb") as log:
                if log.seek(0, 2) > back:
                    log.seek(-back, 2)
                    log.readline(back)  # the rest of a line
                else:
                    log.seek(0)
                return cls(path, log.tell(), reader)
        except OSError:
            return None

    def read(self) -> list[Event]:
        """The events of whole lines; a log that was rotated is read no further than that."""
        try:
            with self._path.open("rb") as log:
                log.seek(self._upto)
                block = log.read(_READ_LIMIT)
        except OSError:
            return []
        whole = block[: block.rfind(b"\n") + 1]
        self._upto += len(whole)
        return self._reader.read(whole.decode("utf-8", "surrogateescape")) if whole else []
