"""The exporter in the time of an old log: what each scrape would have seen, as OpenMetrics with time stamps."""

from __future__ import annotations

import heapq
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from exporter.config import Config
from exporter.metrics.mail import MailMetrics
from mailstat.log import Log
from mailstat.report import ReportError

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

    from parsers.events import Event
    from parsers.tracker import Tracker

JOB, INSTANCE = "mailstat", "replay"
TARGET = {"instance": INSTANCE, "job": JOB}
LATE = 300.0  # seconds that what comes out of order may be behind: so long, an alert takes what it saw last for now
MOST = 100_000  # scrapes of one replay: ten weeks, one a minute
ROTATED = re.compile(r"(?:[-.](?:\d+|gz|bz2|xz|zst|old))+$")


class Out(Protocol):
    """Takes lines."""

    def write(self, text: str, /) -> object:
        """Take one, with its end."""


class Scrapes:
    """Writes what scrapes see, one each `step` seconds; only series whose names `wanted` has. `first` and `last` are
    the times of the first and the last; `late` is how many events stood behind such that are `LATE` seconds younger:
    they were counted when they were met."""

    def __init__(self, out: Out, wanted: Callable[[str], bool], step: float) -> None:
        self.first: float | None = None
        self.last = 0.0
        self.late = 0
        self.names: set[str] = set()
        self._out = out
        self._wanted = wanted
        self._step = step
        self._metrics = MailMetrics(providers=Config().labels.providers)
        self._metrics.watch.configure(Config())
        logging.getLogger("exporter").addHandler(logging.NullHandler())  # what it tells the operator is of long ago
        self._next = 0.0
        self._scrapes = 0
        self._series: dict[tuple[str, ...], str] = {}  # what each is called, which it is at each scrape

    def follow(self, streams: Iterable[Iterable[list[Event]]], trackers: Sequence[Tracker]) -> None:
        """Read all events in the order of time. Raises ReportError where that takes too many scrapes."""
        late = self._step + LATE
        for event in heapq.merge(*(_each(stream) for stream in streams), key=lambda event: event.time):
            while event.time >= self._next:
                self._step_to(event.time, trackers)
            if event.time < self._next - late:
                self.late += 1
            self._metrics.observe([event])
        if self.first is not None:
            self._scrape(self._next, trackers)

    def _step_to(self, time: float, trackers: Sequence[Tracker]) -> None:
        """Scrape once; before the first event, that begins an even step."""
        if self.first is None:
            self._next = time - time % self._step
        self._scrape(self._next, trackers)
        self._next += self._step

    def _scrape(self, time: float, trackers: Sequence[Tracker]) -> None:
        self._scrapes += 1
        if self._scrapes > MOST:
            raise ReportError(f"the log spans more than {MOST} steps: give --since and --until, or a longer --every")
        self.first = time if self.first is None else self.first
        self.last = time
        in_flight: Counter[str] = Counter()
        for tracker in trackers:
            in_flight.update(tracker.in_flight())
        self._write("up", {}, 1.0, time)
        for family in self._metrics.collect(dict(in_flight)):
            self._write_family(family, time)

    def _write_family(self, family: Family, time: float) -> None:
        for sample in family.samples:
            if self._wanted(sample.name):
                self._write(sample.name, sample.labels, sample.value, time)

    def _write(self, name: str, labels: dict[str, str], value: float, time: float) -> None:
        key = (name, *labels.values())  # a metric's labels are always the same, in the same order
        series = self._series.get(key)
        if series is None:
            self.names.add(name)
            series = self._series[key] = series_of(name, {**TARGET, **labels})
        self._out.write(sample(series, value, time))


def split(log: Log) -> list[Log]:
    """A log for each set of files that follow each other: two servers' logs are read side by side, but a log and its
    rotated predecessors one after the other."""
    series: dict[Path, list[Path]] = {}
    for path in log.paths:
        series.setdefault(path.with_name(ROTATED.sub("", path.name) or path.name), []).append(path)
    if len(series) < 2:
        return [log]
    logs = [Log(paths, log.selection, zone=log.zone, year=log.year) for paths in series.values()]
    for each in logs:
        each.on_read, each.errors, each.notes = log.on_read, log.errors, log.notes
    return logs


def _each(batches: Iterable[list[Event]]) -> Iterator[Event]:
    """The events one by one; one that comes late is no earlier than the one before it."""
    for events in batches:
        yield from events


def series_of(name: str, labels: Mapping[str, str]) -> str:
    """What a series is called in OpenMetrics."""
    text = ",".join(f'{label}="{_escaped(of)}"' for label, of in labels.items())
    return f"{name}{{{text}}}"


def sample(series: str, value: float, time: float) -> str:
    """A line of OpenMetrics."""
    return f"{series} {value!r} {time:.3f}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
