"""One look at a queue, within a budget: so long, and with pauses, so that neither we nor the server suffer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from exporter.queues.entry import Place, QueueError, Scanner
from exporter.queues.figure import Backlog

STRIDE = 500  # messages between two looks at the clock
REST = 0.25  # of the time at work, between two strides


@dataclass(frozen=True)
class Scan:
    """What a look gave: a whole backlog, or what was seen within the budget; None where nothing may be seen.

    `end` is in seconds since the epoch, `duration` in seconds; `error` says why it is not complete.
    """

    place: Place
    backlog: Backlog | None
    end: float
    duration: float
    error: str | None = None


def scan(
    place: Place,
    *,
    seconds: float,
    domains: int = 0,
    now: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
    rest: Callable[[float], object] = time.sleep,
) -> Scan:
    """Look at a queue for at most so many seconds. Never raises for what the queue has or lacks.

    `now` gives seconds since the epoch, and may be set meanwhile; `clock` is one that nobody sets.
    """
    start = clock()
    scanner = scanner_of(place.mta)
    backlog = Backlog(scanner.QUEUES, now(), domains)
    try:
        is_whole = _add(scanner, place, backlog, start + seconds, clock, rest)
    except (OSError, QueueError, ValueError) as error:
        return Scan(place, backlog if backlog.messages else None, now(), clock() - start, str(error))
    error_text = None if is_whole else f"not all was read within {seconds:.0f} s"
    return Scan(place, backlog, now(), clock() - start, error_text)


def scanner_of(mta: str) -> Scanner:
    """The module that reads the queue of this server."""
    return cast("Scanner", import_module(f"exporter.queues.{mta}"))


def _add(
    scanner: Scanner,
    place: Place,
    backlog: Backlog,
    deadline: float,
    clock: Callable[[], float],
    rest: Callable[[float], object],
) -> bool:
    last = clock()
    for count, entry in enumerate(scanner.entries(place), start=1):
        backlog.add(entry)
        if count % STRIDE == 0:
            rest((clock() - last) * REST)
            last = clock()
            if last > deadline:
                return False
    return True
