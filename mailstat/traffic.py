"""What a log tells over its time: counts in bars of equal width, in bounded memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from parsers.events import Auth, Delivery, Event, QueueAction, Queued, Received, Reject

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800, 2592000)
FINE = 5_000  # bars that are counted apart before they become wider
ARRIVALS = (Received, Queued, QueueAction, Delivery)


Payload = tuple[int, dict[str, Counter[int]], set[int]]  # the width of bars, counts of each name, bars that are


class Bars(NamedTuple):
    """Counts by name, one for each of `starts`, `width` seconds apart."""

    starts: Sequence[float]
    width: float
    counts: Mapping[str, Sequence[int]]


class Traffic:
    """Counts deliveries by status, arrivals, rejects and failed logins, batch by batch."""

    def __init__(self, fine: int = FINE) -> None:
        self._fine = fine
        self._width = 1
        self._counts: dict[str, Counter[int]] = defaultdict(Counter)
        self._bars: set[int] = set()

    def add(self, events: Iterable[Event], numbers: Sequence[int] = ()) -> None:  # noqa: ARG002 - what a digest is given
        """Add a batch of events in context."""
        for event in events:
            bar = int(event.time // self._width)
            self._bars.add(bar)
            for name, times in _told(event):
                self._counts[name][bar] += times
        while len(self._bars) > self._fine:
            self._widen()

    def blank(self) -> Traffic:
        """One for a part of the log."""
        return Traffic(self._fine)

    def payload(self) -> Payload:
        """All that was counted."""
        return self._width, dict(self._counts), self._bars

    def merge(self, payload: Payload, base: int, *, told: Mapping[int, int]) -> None:  # noqa: ARG002 - the same
        """Add what was counted of a part."""
        other = Traffic(self._fine)
        other._width, other._bars = payload[0], payload[2]
        other._counts.update(payload[1])
        while other._width < self._width:
            other._widen()
        while self._width < other._width:
            self._widen()
        for name, bars in other._counts.items():
            self._counts[name].update(bars)
        self._bars |= other._bars
        while len(self._bars) > self._fine:
            self._widen()

    def bars(self, names: Sequence[str], most: int, *, offset: float = 0.0) -> Bars:
        """The counts of these names in at most so many bars, of a width that people like; a bar begins at a round
        time of a zone that is `offset` seconds ahead of UTC."""
        if not self._bars:
            return Bars([], 1.0, {name: [] for name in names})
        first, last = min(self._bars) * self._width + offset, max(self._bars) * self._width + offset
        width = next((each for each in WIDTHS if _spans(first, last, each) <= most), int((last - first) // most) + 1)
        width = max(width, self._width)
        start = first // width
        counts = {name: [0] * _spans(first, last, width) for name in names}
        for name, bars in counts.items():
            for bar, times in self._counts[name].items():
                bars[int((bar * self._width + offset) // width - start)] += times
        return Bars([(start + at) * width - offset for at in range(_spans(first, last, width))], width, counts)

    def _widen(self) -> None:
        wider = next((each for each in WIDTHS if each > self._width and each % self._width == 0), self._width * 2)
        times = wider // self._width
        for name, bars in self._counts.items():
            merged: Counter[int] = Counter()
            for bar, count in bars.items():
                merged[bar // times] += count
            self._counts[name] = merged
        self._bars = {bar // times for bar in self._bars}
        self._width = wider


def _spans(first: float, last: float, width: float) -> int:
    return int(last // width - first // width) + 1


def _told(event: Event) -> Iterator[tuple[str, int]]:
    """What an event counts for."""
    if isinstance(event, Delivery):
        yield event.status, 1
    elif isinstance(event, Reject):
        yield "rejects", 1
    elif isinstance(event, Auth) and event.result == "failure":
        yield "failed logins", event.attempts
    if isinstance(event, ARRIVALS) and event.is_arrival:
        yield "received", 1
