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
from exporter.queues.entry import Attempt, Entry

_HOST = re.compile(r"(?m)^\S{10} \S{8,15} (?:[+-]\d{4} )?(?:.{0,400} )?H=(\S{1,255}) \[([0-9a-fA-F.:]{2,45})\]")
_TIMES = struct.Struct("=4q")  # when it was written, of the first failure, of the last try and of the next
_LATEST = 1 << 33


def due(spool: Path, queue_id: str, _now: float) -> Attempt | None:
    """When a message may be tried again: the first run of the queue after that does. None where no hint keeps it.
    Raises OSError where the spool may not be read."""
    entry = exim.find(spool, queue_id)
    if entry is None or entry.queue != exim.QUEUES[0]:
        return None  # what is frozen waits for somebody to thaw it
    addresses, hosts = _addresses(entry), _hosts(exim.log(spool, queue_id))
    by_address: list[float] = []
    by_host: list[float] = []
    for raw, value in records(spool / "db/retry"):
        time = _next_try(value)
        key = raw.rstrip(b"\0").decode("utf-8", "replace").lower()
        if time is not None and key in addresses:
            by_address.append(time)
        elif time is not None and _is_of(key, hosts, queue_id):
            by_host.append(time)
    # Any of the hosts will do, but not before the address may be tried.
    times = [*by_address, *([min(by_host)] if by_host else [])]
    return Attempt(max(times)) if times else None


def _addresses(entry: Entry) -> set[str]:
    """What hints are called that keep the only recipient of a message; of several, nobody asks."""
    if len(entry.recipients) != 1:
        return set()
    address = entry.recipients[0].address.lower()
    kinds = (f"r:{address}", f"t:{address}")
    return {*kinds, *(f"{it}:<{entry.sender.lower()}>" for it in kinds), f"r:{address.rpartition('@')[2]}"}


def _hosts(log: str) -> set[str]:
    """What hints are called of the hosts that a message was tried at, as its own log has them."""
    return {f"t:{name}:{ip}".lower() for name, ip in _HOST.findall(log)}


def _is_of(key: str, hosts: set[str], queue_id: str) -> bool:
    """Whether a hint is of one of the hosts, or of this message there; a port that is not the usual one follows."""
    host = key.removesuffix(f":{queue_id.lower()}")
    without_port, _, port = host.rpartition(":")
    return host in hosts or (port.isdecimal() and without_port in hosts)


def _next_try(value: bytes) -> float | None:
    if len(value) < _TIMES.size:
        return None
    time = _TIMES.unpack_from(value)[3]
    return float(time) if 0 < time < _LATEST else None
