"""Who tries to guess passwords: blocks of addresses, users, and lists of users."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from mailstat.report import FIRST, LAST, NOT_TOLD, Column, Report, Section, grouped

if TYPE_CHECKING:
    from mailstat.campaign import Campaigns, Login, Tally
    from mailstat.log import Log
    from parsers.events import Auth

NAME = "auth"
HELP = "failures to authenticate: blocks of addresses, users, shared lists; addresses for a firewall"
DESCRIPTION = (
    "Failures to authenticate by blocks of client addresses (/24, /64), by users, and the lists of users that "
    "several blocks share. A hammer fails often within an hour; a spray tries many users, or users whom many blocks "
    "try. Logins are those that succeeded, also for the same users and from the same block."
)
BLOCKS = (
    grouped("block", none=NOT_TOLD),
    Column("kind"),
    Column("failures", "number"),
    Column("addresses", "number"),
    Column("users", "number"),
    Column("logins", "number"),
    FIRST,
    LAST,
)
USERS = (grouped("user", none=NOT_TOLD), BLOCKS[1], BLOCKS[2], BLOCKS[3], Column("blocks", "number"), *BLOCKS[5:])
LISTS = (Column("users"), Column("blocks", "number"), Column("failures", "number"), Column("from"))
SHOWN = 20  # users or blocks of a list
BY = ("blocks", "users", "lists")


def add_arguments(parser: ArgumentParser) -> None:
    """What comes first, or nothing but addresses."""
    parser.add_argument("--by", choices=BY, default=BY[0], help="which part comes first, and is all of JSON and CSV")
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        "--addresses",
        action="store_true",
        help="nothing but the addresses that attack, one a line, as a firewall or fail2ban takes them; none from"
        " which more logins came than failures",
    )
    only.add_argument("--networks", action="store_true", help="the same as networks (192.0.2.0/24)")


def make(log: Log, options: Namespace) -> Report:
    """Read the log and add it up."""
    from mailstat.campaign import Campaigns, told  # noqa: PLC0415 - the help of all reports must not wait for it
    from mailstat.sequence import InOrder  # noqa: PLC0415

    campaigns = Campaigns()
    digest: InOrder[Auth | Login] = InOrder(told, campaigns.add, are_firsts=True)
    log.read(digest)
    digest.settle()
    sections = {
        "blocks": Section("Blocks", BLOCKS, [_cells(name, it) for name, it in campaigns.failed_blocks()]),
        "users": Section("Users", USERS, [_cells(name, it) for name, it in campaigns.failed_users()]),
        "lists": Section("Users that several blocks tried", LISTS, _lists(campaigns)),
    }
    first = sections.pop(options.by)
    return Report(NAME, "Failures to authenticate", [first, *sections.values()], lines=_lines(campaigns, options))


def _cells(name: str, of: Tally) -> list[Any]:
    return [name or None, of.kind, of.failures, len(of.addresses), len(of.others), of.logins, of.first, of.last]


def _lists(campaigns: Campaigns) -> list[list[Any]]:
    return [[_some(it.users), len(it.blocks), it.failures, _some(it.blocks)] for it in campaigns.user_lists()]


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - SHOWN
    return " ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _lines(campaigns: Campaigns, options: Namespace) -> list[str] | None:
    if options.addresses:
        return campaigns.attackers()
    return campaigns.attacking_blocks() if options.networks else None
