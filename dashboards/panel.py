"""The kinds of panels, in one style: each says what it shows, in which unit, and why it may be empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models.dashboard import Panel as Made

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDE, HALF, THIRD, SMALL = 24, 12, 8, 4
GOOD, WARN, BAD, PLAIN = "green", "orange", "red", "blue"

Panel = TypeVar("Panel", stat.Panel, timeseries.Panel, bargauge.Panel, table.Panel)
Steps = tuple[tuple[float, str], ...]


class About(NamedTuple):
    """What every panel has: `empty` says why it may show nothing on a healthy system, `runbooks` who watches it."""

    title: str
    text: str
    unit: str = "short"
    empty: str = ""
    runbooks: tuple[str, ...] = ()
    span: int = HALF
    steps: Steps = ()
    base: str = GOOD


def number(about: About, expression: str) -> Builder[Made]:
    """One number, with its past as a line behind it."""
    panel = _common(stat.Panel(), about).height(4)
    panel.with_target(_query(expression, ""))
    return panel.color_mode(BigValueColorMode.VALUE).graph_mode(BigValueGraphMode.AREA)


def lines(about: About, expressions: Mapping[str, str], *, is_stacked: bool = False) -> Builder[Made]:
    """Values over time: the expressions by their legends."""
    panel = _common(timeseries.Panel(), about).height(8)
    for index, (legend, expression) in enumerate(expressions.items()):
        panel.with_target(_query(expression, legend).ref_id(chr(ord("A") + index)))
    panel.min(0).line_width(1).show_points(VisibilityMode.NEVER).draw_style(GraphDrawStyle.LINE)
    panel.fill_opacity(25 if is_stacked else 8)
    if is_stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    panel.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    legend_options = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).show_legend(True)
    return panel.legend(legend_options.placement(LegendPlacement.BOTTOM).calcs([]))


def bars(about: About, expression: str, legend: str) -> Builder[Made]:
    """One bar for each value of a label, over all of the time that is shown."""
    panel = _common(bargauge.Panel(), about).height(8)
    panel.with_target(_query(expression, legend).instant())
    return panel.orientation(VizOrientation.HORIZONTAL).display_mode(BarGaugeDisplayMode.BASIC)


def rows(about: About, expression: str, hidden: Iterable[str] = ()) -> Builder[Made]:
    """A table with a row for each series and a column for each label."""
    panel = _common(table.Panel(), about).height(8)
    panel.with_target(_query(expression, "").instant().format(PromQueryFormat.TABLE))
    exclude = dict.fromkeys(("Time", "__name__", *hidden), True)
    organize = DataTransformerConfig(id_val="organize", options={"excludeByName": exclude})
    return panel.with_transformation(organize)


def _query(expression: str, legend: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).legend_format(legend).datasource(SOURCE).ref_id("A")


def _common(panel: Panel, about: About) -> Panel:
    text = f"{about.text}\n\nEmpty when all is well: {about.empty}." if about.empty else about.text
    panel.title(about.title).description(text).datasource(SOURCE).unit(about.unit).span(about.span)
    if about.empty:
        panel.no_value(about.empty[0].upper() + about.empty[1:])
    steps = [
        Threshold(value=None, color=about.base),
        *(Threshold(value=at, color=color) for at, color in about.steps),
    ]
    panel.thresholds(build.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    return panel.links([_runbook(name) for name in about.runbooks])


def _runbook(alert: str) -> dashboard.DashboardLink:
    link = dashboard.DashboardLink(f"Runbook: {alert}").type(DashboardLinkType.LINK)
    return link.url(f"${{runbooks}}/{alert}.md").target_blank(True)
