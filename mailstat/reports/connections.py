"""Who connects to us and what comes of it, and whom we could not reach."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from mailstat.report import FIRST, LAST, Column, grouped

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.report import Report

NAME = "connections"
HELP = "clients: connections, messages, bytes, rejects, failed logins, time connected; and whom we did not reach"
DESCRIPTION = (
    "Clients that connected: how often, how long together and in the median (where the log tells the end of a "
    "session by the same process), messages and bytes that they gave, rejects, failed logins, broken connections; "
    "then the connections of ours that failed, by error and host."
)
CLIENTS = (
    grouped("client"),
    Column("name"),
    Column("connections", "number"),
    Column("connected", "seconds"),
    Column("connected_p50", "seconds"),
    Column("messages", "number"),
    Column("bytes", "bytes"),
    *(Column(name, "number") for name in ("rejects", "failed_logins", "broken")),
    LAST,
)
ERRORS = (
    Column("error"),
    Column("provider"),
    Column("host"),
    Column("failures", "number"),
    FIRST,
    LAST,
    Column("example"),
)
# A process serves one client after the other: the end of a session is the next thing that it tells of the two. The
# size of a message is told where it is received, or in a later line of the same queue id.
BY_CLIENT = """
WITH step AS (
    SELECT kind, client_ip, client_name, result, attempts, coalesce(relay_host, relay_ip) AS towards, number, time,
        coalesce(size, lead(size IGNORE NULLS) OVER message) AS bytes,
        CASE WHEN kind = 'connect' AND lead(kind) OVER process = 'disconnect'
            AND lead(client_ip) OVER process IS NOT DISTINCT FROM client_ip
            THEN epoch(lead(time) OVER process) - epoch(time) END AS lasted
    FROM events
    WINDOW process AS (PARTITION BY mta, host, service, program, pid, kind IN ('connect', 'disconnect')
        ORDER BY number),
        message AS (PARTITION BY mta, host, service, queue_id ORDER BY number)
)
SELECT client_ip, CASE WHEN client_ip IS NOT NULL THEN arg_max(client_name, number) END,
    count(*) FILTER (kind = 'connect') AS connections,
    sum(lasted), quantile_disc(lasted, 0.5),
    count(*) FILTER (kind = 'received'), coalesce(sum(bytes) FILTER (kind = 'received'), 0)::BIGINT,
    count(*) FILTER (kind = 'reject'),
    coalesce(sum(attempts) FILTER (kind = 'auth' AND result = 'failure'), 0)::BIGINT,
    count(*) FILTER (kind = 'connection_error'), epoch(max(time))
FROM step
WHERE client_ip IS NOT NULL OR kind IN ('connect', 'received', 'reject') OR (kind = 'auth' AND result = 'failure')
    OR (kind = 'connection_error' AND towards IS NULL)
GROUP BY client_ip ORDER BY connections DESC, count(*) DESC, client_ip LIMIT 10000"""
BY_ERROR = """
SELECT error, destination('outbound', provider), coalesce(relay_host, relay_ip) AS towards, count(*) AS failures,
    epoch(min(time)), epoch(max(time)), arg_max(reply, number)
FROM events WHERE kind = 'connection_error' AND coalesce(relay_host, relay_ip) IS NOT NULL
GROUP BY error, destination('outbound', provider), towards ORDER BY failures DESC, error, towards LIMIT 1000"""
KINDS = ("connect", "disconnect", "received", "queued", "reject", "auth", "connection_error")


def make(log: Log, options: Namespace) -> Report:
    """Ask for the sessions."""
    from mailstat.engine import Query, report  # noqa: PLC0415 - the help of all reports must not wait for it

    queries = [Query("Clients", CLIENTS, BY_CLIENT), Query("Not reached", ERRORS, BY_ERROR)]
    return report(log, options, NAME, "Connections", queries, kinds=KINDS)
