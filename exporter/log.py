"""What the service says about itself, on standard error: one line a message, as logfmt or as JSON.

The words are Prometheus' own: `ts`, `level`, `msg`, then what the caller gave as `extra`. No text can forge a
line or a key: whatever is not plain is quoted, and whatever is not ASCII is escaped.
"""

from __future__ import annotations

import json
import logging
import math
import re
from datetime import UTC, datetime
from typing import Literal

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
"""The values of `--log.level`."""

_VALUE_LIMIT = 2000  # characters of one value
_STACK_LIMIT = 8000  # characters of a traceback; its end says what happened
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-]+")
_NOT_IN_KEY = re.compile(r"[^A-Za-z0-9_]")
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

Scalar = str | int | float | bool | None


def configure(level: str, fmt: Literal["logfmt", "json"]) -> None:
    """Send all messages from this level on to standard error.

    Raises ValueError for a level that is not in LEVELS and for an unknown format.
    """
    if level not in LEVELS:
        raise ValueError(f"log level: expected one of {', '.join(LEVELS)}, got {json.dumps(level)}")
    if fmt not in ("logfmt", "json"):
        raise ValueError(f"log format: expected logfmt or json, got {json.dumps(fmt)}")
    handler = logging.StreamHandler()
    handler.setFormatter(Logfmt() if fmt == "logfmt" else Json())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])


class Logfmt(logging.Formatter):
    """`ts=2026-01-31T06:25:01.123Z level=info msg="following" path=/var/log/mail.log`"""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{key}={_logfmt(key, value)}" for key, value in _pairs(record).items())


class Json(logging.Formatter):
    """The same keys, as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_pairs(record))


def _pairs(record: logging.LogRecord) -> dict[str, Scalar]:
    pairs: dict[str, Scalar] = {
        "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": _level(record.levelno),
        "msg": record.getMessage()[:_VALUE_LIMIT],
    }
    for key, value in vars(record).items():
        if key not in _OWN:
            pairs.setdefault(_NOT_IN_KEY.sub("_", key), _scalar(value))
    if record.exc_info and record.exc_info[1]:
        pairs.setdefault("error", f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}"[:_VALUE_LIMIT])
        pairs["stack"] = logging.Formatter().formatException(record.exc_info)[-_STACK_LIMIT:]
    return pairs


def _level(number: int) -> str:
    return next((name for name, least in reversed(LEVELS.items()) if number >= least), "debug")


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return str(value)[:_VALUE_LIMIT]


def _logfmt(key: str, value: Scalar) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if key != "msg" and _PLAIN.fullmatch(text) else json.dumps(text)
