"""When OpenSMTPD tries a message again: as its scheduler computes it (smtpd/scheduler_ramqueue.c).

That is so many seconds after the arrival as the square of the attempts, times 400, for a local mailbox times 10; and
one step more, until it is later than the moment at which the last attempt was written into the envelope. What keeps
it from its turn then, as a limit of connections, is in the scheduler's memory alone.
"""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from exporter.queues.entry import Attempt
from exporter.queues.opensmtpd import envelopes

_MESSAGE = re.compile(r"[0-9a-f]{8}")
_STEPS = {"mta": 400, "mda": 10}  # BACKOFF_TRANSFER, BACKOFF_DELIVERY
_LIFETIME = 4 * 86400  # seconds, where the envelope has none of its own, and smtpd.conf none of another length
_NUMBER = re.compile(r"[0-9]{1,10}")
_MOST = 10_000  # attempts that are counted on
_WORDS = "at {} by OpenSMTPD's schedule"


def due(spool: Path, queue_id: str, now: float) -> Attempt | None:
    """The next attempt for a message of one recipient, None where it is not certain. Raises OSError where the queue
    may not be read."""
    if not _MESSAGE.fullmatch(queue_id):
        return None
    found = [*islice(envelopes(spool / "queue" / queue_id[:2] / queue_id), 2)]
    if len(found) != 1:
        return None
    path, fields = found[0]
    time = _next(fields, path.stat().st_mtime)
    return Attempt(time, _WORDS) if time is not None and time > now else None


def _next(fields: dict[str, str], written: float) -> float | None:
    """The time that the scheduler has, None where the envelope is not tried again."""
    step = _STEPS.get(fields.get("type", ""))
    numbers = [fields.get(name, "") for name in ("ctime", "ttl", "retry")]
    if step is None or not all(map(_NUMBER.fullmatch, numbers)):
        return None
    created, lifetime, attempts = map(int, numbers)
    if not 0 < attempts < _MOST:
        return None
    while created + step * attempts**2 <= written and attempts < _MOST:
        attempts += 1
    time = created + step * attempts**2
    return time if written < time < created + (lifetime or _LIFETIME) else None
