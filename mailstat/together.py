"""Several digests that read a log at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailstat.log import Digest, Partial
    from parsers.events import Event


class Part:
    """What they make of a part of the log."""

    def __init__(self, *parts: Partial) -> None:
        self._parts = parts

    def add(self, events: list[Event], numbers: Sequence[int]) -> None:
        """Add events, as they are now, with their places in the log."""
        for part in self._parts:
            part.add(events, numbers)

    def payload(self) -> list[Any]:
        """All that was added, of each."""
        return [part.payload() for part in self._parts]


class Together:
    """Digests, as one."""

    def __init__(self, *digests: Digest) -> None:
        self._digests = digests

    def add(self, events: list[Event], numbers: Sequence[int]) -> None:
        """Add events, as they are now, with their places in the log."""
        for digest in self._digests:
            digest.add(events, numbers)

    def blank(self) -> Part:
        """Those for a part of the log."""
        return Part(*(digest.blank() for digest in self._digests))

    def merge(self, payload: list[Any], base: int, *, told: Mapping[int, int]) -> None:
        """Add what they made of a part."""
        for digest, each in zip(self._digests, payload, strict=True):
            digest.merge(each, base, told=told)
