"""The mail servers: one file or folder for each, found by listing this folder.

Each offers `SERVER` (a `parsers.server.Server`), and does not know the others.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from parsers.events import Origin
from parsers.server import Server

SERVERS: dict[str, Server] = {
    server.mta: server
    for server in (import_module(f"{__name__}.{module.name}").SERVER for module in iter_modules(__path__))
}


def origin(host: str, program: str, pid: int | None) -> Origin | None:
    """Who wrote a line that came through syslog; None where that is no mail server."""
    return next((found for server in SERVERS.values() if (found := server.origin(host, program, pid))), None)


def own_server(line: str, *, or_head: bool = False) -> Server | None:
    """The server in whose own log such a line stands; None where it is of no such log.

    With `or_head`, also where it only may be what such a log begins with.
    """
    for server in SERVERS.values():
        log = server.own_log
        if log and (log.is_line(line) or (or_head and log.is_head and log.is_head(line))):
            return server
    return None
