"""The logs of this host, followed as the exporter follows them, and its queues."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.sources.file import FileTail
from exporter.sources.position import HEAD_BYTES, Fingerprint, Position
from mailstat.live.pulse import Pulse, Row
from parsers.clock import Clock
from parsers.reader import LogReader
from parsers.server import Join
from parsers.tracker import Tracker

if TYPE_CHECKING:
    from exporter.queues.entry import Place
    from parsers.events import Event

LOOKED_BACK = 4 << 20  # bytes of what stands in a log already
BLOCK = 1 << 16
BLOCKS = 8  # of one file in a turn
QUEUE_SECONDS = 30.0  # between two scans
QUEUE_BUDGET = 10.0


class Watch:
    """Follows files into a pulse. `source` says to people what is watched, `error` what is wrong with it."""

    tells_lines = True

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        zone: tzinfo,
        now: Callable[[], float],
        queues: Sequence[Place] = (),
        matches: Callable[[Event], bool] | None = None,
        mta: str | None = None,
    ) -> None:
        self.pulse = Pulse()
        self.source = ", ".join(map(str, paths))
        self.error = ""
        self._now = now
        self._matches = matches
        self._tracker = Tracker()
        joins: dict[str, Join] = {}
        met: set[str] = set()
        self._logs = [
            (
                FileTail(path, position=near_the_end(path), block_bytes=BLOCK),
                LogReader(Clock(zone, now), mta=mta, joins=joins, met=met),
            )
            for path in paths
        ]
        self._queues = queues
        self._scanned = 0.0

    async def poll(self) -> bool:
        """Read what is new, as much as a turn allows; whether there is more."""
        is_more = False
        for tail, reader in self._logs:
            for number, block in enumerate(tail.blocks()):
                self._read(block, reader)
                await asyncio.sleep(0)
                if number + 1 >= BLOCKS:
                    is_more = True
                    break
        self.error = "; ".join(f"{tail.path}: {tail.error}" for tail, _ in self._logs if tail.error)
        await self._look_into_queues()
        return is_more

    def close(self) -> None:
        """Let go of the files."""
        for tail, _ in self._logs:
            tail.close()

    def _read(self, block: bytes, reader: LogReader) -> None:
        """Line by line, to know which line an event is from."""
        for line in block.decode("utf-8", "surrogateescape").split("\n"):
            if line:
                events = reader.read(line + "\n")
                self._tracker.follow(events)
                for event in events:
                    if self._matches is None or self._matches(event):
                        self.pulse.add(event, line)

    async def _look_into_queues(self) -> None:
        if not self._queues:
            flying = self._tracker.in_flight()
            self.pulse.queue = [(f"{mta}: in flight", (count,)) for mta, count in flying.items()]
        elif self._now() - self._scanned >= QUEUE_SECONDS:
            self._scanned = self._now()
            self.pulse.queue = await asyncio.to_thread(scanned, self._queues)


def scanned(places: Sequence[Place]) -> list[Row]:
    """The queues' messages, and the age of the oldest in seconds."""
    from exporter.queues.scan import scan  # noqa: PLC0415 - only hosts with a queue need it

    rows: list[Row] = []
    for place in places:
        found = scan(place, seconds=QUEUE_BUDGET)
        if found.backlog is None:
            rows.append((f"{place.service}: {found.error}", ()))
            continue
        now = found.backlog.now
        for queue, of in found.backlog.queues.items():
            age = max(now - of.oldest, 0.0) if of.oldest is not None else 0.0
            rows.append((f"{place.service} {queue}", (of.messages, age)))
    return rows


def near_the_end(path: Path) -> Position | None:
    """The beginning of a line so far from the end; None for the start, also of what cannot be read now."""
    try:
        with path.open("rb") as file:
            stat = path.stat()
            if stat.st_size <= LOOKED_BACK:
                return None
            head = file.read(HEAD_BYTES)
            file.seek(stat.st_size - LOOKED_BACK)
            file.readline(LOOKED_BACK)
            place = file.tell()
    except OSError:
        return None
    return Position(stat.st_dev, stat.st_ino, Fingerprint.of(head), place, stat.st_mtime_ns, stat.st_size)
