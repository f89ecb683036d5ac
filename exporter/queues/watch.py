"""The queues, looked at again and again in a thread of its own, so that no scrape waits for a queue."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Event, Thread

from exporter.queues.entry import Place
from exporter.queues.scan import Scan, scan

logger = logging.getLogger(__name__)

EVERY = 30.0  # seconds between the end of a round and the beginning of the next
IDLE = 4  # times a round's own length, where that is longer: a fifth of the time at work at most
BUDGET = 600.0  # seconds for one queue: some millions of messages


class Watch:
    """The last scan of each place. It begins with `start()`, or look by look with `look()`."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._places: tuple[Place, ...] = ()
        self._scans: dict[Place, Scan] = {}
        self._stop = Event()
        self._thread: Thread | None = None

    def configure(self, places: Sequence[Place]) -> None:
        """Look at these from now on; what is known of those that stay is kept."""
        self._places = tuple(dict.fromkeys(places))
        self._scans = {place: found for place, found in self._scans.items() if place in self._places}

    def scans(self) -> list[Scan]:
        """The last of each place, of those that have been looked at."""
        scans = self._scans
        return [scans[place] for place in self._places if place in scans]

    def look(self) -> None:
        """Look once at each place. A queue that cannot be read keeps its last figures, with the error beside them."""
        for place in self._places:
            if self._stop.is_set():
                return
            found = scan(place, seconds=BUDGET, now=self._now, rest=self._stop.wait)
            old = self._scans.get(place)
            self._tell(found, old)
            if found.backlog is None and old is not None:
                found = replace(found, backlog=old.backlog, end=old.end)
            if place in self._places:
                self._scans = {**self._scans, place: found}

    def start(self) -> None:
        """Look until `stop()`."""
        for place in self._places:
            logger.info("scanning a queue", extra={"mta": place.mta, "spool": place.spool})
        if self._thread is None:
            self._thread = Thread(target=self._run, name="queues", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()  # a clock that is set to the right year must not put the next look off by years
            self.look()
            self._stop.wait(max(EVERY, IDLE * (time.monotonic() - began)))

    def _tell(self, found: Scan, old: Scan | None) -> None:
        """Log what is wrong when that changes."""
        details = {"mta": found.place.mta, "spool": found.place.spool, "error": found.error}
        if found.error and (old is None or found.error != old.error):
            logger.warning("a queue cannot be read whole", extra=details)
        elif old and old.error and not found.error:
            logger.info("a queue can be read again", extra=details)
