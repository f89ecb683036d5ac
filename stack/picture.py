"""The dashboards as pictures for the documentation: `python -m stack.picture`.

Drawn by us and not by Grafana, from the dashboards' own JSON and what a real Prometheus answers to their queries.
"""

from __future__ import annotations

import math
import re
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch
from matplotlib.textpath import TextPath
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

from mailstat.prometheus import instant, over_time
from stack import control, panel, prometheus, story
from stack.__main__ import FOLDER
from stack.ground import ROOT
from stack.panel import Panel, Target

IMAGES = ROOT / "docs/img"
COLUMN, LINE = 60, 36  # pixels of a unit of Grafana's grid
DPI = 100
POINTS = 240  # of a line
MOST_LINES, MOST_ROWS = 10, 7
NARROW = 480  # pixels
SPREAD = 20.0  # seconds that all faults last before the pictures are taken
GROUND, BOX, EDGE, INK, PALE = "#f4f5f7", "#ffffff", "#dcdfe6", "#1f2430", "#707888"
COLORS = {"green": "#2f9e58", "orange": "#e8890c", "red": "#d6303f", "blue": "#2f6fd6"}
LINES = "#2f6fd6 #e8890c #2f9e58 #d6303f #8a4fc7 #12979e #b0568c #8c7a1f #5b6b7f #6fa8dc".split()
OF_WORDS = {  # what the same word is drawn in everywhere
    "sent": COLORS["green"],
    "success": COLORS["green"],
    "parsed": COLORS["green"],
    "deferred": COLORS["orange"],
    "bounced": COLORS["red"],
    "failure": COLORS["red"],
    "unknown": COLORS["red"],
    "expired": "#8a4fc7",
    "ignored": "#5b6b7f",
}
MOST_WIDE, GAP = 200, 12  # pixels of a column of a table, and between two
TITLE, TEXT, SMALL = 9.5, 8.0, 7.0  # points

Series = list[tuple[dict[str, str], list[tuple[float, float]]]]


class View(NamedTuple):
    """Whom to ask, and from when to when."""

    url: str
    start: float
    end: float

    def asked(self, target: Target) -> str:
        length = f"{max(round(self.end - self.start), 60)}s"
        return target.asked(rate_interval=story.RATE_INTERVAL, time_range=length)

    def lines(self, target: Target) -> Series:
        step = max((self.end - self.start) / POINTS, 1.0)
        return over_time(self.url, self.asked(target), self.start, self.end, step)

    def now(self, target: Target) -> list[tuple[dict[str, str], float]]:
        return instant(self.url, self.asked(target), time=self.end)


# --- values ---


def number(value: float) -> str:
    """With three digits, and a letter for thousands."""
    if not math.isfinite(value):
        return "-"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def seconds(value: float) -> str:
    """In the unit that fits."""
    for size, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s")):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1000:.3g} ms" if value else "0 s"


UNITS: dict[str, Callable[[float], str]] = {
    "short": number,
    "s": seconds,
    "percentunit": lambda value: f"{100 * value:.3g} %",
    "bytes": lambda value: f"{number(value)}B",
    "Bps": lambda value: f"{number(value)}B/s",
    "cps": lambda value: f"{number(value)}/s",
    "mps": lambda value: f"{number(value)}/s",
}


def color_of(body: dict[str, Any], value: float) -> str:
    """The color of the last threshold that a value has reached."""
    steps = body["fieldConfig"]["defaults"]["thresholds"]["steps"]
    reached = [it["color"] for it in steps if it["value"] is None or value >= it["value"]]
    return COLORS[reached[-1]]


def legend_of(target: Target, labels: dict[str, str]) -> str:
    """What the legend calls a series."""
    return re.sub(r"{{(\w+)}}", lambda it: labels.get(it[1], ""), target.legend).strip() or target.legend or "value"


# --- panels ---


def draw_number(axes: Axes, it: Panel, view: View) -> None:
    """One number, and its past behind it."""
    axes.set_axis_off()
    target = it.targets[0]
    series = view.lines(target)
    if not series or not (points := series[0][1]) or points[-1][0] < view.end - 120:
        _say_empty(axes, it)
        return
    value = points[-1][1]
    color = color_of(it.body, value)
    times, values = zip(*points, strict=True)
    top = max(values) or 1.0
    axes.fill_between(times, [v / top * 0.35 for v in values], color=color, alpha=0.18, linewidth=0)
    axes.plot(times, [v / top * 0.35 for v in values], color=color, linewidth=1)
    axes.set_xlim(view.start, view.end)
    axes.set_ylim(0, 1)
    shown = UNITS[_unit(it)](value)
    axes.text(
        0.5, 0.62, shown, transform=axes.transAxes, ha="center", va="center", color=color, size=19, weight="bold"
    )


def draw_lines(axes: Axes, it: Panel, view: View) -> None:
    """Values over time."""
    found = [(target, labels, points) for target in it.targets for labels, points in view.lines(target)]
    if not found:
        axes.set_axis_off()
        _say_empty(axes, it)
        return
    found.sort(key=lambda row: -max(value for _, value in row[2]))
    most = MOST_LINES if axes.bbox.width > NARROW else MOST_LINES - 4
    kept = sorted(found[:most], key=lambda row: legend_of(*row[:2]))
    if it.body["fieldConfig"]["defaults"].get("custom", {}).get("stacking", {}).get("mode") == "normal":
        _stack(axes, kept)
    else:
        for color, (target, labels, points) in zip(_colors(kept), kept, strict=True):
            label = _cut(legend_of(target, labels), 34)
            axes.plot(*zip(*points, strict=True), color=color, linewidth=1.3, label=label)
    _dress(axes, it, view, len(kept), len(found) - len(kept))


def _stack(axes: Axes, rows: Sequence[tuple[Target, dict[str, str], list[tuple[float, float]]]]) -> None:
    times = sorted({at for _, _, points in rows for at, _ in points})
    values = [[dict(points).get(at, 0.0) for at in times] for _, _, points in rows]
    labels = [_cut(legend_of(target, of), 34) for target, of, _ in rows]
    axes.stackplot(times, values, labels=labels, colors=_colors(rows), alpha=0.55, linewidth=0)


def _colors(rows: Sequence[tuple[Target, dict[str, str], list[tuple[float, float]]]]) -> list[str]:
    """One for each line: that of its last word, or the next that no word has."""
    words = [legend_of(target, labels).split()[-1] for target, labels, _ in rows]
    others = iter([color for color in LINES if color not in {OF_WORDS.get(word) for word in words}] * 2)
    return [OF_WORDS[word] if word in OF_WORDS and words.count(word) == 1 else next(others) for word in words]


def _dress(axes: Axes, it: Panel, view: View, shown: int, left_out: int) -> None:
    form = UNITS[_unit(it)]
    axes.set_xlim(view.start, view.end)
    lowest, highest = axes.dataLim.intervaly
    axes.set_ylim(min(lowest * 1.05, 0), highest * 1.05 if highest > 0 else 0 if lowest < 0 else 1)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: form(value)))
    axes.set_yticks(_ticks(axes.get_ylim(), is_time=_unit(it) == "s"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{datetime.fromtimestamp(at, UTC):%H:%M}"))
    axes.set_xticks(range(int(view.start // 60 + 1) * 60, int(view.end) + 1, _gap(view)))
    axes.tick_params(labelsize=SMALL, colors=PALE, length=0)
    axes.grid(color=EDGE, linewidth=0.6)
    for side in axes.spines.values():
        side.set_visible(False)
    columns = 2 if axes.bbox.width < NARROW else 4
    box = axes.legend(
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.1),
        ncols=min(columns, shown),
        fontsize=SMALL,
        frameon=False,
        handlelength=1.1,
        columnspacing=1.2,
        labelspacing=0.25,
        borderaxespad=0.2,
        title=f"and {left_out} more" if left_out else None,
        title_fontsize=SMALL,
    )
    for text in box.get_texts():
        text.set_color(INK)


def _ticks(limits: tuple[float, float], *, is_time: bool) -> list[float]:
    """Some even values; of times, even in the unit that fits."""
    low, high = limits
    size = next((it for it in (86_400.0, 3600.0, 60.0) if is_time and high >= 2 * it), 1.0)
    return [at * size for at in MaxNLocator(4).tick_values(low / size, high / size) if low <= at * size <= high]


def _gap(view: View) -> int:
    """Seconds between two times on the axis."""
    return max(60, round((view.end - view.start) / 6 / 60) * 60)


def draw_bars(axes: Axes, it: Panel, view: View) -> None:
    """One bar for each series."""
    rows = [(legend_of(target, labels), value) for target in it.targets for labels, value in view.now(target)]
    axes.set_axis_off()
    if not rows:
        _say_empty(axes, it)
        return
    rows.sort(key=lambda row: float(row[0]) if _is_bound(row[0]) else 0.0)
    most = max(value for _, value in rows) or 1.0
    shown = rows[: MOST_ROWS + 2]
    form = UNITS[_unit(it)]
    axes.set_xlim(0, 1)
    axes.set_ylim(max(len(shown), 5), 0)
    for at, (label, value) in enumerate(shown):
        axes.text(0, at + 0.5, _cut(label, 24), va="center", size=TEXT, color=INK)
        axes.barh(at + 0.5, 0.55 * value / most, left=0.32, height=0.6, color=color_of(it.body, value), alpha=0.8)
        axes.text(0.33 + 0.55 * value / most, at + 0.5, f" {form(value)}", va="center", size=TEXT, color=INK)


def _is_bound(label: str) -> bool:
    """Whether it is that of a histogram's bucket."""
    return label == "+Inf" or label.replace(".", "", 1).isdecimal()


def draw_rows(axes: Axes, it: Panel, view: View) -> None:
    """A table: a column for each label, and the value."""
    axes.set_axis_off()
    hidden = it.body["transformations"][0]["options"]["excludeByName"]
    rows = [
        {**labels, "Value": UNITS[_unit(it)](value)} for target in it.targets for labels, value in view.now(target)
    ]
    if not rows:
        _say_empty(axes, it)
        return
    columns = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in hidden]
    draw_table(axes, [name for name in columns if name not in ("job", "instance")], rows)


def draw_table(axes: Axes, columns: Sequence[str], rows: Sequence[dict[str, str]]) -> None:
    """The first rows, in columns that fit, with what is longer cut."""
    shown = rows[:MOST_ROWS]
    widths = _fitting(columns, shown, axes.bbox.width)
    spare = (axes.bbox.width - sum(widths.values())) / len(widths)
    axes.set_xlim(0, axes.bbox.width)
    axes.set_ylim(MOST_ROWS + 1.6, 0)
    x = 0.0
    for name, width in widths.items():
        axes.text(x, 0.5, _cut_to(name, width - GAP, "bold"), va="center", size=TEXT, color=PALE, weight="bold")
        for at, row in enumerate(shown, start=1):
            axes.text(x, at + 0.5, _cut_to(row.get(name, ""), width - GAP), va="center", size=TEXT, color=INK)
        x += width + spare
    for at in range(1, len(shown) + 1):
        axes.axhline(at, color=EDGE, linewidth=0.6)
    if len(rows) > len(shown):
        left = f"{len(shown)} of {len(rows)}"
        axes.text(axes.bbox.width, MOST_ROWS + 1.3, left, va="center", ha="right", size=SMALL, color=PALE)


def _fitting(columns: Sequence[str], rows: Sequence[dict[str, str]], pixels: float) -> dict[str, float]:
    """The columns that fit, those first that most rows have, and how wide they are; in their order."""
    widths = {name: min(_column(name, rows), MOST_WIDE, pixels) for name in columns}
    kept: set[str] = set()
    for name in sorted(columns, key=lambda name: -sum(name in row for row in rows)):
        if sum(widths[it] for it in kept) + widths[name] <= pixels:
            kept.add(name)
    return {name: width for name, width in widths.items() if name in kept}


def _column(name: str, rows: Sequence[dict[str, str]]) -> float:
    """Pixels that a column takes, with the gap after it."""
    return max(_pixels(name, "bold"), *(_pixels(row.get(name, "")) for row in rows)) + GAP


@cache
def _pixels(text: str, weight: str = "normal") -> float:
    """How wide a text of a table is drawn."""
    font = FontProperties(family="DejaVu Sans", weight=weight)
    return float(TextPath((0, 0), text, size=TEXT, prop=font).get_extents().width) * DPI / 72 if text else 0.0


def _cut_to(text: str, pixels: float, weight: str = "normal") -> str:
    """As much of a text as fits, with an ellipsis where that is not all."""
    fitting = (_cut(text, most) for most in range(len(text), 0, -1))
    return next((it for it in fitting if _pixels(it, weight) <= pixels), "")


DRAW = {"stat": draw_number, "timeseries": draw_lines, "bargauge": draw_bars, "table": draw_rows}


def _unit(it: Panel) -> str:
    return str(it.body["fieldConfig"]["defaults"]["unit"])


def _say_empty(axes: Axes, it: Panel) -> None:
    text = it.empty or "No data"
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", size=TEXT, color=PALE, wrap=True)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


# --- boards ---


def draw(board: str, view: View) -> Image.Image:
    """One board, whole."""
    bodies = panel.bodies(board)
    height = max(it["gridPos"]["y"] + it["gridPos"]["h"] for it in bodies)
    size = (24 * COLUMN, height * LINE)
    figure = Figure(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI, facecolor=GROUND)
    for body in bodies:
        _place(figure, body, board, view, size)
    raw = BytesIO()
    figure.savefig(raw, format="png")
    return Image.open(raw).convert("RGB").quantize(96)


def _place(figure: Figure, body: dict[str, Any], board: str, view: View, size: tuple[int, int]) -> None:
    grid = body["gridPos"]
    left, top = grid["x"] * COLUMN + 5, grid["y"] * LINE + 4
    width, height = grid["w"] * COLUMN - 10, grid["h"] * LINE - 8
    x, y = left / size[0], 1 - (top + height) / size[1]
    if body["type"] == "row":
        figure.text(x, y + height / size[1] / 2, body["title"], size=11, weight="bold", color=INK, va="center")
        return
    box = FancyBboxPatch(
        (x, y),
        width / size[0],
        height / size[1],
        boxstyle="square,pad=0",
        facecolor=BOX,
        edgecolor=EDGE,
        linewidth=0.8,
        transform=figure.transFigure,
        zorder=-1,
    )
    figure.add_artist(box)
    figure.text(
        x + 9 / size[0], 1 - (top + 15) / size[1], body["title"], size=TITLE, weight="bold", color=INK, va="center"
    )
    margins = _margins(body["type"])
    inner = (left + margins[0], top + margins[1], width - margins[0] - margins[2], height - margins[1] - margins[3])
    axes = figure.add_axes(
        (inner[0] / size[0], 1 - (inner[1] + inner[3]) / size[1], inner[2] / size[0], inner[3] / size[1])
    )
    axes.set_facecolor(BOX)
    DRAW[body["type"]](axes, Panel(board, body["title"], body["type"], body), view)


def _margins(kind: str) -> tuple[int, int, int, int]:
    """Left, above, right, below, in pixels."""
    return {"timeseries": (58, 34, 14, 70), "stat": (1, 28, 1, 1)}.get(kind, (12, 34, 12, 8))


def draw_all(view: View, folder: Path) -> None:
    """All boards."""
    mpl.rcParams["font.family"] = "DejaVu Sans"
    folder.mkdir(parents=True, exist_ok=True)
    for board in panel.boards():
        file = folder / f"{board}.png"
        draw(board, view).save(file, optimize=True)
        print(f"{file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}: {file.stat().st_size // 1000} kB")


def main() -> int:
    """Draw what a Prometheus knows, or what happens to a stack that is started for it."""
    parser = ArgumentParser(prog="python -m stack.picture", description="Draw the dashboards into docs/img.")
    parser.add_argument("--url", help="a Prometheus; without it, a stack is started, struck by all faults, and ended")
    parser.add_argument("--minutes", type=float, default=10.0, help="how much of the past to draw, with --url")
    options = parser.parse_args()
    if options.url:
        now = time.time()
        draw_all(View(options.url, now - 60 * options.minutes, now), IMAGES)
        return 0
    if missing := control.missing():
        print(f"not here: {', '.join(missing)}", file=sys.stderr)
        return 1
    try:
        plan = control.up(FOLDER, is_quick=True)
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    try:
        began = time.time()
        story.worsen(plan)
        time.sleep(SPREAD)
        draw_all(View(plan.url(prometheus.NAME), began, time.time()), IMAGES)
    finally:
        control.down(FOLDER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
