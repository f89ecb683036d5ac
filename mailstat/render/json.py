"""JSON: one object for a report, one object a line for a report as long as the log.

Text that was not UTF-8 has U+FFFD in the place of each byte that is none; control characters, also those beyond
ASCII that some terminals obey, are written as escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import tzinfo
from itertools import islice
from typing import Any, TextIO

import msgspec

from mailstat.cell import plain
from mailstat.report import Record, Report, Section
from parsers.clock import rfc3339

BATCH = 256  # records that are written at once
_SURROGATES = re.compile("[\ud800-\udfff]")
# What msgspec leaves raw: DEL, C1, and what turns a line's direction or begins a new one.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def render(report: Report, out: TextIO, *, zone: tzinfo) -> None:
    """Write the report."""
    if report.records is not None:
        out.writelines(lines(report, zone))
        return
    document = _of_section(report, zone) if report.document is None else report.document
    out.write(_safe(msgspec.json.format(_encode(document), indent=2).decode()) + "\n")


def lines(report: Report, zone: tzinfo) -> Iterator[str]:
    """The records, some at a time, each on a line."""
    times = [column.name for column in report.sections[0].columns if column.kind == "time"]
    records = _in_words(report.records or iter(()), times, zone)
    encoder = msgspec.json.Encoder()
    while batch := list(islice(records, BATCH)):
        try:
            yield _safe(encoder.encode_lines(batch).decode())
        except UnicodeEncodeError:
            yield _safe(encoder.encode_lines(_clean(batch)).decode())


def _in_words(records: Iterator[Record], times: list[str], zone: tzinfo) -> Iterator[dict[str, Any]]:
    last, text = None, ""  # neighbours mostly have the same time
    for record in records:
        worded = dict(record)
        for name in times:
            time = record.get(name)
            if time is not None:
                if time != last:
                    last, text = time, rfc3339(time, zone)
                worded[name] = text
        yield worded


def _of_section(report: Report, zone: tzinfo) -> dict[str, Any]:
    section = report.sections[0] if report.sections else Section("", ())
    more = {each.key: _rows(each, zone) for each in report.sections[1:] if each.key}
    return {"report": report.name, **_rows(section, zone), **more}


def _rows(section: Section, zone: tzinfo) -> dict[str, Any]:
    return {
        "columns": [column.name for column in section.columns],
        "rows": [
            {column.name: plain(value, column.kind, zone) for column, value in zip(section.columns, row, strict=True)}
            for row in section.rows
        ],
    }


def _encode(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_clean(value))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_clean(name): _clean(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(each) for each in value]
    return value


def _safe(text: str) -> str:
    if text.isascii() and "\x7f" not in text:
        return text
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
