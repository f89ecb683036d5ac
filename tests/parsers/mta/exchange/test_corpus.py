"""Exchange rows that others collected. Their expectations are not in the corpus: what the rows say stands here."""

from __future__ import annotations

from collections import Counter
from datetime import UTC
from pathlib import Path

import pytest

from parsers.clock import Clock
from parsers.events import Event, as_record
from parsers.reader import LogReader

CORPUS = Path(__file__).parents[4] / "../shared/corpus/exchange"
LOGS = sorted(CORPUS.glob("*"))

pytestmark = [pytest.mark.corpus, pytest.mark.skipif(not LOGS, reason="the shared corpus is not here")]

# The events of each file, and the lines that have none: headers, and rows that are no mail flow or tell of a session
# what is of no use.
EXPECTED: dict[str, tuple[list[str], int]] = {
    "awstats.log": (["received"], 0),
    "beats-messagetracking.csv": ([], 7),  # a header behind a byte order mark, two NOTIFYMAPI
    "elastic-messagetracking.csv": (["received", "received", "delivery"], 3),
    "elastic-smtp.csv": (["connection_error", "connect"], 5),
    "rmilne-smtpreceive.csv": (["connect"], 6),
    "smtp-relay-report.csv": (["connect", "disconnect"], 12),
}


def read(path: Path) -> tuple[list[Event], Counter[str]]:
    reader = LogReader(Clock(UTC, lambda: 0.0))
    events = reader.read(path.read_bytes().decode("utf-8", "surrogateescape"))
    outcomes: Counter[str] = Counter()
    for tally in reader.tallies.values():
        for name in ("parsed", "ignored", "unknown", "malformed"):
            outcomes[name] += getattr(tally, name)
    return events, +outcomes


def test_every_file_is_known() -> None:
    assert {path.name for path in LOGS} == set(EXPECTED)


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_every_line_has_an_outcome_and_none_is_strange(path: Path) -> None:
    events, outcomes = read(path)
    kinds, ignored = EXPECTED[path.name]
    assert [event.kind for event in events] == kinds
    assert outcomes == Counter({"parsed": len(kinds), "ignored": ignored}) + Counter()
    assert outcomes.total() == len(path.read_bytes().splitlines())


def test_what_the_rows_of_exchange_2016_say() -> None:
    events, _ = read(CORPUS / "elastic-messagetracking.csv")
    first, _, sent = map(as_record, events)
    assert (first["host"], first["size"], first["recipients"]) == ("exchange-mail", 7229, 1)
    assert (first["client_ip"], first["client_name"]) == (
        "10.11.12.13",
        "host01.my.domain.com",
    )  # behind the front end
    # The hop to the mailbox before it is no delivery; this one was to Exchange Online, though it came from outside.
    assert (sent["status"], sent["direction"], sent["provider"], sent["sender"]) == (
        "sent",
        "outbound",
        "microsoft",
        "",
    )
    assert sent["delay"] == 14.513  # as its own S:E2ELatency has it
    assert (sent["reply_code"], sent["dsn"], sent["new_queue_id"]) == (250, "2.1.5", "5450313518243")


def test_what_the_sessions_say() -> None:
    refused, _ = map(as_record, read(CORPUS / "elastic-smtp.csv")[0])
    assert (refused["error"], refused["relay_port"], refused["program"]) == ("refused", 2525, "SmtpSend")
    opened, closed = map(as_record, read(CORPUS / "smtp-relay-report.csv")[0])
    assert opened["client_ip"] == closed["client_ip"] == "10.100.100.30"
    assert closed["time"] == 1710320479.461
