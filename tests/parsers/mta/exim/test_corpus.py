"""Exim lines that others collected, and what they know of them.

Where their knowledge and ours differ, the case stands here with the reason.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from parsers.clock import Clock
from parsers.events import Auth, Connect, ConnectionFailure, Event, Reject
from parsers.reader import LogReader

CORPUS = Path(__file__).parents[4] / "../shared/corpus/exim"
NOW = 1795284304.0
LOGS = sorted(CORPUS.glob("*.log"))

pytestmark = [pytest.mark.corpus, pytest.mark.skipif(not LOGS, reason="the shared corpus is not here")]

# What Exim's own test suite puts in the place of what differs from run to run; no Exim ever wrote it.
MUNGED = (("S=sss", "S=4711"), ("q.qqqs", "1.250s"), ("=qqs", "=1s"))


def unmunged(text: str) -> str:
    for what, real in MUNGED:
        text = text.replace(what, real)
    return text


@lru_cache
def read_log(path: Path) -> tuple[Counter[str], list[Event], list[str]]:
    """The outcomes, the events, and what was malformed."""
    text = unmunged(path.read_bytes().decode("utf-8", "surrogateescape"))
    broken: list[str] = []
    reader = LogReader(
        Clock(UTC, lambda: NOW),
        lambda outcome, line: broken.append(line) if outcome == "malformed" else None,
        mta="exim",
    )
    events = reader.read(text if text.endswith("\n") else text + "\n")
    outcomes = Counter({name: sum(getattr(tally, name) for tally in reader.tallies.values()) for name in OUTCOMES})
    return outcomes, events, broken


OUTCOMES = ("parsed", "ignored", "unknown", "malformed")


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_every_line_has_an_outcome(path: Path) -> None:
    outcomes, events, _ = read_log(path)
    assert outcomes.total() == len(unmunged(path.read_text("utf-8", "surrogateescape")).split("\n")) - 1
    assert outcomes["parsed"] == len(events)


def test_less_than_two_lines_in_a_hundred_are_unknown() -> None:
    total = sum((read_log(path)[0] for path in LOGS), Counter[str]())
    assert total["unknown"] < total.total() / 50


# What stands where Exim would have put something else, in the lines that are malformed.
BROKEN = (
    r"ACL \"warn\" with|<<< |\] -> '|mua_wrapper"
    r"|TESTSUITE/aux-fixed|FAIL cannot route",  # words of the test suite's configuration and servers
    r"S=$|S=\S*[a-z]|QT=|DT=|RT=",  # numbers that it munged
)


def test_few_lines_are_malformed_and_why_is_known() -> None:
    broken = [line for path in LOGS for line in read_log(path)[2]]
    assert [line for line in broken if not any(re.search(pattern, line) for pattern in BROKEN)] == []
    assert len(broken) < 40


def test_the_log_of_an_exporter_has_what_it_says() -> None:
    outcomes, _, _ = read_log(CORPUS / "exim-exporter.log")
    assert outcomes["parsed"] == outcomes.total()


def rows(name: str) -> list[dict[str, Any]]:
    path = CORPUS / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8", "surrogateescape").splitlines()] if LOGS else []


def events_of(line: str) -> list[Event]:
    return LogReader(Clock(UTC, lambda: NOW), mta="exim").read(line + "\n")


# Without any stamp before the host, and with one behind the program: no logger writes that.
NO_STAMP = re.compile(r"mail\.example\.com exim\[").match
# Abuse to an intrusion detector, and nothing that happened to a message or a client to us.
REMARKS = re.compile(
    r"no host name found|no IP address found|no MAIL in SMTP connection|SMTP protocol error in|sender verify fail"
    r"|SA: Action: "  # what an access list wrote
)


@pytest.mark.parametrize("row", rows("fail2ban"), ids=lambda row: row["line"][:60])
def test_what_an_intrusion_detector_calls_abuse_is_an_event_of_that_client(row: dict[str, Any]) -> None:
    if NO_STAMP(row["line"]):
        return
    events = events_of(row["line"])
    if REMARKS.search(row["line"]):
        assert events == []
        return
    (event,) = events
    assert event.client_ip == row["expect"].get("host", event.client_ip)  # type: ignore[attr-defined]
    user = row["expect"].get("user")
    assert user in (None, getattr(event, "sasl_user", None))


KINDS = {
    "auth failure": Auth,
    "exim connection": Connect,
    "exim connection lost": ConnectionFailure,
    "exim syntax/protocol error": ConnectionFailure,
    "wazuh: exim syntax/protocol error sync": Reject,
    "wazuh: exim Unrouteable address": Reject,
}


@pytest.mark.parametrize("row", rows("ossec-wazuh"), ids=lambda row: row["case"])
def test_the_rule_of_an_intrusion_detector_is_the_kind_of_the_event(row: dict[str, Any]) -> None:
    (event,) = events_of(row["line"])
    assert type(event) is KINDS[row["case"]]
