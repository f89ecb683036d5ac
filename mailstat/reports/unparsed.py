"""The lines that were not understood, so that somebody can teach mailstat what they mean."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mailstat.mask import mask
from mailstat.report import Column, Report, Section

if TYPE_CHECKING:
    from mailstat.log import Log
    from parsers.events import Event

NAME = "unparsed"
HELP = "the kinds of lines that were not understood, ready for a bug report"
DESCRIPTION = (
    "The kinds of lines that were not understood, most frequent first, with how often each came. "
    "Names, addresses, ids, numbers and every word that is not a common one are masked, so that the report can be "
    "shown to others. Lines are of the whole log: --since, --until and --where do not choose among them, --mta does."
)
SHAPES = 10_000  # distinct masked lines that are counted apart
COLUMNS = (Column("outcome"), Column("lines", "number"), Column("share", "percent"), Column("example"))
REST = "(other lines, of kinds too many to keep apart)"


Shape = tuple[str, str]  # outcome, masked line


class Part:
    """Counts of the masked lines of a part of the log, in the order in which each came first."""

    def __init__(self) -> None:
        self._counts: Counter[Shape] = Counter()

    def strange(self, outcome: str, message: str) -> None:
        """Count a line."""
        self._counts[outcome, mask(message)] += 1

    def add(self, events: list[Event], numbers: Sequence[int]) -> None:
        """Nothing comes of what was understood."""

    def payload(self) -> Counter[Shape]:
        """All that was counted."""
        return self._counts


class Strangers:
    """Counts of masked lines, each with its outcome; in bounded memory."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.counts: Counter[Shape] = Counter()
        self.rest: Counter[Shape] = Counter()

    def strange(self, outcome: str, message: str) -> None:
        """Count a line."""
        self._count((outcome, mask(message)), 1)

    def add(self, events: list[Event], numbers: Sequence[int]) -> None:
        """Nothing comes of what was understood."""

    def blank(self) -> Part:
        """One for a part of the log."""
        return Part()

    def merge(self, payload: Counter[Shape], base: int, *, told: Mapping[int, int]) -> None:  # noqa: ARG002 - of events
        """Add what was counted of a part."""
        for shape, lines in payload.items():
            self._count(shape, lines)

    def _count(self, shape: Shape, lines: int) -> None:
        """One of a new kind goes to the rest where there are as many kinds as there may be."""
        if shape in self.counts or len(self.counts) < self.most:
            self.counts[shape] += lines
        else:
            self.rest[shape[0], REST] += lines

    def rows(self) -> list[tuple[str, int, float, str]]:
        """Most frequent first, the rest last: outcome, lines, share of all that is here, masked line."""
        total = self.counts.total() + self.rest.total()
        shapes = sorted(self.counts.items(), key=lambda item: (-item[1], item[0])) + sorted(self.rest.items())
        return [(outcome, count, count / total, line) for (outcome, line), count in shapes]


def make(log: Log, options: Namespace) -> Report:  # noqa: ARG001 - it has no options of its own
    """Read all of the log, for the sake of what it could not say."""
    strangers = Strangers(SHAPES)
    log.read(strangers)
    return Report(NAME, "Lines not understood", [Section("", COLUMNS, strangers.rows())])
