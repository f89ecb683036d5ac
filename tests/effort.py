"""How much work a line is, compared with a shorter one: ratios within one run, so that no machine is too slow."""

from __future__ import annotations

import time
from collections.abc import Callable

SIZE = 1 << 15


def cost(run: Callable[[str], object], text: str) -> float:
    """CPU seconds for a text: the least of some, for others use the machine too."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        for _ in range(4):
            run(text)
        best = min(best, time.process_time() - start)
    return best


def is_linear(run: Callable[[str], object], make: Callable[[int], str]) -> bool:
    """Four times the length: four times the cost where it is linear, sixteen times where it is quadratic. Two of
    three tries decide, for a machine does other work, too."""
    return sum(cost(run, make(2 * SIZE)) < 9 * cost(run, make(SIZE // 2)) + 0.004 for _ in range(3)) > 1
