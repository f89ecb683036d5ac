"""The last minutes of mail: counts by provider, reason, destination and client, and some lines of each; in bounded
memory, in the time of the log."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mailstat.report import NOT_TOLD
from parsers.attack import block_of
from parsers.events import Auth, Connect, ConnectionFailure, Delivery, Event, QueueAction, Queued, Received, Reject

SLOT = 10  # seconds
SLOTS = 360  # that are kept: an hour
NAME = 255  # characters of a name: what the DNS has is no longer
NAMES = 5_000  # of one slot that are counted apart
EXAMPLES = 20  # lines that are kept of one name
KNOWN = 2_000  # names of which lines are kept
LINE = 1_000  # characters of a line that is kept
WINDOWS = (60, 300, 900, 3600)  # seconds
OLD = 3600.0  # seconds that a log may lag behind before its own time is taken for now

RATES = ("received", "sent", "deferred", "bounced", "rejects", "failed logins", "connections")
LOST = {"expired": "bounced"}  # to people who watch, both mean that it came back


class Panel(NamedTuple):
    """A table of the screen: `head` is what a row is, `columns` what is counted of it."""

    title: str
    head: str
    columns: tuple[str, ...]


PANELS = {
    "providers": Panel("Providers", "provider", ("sent", "deferred", "bounced")),
    "reasons": Panel("Reasons", "reason", ("deferred", "bounced", "rejects")),
    "destinations": Panel("Failing destinations", "domain", ("deferred", "bounced", "unreached", "sent")),
    "attackers": Panel("Failed logins", "from", ("failures", "logins", "rejects")),
    "queue": Panel("Queue", "queue", ("messages", "oldest_seconds")),
}
TROUBLE = {"destinations": ("deferred", "bounced", "unreached"), "attackers": ("failures",)}  # without it, no row
Key = tuple[str, str, str]  # panel ("" for the rates), name, column
Row = tuple[str, tuple[float, ...]]


class Pulse:
    """Counts in slots of ten seconds. `queue` are the rows of the queue, which are told as they are now."""

    def __init__(self) -> None:
        self.newest = 0.0
        self.queue: list[Row] = []
        self._slots: OrderedDict[int, Counter[Key]] = OrderedDict()
        self._lines: OrderedDict[tuple[str, str], deque[str]] = OrderedDict()

    def add(self, event: Event, line: str) -> None:
        """Count an event in context, and keep its line."""
        told: set[tuple[str, str]] = set()
        for key, times in counted(event):
            self.count(event.time, key, times)
            told.add(key[:2])
        for panel, name in told:
            if panel:
                self._keep(panel, name, line)

    def count(self, time: float, key: Key, times: int = 1) -> None:
        """Count something of a moment; what is older than all that is kept, or would be one name too many, is not."""
        self.newest = max(self.newest, time)
        number = int(time // SLOT)
        if number <= int(self.newest // SLOT) - SLOTS:
            return
        slot = self._slots.setdefault(number, Counter())
        if key in slot or len(slot) < NAMES:
            slot[key] += times
        while len(self._slots) > SLOTS:
            del self._slots[min(self._slots)]

    def moment(self, now: float) -> float:
        """What is now: the clock's, or the log's own, where it is an old one."""
        return now if not self.newest or abs(now - self.newest) < OLD else self.newest

    # --- what is asked ---

    def rates(self, now: float, window: int) -> dict[str, float]:
        """How many a minute, on average of the window."""
        sums = self._sums("", now, window)
        return {name: sums["", name] * 60 / window for name in RATES}

    def curve(self, name: str, now: float, window: int, bars: int) -> list[int]:
        """A rate over the window, in so many parts."""
        end = int(self.moment(now) // SLOT)
        found = [0] * bars
        for number, slot in self._live(now, window):
            age = end - number
            found[bars - 1 - min(age * bars * SLOT // window, bars - 1)] += slot["", "", name]
        return found

    def rows(self, panel: str, now: float, window: int) -> list[Row]:
        """The rows of a panel, in no order."""
        if panel == "queue":
            return list(self.queue)
        columns = PANELS[panel].columns
        sums = self._sums(panel, now, window)
        names = {name for name, _ in sums}
        needed = TROUBLE.get(panel)
        return [
            (name, tuple(sums[name, column] for column in columns))
            for name in names
            if needed is None or any(sums[name, column] for column in needed)
        ]

    def lines(self, panel: str, name: str) -> Sequence[str]:
        """The last lines about it."""
        return tuple(self._lines.get((panel, name), ()))

    def _keep(self, panel: str, name: str, line: str) -> None:
        kept = self._lines.pop((panel, name), None) or deque(maxlen=EXAMPLES)
        kept.append(line[:LINE])
        self._lines[panel, name] = kept
        if len(self._lines) > KNOWN:
            self._lines.popitem(last=False)

    def _live(self, now: float, window: int) -> Iterator[tuple[int, Counter[Key]]]:
        end = int(self.moment(now) // SLOT)
        return ((number, slot) for number, slot in self._slots.items() if end - window // SLOT < number <= end)

    def _sums(self, panel: str, now: float, window: int) -> Counter[tuple[str, str]]:
        sums: Counter[tuple[str, str]] = Counter()
        for _, slot in self._live(now, window):
            for (of, name, column), times in slot.items():
                if of == panel:
                    sums[name, column] += times
        return sums


def counted(event: Event) -> Iterator[tuple[Key, int]]:
    """What an event counts for."""
    if isinstance(event, Delivery):
        yield from _of_delivery(event)
    elif isinstance(event, Reject):
        yield ("", "", "rejects"), 1
        yield ("reasons", event.reason or "unclassified", "rejects"), 1
        yield ("attackers", _client(event), "rejects"), 1
    elif isinstance(event, Auth):
        if event.result == "failure":
            yield ("", "", "failed logins"), event.attempts
        yield ("attackers", _client(event), "failures" if event.result == "failure" else "logins"), event.attempts
    elif isinstance(event, Connect):
        yield ("", "", "connections"), 1
    elif isinstance(event, ConnectionFailure) and event.relay_host:
        yield ("destinations", event.relay_host[:NAME].lower(), "unreached"), 1
    if isinstance(event, Received) and event.logins:
        yield ("attackers", _client(event), "logins"), event.logins
    if isinstance(event, (Received, Queued, QueueAction, Delivery)) and event.is_arrival:
        yield ("", "", "received"), 1


def _of_delivery(event: Delivery) -> Iterator[tuple[Key, int]]:
    status = LOST.get(event.status, event.status)
    yield ("", "", status), 1
    yield ("providers", "local" if event.direction == "local" else event.provider or "other", status), 1
    if status != "sent":
        yield ("reasons", event.reason or "unclassified", status), 1
    domain = (event.recipient or "").rpartition("@")[2][:NAME].lower()
    yield ("destinations", domain or NOT_TOLD, status), 1


def _client(event: Any) -> str:
    return block_of[(event.client_ip or "")[:50]] or (event.client_name or "")[:NAME] or NOT_TOLD
