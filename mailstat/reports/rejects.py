"""What was refused at the door, whom, and why."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from mailstat.report import FIRST, LAST, Column, grouped

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.report import Report

NAME = "rejects"
HELP = "mail that we refused: by reason and phase, by client, by domain of the sender and of the recipient"
DESCRIPTION = (
    "What was refused at the door: by reason and SMTP phase, by client, by domain of the sender and by recipient, "
    "each with the last reply and when that was first and last seen."
)
SEEN = (FIRST, LAST, Column("example"))
MEASURES = """
    epoch(min(time)) AS first, epoch(max(time)) AS last, arg_max(reply, number) AS example
FROM events WHERE kind = 'reject'"""
BY_REASON = f"""
SELECT why(reason) AS class, phase, count(*) AS rejects, count(*) / sum(count(*)) OVER () AS share,
    count(DISTINCT client_ip) AS clients, {MEASURES}
GROUP BY class, phase ORDER BY rejects DESC, class, phase"""
BY_CLIENT = f"""
SELECT client_ip AS client, CASE WHEN client IS NOT NULL THEN arg_max(client_name, number) END, count(*) AS rejects,
    arg_max(why(reason), number), {MEASURES}
GROUP BY client ORDER BY rejects DESC, client LIMIT 1000"""
BY_SENDER = f"""
SELECT CASE WHEN sender = '' THEN '<>' ELSE coalesce(domain(sender), sender) END AS place, count(*) AS rejects,
    arg_max(why(reason), number), {MEASURES}
GROUP BY place ORDER BY rejects DESC, place LIMIT 1000"""
BY_RECIPIENT = f"""
SELECT lower(recipient) AS address, count(*) AS rejects, arg_max(why(reason), number), {MEASURES}
GROUP BY address ORDER BY rejects DESC, address LIMIT 1000"""


def make(log: Log, options: Namespace) -> Report:
    """Ask for the rejects."""
    from mailstat.engine import Query, report  # noqa: PLC0415 - the help of all reports must not wait for it

    rejects, reason = Column("rejects", "number"), Column("reason")
    kinds = (reason, Column("phase"), rejects, Column("share", "percent"), Column("clients", "number"))
    queries = [
        Query("By reason and phase", (*kinds, *SEEN), BY_REASON),
        Query("By client", (grouped("client"), Column("name"), rejects, reason, *SEEN), BY_CLIENT),
        Query("By domain of the sender", (grouped("sender"), rejects, reason, *SEEN), BY_SENDER),
        Query("By recipient", (grouped("recipient"), rejects, reason, *SEEN), BY_RECIPIENT),
    ]
    return report(log, options, NAME, "Rejects", queries, kinds=("reject",))
