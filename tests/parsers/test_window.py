"""The last hour in slots."""

from __future__ import annotations

from random import Random

from parsers.window import Window


def test_it_is_empty_when_no_slot_is_left() -> None:
    """Whatever came late, and whenever it is asked."""
    random = Random(3)
    for _ in range(200):
        window = Window(3600.0, list[int])
        assert window.is_empty(0.0)
        for _ in range(random.randrange(4)):
            window.at(random.uniform(0, 10_000)).append(1)
        for now in (random.uniform(0, 20_000) for _ in range(10)):
            assert window.is_empty(now) == (not list(window.live(now)))
