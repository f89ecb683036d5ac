"""Tells at once that a log was written to or turned over, where the kernel can (inotify(7)).

It is only a wake-up: what happened is looked for by polling, which finds all that inotify does not tell: a network
file system's changes, a folder that was not there, or what there were too few watches for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
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

    async def wait(self, logs: Collection[Path], seconds: float, descriptors: Collection[int] = ()) -> None:
        """Return soon after one of the logs has changed since the last call, or one of the descriptors can be read;
        or after so many seconds."""
        if self._inotify is not None:
            self._watch(self._inotify, logs)
        own = () if self._inotify is None else (self._inotify.fileno(),)
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self._has_change() and loop.time() < end:
            if await _readable((*own, *descriptors), end - loop.time()) - {*own}:
                break
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

    def _has_change(self) -> bool:
        """Whether what happened concerns the logs: their neighbours in a folder change all the time."""
        happened = list(self._inotify.read(timeout=0)) if self._inotify else []
        return any(it.name in self._names.get(it.wd, ()) or it.mask & flags.Q_OVERFLOW for it in happened)


async def _readable(descriptors: Collection[int], seconds: float) -> set[int]:
    """Return when one can be read, or after so many seconds; and which of them can."""
    loop = asyncio.get_running_loop()
    change = asyncio.Event()
    ready: set[int] = set()

    def tell(descriptor: int) -> None:
        ready.add(descriptor)
        change.set()

    watched = [it for it in descriptors if _add_reader(loop, it, tell)]
    try:
        async with asyncio.timeout(seconds):
            await change.wait()
    except TimeoutError:
        pass
    finally:
        for descriptor in watched:
            loop.remove_reader(descriptor)
    return ready


def _add_reader(loop: asyncio.AbstractEventLoop, descriptor: int, tell: Callable[[int], None]) -> bool:
    """Whether the loop can wait for it: a file on disk, as standard input may be, is polled."""
    try:
        loop.add_reader(descriptor, tell, descriptor)
    except (OSError, ValueError):
        return False
    return True
