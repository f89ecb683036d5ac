"""How far a long reading is, for somebody who waits at a terminal."""
# ruff: noqa: PLC0415 - what shows the bar is imported when there is one, for most reports are done before

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from stat import S_ISREG
from time import monotonic
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE = 1.0  # seconds that nobody needs a bar for


class Bar:
    """A bar that shows itself once reading has taken longer than `PATIENCE`, and leaves no trace when it stops."""

    def __init__(self, total: int | None, stream: TextIO, clock: Callable[[], float] = monotonic) -> None:
        self.total = total
        self._stream = stream
        self._clock = clock
        self._began = clock()
        self._done = 0
        self._progress: Progress | None = None

    def advance(self, size: int) -> None:
        """So many bytes more were read."""
        self._done += size
        if self._progress:
            self._progress.update(self._progress.task_ids[0], completed=self._done)
        elif self._clock() - self._began > PATIENCE:
            self._show()

    def stop(self) -> None:
        """Take the bar away, for good."""
        if self._progress:
            self._progress.stop()
            self._progress = None
        self._clock = lambda: self._began

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TimeRemainingColumn

        columns = (BarColumn(), TaskProgressColumn(), DownloadColumn(binary_units=True), TimeRemainingColumn())
        console = Console(file=self._stream)
        self._progress = Progress(
            *columns, console=console, transient=True, refresh_per_second=4, redirect_stdout=False
        )
        self._progress.add_task("reading", total=self.total, completed=self._done)
        self._progress.start()


def total_size(paths: Iterable[Path]) -> int | None:
    """Bytes of the files together; None where one has no size, as standard input."""
    total = 0
    for path in paths:
        try:
            status = path.stat()
        except OSError:  # it will be named when it is to be read
            if path.name == "-":
                return None
            continue
        if not S_ISREG(status.st_mode):
            return None
        total += status.st_size
    return total
