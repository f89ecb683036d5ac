"""Addresses to which no more mail should be sent: they do not exist, their own servers say so again and again."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mailstat.number import positive
from mailstat.report import FIRST, LAST, Column

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.number import positive
from mailstat.report import Report, Row

REASONS = ("user_unknown", "mailbox_disabled", "domain_not_found", "no_mx")  # whose fault the address itself is
COLUMNS = (
    Column("address"),
    Column("bounces", "number"),
    Column("reason"),
    FIRST,
    LAST,
    Column("example"),
)
MAPS = {
    "postfix": "{address} REJECT 5.1.1 this address does not exist: {reason}, {bounces} times",
    "exim": "{address}: 550 5.1.1 this address does not exist: {reason}, {bounces} times",
}
PLAIN = re.compile(r"[a-z0-9_=~/.+-]+@[a-z0-9.-]+").fullmatch  # nothing that a table or a shell takes for its own
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
        type=positive,
        help="the addresses that bounced N times since mail last arrived there",
    )
    parser.add_argument(
        "--map",
        choices=MAPS,
        help="with --suppress: as a lookup table of a server, to refuse what is sent to them: an access table of"
        " Postfix (check_recipient_access), or a file for lsearch of Exim",
    )


def suppressed(log: Log, options: Namespace, name: str) -> Report:
    """The addresses, those that bounced most often first."""
    from mailstat.engine import Query, report  # noqa: PLC0415 - the help of all reports must not wait for it

    parameters = {"reasons": list(REASONS), "suppress": options.suppress}
    queries = [Query("", COLUMNS, SUPPRESSED)]
    made = report(log, options, name, "Addresses to suppress", queries, kinds=("delivery",), parameters=parameters)
    return replace(made, lines=list(_map(made.sections[0].rows, options.map))) if options.map else made


def _map(rows: Sequence[Row], kind: str) -> Iterator[str]:
    """A line for each address. One that is not of plain characters alone is none: a table would read it otherwise."""
    words = MAPS[kind]
    return (
        words.format(address=address, bounces=bounces, reason=reason)
        for address, bounces, reason, *_ in rows
        if PLAIN(address)
    )
