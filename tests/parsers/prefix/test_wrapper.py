"""Lines wrapped by the journal, by containers and by shippers. All samples are ours."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from parsers.clock import Clock
from parsers.prefix.wrapper import read_prefix

MESSAGE = "connect from mx.example.org[192.0.2.25]"
MIDNIGHT = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
CLOCK = Clock(UTC, lambda: MIDNIGHT + 3600)
LINE = f"Nov 01 00:00:00 mail postfix/smtpd[4711]: {MESSAGE}"
ENTRY = {
    "__REALTIME_TIMESTAMP": "1793491200123456",
    "_HOSTNAME": "mail",
    "SYSLOG_IDENTIFIER": "postfix/smtpd",
    "_COMM": "smtpd",
    "SYSLOG_PID": "4711",
    "_PID": "4711",
    "MESSAGE": MESSAGE,
}


@pytest.mark.parametrize(
    "record",
    [
        ENTRY,
        ENTRY | {"SYSLOG_PID": None},
        ENTRY | {"MESSAGE": list(MESSAGE.encode())},
        {name: value for name, value in ENTRY.items() if name != "SYSLOG_PID"},
        {"_SOURCE_REALTIME_TIMESTAMP" if name[:3] == "__R" else name: value for name, value in ENTRY.items()},
        {"log": LINE + "\n", "stream": "stdout", "time": "2026-11-01T00:00:00.123456789Z"},
        {"message": LINE, "@timestamp": "2026-11-01T00:00:00.123456Z", "host": {"name": "shipper"}},
    ],
    ids=["journal", "no SYSLOG_PID", "bytes", "_PID alone", "source's time alone", "docker", "shipper"],
)
def test_json_has_time_host_program_and_message(record: dict[str, object]) -> None:
    prefix = read_prefix(json.dumps(record), CLOCK)
    assert prefix is not None
    assert prefix.time == pytest.approx(MIDNIGHT + 0.123456, abs=1e-5)
    assert (prefix.host, prefix.program, prefix.pid, prefix.message) == ("mail", "postfix/smtpd", 4711, MESSAGE)


def test_the_journal_keeps_bytes_that_are_no_text() -> None:
    prefix = read_prefix(json.dumps(ENTRY | {"MESSAGE": [102, 111, 180]}), CLOCK)
    assert prefix is not None
    assert prefix.message == "fo\udcb4"


def test_a_wrapped_line_of_another_zone_has_the_wrappers_time() -> None:
    prefix = read_prefix(json.dumps({"log": LINE, "time": "2026-10-31T23:00:00Z"}), CLOCK)
    assert prefix is not None
    assert prefix.time == MIDNIGHT - 3600


def test_a_wrapper_without_a_time_leaves_the_lines() -> None:
    prefix = read_prefix(json.dumps({"log": LINE}), CLOCK)
    assert prefix is not None
    assert prefix.time == MIDNIGHT


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "{}",
        "{ not json",
        '{"log": 1}',
        '{"log": "no prefix"}',
        '{"message": null}',
        "2026-11-01T00:00:00Z stdout F no prefix",
    ],
)
def test_what_wraps_no_line(line: str) -> None:
    assert read_prefix(line, CLOCK) is None


@pytest.mark.parametrize(
    "record",
    [
        {"MESSAGE": MESSAGE},
        ENTRY | {"__REALTIME_TIMESTAMP": "soon"},
        ENTRY | {"__REALTIME_TIMESTAMP": []},
        ENTRY | {"__REALTIME_TIMESTAMP": {"a": 1}},
        ENTRY | {"__REALTIME_TIMESTAMP": "9" * 5000},
        ENTRY | {"__REALTIME_TIMESTAMP": 1e300},
        ENTRY | {"__REALTIME_TIMESTAMP": "-5"},
        ENTRY | {"MESSAGE": None},
        ENTRY | {"MESSAGE": [1, 300]},
        ENTRY | {"MESSAGE": ["a"]},
        ENTRY | {"MESSAGE": {"a": 1}},
        {"log": LINE, "time": "yesterday"},
    ],
    ids=str,
)
def test_a_record_that_cannot_be_is_an_error(record: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - some messages are Python's own
        read_prefix(json.dumps(record), CLOCK)
