"""What the service shows of itself: to Prometheus, and to people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client.registry import Collector


@dataclass(frozen=True)
class SourceView:
    """One log that is followed. `name` is the value of its label `source`, `state` a word or two for people.

    `lag_seconds` is the age of the oldest line that waits, `last_event` the time of the newest event in
    seconds since the epoch; both are None where they are not known. `error` says why a source is not up,
    or why nothing of it is understood.
    """

    name: str
    mtas: tuple[str, ...]
    state: str
    is_up: bool
    lines: int
    lag_bytes: int | None = None
    lag_seconds: float | None = None
    last_event: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class ProbeView:
    """One probe that is run. `last_success` is in seconds since the epoch; `failure` is None while it is a success.

    `reason` is its reason in a word, with the phase, `failure` all that people can be told.
    """

    name: str
    pending: int
    last_success: float | None = None
    reason: str | None = None
    failure: str | None = None


class View(Protocol):
    """What the pipeline offers to look at. `started` is in seconds since the epoch."""

    @property
    def registry(self) -> Collector: ...

    @property
    def started(self) -> float: ...

    @property
    def version(self) -> str: ...

    def is_ready(self) -> bool:
        """Whether the existing logs have been read once."""
        ...

    def sources(self) -> Sequence[SourceView]: ...

    def troubles(self) -> Sequence[str]:
        """What else is wrong, in words for people."""
        ...

    async def save(self) -> None:
        """Return when what the registry shows at the time of the call is on disk, as far as the disk allows."""
        ...
