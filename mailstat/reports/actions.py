"""What was done to messages, by whom else than the sender and the recipient."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from mailstat.report import FIRST, LAST, Column

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.report import Report

NAME = "actions"
HELP = "what an operator, a rule or a filter did to messages: held, released, discarded, requeued; notifications"
DESCRIPTION = (
    "What an operator, a rule or a content filter did to messages (hold, release, discard, requeue, delete and what "
    "else the server tells), by action and daemon, then each of them; and the notifications that were made."
)
ACTIONS = (
    Column("action"),
    Column("mta"),
    Column("program"),
    Column("times", "number"),
    Column("messages", "number"),
    FIRST,
    LAST,
    Column("example"),
)
EACH = (
    Column("time", "time"),
    Column("action"),
    Column("queue_id"),
    Column("sender"),
    Column("recipient"),
    Column("client"),
    Column("why"),
)
MADE = (Column("type"), Column("mta"), Column("times", "number"), FIRST, LAST)
BY_ACTION = """
SELECT action, mta, program, count(*) AS times, count(DISTINCT (host, queue_id)), epoch(min(time)), epoch(max(time)),
    arg_max(reply, number)
FROM events WHERE kind = 'queue_action' GROUP BY action, mta, program ORDER BY times DESC, action, mta, program"""
IN_ORDER = """
SELECT epoch(time), action, queue_id, sender, recipient, client_ip, reply
FROM events WHERE kind = 'queue_action' AND action NOT IN ('handover', 'split') ORDER BY number LIMIT 1000"""
NOTIFICATIONS = """
SELECT coalesce(nullif(notification, ''), type) AS made, mta, count(*) AS times, epoch(min(time)), epoch(max(time))
FROM events WHERE kind = 'notification' OR nullif(notification, '') IS NOT NULL
GROUP BY made, mta ORDER BY times DESC, made, mta"""


def make(log: Log, options: Namespace) -> Report:
    """Ask for what was done."""
    from mailstat.engine import Query, report  # noqa: PLC0415 - the help of all reports must not wait for it

    queries = [
        Query("By action", ACTIONS, BY_ACTION),
        Query("Each", EACH, IN_ORDER),
        Query("Notifications", MADE, NOTIFICATIONS),
    ]
    return report(log, options, NAME, "Actions", queries, kinds=("queue_action", "notification", "received"))
