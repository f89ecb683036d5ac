"""Numbers by label values: plain dictionaries that the hot loop adds to, and the families made of them at a scrape.

Label values come from hostile text in the end, so each label has room for so many: what does not fit is counted under
`other`, and that this happened is counted too.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from exporter.metrics.catalogue import METRICS

OTHER = "other"
LONGEST = 100  # characters of a label's value
Value = TypeVar("Value", bound=Hashable)
Labels = tuple[str, ...]


def is_plain(value: Hashable) -> bool:
    """Whether a value is fit for a label: up to a hundred printable ASCII characters, if it is a text."""
    return not isinstance(value, str) or (len(value) <= LONGEST and value.isascii() and value.isprintable())


class Budget(dict[Value, Value]):
    """The values that a label of `metric` may have: `budget[value]` is the value, or `other` after `most`, and where
    it is more than a plain word."""

    def __init__(self, metric: str, most: int, dropped: Counter[str], other: Value) -> None:
        super().__init__({other: other})
        self.most = most
        self._metric = metric
        self._dropped = dropped
        self._other = other
        dropped[metric] += 0

    def __missing__(self, value: Value) -> Value:
        if len(self) > self.most or not is_plain(value):
            self._dropped[self._metric] += 1
            return self._other
        self[value] = value
        return value

    def of(self, value: Value, times: int) -> Value:
        """The same for so many observations: each one that is of `other` for want of room counts as dropped."""
        kept = self[value]
        if kept == self._other != value:
            self._dropped[self._metric] += times - 1
        return kept


class HistogramMemory(msgspec.Struct, array_like=True):
    """What a histogram has observed: the bounds, and rows as they are in it."""

    bounds: tuple[float, ...]
    rows: list[tuple[Labels, list[float]]]


class Histogram:
    """Observations by label values, in the buckets that the catalogue gives the metric."""

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self.bounds = METRICS[metric].bounds
        self.rows: dict[Labels, list[float]] = {}  # the buckets, +Inf, and last the sum

    def observe(self, labels: Labels, value: float, times: int = 1) -> None:
        """Count one value, or the same one so many times."""
        row = self._row(labels)
        row[bisect_left(self.bounds, value)] += times
        row[-1] += value * times

    def observe_all(self, labels: Labels, some: Iterable[float]) -> None:
        """Count many values, far cheaper than one by one."""
        row = self._row(labels)
        values = sorted(some)
        below = 0
        for index, bound in enumerate(self.bounds):
            upto = bisect_right(values, bound, below)
            row[index] += upto - below
            below = upto
        row[-2] += len(values) - below
        row[-1] += sum(values)

    def _row(self, labels: Labels) -> list[float]:
        row = self.rows.get(labels)
        return self.rows.setdefault(labels, [0] * (len(self.bounds) + 2)) if row is None else row

    def memory(self) -> HistogramMemory:
        """What was observed until now."""
        return HistogramMemory(tuple(self.bounds), list(self.rows.items()))

    def restore(self, memory: HistogramMemory | None) -> None:
        """Go on from there; other buckets begin anew."""
        if memory and memory.bounds == tuple(self.bounds):
            self.rows.update(memory.rows)

    def family(self) -> Family:
        """The family of a scrape."""
        metric = METRICS[self.metric]
        family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, row in sorted(self.rows.items()):
            family.add_metric(labels, list(_cumulated(self.bounds, row)), sum_value=row[-1])
        return family


def _cumulated(bounds: Iterable[float], row: list[float]) -> Iterable[tuple[str, float]]:
    total = 0.0
    for bound, count in zip([*bounds, float("inf")], row, strict=False):
        total += count
        yield "+Inf" if bound == float("inf") else f"{bound:g}", total


def family(name: str, values: Mapping[Labels, float], more: Labels = ()) -> Family:
    """The family of a counter or a gauge of the catalogue, from its values by label values; `more` are the names of
    labels that it has besides."""
    metric = METRICS[name]
    kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
    made = kind(metric.name, metric.help, labels=(*metric.labels, *more))
    for labels, value in sorted(values.items()):
        made.add_metric(labels, value)
    return made
