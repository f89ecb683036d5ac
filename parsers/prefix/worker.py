"""The prefix of Rspamd's own log file: a stamp in local time, pid and kind of a worker, and no host.

rspamd_log_file() in src/libserver/logger/logger_file.c; `log_usec` adds a fraction, `log_severity` a word.
"""

from __future__ import annotations

import re

from parsers.clock import Clock
from parsers.prefix.syslog import Prefix

_LINE = re.compile(
    r"(?P<stamp>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})? )(?:\[[a-z]{1,16}\] )?"
    r"(?P<message>#(?P<pid>\d{1,10})\([\w-]{1,40}\) .*)",
    re.ASCII | re.DOTALL,
).fullmatch


def rspamd(line: str, clock: Clock) -> Prefix | None:
    """`2026-11-22 08:09:32 #4711(rspamd_proxy) <8ae27d>; proxy; …`; the worker stays with the message, as it does
    where Rspamd leaves the stamp to others. Raises ValueError for an impossible time."""
    found = _LINE(line)
    if not found:
        return None
    return Prefix(clock.iso8601(found["stamp"]), "", "rspamd", int(found["pid"]), found["message"])
