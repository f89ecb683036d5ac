"""The page for those who come from another exporter, from the tables of `exporter/compat`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docs.markdown import code, page, table
from exporter import compat
from exporter.metrics.catalogue import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator

INTRODUCTION = """\
What the metrics of other exporters are called here. `mailstat_exporter --compat NAME` (repeatable) shows them under
their old names as well, so that dashboards and alerts keep working while you move; nothing is shown for those that
are missing. The tables are `exporter/compat/*.yaml`.

Figures will differ where the other exporter did not see a line, or read it wrongly. To move: run both for a week with
`--compat`, take the [dashboards and rules](../dashboards/README.md), replace your own queries by the third column,
and leave `--compat` out."""


def text() -> str:
    """The page."""
    parts = [part for name in compat.names() for part in _exporter(name)]
    return page("Coming from another exporter", INTRODUCTION, *parts)


def _exporter(name: str) -> Iterator[str]:
    one = compat.table(name)
    yield f"## {one.exporter}: `--compat {name}`"
    yield table(
        ["theirs", "labels", "ours", "remark"],
        ([code(it.name), _labels(it), code(_query(it, one.mta)), it.note] for it in one.aliases),
    )
    yield table(["missing", "why"], ([code(it.name), it.why] for it in one.missing))


def _labels(alias: compat.Alias) -> str:
    return ", ".join(
        [f"`{theirs}` is `{ours}`" for theirs, ours in alias.labels.items()]
        + [f'`{label}="{value}"`' for label, value in alias.constant.items()]
    )


def _query(alias: compat.Alias, mta: str) -> str:
    wanted = [
        f'{label}="{values[0]}"' if len(values) == 1 else f'{label}=~"{"|".join(values)}"'
        for label, values in alias.where.items()
    ]
    own = [f'mta="{mta}"'] if "mta" in METRICS[alias.source].labels else []
    matchers = ", ".join([*own, *wanted])
    return f"{alias.source}{{{matchers}}}" if matchers else alias.source
