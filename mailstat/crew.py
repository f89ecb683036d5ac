"""Processes that read parts of a log, each with a pipe to the one that asks them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

PATIENCE = 5.0  # seconds to end in, before a process is ended


class Crew:
    """So many processes that do the same `work`, which knows all that is known when they start."""

    def __init__(self, size: int, work: Callable[[Any], Any]) -> None:
        self.size = size
        self._work = work
        self._ends: list[Connection] = []
        self._processes: list[BaseProcess] = []
        self._next = 0

    def __enter__(self) -> Crew:
        import multiprocessing  # noqa: PLC0415 - most logs are so short that nobody needs it

        context = multiprocessing.get_context("fork")  # the code is loaded, and what is asked is known
        for _ in range(self.size):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, [*self._ends, ours], self._work), daemon=True)
            process.start()
            theirs.close()
            self._ends.append(ours)
            self._processes.append(process)
        return self

    def __exit__(self, *_: object) -> None:
        for end, process in zip(self._ends, self._processes, strict=True):
            end.close()
            process.terminate()
        for process in self._processes:
            process.join(PATIENCE)
            process.close()

    def give(self, task: Any) -> int:
        """Have one of them do it; who."""
        who, self._next = self._next, (self._next + 1) % self.size
        with suppress(OSError):  # it died: `result_of` tells
            self._ends[who].send(task)
        return who

    def result_of(self, who: int) -> Any:
        """What came of the first task of those that one of them was given; None where it could not do it."""
        try:
            return self._ends[who].recv()
        except (EOFError, OSError):
            return None


def _serve(end: Connection, others: list[Connection], work: Callable[[Any], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who asks decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in others:
        other.close()
    try:
        while True:
            end.send(work(end.recv()))
    except (EOFError, OSError):
        return
