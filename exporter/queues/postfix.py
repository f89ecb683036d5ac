"""Postfix' queue, in the way that tells most of those that are open: showq, postqueue, the directories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from exporter.queues import postfix_json, postfix_showq, postfix_spool
from exporter.queues.entry import Entry, Place, QueueError

# Where postmulti(1) puts an instance: its configuration has the name of its spool.
_SPOOLS = Path("/var/spool")
_CONFIGURATIONS = Path("/etc")
QUEUES = postfix_spool.QUEUES


def entries(place: Place) -> Iterator[Entry]:
    """The messages that wait. Raises QueueError, which names what was tried, where nothing is open."""
    ways: list[Callable[[], Iterator[Entry]]] = [
        lambda: postfix_showq.entries(place.showq or str(place.spool / "public/showq"))
    ]
    if not place.showq:
        ways.append(lambda: postfix_spool.entries(place.spool))
    if not place.showq and place.spool.parent == _SPOOLS:
        ways.append(lambda: postfix_json.entries(_CONFIGURATIONS / place.spool.name))
    tried = []
    for way in ways:
        found = way()
        try:
            first = next(found, None)
        except (OSError, QueueError) as error:
            tried.append(str(error))
            continue
        if first:
            yield first
            yield from found
        return
    raise QueueError("; ".join(tried))
