"""How much work a line is, compared with a shorter one: ratios within one run, so that no machine is too slow."""

from __future__ import annotations

import time
from collections.abc import Callable

SIZE = 1 << 15
ROUNDS = 3
MOST = 12  # rounds, where others use the machine


def cost(run: Callable[[str], object], text: str) -> float:
    """Seconds of the processor for a text, of this thread alone."""
    start = time.thread_time()
    for _ in range(4):
        run(text)
    return time.thread_time() - start


def is_linear(run: Callable[[str], object], make: Callable[[int], str]) -> bool:
    """Four times the length: four times the cost where it is linear, sixteen times where it is quadratic. The least
    of some rounds counts, short and long in turn; where that is not clear, the least of more rounds."""
    texts = make(SIZE // 2), make(2 * SIZE)
    costs: list[tuple[float, float]] = []
    for _ in range(MOST):
        costs.append((cost(run, texts[0]), cost(run, texts[1])))
        short, long = map(min, zip(*costs, strict=True))
        if len(costs) >= ROUNDS and long < 6 * short + 0.004:
            return True
    return long < 9 * short + 0.004
