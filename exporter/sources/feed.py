"""What every source of lines offers, wherever they come from: a file, the journal, a socket, a pipe."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol


class FeedError(Exception):
    """A feed came to an end that it should not have, and is to be begun anew; the message says why."""


class Feed(Protocol):
    """Lines as they come. Nothing is waited for, and what is not asked for is left where it is: who sends waits.

    `read_bytes` were delivered, `skipped_bytes` were lost or too long, `dropped` are messages that were lost before
    anybody could tell how long they were. `error` says why nothing comes.
    """

    read_bytes: int
    skipped_bytes: int
    dropped: int
    rotations: int
    truncations: int

    @property
    def is_up(self) -> bool:
        """Whether lines can come."""
        ...

    @property
    def error(self) -> str | None: ...

    @property
    def lag_bytes(self) -> int:
        """Bytes that wait to be read, as far as is known."""
        ...

    def blocks(self) -> Iterator[bytes]:
        """What there is now, in blocks of complete lines; what was closed is opened. Raises FeedError.

        What `place` tells is behind a block as soon as it is delivered.
        """
        ...

    def place(self) -> object:
        """How far it was read, in plain values, for the feed that goes on from there; None where there is no way
        back."""
        ...

    def paths(self) -> Collection[Path]:
        """Files whose change means that there is more to read."""
        ...

    def descriptors(self) -> Collection[int]:
        """What is readable when there is more to read."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...
