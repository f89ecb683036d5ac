"""One HTML file that needs nothing else: for a browser, by day or night, or for paper. It has no script."""

from __future__ import annotations

from base64 import b64encode
from datetime import tzinfo
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TextIO

from mailstat.cell import RIGHT, clock_time, show, show_in, visible
from mailstat.report import Chart, Column, Figure, Report, Section
from parsers import __version__

STYLE = Path(__file__).with_name("page.css").read_text("utf-8")
SHORT = 24  # characters of a text that is not broken into lines
# The browser takes this one style sheet, and nothing else from anywhere.
POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}';"
    " base-uri 'none'; form-action 'none'"
)
HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="mailstat {version}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
"""
FOOT = "</main>\n</body>\n</html>\n"


def render(report: Report, out: TextIO, *, zone: tzinfo) -> None:
    """Write the report."""
    out.write(HEAD.format(title=_text(report.title), policy=POLICY, style=STYLE, version=__version__))
    if report.period:
        first, last = (clock_time(time, zone) for time in report.period)
        out.write(f'<p class="period">{first} to {last}</p>\n')
    _write_figures(report, out, zone)
    _write_charts(report, out, zone)
    for section in report.sections:
        rows = section.rows if report.records is None else report.rows_of_records()
        _open(section, out)
        for row in rows:
            cells = (_cell(value, column, zone) for value, column in zip(row, section.columns, strict=True))
            out.write(f"<tr>{''.join(cells)}</tr>\n")
        out.write("</tbody>\n</table></div>\n")
        if section.left_out:
            out.write(f"<p>and {section.left_out:,d} more</p>\n")
    out.write(FOOT)


def _write_figures(report: Report, out: TextIO, zone: tzinfo) -> None:
    if report.figures:
        tiles = "".join(_tile(figure, zone) for figure in report.figures)
        out.write(f'<dl class="figures">{tiles}</dl>\n')


def _tile(figure: Figure, zone: tzinfo) -> str:
    shown = show(figure.value, figure.kind, zone) or "-"
    return f"<div><dt>{_text(figure.name)}</dt><dd>{escape(shown)}</dd></div>"


def _write_charts(report: Report, out: TextIO, zone: tzinfo) -> None:
    shown = [chart for chart in report.charts if any(map(sum, chart.series.values()))]
    if shown:
        out.write('<div class="charts">\n')
        out.writelines(_figure(chart, zone) for chart in shown)
        out.write("</div>\n")


def _figure(chart: Chart, zone: tzinfo) -> str:
    from mailstat.picture import colour, svg  # noqa: PLC0415 - a page without charts need not wait for it

    legend = "".join(
        f'<li class="{colour(name, place)}">{_text(name)} <b>{escape(show(sum(values), chart.kind, zone))}</b></li>'
        for place, (name, values) in enumerate(chart.series.items())
    )
    words = f"<figcaption>{_text(chart.title)}</figcaption>" + (f"<ul>{legend}</ul>" if len(chart.series) > 1 else "")
    return f'<figure class="{chart.form}">{words}{svg(chart, zone=zone)}</figure>\n'


def _open(section: Section, out: TextIO) -> None:
    if section.title:
        out.write(f"<h2>{_text(section.title)}</h2>\n")
    heads = "".join(f'<th scope="col"{_align(column)}>{_text(column.name)}</th>' for column in section.columns)
    out.write(f'<div class="wide"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n')


def _cell(value: object, column: Column, zone: tzinfo) -> str:
    shown = show_in(column, value, zone)
    align = _align(column) or (' class="short"' if len(shown) <= SHORT else "")
    return f"<td{align}>{escape(shown)}</td>"


def _align(column: Column) -> str:
    return (
        ' class="right"'
        if column.kind in RIGHT
        else f' class="{column.kind}"'
        if column.kind in ("time", "sparkline")
        else ""
    )


def _text(text: str) -> str:
    return escape(visible(text))
