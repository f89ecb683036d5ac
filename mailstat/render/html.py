"""One HTML file that needs nothing else: for a browser, by day or night, or for paper."""

from __future__ import annotations

from datetime import tzinfo
from html import escape
from typing import TextIO

from mailstat.cell import RIGHT, show, visible
from mailstat.report import Column, Report, Section

HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1d2430; --paper: #ffffff; --line: #d4d9e1; --soft: #f4f6f9; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e3e7ee; --paper: #14181f; --line: #343b48; --soft: #1c222c; }}
}}
body {{ margin: 2rem auto; max-width: 90rem; padding: 0 1rem; color: var(--ink); background: var(--paper);
  font: 15px/1.45 system-ui, sans-serif; }}
h1 {{ font-size: 1.5rem; }}
h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }}
th {{ background: var(--soft); white-space: nowrap; }}
.right {{ text-align: right; white-space: nowrap; }}
@media print {{
  @page {{ margin: 1.5cm; }}
  :root {{ --ink: #000000; --paper: #ffffff; --line: #999999; --soft: #eeeeee; }}
  body {{ margin: 0; max-width: none; font-size: 10pt; }}
  .wide {{ overflow: visible; }}
  thead {{ display: table-header-group; }}
  tr {{ break-inside: avoid; }}
}}
</style>
</head>
<body>
<h1>{title}</h1>
"""
FOOT = "</body>\n</html>\n"


def render(report: Report, out: TextIO, *, zone: tzinfo) -> None:
    """Write the report."""
    out.write(HEAD.format(title=_text(report.title)))
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


def _open(section: Section, out: TextIO) -> None:
    if section.title:
        out.write(f"<h2>{_text(section.title)}</h2>\n")
    heads = "".join(f'<th scope="col"{_align(column)}>{_text(column.name)}</th>' for column in section.columns)
    out.write(f'<div class="wide"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n')


def _cell(value: object, column: Column, zone: tzinfo) -> str:
    return f"<td{_align(column)}>{escape(show(value, column.kind, zone))}</td>"


def _align(column: Column) -> str:
    return ' class="right"' if column.kind in RIGHT else ""


def _text(text: str) -> str:
    return escape(visible(text))
