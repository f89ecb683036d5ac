"""Addresses to which no more mail should be sent: they do not exist, their own servers say so again and again."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING

from mailstat.report import Column

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.report import Report

REASONS = ("user_unknown", "mailbox_disabled", "domain_not_found", "no_mx")  # whose fault the address itself is
COLUMNS = (
    Column("address"),
    Column("bounces", "number"),
    Column("reason"),
    Column("first", "time"),
    Column("last", "time"),
    Column("example"),
)
SUPPRESSED = """
WITH final AS (
    SELECT lower(recipient) AS address, number, time, reply, why(reason) AS reason, status = 'sent' AS is_sent,
        status = 'bounced' AND list_contains($reasons, reason) AS is_hard
    FROM events WHERE kind = 'delivery' AND contains(recipient, '@') AND status IN ('sent', 'bounced')
), bounced AS (
    SELECT address, number, time, reply, reason FROM final
    WHERE is_hard AND number > coalesce((SELECT max(number) FROM final AS sent
        WHERE is_sent AND sent.address = final.address), -1)
)
SELECT address, count(*) AS bounces, arg_max(reason, number) AS reason, epoch(min(time)) AS first,
    epoch(max(time)) AS last, arg_max(reply, number) AS example
FROM bounced GROUP BY address HAVING count(*) >= $suppress ORDER BY bounces DESC, address
"""


def add_arguments(parser: ArgumentParser) -> None:
    """How often an address has to bounce."""
    parser.add_argument(
        "--suppress",
        metavar="N",
        type=_times,
        help="the addresses that bounced N times since mail last arrived there",
    )


def suppressed(log: Log, options: Namespace, name: str) -> Report:
    """The addresses, those that bounced most often first."""
    from mailstat.engine import Query, report  # noqa: PLC0415 - the help of all reports must not wait for it

    parameters = {"reasons": list(REASONS), "suppress": options.suppress}
    queries = [Query("", COLUMNS, SUPPRESSED)]
    return report(log, options, name, "Addresses to suppress", queries, kinds=("delivery",), parameters=parameters)


def _times(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < len(text) < 10 and int(text)):
        raise ArgumentTypeError("a whole number from 1 on is needed")
    return int(text)
