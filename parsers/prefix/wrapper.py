"""Lines wrapped in JSON (journald, Docker's json-file, log shippers) and in what a container runtime writes (CRI)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from parsers.clock import Clock
from parsers.prefix.syslog import FORMS, Prefix, collected
from parsers.prefix.worker import rspamd

END_OF_TIME = 253402300800 * 10**6  # microseconds: the year 10000, which no calendar here has
SHORTEST = 12  # characters: no form has a stamp that is shorter
_BARE = (*FORMS, rspamd)
_decode = msgspec.json.Decoder().decode
# Kubernetes' CRI log format: time, stream, F(ull) or P(artial), text.
_CRI = re.compile(r"(?P<stamp>\d{4}-\d\d-\d\dT\S{8,30}) (?:stdout|stderr) [FP] (?P<inner>.*)").fullmatch


def bare(line: str, clock: Clock) -> Prefix | None:
    """The first of syslog's forms that the line has, or a signer's own. Raises ValueError for an impossible time."""
    return next((found for form in _BARE if (found := form(line, clock))), None)


def cri(line: str, clock: Clock) -> Prefix | None:
    """`2026-01-02T03:04:05.678901234Z stdout F text`, where the text is a line of syslog's."""
    found = _CRI(line)
    return _inner(found["inner"], found["stamp"], clock) if found else None


def json(line: str, clock: Clock) -> Prefix | None:
    """An object of `journalctl -o json`, of Docker's json-file driver, or of a shipper (@timestamp, message)."""
    if not line.startswith("{"):
        return None
    try:
        record = _decode(line.encode("utf-8", "surrogateescape"))
    except (msgspec.DecodeError, RecursionError):
        return None
    if "MESSAGE" in record:
        return _journal(record)
    if isinstance(record.get("log"), str):
        return _inner(record["log"].rstrip("\n"), record.get("time"), clock)
    if isinstance(record.get("message"), str):
        return _inner(record["message"].rstrip("\n"), record.get("@timestamp"), clock)
    return None


def _inner(line: str, stamp: object, clock: Clock) -> Prefix | None:
    """The wrapped line; the wrapper's time is the better one, for it has a year, a zone and a fraction."""
    found = bare(line, clock) or collected(line, clock)
    if not found:
        return None
    time = clock.iso8601(stamp) if isinstance(stamp, str) else found.time
    return found._replace(time=time, width=0)


def _journal(record: Mapping[str, Any]) -> Prefix:
    """systemd.journal-fields(7); a message that is not UTF-8 is an array of bytes. Raises ValueError."""
    pid = str(record.get("SYSLOG_PID") or record.get("_PID") or "")
    return Prefix(
        time=_microseconds(record.get("__REALTIME_TIMESTAMP") or record.get("_SOURCE_REALTIME_TIMESTAMP")) / 1e6,
        host=str(record.get("_HOSTNAME") or ""),
        program=str(record.get("SYSLOG_IDENTIFIER") or record.get("_COMM") or ""),
        pid=int(pid) if pid.isdecimal() else None,
        message=_text(record["MESSAGE"]),
    )


def _microseconds(value: object) -> int:
    number = int(value) if isinstance(value, str | int) else -1
    if not 0 <= number < END_OF_TIME:
        raise ValueError("no time of the journal")
    return number


def _text(value: object) -> str:
    if isinstance(value, list) and all(isinstance(byte, int) for byte in value):
        return bytes(value).decode("utf-8", "surrogateescape")
    if not isinstance(value, str):
        raise ValueError("no message: the journal gives long ones only with --all")
    return value


def read_prefix(line: str, clock: Clock) -> Prefix | None:
    """The prefix of a line, None where it has none that is known. Raises ValueError for an impossible time."""
    if len(line) < SHORTEST:
        return None
    return bare(line, clock) or cri(line, clock) or json(line, clock) or collected(line, clock)
