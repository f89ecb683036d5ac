"""Manual pages of the two commands, from their argument parsers: `python -m docs.manual FOLDER`.

They are not kept with the other pages: how argparse words a synopsis changes with the release of Python.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from argparse_manpage.manpage import Manpage

from exporter.cli import parser as exporter_parser
from mailstat.synopsis import synopsis
from parsers import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY = "2026-01-01"  # of no meaning, so that the same code makes the same page


def pages() -> dict[str, str]:
    """The text of each page, by the name of its file."""
    return {
        "mailstat.1": _page(synopsis()[0], 1, "reports from mail logs"),
        "mailstat_exporter.8": _page(exporter_parser(), 8, "Prometheus exporter for mail servers"),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages."""
    parser = ArgumentParser(prog="python -m docs.manual", description="Write the manual pages.")
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(argv).folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


def _page(parser: ArgumentParser, section: int, words: str) -> str:
    made = {
        "project_name": "mailstat",
        "version": __version__,
        "manual_title": "mailstat",
        "manual_section": section,
        "description": words,
        "date": DAY,
    }
    return str(Manpage(parser, made))


if __name__ == "__main__":
    sys.exit(main())
