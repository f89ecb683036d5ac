"""Write a log to measure with: `python -m bench.generate exim --lines 1000000 --seed 1 --output FILE`."""

from __future__ import annotations

from argparse import ArgumentParser
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bench import exchange, exim, opensmtpd, postfix, qmail, sendmail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOGS: dict[str, Callable[[int], Iterator[str]]] = {
    "postfix": postfix.lines,
    "exim": exim.lines,
    "sendmail": sendmail.lines,
    "qmail": qmail.lines,
    "qmail-splogger": partial(qmail.lines, form="splogger"),
    "opensmtpd": opensmtpd.lines,
    "exchange": exchange.lines,
    "exchange-protocol": partial(exchange.lines, log="receive"),
}


def generate(name: str, path: Path, *, lines: int, seed: int) -> None:
    """Always the same file for the same arguments; it appears under its name only when it is whole."""
    unfinished = path.with_name(f"{path.name}.part")
    with unfinished.open("w", encoding="utf-8", newline="") as log:
        log.writelines(islice(LOGS[name](seed), lines))
    unfinished.replace(path)


def main() -> None:
    parser = ArgumentParser(prog="python -m bench.generate", description="Write a log of invented traffic.")
    parser.add_argument("log", nargs="?", choices=LOGS, default="postfix")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    generate(arguments.log, arguments.output, lines=arguments.lines, seed=arguments.seed)


if __name__ == "__main__":
    main()
