"""Wake-ups: soon after a change of a log, and not after one of its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.sources.wakeup import Wakeup

LONG = 60.0  # seconds: who is not woken up fails by the limit of the whole run
SHORT = 0.2


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log" / "mail.log"
    path.parent.mkdir()
    path.touch()
    return path


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    made = Wakeup()
    yield made
    made.close()


def is_woken(wakeup: Wakeup, log: Path, seconds: float, change: Callable[[], object]) -> bool:
    """Whether a wait, during which this happens, ends before its time."""

    async def wait() -> bool:
        loop = asyncio.get_running_loop()
        await wakeup.wait([log], 0.0)  # what there was before
        loop.call_later(0.01, change)
        begin = loop.time()
        await wakeup.wait([log], seconds)
        return loop.time() - begin < seconds

    return asyncio.run(wait())


@pytest.mark.parametrize(
    "change",
    [
        lambda log: log.write_text("a line\n"),
        lambda log: log.rename(log.with_name("mail.log.1")),
        lambda log: log.unlink(),
        lambda log: (log.unlink(), log.touch()),
        lambda log: (log.with_name("new").touch(), log.with_name("new").replace(log)),
    ],
    ids=["written", "renamed", "removed", "made", "replaced"],
)
def test_a_change_of_the_log_is_told(wakeup: Wakeup, log: Path, change: Callable[[Path], object]) -> None:
    assert is_woken(wakeup, log, LONG, lambda: change(log))


def test_a_change_of_a_neighbour_is_not(wakeup: Wakeup, log: Path) -> None:
    assert not is_woken(wakeup, log, SHORT, lambda: log.with_name("syslog").write_text("a line\n"))


def test_what_happened_before_the_wait_is_told(wakeup: Wakeup, log: Path) -> None:
    async def wait() -> None:
        await wakeup.wait([log], 0.0)
        log.write_text("a line\n")
        await wakeup.wait([log], LONG)

    asyncio.run(wait())


def test_a_link_is_watched_where_it_leads(wakeup: Wakeup, log: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(log)
    assert is_woken(wakeup, link, LONG, lambda: log.write_text("a line\n"))


def test_a_folder_that_comes_back_is_watched_again(wakeup: Wakeup, log: Path) -> None:
    log.unlink()
    log.parent.rmdir()
    assert not is_woken(wakeup, log, SHORT, log.parent.mkdir)
    assert is_woken(wakeup, log, LONG, log.touch)


def test_without_inotify_the_time_passes(wakeup: Wakeup, log: Path) -> None:
    wakeup.close()
    assert not is_woken(wakeup, log, SHORT, lambda: log.write_text("a line\n"))
