"""What happens just now, on the whole terminal."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from mailstat.report import ReportError

if TYPE_CHECKING:
    from exporter.config import Config, LogSource
    from exporter.queues.entry import Place
    from mailstat.live.screen import Feed

NAME = "top"
HELP = "what happens just now: rates, providers, reasons, destinations, attackers, queue; on the whole terminal"
DESCRIPTION = (
    "A live view of the last minutes. Follows logs (those that are named, those of the exporter's configuration, or "
    "those that this host has, which may be in the systemd journal; where none is named, the queues, too), or asks a "
    "running exporter for its metrics. --timezone and --mta stand above what a configuration says "
    "of its sources. Keys: tab to the next table, enter for the last lines "
    "about a row, s to sort by the next column, r to reverse, / to filter, w for a longer window, p to pause, "
    "q to quit."
)
IS_LIVE = True


def add_arguments(parser: ArgumentParser) -> None:
    """What to watch."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="logs; without any, those that this host has, or "
                        "the systemd journal")  # fmt: skip
    parser.add_argument("--config", metavar="CONFIG", type=Path, help="the exporter's configuration, for its sources "
                        "and queues")  # fmt: skip
    parser.add_argument(
        "--url", metavar="URL", help="a running exporter's metrics, as in http://localhost:9587/metrics"
    )


def run(options: Namespace) -> None:
    """Show it until somebody has seen enough. Raises ReportError where it cannot be shown."""
    feed = feed_of(options)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ReportError("top needs a terminal; for a pipe there are the other reports")
    from mailstat.live.screen import Top  # noqa: PLC0415 - the help of all reports must not wait for it

    Top(feed, time).run()


def feed_of(options: Namespace, root: Path = Path("/")) -> Feed:
    """Where the numbers come from. Raises ReportError where there is nothing to be read."""
    from mailstat.live.scrape import Scrape  # noqa: PLC0415
    from mailstat.live.watch import Watch  # noqa: PLC0415

    if options.url:
        _check_alone(options)
        return Scrape(options.url, now=time)
    paths = [Path(name) for name in options.files]
    config = _config(options.config)
    _learn(config, options)
    sources = [] if paths else [_told(source, options) for source in _sources(config, root)]
    for path in [*paths, *(source.file for source in sources if source.file and not config.sources)]:
        _check(path)
    where = options.where.matches if options.where else None
    queues = [] if paths else _queues(config, root)
    zone = options.given_zone or config.timezone or options.zone
    return Watch(paths, zone=zone, now=time, sources=sources, queues=queues, matches=where, mta=options.mta)


def _check_alone(options: Namespace) -> None:
    """Metrics have neither lines nor events to choose from: who asks for that must not be shown all."""
    chosen = {"FILE": options.files, "--config": options.config, "--where": options.where, "--mta": options.mta}
    for name, value in chosen.items():
        if value:
            raise ReportError(f"{name} is of logs, and --url asks an exporter instead: give one of the two")


def _told(source: LogSource, options: Namespace) -> LogSource:
    """A source of the configuration without what the command line says otherwise."""
    zone = None if options.given_zone else source.timezone
    return replace(source, timezone=zone, mta=None if options.mta else source.mta)


def _check(path: Path) -> None:
    if str(path) == "-":
        raise ReportError("top follows files; standard input is none")
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from None


def _config(path: Path | None) -> Config:
    from exporter.config import Config, ConfigError, load_config  # noqa: PLC0415

    try:
        return load_config(path) if path else Config()
    except ConfigError as error:
        raise ReportError("\n".join(error.errors)) from None


def _learn(config: Config, options: Namespace) -> None:
    """Put the configuration's rules and providers into force, as the exporter does; those of the command line are."""
    if config.reasons or config.providers:
        from exporter import lore  # noqa: PLC0415

        lore.install(options.reasons or config.reasons, options.providers or config.providers)


def _sources(config: Config, root: Path) -> Sequence[LogSource]:
    """Those of the configuration that two can follow; where it names none, those that the exporter would find."""
    from exporter.config import JournalSource, LogSource  # noqa: PLC0415
    from exporter.finder import find_logs, has_journal  # noqa: PLC0415

    if config.sources:
        shared = [source for source in config.sources if not (source.syslog or source.stdin)]
        if not shared:
            raise ReportError("what the exporter is sent, nobody else can follow: ask it with --url")
        return shared
    logs = [LogSource(file=path) for path in find_logs(root)]
    if not logs and not has_journal(root):
        raise ReportError("no mail log was found on this host, nor mail in its journal: name the files to follow")
    return logs or [LogSource(journal=JournalSource())]


def _queues(config: Config, root: Path) -> Sequence[Place]:
    """Those of the configuration, or of this host."""
    from exporter.queues.place import find_queues, places  # noqa: PLC0415

    return places(config.queues) or find_queues(root)
