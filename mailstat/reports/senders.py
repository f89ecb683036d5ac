"""Accounts and senders: how much they send, to how many, from where, and how much of it fails."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailstat.number import positive
from mailstat.report import FIRST, LAST, NOT_TOLD, Column, Report, ReportError, Section, grouped

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.sender import Row
    from parsers.account import Quotas

NAME = "senders"
HELP = "accounts and senders: messages, recipients, clients, bounces; who is suspicious or over the quota"
DESCRIPTION = (
    "Who sends: accounts (who authenticated), then addresses of senders, those with most messages first. The busiest "
    "hour is of the whole time; an account is over its quota, or suspicious, if it once was, by the exporter's rules."
)
COLUMNS = (
    Column("kind"),
    grouped("name", none=NOT_TOLD),
    Column("messages", "number"),
    Column("bytes", "bytes"),
    Column("recipients", "number"),
    Column("distinct_recipients", "number"),
    Column("distinct_clients", "number"),
    Column("bounced", "percent"),
    Column("busiest_hour", "number"),
    Column("over_quota"),
    Column("suspicious"),
    FIRST,
    LAST,
)


def add_arguments(parser: ArgumentParser) -> None:
    """Where the quotas are."""
    parser.add_argument("--config", metavar="CONFIG", type=Path, help="the exporter's configuration, for its quotas")
    parser.add_argument(
        "--quota", metavar="N", type=positive, default=0, help="messages an hour, of whoever has no other"
    )


def make(log: Log, options: Namespace) -> Report:
    """Read the log and add it up."""
    from mailstat.sender import Senders, told  # noqa: PLC0415 - the help of all reports must not wait for it
    from mailstat.sequence import InOrder  # noqa: PLC0415

    senders = Senders(_quotas(options))
    digest = InOrder(told, senders.add)
    log.read(digest)
    digest.settle()
    return Report(NAME, "Senders", [Section("", COLUMNS, [_cells(row) for row in senders.rows()])])


def _cells(row: Row) -> list[Any]:
    of = row.figures
    why = " ".join(sorted(of.suspicions - {"quota"}))
    counts = [of.messages, of.size, of.recipients, len(of.to), len(of.clients)]
    over = "yes" if row.is_over_quota else "no"
    return [row.kind, row.name or None, *counts, of.bounced, of.peak, over, why, of.first, of.last]


def _quotas(options: Namespace) -> Quotas:
    from exporter.config import ConfigError, load_config  # noqa: PLC0415
    from exporter.metrics.watch import quotas  # noqa: PLC0415
    from parsers.account import Quota, Quotas  # noqa: PLC0415

    if options.config is None:
        return Quotas(Quota(messages=options.quota))
    try:
        made = quotas(load_config(options.config).accounts)
    except ConfigError as error:
        raise ReportError("\n".join(error.errors)) from None
    if options.quota:
        made.default = made.default._replace(messages=options.quota)
    return made
