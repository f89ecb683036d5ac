"""How reports look: one module for each format, found by listing this folder.

Each has `render(report, out, *, zone)`, which writes the whole report; `zone` is where its times are told.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from importlib import import_module
from pathlib import Path
from typing import TextIO, cast

from mailstat.report import Report

Render = Callable[..., None]


def names() -> list[str]:
    """The formats there are."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def render(name: str, report: Report, out: TextIO, *, zone: tzinfo) -> None:
    """Write a report in the format of that name."""
    cast("Render", import_module(f"{__name__}.{name}").render)(report, out, zone=zone)
