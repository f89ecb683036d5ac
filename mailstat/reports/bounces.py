"""What came back, and why: the final failures."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from mailstat.failure import bounced
from mailstat.report import ReportError
from mailstat.suppression import add_arguments as add_suppression
from mailstat.suppression import suppressed

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.report import Report

NAME = "bounces"
HELP = "mail that came back: by provider, reason and domain, with examples; addresses to write to no more"
DESCRIPTION = (
    "Deliveries that failed for good (bounced, expired): by provider and reason, with the last reply, when that was "
    "first and last seen, how many recipients and attempts it took; then by domain. With --suppress, the addresses "
    "that do not exist instead: those that bounced so often for a reason which is the address itself, and to which "
    "nothing was delivered since."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Of the addresses to write to no more."""
    add_suppression(parser)


def make(log: Log, options: Namespace) -> Report:
    """Ask for what failed for good, or for whom to suppress."""
    if options.map and options.suppress is None:
        raise ReportError("--map needs --suppress N: how often an address has to bounce")
    if options.suppress is not None:
        return suppressed(log, options, NAME)
    return bounced(log, options, NAME)
