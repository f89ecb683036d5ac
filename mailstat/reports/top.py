"""What happens just now, on the whole terminal."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from mailstat.report import ReportError

if TYPE_CHECKING:
    from exporter.queues.entry import Place
    from mailstat.live.screen import Feed

NAME = "top"
HELP = "what happens just now: rates, providers, reasons, destinations, attackers, queue; on the whole terminal"
DESCRIPTION = (
    "A live view of the last minutes. Follows logs (those that are named, or those that this host has, and then its "
    "queues too), or asks a running exporter for its metrics. Keys: tab to the next table, enter for the last lines "
    "about a row, s to sort by the next column, r to reverse, / to filter, w for a longer window, p to pause, "
    "q to quit."
)
IS_LIVE = True


def add_arguments(parser: ArgumentParser) -> None:
    """What to watch."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="logs; without any, those that this host has")
    parser.add_argument(
        "--url", metavar="URL", help="a running exporter's metrics, as in http://localhost:9587/metrics"
    )


def run(options: Namespace, paths: Sequence[Path]) -> None:
    """Show it until somebody has seen enough. Raises ReportError where it cannot be shown."""
    feed = feed_of(options, paths)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ReportError("top needs a terminal; for a pipe there are the other reports")
    from mailstat.live.screen import Top  # noqa: PLC0415 - the help of all reports must not wait for it

    Top(feed, time).run()


def feed_of(options: Namespace, paths: Sequence[Path]) -> Feed:
    """Where the numbers come from. Raises ReportError where there is nothing to be read."""
    from mailstat.live.scrape import Scrape  # noqa: PLC0415
    from mailstat.live.watch import Watch  # noqa: PLC0415

    if options.url:
        return Scrape(options.url, now=time)
    for path in paths:
        _check(path)
    where = options.where.matches if options.where else None
    return Watch(paths, zone=options.zone, now=time, queues=_queues(options), matches=where, mta=options.mta)


def _check(path: Path) -> None:
    if str(path) == "-":
        raise ReportError("top follows files; standard input is none")
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from None


def _queues(options: Namespace) -> Sequence[Place]:
    """Those of this host, where its own logs are watched."""
    if options.files:
        return ()
    from exporter.queues.place import find_queues  # noqa: PLC0415

    return find_queues()
