"""Write the pages that are made from the code: `python -m docs.generate`; with `--check`, say which are stale."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from docs import command, door, event, fault, line, metric, migration, posture, reason
from exporter import config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FOLDER = Path(__file__).parent
PAGES: dict[str, Callable[[], str]] = {
    "commands.md": command.text,
    "configuration.md": config.describe,
    "events.md": event.text,
    "lines.md": line.text,
    "metrics.md": metric.text,
    "migration.md": migration.text,
    "posture.md": posture.text,
    "probe-failures.md": fault.text,
    "reasons.md": reason.text,
    "web-configuration.md": door.text,
}


MADE = "<!-- Made by `make docs` from the code: do not edit. -->\n\n"


def pages() -> dict[str, str]:
    """The text of each page, by the name of its file."""
    return {name: MADE + text() for name, text in PAGES.items()}


def write(folder: Path) -> None:
    """Write all pages."""
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


def stale(folder: Path) -> Iterator[str]:
    """The pages that are missing or are not what the code says now."""
    for name, text in pages().items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            yield name


def main(argv: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Write, or with `--check` compare: then the status is 1 where a page is not current."""
    parser = ArgumentParser(
        prog="python -m docs.generate", description="Write the pages that are made from the code."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is not current")
    if not parser.parse_args(argv).check:
        write(folder)
        return 0
    old = list(stale(folder))
    for name in old:
        print(f"docs/{name} is not what the code says: run make docs", file=sys.stderr)
    return int(bool(old))


if __name__ == "__main__":
    sys.exit(main())
