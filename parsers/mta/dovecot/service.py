"""All the other processes, and the master: what they complain of.

A severity stands in front of each complaint (src/lib/failures.c). The rest is of no use.
"""

from __future__ import annotations

from parsers.events import Origin, Problem
from parsers.mta.dovecot.process import AUTHS, NAMES, OTHERS, origin_of
from parsers.shape import shape

# 1.x shortened the first.
SEVERITIES = {"Warn": "warning", "Warning": "warning", "Error": "error", "Fatal": "fatal", "Panic": "panic"}


def problem(time: float, origin: Origin, process: str, severity: str, text: str) -> Problem:
    return Problem(time, origin_of(origin, process), SEVERITIES[severity], text)


def early_problem(time: float, origin: Origin, severity: str, text: str) -> Problem:
    """Of 1.x, where the severity stood before the process; or of the tag itself."""
    return Problem(time, origin_of(origin, _process(text) or origin.program), SEVERITIES[severity], text)


def named_problem(time: float, origin: Origin, name: str, severity: str, text: str) -> Problem:
    """Of a process that is not one of Dovecot's own."""
    return Problem(time, origin, SEVERITIES[severity], f"{name}: {text}")


def _process(text: str) -> str | None:
    """The process that a text begins with, where it does."""
    first = text.partition(":")[0].partition("(")[0]
    return first if first in NAMES else None


_SEVERITY = "{severity:" + "|".join(SEVERITIES) + "}"
_ABOUT = "[({_})][<{_}>][<{_}>]: "

SHAPES = (
    shape(
        "{process:" + "|".join(NAMES) + "}" + _ABOUT + "[request [[{_}]]: ]" + _SEVERITY + ": {text}",
        "auth: Error: auth client 0 disconnected with 1 pending requests: EOF",
        problem,
    ),
    shape(
        _SEVERITY + ": {text}",
        "Fatal: Auth process died too early - shutting down",
        early_problem,
    ),
    # A service that the operator named.
    shape(
        "{name}: " + _SEVERITY + ": {text}",
        "quota-warning: Error: stderr: /usr/local/bin/warn: not found",
        named_problem,
        general=True,
    ),
    shape(
        "[dovecot: ]{_:" + "|".join((*AUTHS, *OTHERS)) + "}" + _ABOUT + "{_}",
        "master: Dovecot v2.3.19.1 (9b53102964) starting up for imap, pop3, submission (core dumps disabled)",
        general=True,
    ),
    # 1.x
    shape("Info: {_}", "Info: IMAP(kim): Disconnected: Logged out bytes=59/566", general=True),
    shape("{_:IMAP|POP3}({_}): {_}", "IMAP(kim): Disconnected: Logged out bytes=59/566"),
    shape("Dovecot v{_}", "Dovecot v1.2.17 starting up (core dumps disabled)"),
)
