"""Tells at once that a log was written to or turned over, where the kernel can (inotify(7)).

It is only a wake-up: what happened is looked for by polling, which finds all that inotify does not tell: a network
file system's changes, a folder that was not there, or what there were too few watches for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from inotify_simple import INotify, flags

CHANGES = flags.MODIFY | flags.CREATE | flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE
GATHER_SECONDS = 0.02  # after a change, for what is written with it: so often a busy log is looked at


class Wakeup:
    """Watches the folders of some logs, and those that their links lead to."""

    def __init__(self) -> None:
        self._inotify: INotify | None = None
        with suppress(OSError, AttributeError):  # no instance left, or a system without
            self._inotify = INotify(nonblocking=True)
        self._names: dict[int, set[str]] = {}

    async def wait(self, logs: Collection[Path], seconds: float) -> None:
        """Return soon after one of the logs has changed since the last call, or after so many seconds."""
        if self._inotify is None:
            await asyncio.sleep(seconds)
            return
        self._watch(self._inotify, logs)
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self._has_change(self._inotify) and loop.time() < end:
            await _readable(self._inotify.fileno(), end - loop.time())
        await asyncio.sleep(min(GATHER_SECONDS, seconds))

    def close(self) -> None:
        """Watch no more."""
        if self._inotify:
            self._inotify.close()
            self._inotify = None

    def _watch(self, inotify: INotify, logs: Collection[Path]) -> None:
        # Each time: a folder may have come back, a link may lead elsewhere. A watch that is there stays as it is.
        names: dict[int, set[str]] = {}
        for log in logs:
            with suppress(OSError, RuntimeError, ValueError):
                for path in {log, log.resolve()}:
                    names.setdefault(inotify.add_watch(path.parent, CHANGES), set()).add(path.name)
        for gone in self._names.keys() - names.keys():
            with suppress(OSError):
                inotify.rm_watch(gone)
        self._names = names

    def _has_change(self, inotify: INotify) -> bool:
        """Whether what happened concerns the logs: their neighbours in a folder change all the time."""
        happened = list(inotify.read(timeout=0))
        return any(it.name in self._names.get(it.wd, ()) or it.mask & flags.Q_OVERFLOW for it in happened)


async def _readable(descriptor: int, seconds: float) -> None:
    """Return when there is something to read, or after so many seconds."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        async with asyncio.timeout(seconds):
            await ready.wait()
    except TimeoutError:
        pass
    finally:
        loop.remove_reader(descriptor)
