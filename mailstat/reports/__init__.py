"""The reports: one module for each, found by listing this folder; the module's name is the report's.

Each has NAME, HELP (one line, for the list of reports), DESCRIPTION, `make(log, options) -> Report`, and
`add_arguments(parser)` where it has options of its own. One with `READS_LOG = False` is about something else than
logs: it has only the options of its own and those that say how it looks, and `make(options)`. One that has formats of
its own names them in FORMATS, and has `write(log, options, out)` for these, where `out.buffer` takes bytes.

`options` are the command line's: `files`, `since`, `until`, `now` (seconds since the epoch, the first two may be
None), `where` (Filter or None), `mta`, `zone` (a tzinfo; `given_zone` is None where nobody named it), `year`,
`limit`, `format`, `output`, and the report's own.
"""

from __future__ import annotations

import ast
from argparse import ArgumentParser, Namespace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO, cast

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.report import Report


class ReportModule(Protocol):
    """What a module of this folder is."""

    NAME: str
    HELP: str
    DESCRIPTION: str

    def make(self, *of: Log | Namespace) -> Report:
        """Answer from the log and the options, or from the options alone. Raises ReportError where there can be no
        answer."""

    def write(self, log: Log, options: Namespace, out: TextIO) -> None:
        """Write it in a format of its own, where it has one. Raises ReportError."""


class LiveModule(Protocol):
    """What a module of this folder is that shows what happens just now."""

    def run(self, options: Namespace) -> None:
        """Show it until somebody has seen enough. Raises ReportError where it cannot be shown."""


def helps() -> dict[str, str]:
    """What each report is for, by name. The modules are read, not imported: that would take longer than the help."""
    return {path.stem: _help(path.read_text("utf-8")) for path in sorted(Path(__file__).parent.glob("[a-z]*.py"))}


def load(name: str) -> ReportModule:
    """The report of that name."""
    return cast("ReportModule", import_module(f"{__name__}.{name}"))


def load_live(name: str) -> LiveModule:
    """The live view of that name."""
    return cast("LiveModule", import_module(f"{__name__}.{name}"))


def is_live(report: ReportModule) -> bool:
    """Whether it shows what happens just now."""
    return getattr(report, "IS_LIVE", False)


def reads_log(report: ReportModule) -> bool:
    """Whether it is about logs, and made once."""
    return getattr(report, "READS_LOG", True) and not is_live(report)


def formats(report: ReportModule) -> tuple[str, ...]:
    """The formats that this report has besides those of all."""
    return getattr(report, "FORMATS", ())


def add_arguments(report: ReportModule, parser: ArgumentParser) -> None:
    """The report's own options, where it has any."""
    add = getattr(report, "add_arguments", None)
    if add:
        add(parser)


def _help(source: str) -> str:
    line = next(line for line in source.splitlines() if line.startswith("HELP = "))
    return str(ast.literal_eval(line.removeprefix("HELP = ")))
