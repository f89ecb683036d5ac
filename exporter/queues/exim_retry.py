"""When Exim tries a message again: its hints in `db/retry` of the spool (src/dbstuff.h, src/retry.c).

A hint is kept for an address (`R:` where it could not be routed or was refused, `T:` for a local one), for a host, or
for a message at a host. Debian's Exim keeps them in Berkeley DB; hints of any other kind are not read.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from exporter.queues import exim
from exporter.queues.berkeley import records
from exporter.queues.entry import Entry

_HOST = re.compile(r"(?m)^\S{10} \S{8,15} (?:[+-]\d{4} )?(?:.{0,400} )?H=(\S{1,255}) \[([0-9a-fA-F.:]{2,45})\]")
_TIMES = struct.Struct("=4q")  # when it was written, of the first failure, of the last try and of the next
_LATEST = 1 << 33
_HOSTS = 50  # of a message that are looked for


def due(spool: Path, queue_id: str) -> float | None:
    """When a message may be tried again, in seconds since the epoch: the first run of the queue after that does.
    None where no hint keeps it. Raises OSError where the spool may not be read."""
    entry = exim.find(spool, queue_id)
    if entry is None:
        return None
    addresses, hosts = _keys(entry), _hosts(exim.log(spool, queue_id), queue_id)
    by_address: list[float] = []
    by_host: list[float] = []
    for raw, value in records(spool / "db/retry"):
        time = _next_try(value)
        key = raw.rstrip(b"\0").decode("utf-8", "replace").lower()
        if time is not None and addresses and addresses.fullmatch(key):
            by_address.append(time)
        elif time is not None and hosts and hosts.fullmatch(key):
            by_host.append(time)
    # Any of the hosts will do, but not before the address may be tried.
    return max([*by_address, *([min(by_host)] if by_host else [])], default=None)


def _keys(entry: Entry) -> re.Pattern[str] | None:
    """What hints are called that keep the only recipient of a message; of several, nobody asks."""
    if len(entry.recipients) != 1:
        return None
    address = entry.recipients[0].address.lower()
    sender = re.escape(f":<{entry.sender.lower()}>")
    domain = re.escape(address.rpartition("@")[2])
    return re.compile(f"[rt]:{re.escape(address)}(?:{sender})?|r:{domain}")


def _hosts(log: str, queue_id: str) -> re.Pattern[str] | None:
    """What hints are called of the hosts that a message was tried at, as its own log has them."""
    hosts = {f"t:{re.escape(f'{name}:{ip}'.lower())}" for name, ip in _HOST.findall(log)}
    rest = rf"(?::\d{{1,5}})?(?::{re.escape(queue_id.lower())})?"  # the port, where it is not the usual one
    return re.compile(f"(?:{'|'.join(sorted(hosts)[:_HOSTS])}){rest}") if hosts else None


def _next_try(value: bytes) -> float | None:
    if len(value) < _TIMES.size:
        return None
    time = _TIMES.unpack_from(value)[3]
    return float(time) if 0 < time < _LATEST else None
