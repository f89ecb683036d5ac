"""Measure the exporter against its peers on a Postfix log and on an Exim log: `python -m bench.run`.

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
from typing import TYPE_CHECKING

from bench.measure import RunError, Usage
from bench.package import DATA, MissingError
from bench.peers import CONTESTANTS, Log, exporter

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

# Lines per CPU second, ours to theirs.
RATIOS = {
    "postfix": {"prometheus-postfix-exporter": 3.5, "mtail": 8.0, "pflogsumm": 3.0},
    "exim": {"eximstats": 3.0},
}
SHARES = {"postfix": 1.0, "exim": 0.5}  # of --lines that each log has
PEAK_MEGABYTES = 80
GROWTH = 1.1  # of memory on a log of twice the length: what is left of warming up
SEED = 1


def prepare(mta: str, lines: int) -> Log:
    """The log of so many lines, written when it is not there yet."""
    path = DATA / f"{mta}-{SEED}-{lines}.log"
    if not path.exists():
        DATA.mkdir(parents=True, exist_ok=True)
        options = ["--mta", mta, "--lines", str(lines), "--seed", str(SEED), "--output", str(path)]
        # In a process of its own: Linux counts our memory as theirs.
        run([sys.executable, "-m", "bench.generate", *options], check=True)  # noqa: S603  # our own command
    return Log.of(path)


def halve(log: Log) -> Log:
    path = log.path.with_suffix(".half.log")
    with log.path.open("rb") as whole, path.open("wb") as half:
        half.writelines(islice(whole, log.lines // 2))
    return Log.of(path)


def measure(mta: str, log: Log, rounds: int) -> dict[str, Usage]:
    """The medians of each contestant that could be measured; says of the others why not."""
    contestants = CONTESTANTS[mta]
    runs: dict[str, list[Usage]] = {name: [] for name in contestants}
    for number in range(1, rounds + 1):
        for name in list(runs):
            try:
                usage = contestants[name](log)
            except (MissingError, RunError) as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
                del runs[name]
            else:
                runs[name].append(usage)
                print(f"round {number}: {name}: {usage.cpu_seconds:.2f} CPU seconds", file=sys.stderr)
    return {name: middle(usages) for name, usages in runs.items()}


def middle(usages: list[Usage]) -> Usage:
    cpu_seconds = median(usage.cpu_seconds for usage in usages)
    return Usage(cpu_seconds, int(median(usage.peak_rss_bytes for usage in usages)), "")


def table(mta: str, log: Log, results: dict[str, Usage]) -> Iterator[str]:
    ours = results.get("exporter")
    yield f"{mta}: {log.lines:,} lines, {log.path.stat().st_size / 1e6:.0f} MB; medians of whole processes"
    yield f"{'':28} {'CPU s':>8} {'lines/CPU s':>12} {'peak MB':>8} {'exporter is':>12}"
    for name, usage in results.items():
        ratio = f"{usage.cpu_seconds / ours.cpu_seconds:.2f} x" if ours else ""
        speed = log.lines / usage.cpu_seconds
        memory = usage.peak_rss_bytes / 1e6
        yield f"{name:28} {usage.cpu_seconds:8.2f} {speed:12,.0f} {memory:8.1f} {ratio:>12}"


def missed(mta: str, results: dict[str, Usage], half: Usage | None) -> Iterator[str]:
    """The targets that were not reached; a peer that is missing sets none."""
    ours = results.get("exporter")
    if ours is None or half is None:
        yield "the exporter could not be measured"
        return
    for peer, least in RATIOS[mta].items():
        if peer in results and (ratio := results[peer].cpu_seconds / ours.cpu_seconds) < least:
            yield f"{ratio:.2f} x {peer} is less than {least} x"
    megabytes, of_half = ours.peak_rss_bytes / 1e6, half.peak_rss_bytes / 1e6
    if megabytes > PEAK_MEGABYTES:
        yield f"{megabytes:.1f} MB is more than {PEAK_MEGABYTES} MB"
    if megabytes > of_half * GROWTH:
        yield f"memory grows with the log: {of_half:.1f} MB, then {megabytes:.1f} MB"


def arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m bench.run", description="Measure the exporter against its peers.")
    parser.add_argument("--mta", choices=sorted(CONTESTANTS), help="only the log of this server")
    parser.add_argument(
        "--lines", type=int, default=2_000_000, help="of the Postfix log; that of Exim has half as many"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-targets", action="store_true", help="only print, whatever is missed")
    return parser.parse_args()


def contest(mta: str, lines: int, rounds: int) -> list[str]:
    """Measure on one log, print it, and give back what was missed."""
    log = prepare(mta, lines)
    results = measure(mta, log, rounds)
    half = exporter(halve(log)) if "exporter" in results else None
    print(*table(mta, log, results), sep="\n")
    if half:
        print(f"exporter on half of it: peak {half.peak_rss_bytes / 1e6:.1f} MB")
    return [f"{mta}: {miss}" for miss in missed(mta, results, half)]


def main() -> int:
    options = arguments()
    mtas = [options.mta] if options.mta else list(CONTESTANTS)
    misses = [miss for mta in mtas for miss in contest(mta, int(options.lines * SHARES[mta]), options.rounds)]
    for miss in misses:
        print(f"missed: {miss}")
    return int(bool(misses) and not options.no_targets)


if __name__ == "__main__":
    sys.exit(main())
