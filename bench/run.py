"""Measure the exporter against its peers on one log: `python -m bench.run`.

All read the same file in turn, for several rounds, so that a busy machine hits all alike; medians count.
Times and memory are those of whole processes, so starting an interpreter counts; of a peer that follows a
file, the time before the log came is left out. (bench.exporter also prints what reading alone took.)
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from itertools import islice
from statistics import median
from subprocess import run
from typing import TYPE_CHECKING, NamedTuple

from bench import peers
from bench.measure import RunError, Usage
from bench.package import DATA, MissingError
from bench.peers import Log

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator


class Trial(NamedTuple):
    """A log, who reads it, and what is aimed at: lines per CPU second, ours to theirs, and of ours alone."""

    lines: int
    contestants: dict[str, Callable[[Log], Usage]]
    ratios: dict[str, float]
    least: int = 0
    report: str = ""  # whose time a summary is measured by


SUMMARY, AGAIN = "mailstat summary", "mailstat summary again"
ALONE: dict[str, Callable[[Log], Usage]] = {"exporter": peers.exporter}
BOTH = ALONE | {SUMMARY: peers.summary, AGAIN: peers.summary_again}
TRIALS = {
    "postfix": Trial(
        2_000_000,
        BOTH
        | {
            "pflogsumm": peers.pflogsumm,
            "mtail": peers.mtail,
            "prometheus-postfix-exporter": peers.postfix_exporter,
        },
        {"prometheus-postfix-exporter": 3.5, "mtail": 8.0, "pflogsumm": 3.0},
        report="pflogsumm",
    ),
    "exim": Trial(1_000_000, BOTH | {"eximstats": peers.eximstats}, {"eximstats": 3.0}, report="eximstats"),
    "sendmail": Trial(600_000, ALONE, {}, 150_000),
    "qmail": Trial(600_000, ALONE, {}, 150_000),
    "qmail-splogger": Trial(600_000, ALONE, {}, 150_000),
    "opensmtpd": Trial(600_000, ALONE, {}, 150_000),
    "exchange": Trial(600_000, ALONE, {}, 150_000),
    "exchange-protocol": Trial(600_000, ALONE, {}, 150_000),
}
PEAK_MEGABYTES = 80
REPORT_MEGABYTES = 400
TIMES = {SUMMARY: 5.0, AGAIN: 50.0}  # that a summary is there sooner than that of its peer
GROWTH = 1.1  # of memory on a log of twice the length: what is left of warming up
SEED = 1


def prepare(name: str, lines: int) -> Log:
    """The log of so many lines, written when it is not there yet."""
    path = DATA / f"{name}-{SEED}-{lines}.log"
    if not path.exists():
        DATA.mkdir(parents=True, exist_ok=True)
        options = ["--lines", str(lines), "--seed", str(SEED), "--output", str(path)]
        # In a process of its own: Linux counts our memory as theirs.
        run([sys.executable, "-m", "bench.generate", name, *options], check=True)  # noqa: S603  # our own command
    return Log.of(path)


def halve(log: Log) -> Log:
    path = log.path.with_suffix(".half.log")
    with log.path.open("rb") as whole, path.open("wb") as half:
        half.writelines(islice(whole, log.lines // 2))
    return Log.of(path)


def measure(log: Log, contestants: dict[str, Callable[[Log], Usage]], rounds: int) -> dict[str, Usage]:
    """The medians of each contestant that could be measured; says of the others why not."""
    runs: dict[str, list[Usage]] = {name: [] for name in contestants}
    for number in range(1, rounds + 1):
        for name in list(runs):
            try:
                usage = contestants[name](log)
            except (MissingError, RunError) as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
                del runs[name]
            else:
                runs[name].append(usage._replace(output=""))  # what we hold would count as theirs
                print(f"round {number}: {name}: {usage.cpu_seconds:.2f} CPU seconds", file=sys.stderr)
    return {name: middle(usages) for name, usages in runs.items()}


def middle(usages: list[Usage]) -> Usage:
    cpu_seconds = median(usage.cpu_seconds for usage in usages)
    wall_seconds = median(usage.wall_seconds for usage in usages)
    return Usage(cpu_seconds, int(median(usage.peak_rss_bytes for usage in usages)), "", wall_seconds)


def table(log: Log, results: dict[str, Usage]) -> Iterator[str]:
    ours = results.get("exporter")
    yield f"{log.lines:,} lines, {log.path.stat().st_size / 1e6:.0f} MB; medians of whole processes"
    yield f"{'':28} {'CPU s':>8} {'lines/CPU s':>12} {'peak MB':>8} {'exporter is':>12} {'wall s':>8}"
    for name, usage in results.items():
        ratio = f"{usage.cpu_seconds / ours.cpu_seconds:.2f} x" if ours else ""
        speed = log.lines / usage.cpu_seconds
        memory = usage.peak_rss_bytes / 1e6
        yield f"{name:28} {usage.cpu_seconds:8.2f} {speed:12,.0f} {memory:8.1f} {ratio:>12} {usage.wall_seconds:8.2f}"


def missed(trial: Trial, log: Log, results: dict[str, Usage], half: Usage | None) -> Iterator[str]:
    """The targets that were not reached; a peer that is missing sets none."""
    ours = results.get("exporter")
    if ours is None or half is None:
        yield "the exporter could not be measured"
        return
    if (speed := log.lines / ours.cpu_seconds) < trial.least:
        yield f"{speed:,.0f} lines per CPU second are less than {trial.least:,}"
    yield from missed_by_reports(trial, results)
    for peer, least in trial.ratios.items():
        if peer in results and (ratio := results[peer].cpu_seconds / ours.cpu_seconds) < least:
            yield f"{ratio:.2f} x {peer} is less than {least} x"
    megabytes, of_half = ours.peak_rss_bytes / 1e6, half.peak_rss_bytes / 1e6
    if megabytes > PEAK_MEGABYTES:
        yield f"{megabytes:.1f} MB is more than {PEAK_MEGABYTES} MB"
    if megabytes > of_half * GROWTH:
        yield f"memory grows with the log: {of_half:.1f} MB, then {megabytes:.1f} MB"


def missed_by_reports(trial: Trial, results: dict[str, Usage]) -> Iterator[str]:
    """The targets of the summary that were not reached."""
    for name, least in TIMES.items():
        usage, peer = results.get(name), results.get(trial.report)
        if usage and peer and (ratio := peer.wall_seconds / usage.wall_seconds) < least:
            yield f"{name}: {ratio:.2f} x as soon as {trial.report} is less than {least} x"
        if usage and (megabytes := usage.peak_rss_bytes / 1e6) > REPORT_MEGABYTES:
            yield f"{name}: {megabytes:.0f} MB is more than {REPORT_MEGABYTES} MB"


def hold(name: str, options: Namespace) -> bool:
    """Run one trial and print what it showed. Returns whether all that is aimed at was reached."""
    trial = TRIALS[name]
    log = prepare(name, options.lines or trial.lines)
    results = measure(log, trial.contestants, options.rounds)
    half = peers.exporter(halve(log)) if "exporter" in results else None
    print(f"--- {name}", *table(log, results), sep="\n")
    if half:
        print(f"exporter on half of it: peak {half.peak_rss_bytes / 1e6:.1f} MB")
    misses = list(missed(trial, log, results, half))
    for miss in misses:
        print(f"missed: {miss}")
    return not misses


def arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m bench.run", description="Measure the exporter against its peers.")
    parser.add_argument("trials", nargs="*", metavar="SERVER", help=f"of {', '.join(TRIALS)}; all when none is named")
    parser.add_argument("--lines", type=int, help="of each log, in place of what it has by itself")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-targets", action="store_true", help="only print, whatever is missed")
    options = parser.parse_args()
    if unknown := set(options.trials) - set(TRIALS):
        parser.error(f"no log of {', '.join(sorted(unknown))}")
    return options


def main() -> int:
    options = arguments()
    is_reached = [hold(name, options) for name in options.trials or TRIALS]
    return int(not all(is_reached) and not options.no_targets)


if __name__ == "__main__":
    sys.exit(main())
