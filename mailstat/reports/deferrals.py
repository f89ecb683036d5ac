"""What waits, since when and why: the temporary failures."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from mailstat.failure import deferred

if TYPE_CHECKING:
    from mailstat.log import Log
    from mailstat.report import Report

NAME = "deferrals"
HELP = "mail that was put off: by provider, reason and domain, with examples and the oldest message waiting"
DESCRIPTION = (
    "Deliveries that were put off: by provider and reason, with the last reply, when that was first and last seen, "
    "how many recipients and attempts it took, how many of them still wait where the log ends, and since when the "
    "oldest of them is in the queue; then by domain."
)


def make(log: Log, options: Namespace) -> Report:
    """Ask for what was deferred."""
    return deferred(log, options, NAME)
