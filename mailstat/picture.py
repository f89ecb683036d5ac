"""Charts as SVG that stands within a page: drawn by pygal, coloured by the page's own style sheet, without a script.

What the library adds for a page of its own (style, script, hidden descriptions, what only a script would show) is
taken away; what a mouse finds over a bar is a `title`, which every browser shows by itself.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from xml.etree.ElementTree import Element

import pygal
from pygal.etree import etree
from pygal.style import Style

from mailstat.cell import show, visible
from mailstat.report import Chart, Kind

WIDTH, HEIGHT = 520, 260
BAR = 26  # height of a lying bar with its gap
MARKS = 6  # times that are written below a chart
LONGEST = 24  # characters of a label
HOUR, DAY = 3600.0, 86400.0
COLOURS = ("sent", "deferred", "bounced", "expired", "a", "b", "c", "d", "e", "f")  # classes of the style sheet
FORMS: dict[str, type[Any]] = {
    "columns": pygal.StackedBar,
    "bars": pygal.HorizontalStackedBar,
    "ring": pygal.Pie,
}
FONT = "system-ui, sans-serif"
STYLE = Style(font_family=FONT, label_font_size=12, major_label_font_size=12, value_font_size=12)
DRAWN = frozenset({"g", "path", "rect", "text"})
UNUSED_ATTRIBUTES = frozenset({"style", "id"})
TOLD = frozenset({"bar", "slice"})  # what a mouse may ask
_SERIES = re.compile(r"\bserie-(\d+)\b")

# For maps as plug-ins; it stands in the way of every other import, in the words of Python 3.3.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]
etree.to_etree()  # lxml, where it is installed, would make other elements


def svg(chart: Chart, *, zone: tzinfo) -> str:
    """The chart, of something, as an SVG element."""
    labels = [_label(value, chart, zone) for value in chart.labels]
    drawn = FORMS[chart.form](
        style=STYLE,
        width=WIDTH,
        height=BAR * max(len(labels), 2) + 44 if chart.form == "bars" else HEIGHT,
        show_legend=False,
        truncate_label=-1,
        disable_xml_declaration=True,
        js=[],
        value_formatter=_formatter(chart.kind),
        **_LOOKS[chart.form],
    )
    _fill(drawn, chart, labels)
    drawn.add_xml_filter(lambda root: _bare(root, list(chart.series), chart.title))
    return _single(str(drawn.render()))


def colour(name: str, place: int) -> str:
    """The class of a series: a status has its own colour, others have theirs by their place."""
    return name if name in COLOURS[:4] else COLOURS[4:][place % 6]


_LOOKS: dict[str, dict[str, Any]] = {
    "columns": {"margin": 6, "show_minor_x_labels": False},
    "bars": {"margin": 6, "margin_right": 22},
    "ring": {"inner_radius": 0.62, "margin": 4},
}


def _fill(drawn: Any, chart: Chart, labels: Sequence[str]) -> None:
    """Put the numbers into the chart; the first of lying bars is the lowest, so they are turned round."""
    if chart.form == "ring":
        for name, values in chart.series.items():
            drawn.add(visible(name), [{"value": sum(values), "label": visible(name)}])
        return
    turn = -1 if chart.form == "bars" else 1
    drawn.x_labels = _marks(labels) if chart.form == "columns" else labels[::turn]
    drawn.y_labels = ticks(max(map(sum, zip(*chart.series.values(), strict=True)), default=0))
    if chart.form == "columns":
        drawn.x_labels_major = [label for label in drawn.x_labels if label]
    for name, values in chart.series.items():
        told = [
            {"value": value, "label": f"{label}: {visible(name)}"}
            for value, label in zip(values, labels, strict=True)
        ]
        drawn.add(visible(name), told[::turn])


def ticks(most: float) -> list[float]:
    """Round numbers from 0 to what is not below `most`: five at most, in steps of 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return [0, 1]
    power = 10.0 ** math.floor(math.log10(most / 4))
    step = next(power * times for times in (1, 2, 5, 10) if power * times * 4 >= most * (1 - 1e-9))
    step = max(step, 1.0) if float(most).is_integer() else step
    return [step * number for number in range(math.ceil(most / step - 1e-9) + 1)]


def _marks(labels: Sequence[str]) -> list[str]:
    """Those that are written, and nothing in place of the others: two hours of an autumn night have the same."""
    step = max(-(-len(labels) // MARKS), 1)
    return ["" if at % step else label for at, label in enumerate(labels)]


def _label(value: Any, chart: Chart, zone: tzinfo) -> str:
    if chart.label_kind == "time":
        return _moment(value, chart.labels, zone)
    shown = visible(str(value)) if chart.label_kind == "text" else show(value, chart.label_kind, zone)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def _moment(time: float, times: Sequence[float], zone: tzinfo) -> str:
    """As much of a time as tells it from the others."""
    moment = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time)).astimezone(zone)
    span = times[-1] - times[0]
    step = span / max(len(times) - 1, 1)
    if span < DAY:
        return moment.strftime("%H:%M:%S" if step < 60 else "%H:%M")
    return moment.strftime("%m-%d %H:%M" if span < 14 * DAY or step < 23 * HOUR else "%Y-%m-%d")


def _formatter(kind: Kind) -> Callable[[Any], str]:
    def form(value: Any) -> str:
        whole = round(value)
        return f"{whole:,d}" if kind == "number" and abs(value - whole) < 1e-6 else show(value, kind, UTC)

    return form


# --- what is left of it ---


def _bare(root: Element, names: Sequence[str], title: str) -> Element:
    for parent in list(root.iter()):
        _tell(parent)
        for child in list(parent):
            if child.tag not in DRAWN and not (child.tag == "title" and _is_told(parent)):
                parent.remove(child)
        for name in UNUSED_ATTRIBUTES & parent.attrib.keys():
            del parent.attrib[name]
    for group in root.iter("g"):
        found = _SERIES.search(group.get("class", ""))
        if found:
            group.set("class", f"series {colour(names[int(found[1])], int(found[1]))}")
    root.attrib.pop("width", None)
    root.attrib.pop("height", None)
    root.set("role", "img")
    root.set("aria-label", visible(title))
    return root


def _is_told(parent: Element) -> bool:
    return parent.get("class", "") in TOLD


def _tell(group: Element) -> None:
    """What the library keeps for its script is told by a title."""
    words = {child.get("class"): child.text or "" for child in group if child.tag == "desc"}
    if "value" in words and _is_told(group):
        title = group.makeelement("title", {})
        title.text = " ".join(filter(None, (words.get("label"), words["value"])))
        group.insert(0, title)


def _single(text: str) -> str:
    """On one line: the page has its own."""
    return " ".join(text.split())
