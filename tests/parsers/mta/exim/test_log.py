"""Exim's logs in all their prefixes: stamps, zones, pids, through syslog, the reject log, the panic log."""

from __future__ import annotations

from collections import Counter
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from parsers.clock import Clock
from parsers.events import Event, Problem, Received, Reject, Removed
from parsers.reader import LogReader

NOW = 1795284304.0
AT = 1795255200.0  # 2026-11-21 10:00:00 UTC
DONE = "1tXk2b-000aBc-0D Completed"


def read(text: str, mta: str | None = None, zone: str = "UTC") -> tuple[list[Event], Counter[str]]:
    reader = LogReader(Clock(ZoneInfo(zone), lambda: NOW), mta=mta)
    events = reader.read(text)
    tally = reader.tallies["exim"]
    outcomes = {name: getattr(tally, name) for name in ("parsed", "ignored", "unknown", "malformed")}
    return events, Counter({name: count for name, count in outcomes.items() if count})


@pytest.mark.parametrize(
    ("line", "time", "pid"),
    [
        (f"2026-11-21 10:00:00 {DONE}", AT, None),
        (f"2026-11-21 10:00:00.250 {DONE}", AT + 0.25, None),
        (f"2026-11-21 11:00:00 +0100 {DONE}", AT, None),
        (f"2026-11-21 11:00:00.250 +0100 [4711] {DONE}", AT + 0.25, 4711),
        (f"2026-11-21 10:00:00 [4711] {DONE}", AT, 4711),
        (f"Nov 21 10:00:01 mail exim[4711]: 2026-11-21 10:00:00 {DONE}", AT, 4711),
        (f"Nov 21 10:00:01 mail exim[4711]: 2026-11-21 11:00:00.250 +0100 [4712] {DONE}", AT + 0.25, 4712),
        (f"Nov 21 10:00:00 mail exim4[4711]: {DONE}", AT, 4711),
        (f"2026-11-21T10:00:00.000000+00:00 mail exim[4711]: [1/2] 2026-11-21 10:00:00 {DONE}", AT, 4711),
    ],
)
def test_what_stands_before_a_message(line: str, time: float, pid: int | None) -> None:
    (event,), _ = read(line)
    assert isinstance(event, Removed)
    assert (event.time, event.origin.pid, event.queue_id) == (time, pid, "1tXk2b-000aBc-0D")


def test_an_operator_may_change_his_mind() -> None:
    """`log_selector` and `log_timezone` take effect in the midst of a log."""
    lines = [
        f"2026-11-21 10:00:00 {DONE}",
        f"2026-11-21 10:00:00 [4711] {DONE}",
        f"2026-11-21 11:00:00 +0100 {DONE}",
        f"2026-11-21 10:00:00.000 {DONE}",
        f"2026-11-21 11:00:00.000 +0100 [4712] {DONE}",
        f"2026-11-21 10:00:00 {DONE}",
        f"2026-11-21 11:00:00 +0100 [4713] {DONE}",
    ]
    events, outcomes = read("\n".join(lines))
    assert outcomes == {"parsed": len(lines)}
    assert {event.time for event in events} == {AT}
    assert [event.origin.pid for event in events] == [None, 4711, None, None, 4712, None, 4713]


@pytest.mark.parametrize("mark", ["/", "\\"])
def test_the_pieces_of_a_long_line_are_one_event(mark: str) -> None:
    tag = "Nov 21 10:00:00 mail exim[4711]: "
    first = f"{tag}[1{mark}12] 2026-11-21 10:00:00 1tXk2b-000aBc-0D <= kim@example.com U=kim P=local S=9 for a@b c@"
    events, outcomes = read("\n".join([first, f"{tag}[2{mark}12] d e@f", f"{tag}[12{mark}12] => x@y R=r T=t"]))
    (event,) = events
    assert outcomes == {"parsed": 1, "ignored": 2}
    assert isinstance(event, Received)
    assert (event.size, event.recipients) == (9, None)


REJECTED = """\
2026-11-21 10:00:00 1tXk2b-000aBc-0D H=(x) [203.0.113.7] F=<kim@example.net> rejected after DATA: no
Envelope-from: <kim@example.net>
Envelope-to: <lee@example.org>,
    <max@example.org>
P Received: from x ([203.0.113.7])
\tby mail.example.com with esmtp (Exim 4.98)
\tSat, 21 Nov 2026 10:00:00 +0000
F From: kim@example.net
  Subject: 2026-11-21 10:00:00 => no field
  Date: Sat, 21 Nov 2026 10:00:00 +0000
2026-11-21 10:00:01 H=(x) [203.0.113.7] F=<kim@example.net> rejected RCPT <lee@example.org>: no
"""


def test_an_entry_of_the_reject_log_has_several_lines() -> None:
    events, outcomes = read(REJECTED)
    assert [type(event) for event in events] == [Reject, Reject]
    assert outcomes == {"parsed": 2, "ignored": 9}


def test_the_panic_log_tells_problems() -> None:
    text = "2026-11-21 10:00:00 Exim configuration error in line 12 of x:\n  missing quote\n"
    events, outcomes = read(text)
    assert [type(event) for event in events] == [Problem]
    assert outcomes == {"parsed": 1, "ignored": 1}


def test_a_log_without_signs_is_read_where_its_server_is_named() -> None:
    text = "2026-11-21 10:00:00 failed to open DB file /var/spool/exim4/db/retry: Permission denied\n"
    assert [type(event) for event in read(text, mta="exim")[0]] == [Problem]
    assert LogReader(Clock(UTC, lambda: NOW)).read(text) == []


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("my own words about nothing", "ignored"),
        ("name\tvalue that fails", "ignored"),
        ("1tXk2b-000aBc-0D subject of the day", "ignored"),
        ("1tXk2b-000aBc-0D +> a@example.org", "ignored"),
        ("something failed", "unknown"),
        ("1tXk2b-000aBc-0D was rejected in a new way", "unknown"),
        ("H=(x) [203.0.113.7] says something new", "unknown"),
        ("1tXk2b-000aBc-0D => cut off", "malformed"),
    ],
)
def test_what_a_configuration_writes_itself_is_no_unknown_line(text: str, outcome: str) -> None:
    _, outcomes = read(f"2026-11-21 10:00:00 {DONE}\n2026-11-21 10:00:00 {text}\n")
    assert outcomes == Counter({"parsed": 1}) + Counter({outcome: 1})


@pytest.mark.parametrize(
    "line",
    [
        "2026-13-21 10:00:00 x",
        "2026-11-21 25:00:00 1tXk2b-000aBc-0D Completed",
        "026-11-21 10:00:00 1tXk2b-000aBc-0D Completed",
        "2026-11-21 10:00:0",
        "\x80\x81\x82 2026-11-21 10:00:00",
    ],
)
def test_a_broken_line_is_malformed_and_changes_nothing(line: str) -> None:
    good = f"2026-11-21 10:00:00 {DONE}\n"
    events, outcomes = read(f"{good}{line}\n{good}")
    assert len(events) == 2
    assert outcomes["malformed"] + outcomes["ignored"] == 1
