"""One entrance after the other: inputs, the time that each takes, and what stays in memory."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import HypothesisWarning

from bench.fuzz.input import hostile

BATCH = 500  # inputs; hypothesis remembers those of one batch
SECONDS = 0.1  # of a processor that is ours alone, for one input
YARD_SECONDS = 0.005  # which such a processor takes for the yardstick
AGAIN = 5  # tries of an input before it is said to be slow: garbage is collected at any time
GROWTH = 24 << 20  # bytes of memory that the last three quarters of the inputs may add


class Entrance(Protocol):
    """What a module of `entrances` is: `SEEDS` are good inputs, `WORDS` what this entrance looks for, and `opened`
    gives for a while what takes an input. It raises where the input did harm."""

    SEEDS: tuple[bytes, ...]
    WORDS: tuple[bytes, ...]

    def opened(self) -> AbstractContextManager[Callable[[bytes], object]]: ...


class SlowError(AssertionError):
    """An input took too long; the message says how long."""


def names() -> list[str]:
    """All entrances."""
    return sorted(path.stem for path in (Path(__file__).parent / "entrances").glob("[a-z]*.py"))


def load(name: str) -> Entrance:
    """The entrance of that name."""
    return cast("Entrance", import_module(f"bench.fuzz.entrances.{name}"))


def attack(entrance: Entrance, inputs: int, seed: int, slowness: Callable[[], float]) -> Iterator[int]:
    """Throw so many inputs at it; after each batch the resident bytes. Raises what the entrance raised, with the
    smallest input that makes it."""
    with entrance.opened() as feed:
        for number, start in enumerate(range(0, inputs, BATCH)):
            _batch(entrance, lambda text: timed(feed, text, slowness), min(BATCH, inputs - start), seed + number)
            gc.collect()
            yield resident()


def _batch(entrance: Entrance, feed: Callable[[bytes], object], inputs: int, seed: int) -> None:
    @seeded(seed)
    @settings(
        max_examples=inputs,
        deadline=None,
        database=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(hostile(entrance.SEEDS, entrance.WORDS))
    def throw(text: bytes) -> None:
        feed(text)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HypothesisWarning)  # that an input is too long to be shown
        throw()


def timed(feed: Callable[[bytes], object], text: bytes, slowness: Callable[[], float]) -> None:
    """Give an input, and look at the processor's clock. Raises SlowError."""
    for _ in range(AGAIN):
        spent = clocked(lambda: feed(text))
        if spent < SECONDS:
            return
        slower = slowness()
        if spent < SECONDS * slower:
            return
    raise SlowError(f"{spent:.3f} s of a processor {slower:.1f} times as slow as ours, for {len(text)} bytes")


def alone() -> float:
    """That the machine is ours, and as slow as it is."""
    return 1.0


def shared() -> float:
    """How many times as slow as one that is ours a processor is that others use, by the yardstick."""
    return max(1.0, clocked(yardstick) / YARD_SECONDS)


def clocked(work: Callable[[], object]) -> float:
    """Seconds of the processor that this takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def yardstick() -> None:
    """Work of the kind that is measured, and always as much of it."""
    for number in range(20_000):
        key, _, value = f"relay={number}, status=sent".partition(", ")
        {key: value}.get(key.strip())


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def tried(name: str, inputs: int, seed: int, slowness: Callable[[], float] = alone) -> list[str]:
    """What is wrong with an entrance, in words; `slowness` tells how much more time an input may have."""
    begin = time.process_time()
    sizes: list[int] = []
    try:
        sizes.extend(attack(load(name), inputs, seed, slowness))
    except Exception as error:
        sys.stderr.write(traceback.format_exc())
        notes = " ".join(getattr(error, "__notes__", ()))[:2000]
        return [f"{name} (seed {seed}): {type(error).__name__}: {error} {notes}"]
    grown = sizes[-1] - sizes[len(sizes) // 4]
    seconds = time.process_time() - begin
    sys.stdout.write(f"{name}: {inputs:,} inputs, {seconds:.0f} s, {grown / 1e6:+.1f} MB (seed {seed})\n")
    sys.stdout.flush()
    return [f"{name}: {grown / 1e6:.1f} MB more at the end"] if grown > GROWTH else []


def main(argv: list[str] | None = None) -> int:
    """Try the entrances. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description="Hostile input for every entrance.")
    parser.add_argument("entrances", nargs="*", metavar="ENTRANCE", help=", ".join(names()))
    parser.add_argument("--inputs", type=int, default=10_000, help="for each entrance; default %(default)s")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of all that is random")
    options = parser.parse_args(argv)
    if unknown := set(options.entrances) - set(names()):
        parser.error(f"no such entrance: {', '.join(sorted(unknown))}")
    errors = [error for name in options.entrances or names() for error in tried(name, options.inputs, options.seed)]
    sys.stderr.writelines(f"WRONG: {error}\n" for error in errors)
    return int(bool(errors))
