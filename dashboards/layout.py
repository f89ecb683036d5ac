"""A dashboard as rows of panels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models.dashboard import Panel


class Row(NamedTuple):
    """Panels under a heading."""

    title: str
    panels: tuple[Builder[Panel], ...]


class Board(NamedTuple):
    """A dashboard; `name` is that of its file and in its address, `filters` the labels to choose from."""

    name: str
    title: str
    text: str
    filters: tuple[str, ...]
    rows: tuple[Row, ...]
