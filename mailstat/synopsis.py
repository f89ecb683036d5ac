"""The whole command as one parser, for what describes it: completion in a shell, and the manual page."""

from __future__ import annotations

from argparse import Action, ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

from mailstat import reports
from mailstat.cli import DESCRIPTION, Parser, add_options

FILES = frozenset({"FILE", "CONFIG"})


def synopsis() -> tuple[ArgumentParser, list[ArgumentParser]]:
    """A parser with each report as a command, and the parsers of these. They describe; what is run is parsed report
    by report."""
    parser = Parser(
        prog="mailstat",
        description=f"{DESCRIPTION} Without the name of a report: summary.",
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="REPORT", title="reports")
    parts: list[ArgumentParser] = []
    for name, text in reports.helps().items():
        report = reports.load(name)
        one = commands.add_parser(name, help=text, description=report.DESCRIPTION, allow_abbrev=False)
        add_options(report, one)
        parts.append(one)
    return parser, parts


def takes_file(action: Action) -> bool:
    """Whether the name of a file is wanted."""
    return action.type is Path or action.metavar in FILES
