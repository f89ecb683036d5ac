"""The lines that were not understood."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC

from mailstat.log import Log, Selection
from mailstat.reports import unparsed
from mailstat.reports.unparsed import REST, Strangers
from parsers.clock import Clock
from parsers.events import Event
from parsers.reader import LogReader

LOG = """\
Jan  5 10:00:00 mail postfix/smtpd[1]: zwonk: alice@example.com at 192.0.2.1 not understood
Jan  5 10:00:01 mail postfix/smtpd[2]: zwonk: bob@example.com at 192.0.2.2 not understood
Jan  5 10:00:02 mail postfix/smtpd[2]: quux failed
Feb 31 10:00:02 mail postfix/smtpd[2]: connect from alice.example.com[192.0.2.1]
Jan  5 10:00:03 mail postfix/smtp[3]: A1: to=<a@example.com>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, \
status=deferred (connect to example.com[192.0.2.1]:25: Connection timed out)
"""


class Text(Log):
    """A log whose text is here."""

    def __init__(self, text: str) -> None:
        super().__init__([], Selection(), zone=UTC)
        self._text = text

    def batches(self) -> Iterator[list[Event]]:
        yield LogReader(Clock(UTC, lambda: 1767607200.0), self.on_strange).read(self._text)


def test_lines_of_the_same_form_are_counted_together_most_frequent_first() -> None:
    (section,) = unparsed.make(Text(LOG), Namespace()).sections
    assert section.rows == [
        ("unknown", 2, 0.5, "<word>: <address> at <ip> not understood"),
        ("malformed", 1, 0.25, "Feb <n> <time> mail postfix/smtpd[<n>]: connect from <host>[<ip>]"),
        ("unknown", 1, 0.25, "<word> failed"),
    ]


def test_a_log_that_was_understood_has_none() -> None:
    (section,) = unparsed.make(Text(LOG.splitlines(keepends=True)[-1]), Namespace()).sections
    assert section.rows == []


def test_kinds_beyond_the_bound_are_counted_as_one() -> None:
    strangers = Strangers(most=1)
    for message in ("mail", "server", "mail", "queue"):
        strangers.add("unknown", message)
    assert strangers.rows() == [("unknown", 2, 0.5, "mail"), ("unknown", 2, 0.5, REST)]
