"""The lines that were not understood."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

from mailstat.log import Log, Selection
from mailstat.reports import unparsed
from mailstat.reports.unparsed import REST, Strangers

LOG = """\
Jan  5 10:00:00 mail postfix/smtpd[1]: zwonk: alice@example.com at 192.0.2.1 not understood
Jan  5 10:00:01 mail postfix/smtpd[2]: zwonk: bob@example.com at 192.0.2.2 not understood
Jan  5 10:00:02 mail postfix/smtpd[2]: quux failed
Feb 31 10:00:02 mail postfix/smtpd[2]: connect from alice.example.com[192.0.2.1]
Jan  5 10:00:03 mail postfix/smtp[3]: A1: to=<a@example.com>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, \
status=deferred (connect to example.com[192.0.2.1]:25: Connection timed out)
"""


def rows(folder: Path, text: str, **of: Any) -> Sequence[Sequence[Any]]:
    """What the report says of a log of that text."""
    path = folder / "log"
    path.write_text(text)
    (section,) = unparsed.make(Log([path], Selection(**of), zone=UTC), Namespace()).sections
    return section.rows


def test_lines_of_the_same_form_are_counted_together_most_frequent_first(tmp_path: Path) -> None:
    assert rows(tmp_path, LOG) == [
        ("unknown", 2, 0.5, "<word>: <address> at <ip> not understood"),
        ("malformed", 1, 0.25, "Feb <n> <time> mail postfix/smtpd[<n>]: connect from <host>[<ip>]"),
        ("unknown", 1, 0.25, "<word> failed"),
    ]


def test_a_log_that_was_understood_has_none(tmp_path: Path) -> None:
    assert rows(tmp_path, LOG.splitlines(keepends=True)[-1]) == []


def test_a_selection_of_events_is_none_of_lines(tmp_path: Path) -> None:
    assert rows(tmp_path, LOG, since=9e9, where=lambda _: False) == rows(tmp_path, LOG)


def test_kinds_beyond_the_bound_are_counted_as_one() -> None:
    strangers = Strangers(most=1)
    for message in ("mail", "server", "mail", "queue"):
        strangers.strange("unknown", message)
    assert strangers.rows() == [("unknown", 2, 0.5, "mail"), ("unknown", 2, 0.5, REST)]
