"""A message that waits, whatever server keeps it and however that was asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

MOST_RECIPIENTS = 1000  # of one message that are kept
LONGEST_REASON = 1000  # characters


class Recipient(NamedTuple):
    """Somebody who has not got the message; `reason` is the server's text of why, "" where there is none."""

    address: str
    reason: str = ""


class Entry(NamedTuple):
    """A message in the queue; `size` in bytes, `arrival` in seconds since the epoch."""

    queue_id: str
    queue: str
    size: int
    arrival: float
    sender: str = ""
    recipients: tuple[Recipient, ...] = ()


class Attempt(NamedTuple):
    """The next one for a message: a time in seconds since the epoch, and the words for it, which tell how it is known
    where the server did not write it down."""

    time: float
    words: str = "at {}"


@dataclass(frozen=True)
class Place:
    """Where a server keeps its queue: `spool`, or for Postfix the address of its showq service, a path or HOST:PORT.

    `service` is the value of the label.
    """

    mta: str
    spool: Path
    service: str
    showq: str | None = None


class QueueError(Exception):
    """The queue cannot be read; the text says why."""


class Scanner(Protocol):
    """A module of a server."""

    QUEUES: tuple[str, ...]

    def entries(self, place: Place) -> Iterator[Entry]:
        """The messages that wait, one after the other as they are read. Raises QueueError, OSError."""


class Retry(Protocol):
    """What knows how a server goes on with what waits."""

    def due(self, spool: Path, queue_id: str, now: float) -> Attempt | None:
        """The next attempt for a message; None where it is not certain. Raises OSError where that may not be read."""
