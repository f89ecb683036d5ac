"""The daemon's own troubles."""

from __future__ import annotations

import pytest

from parsers.events import ConnectionFailure, Event, Origin, Problem
from tests import reading

ORIGIN = Origin("sendmail", "mail.example.com", "sendmail", "sm-mta", 4711)
ID = "5ALA00aB004711"


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (
            f"{ID}: SYSERR(root): MX list for x points back",
            Problem(1.0, ORIGIN, "error", "MX list for x points back", ID),
        ),
        ("NOQUEUE: SYSERR(root): cannot open ./df1", Problem(1.0, ORIGIN, "error", "cannot open ./df1")),
        ("SYSERR(root): hash map access: missing", Problem(1.0, ORIGIN, "error", "hash map access: missing")),
        (f"{ID}: Losing ./qf1: savemail panic", Problem(1.0, ORIGIN, "error", "Losing ./qf1: savemail panic", ID)),
        (f"{ID}: Milter (av): to error state", Problem(1.0, ORIGIN, "warning", "Milter (av): to error state", ID)),
        (
            "rejecting connections on daemon MTA: load average: 20",
            Problem(1.0, ORIGIN, "warning", "rejecting connections on daemon MTA: load average: 20"),
        ),
    ],
)
def test_a_problem(message: str, problem: Problem) -> None:
    assert read(message) == problem


def test_a_client_that_went_away_in_its_data_is_told_once() -> None:
    assert read(f"{ID}: collect: premature EOM: unexpected close") == ConnectionFailure(
        1.0, ORIGIN, "lost", ID, phase="data", reply="unexpected close"
    )
    assert read(f"{ID}: collect: relay=mx, from=<a@example.com>, info=unexpected close") is None
    assert read(f"{ID}: SYSERR(root): collect: I/O error on connection from mx, from=<a@example.com>") is None


@pytest.mark.parametrize(
    "message",
    [
        "starting daemon (8.18.1): SMTP+queueing@00:10:00",
        f"{ID}: Milter: no active filter",
        f"{ID}: Milter add: header: X-Checked: yes",
        f"{ID}: Milter (av) add: header: X-Checked: yes",
        f"{ID}: Milter (av): init success to negotiate",
        f"{ID}: alias postmaster => root",
        f"{ID}: Authentication-Warning: mail: kim set sender to a@example.com using -f",
        f"{ID}:   3: fl=0x2, mode=140777: SOCK",
    ],
)
def test_what_is_of_no_use(message: str) -> None:
    assert read(message) is None
