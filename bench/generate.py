"""Write the log to measure with: `python -m bench.generate --lines 2000000 --seed 1 --output FILE`."""

from __future__ import annotations

from argparse import ArgumentParser
from itertools import islice
from pathlib import Path
from random import Random

from exporter.demo import PostfixTraffic

RATE = 20.0  # messages a second: two million lines are some hours of a busy relay
START = 1_767_571_200.0  # 2026-01-05 00:00 UTC; any other time would do, but always the same


def generate(path: Path, *, lines: int, seed: int) -> None:
    """Always the same file for the same arguments; it appears under its name only when it is whole."""
    unfinished = path.with_name(f"{path.name}.part")
    traffic = PostfixTraffic(Random(seed), rate=RATE, start=START)  # noqa: S311  # not for secrets
    with unfinished.open("w", encoding="utf-8") as log:
        log.writelines(f"{line}\n" for _, line in islice(traffic, lines))
    unfinished.replace(path)


def main() -> None:
    parser = ArgumentParser(prog="python -m bench.generate", description="Write a Postfix log of invented traffic.")
    parser.add_argument("--lines", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    generate(arguments.output, lines=arguments.lines, seed=arguments.seed)


if __name__ == "__main__":
    main()
