"""Metrics under the names of other exporters, so that dashboards keep working while people move.

One YAML file an exporter, named as `--compat` names it. An alias is made of a metric of ours: the samples that fit
`where`, summed by the labels that the other exporter has. What cannot be told from our metrics is listed as missing,
with the reason, and is not shown: no figure is better than a wrong one.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field, yaml
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from exporter.metrics.catalogue import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from prometheus_client.samples import Sample

FOLDER = Path(__file__).parent

_Labels = tuple[tuple[str, str], ...]  # names and values, without the bucket's bound


class Alias(Struct, frozen=True, forbid_unknown_fields=True, rename={"source": "from"}):
    """A name of the other exporter: the metric that it is made of, its labels by ours, and its constant labels."""

    name: str
    source: str
    where: dict[str, list[str]] = {}
    labels: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    constant: dict[str, str] = {}
    note: str = ""


class Missing(Struct, frozen=True, forbid_unknown_fields=True):
    """A name of the other exporter that we have nothing for, or not the same."""

    name: str
    why: str


class Table(Struct, frozen=True, forbid_unknown_fields=True):
    """What a file says: `mta` is the server whose series are meant."""

    exporter: str
    mta: str
    aliases: list[Alias]
    missing: list[Missing] = field(default_factory=list)


def names() -> list[str]:
    """The exporters that there is a table for."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def table(name: str) -> Table:
    """The table of an exporter."""
    return yaml.decode((FOLDER / f"{name}.yaml").read_bytes(), type=Table)


class Compatible(Collector):
    """A registry's metrics, and after them the aliases of these exporters."""

    def __init__(self, registry: Collector, exporters: Sequence[str]) -> None:
        self._registry = registry
        self._tables = [table(name) for name in exporters]

    def collect(self) -> Iterator[Family]:
        """All families."""
        ours: dict[str, Family] = {}
        for family in self._registry.collect():
            yield family
            ours[family.name if family.type != "counter" else f"{family.name}_total"] = family
        for one in self._tables:
            yield from _aliases(one, ours)


def _aliases(one: Table, ours: dict[str, Family]) -> Iterator[Family]:
    by_name: dict[str, list[Alias]] = defaultdict(list)
    for alias in one.aliases:
        by_name[alias.name].append(alias)
    for name, aliases in by_name.items():
        family = Family(name.removesuffix("_total"), f"As {one.exporter} has it.", _kind(aliases[0]))
        for alias in aliases:
            _fill(family, alias, one.mta, ours[alias.source].samples if alias.source in ours else ())
        yield family


def _kind(alias: Alias) -> str:
    """The type; a counter without `_total` in its name is one that OpenMetrics has no type for."""
    kind = METRICS[alias.source].type
    return "unknown" if kind == "counter" and not alias.name.endswith("_total") else kind


def _fill(family: Family, alias: Alias, mta: str, samples: Iterable[Sample]) -> None:
    groups: dict[_Labels, dict[tuple[str, str], float]] = defaultdict(lambda: defaultdict(float))
    for sample in samples:
        if sample.labels.get("mta", mta) == mta and _fits(alias, sample):
            suffix = sample.name.removeprefix(alias.source)
            groups[_group(alias, sample)][suffix, _bound(alias, sample)] += sample.value
    for group, values in groups.items():
        for (suffix, bound), value in values.items():
            labels = dict(group) | ({"le": bound} if bound else {})
            family.add_sample(alias.name + suffix, labels, value)


def _fits(alias: Alias, sample: Sample) -> bool:
    return all(sample.labels.get(label) in wanted for label, wanted in alias.where.items())


def _group(alias: Alias, sample: Sample) -> _Labels:
    told = alias.values
    found = ((theirs, sample.labels.get(ours, "")) for theirs, ours in alias.labels.items())
    pairs = ((theirs, told.get(theirs, {}).get(value, value)) for theirs, value in found)
    return (*pairs, *alias.constant.items())


def _bound(alias: Alias, sample: Sample) -> str:
    return sample.labels.get("le", "") if METRICS[alias.source].type == "histogram" else ""
