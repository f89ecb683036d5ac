"""The fuzzing of `make fuzz`, on a small scale; and that it sees what it looks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bench.fuzz import run

INPUTS = 300


@pytest.mark.parametrize("name", run.names())
def test_no_input_does_harm(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.tried(name, INPUTS, 7, run.shared) == [], capsys.readouterr().err


class Weak:
    """An entrance that fails in one way."""

    SEEDS = (b"good",)
    WORDS = (b"bad",)

    def __init__(self, harm: Callable[[bytes], object]) -> None:
        self.harm = harm

    @contextmanager
    def opened(self) -> Iterator[Callable[[bytes], object]]:
        yield self.harm


def wrong(monkeypatch: pytest.MonkeyPatch, harm: Callable[[bytes], object], inputs: int = INPUTS) -> str:
    monkeypatch.setattr(run, "load", lambda _: Weak(harm))
    return "".join(run.tried("weak", inputs, 7, run.shared))


def test_a_crash_is_seen_with_the_smallest_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def harm(text: bytes) -> None:
        if b"bad" in text:
            raise ZeroDivisionError("crash")

    said = wrong(monkeypatch, harm)
    assert said.startswith("weak (seed 7): ZeroDivisionError: crash")
    assert "bad" in said


def test_what_takes_long_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SECONDS", run.SECONDS / 10)  # so that it is too long by far, on a busy machine, too

    def harm(text: bytes) -> None:
        if b"bad" in text:
            sum(range(10_000_000))

    assert "SlowError" in wrong(monkeypatch, harm, 60)


def test_what_takes_long_of_a_machine_that_others_use_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SECONDS", 1e-6)
    monkeypatch.setattr(run, "YARD_SECONDS", 1e-9)
    assert wrong(monkeypatch, lambda text: text * 2, 20) == ""


def test_what_stays_in_memory_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bytes] = []
    monkeypatch.setattr(run, "BATCH", 20)
    assert "more at the end" in wrong(monkeypatch, lambda _: kept.append(b"x" * (1 << 20)), 100)


def test_an_entrance_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.main(["absent"])
    assert "no such entrance: absent" in capsys.readouterr().err
