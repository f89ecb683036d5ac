"""The lines that were not understood, so that somebody can teach mailstat what they mean."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from typing import TYPE_CHECKING

from mailstat.mask import mask
from mailstat.report import Column, Report, Section

if TYPE_CHECKING:
    from mailstat.log import Log

NAME = "unparsed"
HELP = "the kinds of lines that were not understood, ready for a bug report"
DESCRIPTION = (
    "The kinds of lines that were not understood, most frequent first, with how often each came. "
    "Names, addresses, ids, numbers and every word that is not a common one are masked, so that the report can be "
    "shown to others. Lines are of the whole log: --since, --until, --mta and --where do not choose among them."
)
SHAPES = 10_000  # distinct masked lines that are counted apart
COLUMNS = (Column("outcome"), Column("lines", "number"), Column("share", "percent"), Column("example"))
REST = "(other lines, of kinds too many to keep apart)"


class Strangers:
    """Counts of masked lines, each with its outcome; in bounded memory."""

    def __init__(self, most: int = SHAPES) -> None:
        self.most = most
        self.counts: Counter[tuple[str, str]] = Counter()
        self.rest: Counter[tuple[str, str]] = Counter()

    def add(self, outcome: str, message: str) -> None:
        """Count a line; one of a new kind goes to the rest where there are as many kinds as there may be."""
        shape = (outcome, mask(message))
        if shape in self.counts or len(self.counts) < self.most:
            self.counts[shape] += 1
        else:
            self.rest[outcome, REST] += 1

    def rows(self) -> list[tuple[str, int, float, str]]:
        """Most frequent first, the rest last: outcome, lines, share of all that is here, masked line."""
        total = self.counts.total() + self.rest.total()
        shapes = sorted(self.counts.items(), key=lambda item: (-item[1], item[0])) + sorted(self.rest.items())
        return [(outcome, count, count / total, line) for (outcome, line), count in shapes]


def make(log: Log, options: Namespace) -> Report:  # noqa: ARG001 - it has no options of its own
    """Read all of the log, for the sake of what it could not say."""
    strangers = Strangers()
    log.on_strange = strangers.add
    for _ in log.batches():
        pass
    return Report(NAME, "Lines not understood", [Section("", COLUMNS, strangers.rows())])
