"""The page of the two commands, from their argument parsers."""

from __future__ import annotations

from argparse import SUPPRESS, Action, ArgumentParser
from typing import TYPE_CHECKING

from docs.markdown import code, page, table
from exporter.cli import parser as exporter_parser
from mailstat import reports
from mailstat.cli import build_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

INTRODUCTION = """\
`mailstat_exporter` is the service, `mailstat` makes reports; `--help` of either says the same as this page, which is
made from their argument parsers."""

REPORTS = "`mailstat FILE …` is `mailstat summary FILE …`. A report has options of its own, and those of all reports."


def text() -> str:
    """The page."""
    shared = set(_forms(build_parser(None)))
    return page(
        "Commands",
        INTRODUCTION,
        "## mailstat_exporter",
        _options(exporter_parser(), set()),
        "## mailstat",
        REPORTS,
        table(["report", "what it shows"], ([code(name), words] for name, words in reports.helps().items())),
        _options(build_parser(None), set()),
        *(part for name in reports.helps() for part in _report(name, shared)),
    )


def _report(name: str, shared: set[str]) -> Iterator[str]:
    parser = build_parser(name)
    yield f"### mailstat {name}"
    yield parser.description or ""
    if set(_forms(parser)) - shared:
        yield _options(parser, shared)


def _options(parser: ArgumentParser, shared: set[str]) -> str:
    rows = ([code(_form(action)), _meaning(action)] for action in _shown(parser) if _form(action) not in shared)
    return table(["argument", "meaning"], rows)


def _shown(parser: ArgumentParser) -> Iterator[Action]:
    return (action for action in parser._actions if action.help != SUPPRESS)


def _forms(parser: ArgumentParser) -> Iterator[str]:
    return map(_form, _shown(parser))


def _form(action: Action) -> str:
    """The argument as one writes it: argparse's own words for it change with the release of Python."""
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    value = "|".join(map(str, action.choices)) if action.choices and not action.metavar else metavar
    if not action.option_strings:
        return f"[{value} ...]" if action.nargs == "*" else value
    names = ", ".join(action.option_strings)
    if action.nargs == 0:
        return names
    return f"{names}[={value}]" if action.nargs == "?" else f"{names} {value}"


def _meaning(action: Action) -> str:
    return (action.help or "") % (vars(action) | {"prog": ""})
