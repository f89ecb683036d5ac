"""When a message that waits is tried again, as far as the queue tells that: a module for each server knows how."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import cast

from exporter.queues.entry import Attempt, Place, Retry


def next_attempt(places: Iterable[Place], queue_id: str, now: float) -> Attempt | None:
    """When a message is tried again; None where that is not known."""
    for place in places:
        with suppress(OSError):  # the queue of another server, or one that we may not look into
            retry = _retry_of(place.mta)
            if retry and (attempt := retry.due(place.spool, queue_id, now)):
                return attempt
    return None


def _retry_of(mta: str) -> Retry | None:
    """What knows how this server goes on; of qmail nobody asks, for its log does not tell which mail is a probe's."""
    name = f"exporter.queues.{mta}_retry"
    return cast("Retry", import_module(name)) if find_spec(name) else None
