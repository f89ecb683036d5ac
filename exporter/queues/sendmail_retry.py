"""When Sendmail tries a message again: at a run of its queue, for which a daemon was told the interval.

The daemon writes its command line into its pid file (sendmail/util.c), which is for root and its own user alone. A
run begins an interval after the one before, and passes over what was tried less than MinQueueAge or MaxQueueAge ago
(sendmail/queue.c). The configuration is that of the same host or image: the queue's place in it tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from exporter.queues.entry import Attempt
from exporter.queues.sendmail import control, text_of

LONGEST = 1 << 20  # bytes of a configuration that are read
_CONFIG = "etc/mail/sendmail.cf"
_OPTION = re.compile(r"(?m)^O (QueueDirectory|PidFile|MinQueueAge|MaxQueueAge)=(\S{1,500})\s*$")
_HAS_GROUPS = re.compile(r"(?m)^Q")  # which have intervals of their own
_OTHER = ("-C", "-O", "-o", "-Ac")  # arguments by which it is another configuration
_TIME = re.compile(r"(?:[0-9]{1,6}[wdhms]){1,5}(?:[0-9]{1,6})?|[0-9]{1,6}")
_PART = re.compile(r"([0-9]+)([wdhms]?)")
_LONGEST_TIME = 1 << 24  # seconds
_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "": 60, "s": 1}
_NUMBER = re.compile(r"([TKN])([0-9]{1,10})")


class _Runs(NamedTuple):
    """How a queue is run, in seconds; without `longest`, a message rests for `least` after an attempt."""

    interval: int
    least: int
    longest: int


def due(spool: Path, queue_id: str, _now: float) -> Attempt | None:
    """By when a run begins that tries a message, None where that is not certain. Raises OSError where the queue or
    what is known of the daemon may not be read."""
    text = control(spool, queue_id)
    numbers = _numbers(text) if text else {}
    runs = _runs(spool) if len(numbers) == len("TKN") else None
    if runs is None:
        return None
    last = max(numbers["K"], numbers["T"])
    ready = last + _rest(runs, last - numbers["T"]) if numbers["N"] else last
    return Attempt(ready + runs.interval, f"in the queue run that begins by {{}}, as one does every {_told(runs)}")


def _numbers(text: str) -> dict[str, int]:
    """Of the arrival, of the last attempt, and how many there were."""
    head = re.split(r"(?m)^H", text, maxsplit=1)[0]
    return {match[1]: int(match[2]) for line in head.split("\n") if (match := _NUMBER.fullmatch(line))}


def _rest(runs: _Runs, waited: int) -> int:
    return min(waited, runs.longest) if runs.longest else runs.least


def _told(runs: _Runs) -> str:
    return f"{runs.interval} s" if runs.interval % 60 else f"{runs.interval // 60} min"


def _runs(spool: Path) -> _Runs | None:
    for root, options in _configurations(spool):
        interval = _interval(root, options.get("PidFile", ""))
        ages = [_seconds(options.get(name, "0")) for name in ("MinQueueAge", "MaxQueueAge")]
        if interval and None not in ages:
            return _Runs(interval, *(age or 0 for age in ages))
    return None


def _configurations(spool: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """The one that has this queue, and the root directory that it means."""
    for root in spool.parents:
        path = root / _CONFIG
        text = text_of(path, LONGEST) if path.exists() else ""
        options = dict(_OPTION.findall(text))
        queue = _below(root, options.get("QueueDirectory", ""))
        if spool in (queue, queue.parent if "*" in queue.name else queue) and not _HAS_GROUPS.search(text):
            yield root, options


def _interval(root: Path, pid_file: str) -> int | None:
    """Seconds between two runs of a daemon that is alive."""
    if not pid_file:
        return None
    pid, _, command = text_of(_below(root, pid_file)).partition("\n")
    words = command.split()
    intervals = [word[2:] for word in words if word.startswith("-q")]
    is_other = any(word.startswith(_OTHER) for word in words)
    if is_other or len(intervals) != 1 or not pid.isdecimal() or not (root / "proc" / pid).exists():
        return None
    return _seconds(intervals[0])


def _seconds(text: str) -> int | None:
    """A time as Sendmail reads it: minutes, where there is no unit."""
    if not _TIME.fullmatch(text):
        return None
    seconds = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return seconds if seconds < _LONGEST_TIME else None


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")
