"""Which alerts would have fired on an old log: thresholds are tuned on one's own history."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TYPE_CHECKING, NamedTuple

from mailstat.interrupt import Interrupt
from mailstat.number import seconds
from mailstat.report import Column, Report, ReportError, Section

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.prometheus import Samples
    from mailstat.rulebook import Rule
    from mailstat.virtual import Scrapes
    from parsers.events import Event

NAME = "replay"
HELP = "which alerts would have fired on old logs, when, and for how long; needs Prometheus"
DESCRIPTION = (
    "Old logs, run through the exporter's metrics in their own time and through alert rules by Prometheus itself: "
    "which alerts would have fired, from when to when. Those on what no log tells (queues, probes, the exporter) are "
    "named at the end. Rules that look back (a week, say) need so much of the log before."
)
COLUMNS = (
    Column("alert"),
    Column("severity"),
    Column("of"),
    Column("from", "time"),
    Column("until", "time"),
    Column("lasted", "seconds"),
    Column("highest", "number"),
)
BLIND = (Column("alert"), Column("needs"))
LATE = "events that stand minutes behind younger ones: {}; alerts saw them late, so put the log in order"
FULL = (EDQUOT, ENOSPC)
HIDDEN = ("__name__", "job", "instance")


class Firing(NamedTuple):
    """A time for which an alert would have fired; `until` is None where it still did at the end."""

    rule: Rule
    labels: dict[str, str]
    start: float
    until: float | None
    highest: float


def add_arguments(parser: ArgumentParser) -> None:
    """Which rules, and how often."""
    parser.add_argument("--rules", metavar="PATH", type=Path, action="append", help="a file of rules, or a folder of "
                        "*.yaml; may be repeated; without it, ours")  # fmt: skip
    parser.add_argument("--every", metavar="SECONDS", type=seconds, default=60, help="from scrape to scrape; 60")


def make(log: Log, options: Namespace) -> Report:
    """Read the log, record what the rules record, and see what they warn of."""
    from mailstat import prometheus, rulebook  # noqa: PLC0415 - the help of all reports must not wait for it

    prometheus.require()
    files = rulebook.files_of(options.rules or [rulebook.shipped()])
    prometheus.promtool("check", "rules", *files)
    rules = rulebook.read(files)
    with _workroom() as folder:
        scrapes = _scrape(log, rules, folder, options.every)
        firings = [] if scrapes.first is None else _evaluate(rules, folder, scrapes.first, scrapes.last)
    told = scrapes.names
    firings.sort(key=lambda it: (it.start, it.rule.name))
    blind = [[rule.name, " ".join(sorted(need))] for rule in rules if (need := _missing(rule, rules, told))]
    sections = [Section("", COLUMNS, [_cells(it) for it in firings])]
    if blind:
        sections.append(Section("Not told by this log", BLIND, blind))
    return Report(NAME, "Alerts that would have fired", sections)


@contextmanager
def _workroom() -> Iterator[Path]:
    """A folder for as long as it takes. Raises ReportError where there is no room in it."""
    try:
        with TemporaryDirectory(prefix="mailstat-replay-") as name:
            yield Path(name)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise ReportError(f"no room for samples in {gettempdir()}; TMPDIR names another folder") from None


def _scrape(log: Log, rules: Sequence[Rule], folder: Path, step: float) -> Scrapes:
    """Write what the rules name, and make blocks of it."""
    from mailstat import prometheus, rulebook, virtual  # noqa: PLC0415

    names = set().union(*(rulebook.sources(rule, rules) for rule in rules))
    logs = virtual.split(log)
    with prometheus.Samples(folder) as out, Interrupt() as interrupt:
        scrapes = virtual.Scrapes(out, names.__contains__, step)
        scrapes.follow([_until(interrupt, each.batches()) for each in logs], [each.tracker for each in logs])
    log.is_interrupted = interrupt.is_set
    if scrapes.late:
        log.notes.append(LATE.format(scrapes.late))
    return scrapes


def _until(interrupt: Interrupt, batches: Iterator[list[Event]]) -> Iterator[list[Event]]:
    for events in batches:
        yield events
        if interrupt.is_set:
            return


def _evaluate(rules: Sequence[Rule], folder: Path, start: float, end: float) -> list[Firing]:
    """Record layer by layer, each with a server that knows the ones before; then ask for each alert."""
    from mailstat import prometheus, rulebook  # noqa: PLC0415

    for layer in rulebook.layers(rules):
        with prometheus.Samples(folder) as out, prometheus.serving(folder) as url:
            _record(url, layer, out, start, end)
    with prometheus.serving(folder) as url:
        return [firing for rule in rules if rule.is_alert for firing in _firings(url, rule, start, end)]


def _record(url: str, layer: Sequence[Rule], out: Samples, start: float, end: float) -> None:
    """Write what the rules would have recorded, all of it at even times: what promtool makes of rules stands at
    times of each group's own, and an alert would see what was recorded a minute ago."""
    from mailstat import prometheus, virtual  # noqa: PLC0415

    for rule in layer:
        for labels, points in prometheus.over_time(url, rule.expression, *_times(rule, start, end)):
            recorded = {**labels, **rule.labels}
            recorded.pop("__name__", None)
            series = virtual.series_of(rule.name, recorded)
            for at, value in points:
                out.write(virtual.sample(series, value, at))


def _times(rule: Rule, start: float, end: float) -> tuple[float, float, float]:
    return start - start % rule.interval, end, rule.interval


def _firings(url: str, rule: Rule, start: float, end: float) -> Iterator[Firing]:
    """As Prometheus does: what an expression has is pending, and fires once it has been there for `for`."""
    from mailstat import prometheus  # noqa: PLC0415

    for labels, points in prometheus.over_time(url, rule.expression, *_times(rule, start, end)):
        for run in _runs(points, rule.interval):
            fires = [point for point in run if point[0] - run[0][0] >= rule.wait]
            if fires:
                over = run[-1][0] + rule.interval
                highest = max(value for _, value in fires)
                yield Firing(rule, labels, fires[0][0], over if over <= end else None, highest)


def _runs(points: Sequence[tuple[float, float]], step: float) -> Iterator[list[tuple[float, float]]]:
    """The points that follow each other without a gap."""
    run: list[tuple[float, float]] = []
    for point in points:
        if run and point[0] - run[-1][0] > step * 1.5:
            yield run
            run = []
        run.append(point)
    if run:
        yield run


def _missing(rule: Rule, rules: Sequence[Rule], told: set[str]) -> set[str]:
    """The metrics that an alert needs and nothing told of, where nothing told of any of them."""
    from exporter.metrics.catalogue import METRICS  # noqa: PLC0415
    from mailstat import rulebook  # noqa: PLC0415

    if not rule.is_alert:
        return set()
    named = {name for name in rulebook.sources(rule, rules) if name.startswith(("mail_", "mailstat_"))}
    known = named & told
    return set() if known else {name for name in named if name in METRICS or name not in told}


def _cells(firing: Firing) -> list[object]:
    of = " ".join(f"{name}={value}" for name, value in firing.labels.items() if name not in HIDDEN)
    until = firing.until
    lasted = None if until is None else until - firing.start
    return [firing.rule.name, firing.rule.labels.get("severity", ""), of, firing.start, until, lasted, firing.highest]
