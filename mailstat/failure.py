"""Deliveries that failed, as the reports on deferrals and bounces tell of them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailstat.report import FIRST, LAST, OLDEST, Column, grouped

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.report import Report

COLUMNS = (
    Column("provider"),
    Column("status"),
    Column("reason"),
    Column("attempts", "number"),
    Column("recipients", "number"),
    Column("messages", "number"),
    Column("share", "percent"),
    FIRST,
    LAST,
    Column("waiting", "number"),
    OLDEST,
    Column("example"),
)
OF_DOMAIN = (
    grouped("domain"),
    Column("provider"),
    Column("reason"),
    *COLUMNS[3:6],
    *COLUMNS[7:],
)
# The deliveries, and of each whether it waits: a deferral is the last that the log has of its message and recipient.
# What left the queue or was given up waits no more, whatever came last. (To ask that of messages that were never
# deferred would take more room than there is.)
TOLD = """
WITH late AS (
    SELECT DISTINCT mta, host, queue_id FROM events WHERE kind = 'delivery' AND status = 'deferred'
), attempt AS (
    SELECT mta, host, service, queue_id, recipient, max(number) AS last_number
    FROM events SEMI JOIN late USING (mta, host, queue_id) WHERE kind = 'delivery'
    GROUP BY mta, host, service, queue_id, recipient
), ended AS (
    SELECT mta, host, queue_id, max(number) AS end_number FROM events SEMI JOIN late USING (mta, host, queue_id)
    WHERE kind = 'removed' OR is_removal OR (kind = 'delivery' AND recipient IS NULL AND status = 'expired')
        OR (kind = 'queue_action' AND action IN ('cancel', 'discard'))
    GROUP BY mta, host, queue_id
), told AS (
    SELECT tried.*, destination(direction, provider) AS towards,
        status = 'deferred' AND last_number IS NOT NULL AND coalesce(end_number < number, true) AS is_waiting
    FROM deliveries() AS tried
    LEFT JOIN attempt ON number = last_number
    LEFT JOIN ended ON ended.mta = tried.mta AND ended.host = tried.host AND ended.queue_id = tried.queue_id
)
"""
# Of those that failed for good, none waits.
ENDED = """
WITH told AS (
    SELECT *, destination(direction, provider) AS towards, false AS is_waiting FROM events WHERE kind = 'delivery'
)
"""
WAITING = """
    count(*) FILTER (is_waiting) AS waiting,
    epoch(min(coalesce(message_since, time)) FILTER (is_waiting)) AS oldest"""
KINDS = ("delivery", "removed", "queue_action")  # what tells of deliveries, and whether they wait
COUNTED = """
    count(*) AS attempts, count(DISTINCT recipient) AS recipients,
    count(DISTINCT (mta, host, queue_id)) AS messages"""
SEEN = f"""
    epoch(min(time)) AS first, epoch(max(time)) AS last, {WAITING}, arg_max(reply, number) AS example"""
BY_REASON = f"""
SELECT towards, status, why(reason) AS reason, {COUNTED}, count(*) / sum(count(*)) OVER () AS share, {SEEN}
FROM told WHERE list_contains($statuses, status)
GROUP BY towards, status, why(reason) ORDER BY attempts DESC, towards, status, why(reason)
"""  # noqa: S608 - made of its own parts
BY_DOMAIN = f"""
SELECT domain(recipient) AS domain, towards, why(reason) AS reason, {COUNTED}, {SEEN}
FROM told WHERE list_contains($statuses, status)
GROUP BY domain(recipient), towards, why(reason) ORDER BY attempts DESC, domain(recipient), towards, why(reason)
LIMIT 1000
"""  # noqa: S608 - the same


def deferred(log: Log, options: Namespace, name: str) -> Report:
    """The report on what was put off."""
    return _made(log, options, name, "Deferrals", TOLD, KINDS, ("deferred",))


def bounced(log: Log, options: Namespace, name: str) -> Report:
    """The report on what failed for good."""
    return _made(log, options, name, "Bounces", ENDED, ("delivery",), ("bounced", "expired"))


def _made(
    log: Log, options: Namespace, name: str, title: str, told: str, kinds: Sequence[str], statuses: Sequence[str]
) -> Report:
    from mailstat.engine import Query, report  # noqa: PLC0415 - the help of all reports must not wait for it

    queries = [
        Query("By provider and reason", COLUMNS, told + BY_REASON),
        Query("By domain", OF_DOMAIN, told + BY_DOMAIN),
    ]
    return report(log, options, name, title, queries, kinds=kinds, parameters={"statuses": list(statuses)})
