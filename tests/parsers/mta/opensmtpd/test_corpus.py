"""OpenSMTPD lines that others collected, and what an intrusion detector says of some."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from parsers.clock import Clock
from parsers.events import Connect, ConnectionFailure, Delivery, Disconnect, Event, Received, Reject, Tls
from parsers.reader import LogReader

CORPUS = Path(__file__).parents[4] / "../shared/corpus/opensmtpd"
LOGS = sorted(CORPUS.glob("*.log"))
NOW = 1795284304.0
OUTCOMES = ("parsed", "ignored", "unknown", "malformed")
pytestmark = [pytest.mark.corpus, pytest.mark.skipif(not LOGS, reason="the shared corpus is not here")]


def is_fragment(line: str) -> bool:
    """Cut by the author of an article, who put "[...]" for the rest."""
    return line.endswith("rcpt=<-> [...]")


def read(lines: list[str]) -> tuple[list[Event], Counter[str], list[str]]:
    """The events of lines, of which some lost what stood before the message; their outcomes; what is strange."""
    strange: list[str] = []
    reader = LogReader(Clock(UTC, lambda: NOW), lambda outcome, message: strange.append(f"{outcome}: {message}"))
    whole = [line if line[0].isupper() else f"Nov 21 10:00:00 mail smtpd[4711]: {line}" for line in lines]
    events = reader.read("\n".join(whole) + "\n")
    tallies = reader.tallies.values()
    return events, Counter({name: sum(getattr(t, name) for t in tallies) for name in OUTCOMES}), strange


def text_of(path: Path) -> list[str]:
    return path.read_text("utf-8", "surrogateescape").splitlines()


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_each_line_has_an_outcome_and_none_is_unknown(path: Path) -> None:
    lines = text_of(path)
    _, outcomes, strange = read(lines)
    assert outcomes.total() == len(lines)
    assert len(strange) == sum(map(is_fragment, lines))
    assert outcomes["unknown"] == 0


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_each_delivery_is_one(path: Path) -> None:
    """An article tells the same session twice."""
    lines = text_of(path)
    told = [line for line in lines if re.search(r" m[td]a (?:event=)?delivery ", line) and not is_fragment(line)]
    deliveries = [event for event in read(lines)[0] if isinstance(event, Delivery)]
    assert [(event.queue_id, event.status == "sent") for event in deliveries] == [
        (re.findall(r"evpid=(\w{8})", line)[0], re.search(r'result="?Ok', line) is not None) for line in told
    ]


def test_a_message_has_the_envelope_and_the_client_that_its_session_tells() -> None:
    lines = text_of(CORPUS / "opensmtpd-book.log")
    received = {event.queue_id: event for event in read(lines)[0] if isinstance(event, Received)}
    assert {name: (event.via, event.client_ip, event.size) for name, event in received.items()} == {
        "c405e39a": ("local", None, 303),
        "3d4c4a42": ("local", None, 319),
        "f6e94209": ("smtp", "127.0.0.1", 802),  # back from the filter that signs it
    }
    assert {event.sender for event in received.values()} == {"gilles@poolp.org"}


def test_the_reports_of_a_provider_are_read() -> None:
    (event,) = read(text_of(CORPUS / "caesonia.log"))[0]
    assert isinstance(event, Delivery)
    assert (event.status, event.reply_code, event.dsn, event.reason) == ("bounced", 550, "5.7.1", "blocked_ip")


# OSSEC's rules for smtpd: 53501 a command failed, 53502 a session begins, 53503 ends, 53504 a message was accepted,
# 53507 an input or output error, 53500 all others.
RULES = {
    "message failed": Reject,
    "new session": None,  # of a program of this host: no connection
    "message accepted": Received,
    "session closed": Disconnect,
    "disconnect": ConnectionFailure,
    "no ssl": ConnectionFailure,
    "started tls": Tls,
}


@pytest.mark.parametrize(
    "row",
    [json.loads(line) for line in text_of(CORPUS / "ossec.jsonl")] if LOGS else [],
    ids=lambda row: row["case"],
)
def test_what_an_intrusion_detector_calls_it(row: dict[str, Any]) -> None:
    # A message is told when its session goes on: it has one line for each recipient.
    closing = "Aug 17 01:26:03 ix smtpd[22704]: smtp-in: Closing session 08d856b172f69c5c"
    events = read([row["line"], closing] if row["case"] == "message accepted" else [row["line"]])[0]
    kind = RULES[row["case"]]
    assert (type(events[0]) if events else None) is kind


def test_sessions_are_those_of_clients_from_elsewhere() -> None:
    for path in LOGS:
        lines = text_of(path)
        clients = sum("connected address=" in line and "address=local" not in line for line in lines)
        assert sum(type(event) is Connect for event in read(lines)[0]) == clients
