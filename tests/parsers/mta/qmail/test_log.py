"""A qmail log as a whole: its stamps, what splogger makes of it, and the forms in which it can come."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from datetime import UTC, datetime
from random import Random

import pytest

from bench.qmail import FORMS, QmailTraffic
from parsers.clock import Clock
from parsers.events import Delivery, Event
from parsers.mta.qmail import GRAMMAR, SERVER
from parsers.reader import LogReader, understand
from parsers.shape import Shape
from parsers.tracker import Tracker
from tests.effort import is_linear

START = datetime(2026, 11, 21, 10, tzinfo=UTC).timestamp()
LABEL = "@400000006b016bab"  # of START and a second, TAI: ten seconds more
ORIGIN = SERVER.origin("mail", "qmail", None)
assert ORIGIN


def reader() -> LogReader:
    return LogReader(Clock(UTC, lambda: START + 86_400))


def outcomes(log: LogReader) -> Counter[str]:
    counts: Counter[str] = Counter()
    for tally in log.tallies.values():
        counts.update({name: getattr(tally, name) for name in ("parsed", "ignored", "unknown", "malformed")})
    return +counts


@pytest.mark.parametrize(
    ("line", "fraction"),
    [
        (f"{LABEL}075bcd15 end msg 7", 0.123456789),
        ("2026-11-21 10:00:01.123456789 end msg 7", 0.123456789),
        ("1795255201.123456 end msg 7", 0.123456),
        ("Nov 21 12:34:56 mail qmail: 1795255201.123456 end msg 7", 0.123456),
        ("2026-11-21T12:34:56Z mail qmail[99]: 1795255201.123456 end msg 7", 0.123456),
        ("Nov 21 10:00:01 mail qmail: end msg 7", 0.0),
        (f"{LABEL}075bcd15 qmail: end msg 7", 0.123456789),
        ("2026-11-21 10:00:01.123456789  end msg 7", 0.123456789),  # s6-log puts two blanks
    ],
)
def test_the_time_of_a_line(line: str, fraction: float) -> None:
    begun = reader()
    begun.read(line.replace("end msg", "new msg") + "\n")
    for log in (reader(), begun):  # the first line of a log is read in its own way
        (event,) = log.read(line + "\n")
        assert event.time == pytest.approx(START + 1 + fraction, abs=1e-6)


@pytest.mark.parametrize(
    "line",
    [
        "@4000000000000000zzzzzzzz end msg 7",
        "@40000000695aff0affffffff end msg 7",  # more nanoseconds than a second has
        "@ffffffffffffffff00000000 end msg 7",
        "@40000000695aff0a0000 end msg 7",
        "2026-11-21 10:00:61.123456789 end msg 7",
        "2026-13-21 10:00:01.123456789 end msg 7",
    ],
)
def test_an_impossible_time_is_malformed(line: str) -> None:
    stamp = f"{LABEL}075bcd15" if line[0] == "@" else "2026-11-21 10:00:01.123456789"
    log = reader()
    assert log.read(f"{stamp} new msg 7\n{line}\n") == []
    assert outcomes(log) == {"ignored": 1, "malformed": 1}


def test_what_splogger_cuts_is_read_up_to_there() -> None:
    log = reader()
    events = log.read(
        "Nov 21 10:00:00 mail qmail: 1795255201.123456 delivery 1: failure: 192.0.2.25_does_not_like_recipient."
        "/Remote_host_said:_550_5.1.1_User_unk\n"
        "Nov 21 10:00:00 mail qmail: 1795255201.123456+nown,_see_https://example.org/Giving_up_on_192.0.2.25./\n"
    )
    assert [getattr(event, "reply", None) for event in events] == ["550 5.1.1 User unk"]
    assert outcomes(log) == {"parsed": 1, "ignored": 1}


@pytest.mark.parametrize("tag", ["qmail", "qmail-send", "splogger", "rblsmtpd", "tcpserver", "vpopmail"])
def test_who_writes_to_syslog(tag: str) -> None:
    origin = SERVER.origin("mail", tag, 4711)
    assert origin
    assert (origin.service, origin.program, origin.pid) == ("qmail", tag, 4711)


@pytest.mark.parametrize("tag", ["qmailx", "xqmail", "qmail/smtpd", "smtpd"])
def test_who_does_not(tag: str) -> None:
    assert SERVER.origin("mail", tag, None) is None


# --- invented traffic ---


def traffic(form: str, lines: int = 4000) -> str:
    made = iter(QmailTraffic(Random(1)))
    return "".join(f"{FORMS[form](*next(made))}\n" for _ in range(lines))


def summary(events: list[Event]) -> list[tuple[object, ...]]:
    return [
        (
            type(event).__name__,
            getattr(event, "queue_id", ""),
            getattr(event, "status", ""),
            getattr(event, "sender", ""),
        )
        for event in events
    ]


def times(events: list[Event]) -> list[float]:
    return [event.time for event in events]


@pytest.mark.parametrize("form", FORMS)
def test_logs_that_differ_in_form_have_the_same_events(form: str) -> None:
    log, plain = reader(), reader()
    events, others = log.read(traffic(form)), plain.read(traffic("multilog"))
    assert summary(events) == summary(others)
    assert times(events) == pytest.approx(times(others), abs=2e-6, rel=0)
    assert outcomes(log) == outcomes(plain)
    assert not outcomes(log)["unknown"] + outcomes(log)["malformed"]


def test_the_numbers_of_a_log_are_those_that_its_lines_have() -> None:
    text = traffic("multilog", 20_000)
    log, tracker = reader(), Tracker()
    events = log.read(text)
    tracker.follow(events)
    deliveries = [event for event in events if isinstance(event, Delivery)]
    statuses = Counter(event.status for event in deliveries)
    assert statuses == {
        "sent": text.count(": success: "),
        "deferred": text.count(": deferral: "),
        "bounced": text.count(": failure: "),
    }
    assert all(event.recipient and event.queue_id and event.delay is not None for event in deliveries)
    assert sum(1 for event in events if getattr(event, "is_arrival", False)) == text.count(" info msg ")
    notified = [event for event in events if getattr(event, "via", None) == "notification"]
    assert len(notified) == text.count(" from <> ") > 100
    assert tracker.in_flight() == {"qmail": text.count(" info msg ") - text.count(" end msg ")}


def test_a_block_has_the_same_events_as_its_lines() -> None:
    text = traffic("splogger", 2000)
    whole, by_line = reader(), reader()
    events = [event for line in text.splitlines() for event in by_line.read(line + "\n")]
    assert summary(whole.read(text)) == summary(events)


# --- the real thing, where Debian's daemontools are there ---


@pytest.mark.skipif(not shutil.which("tai64nlocal"), reason="daemontools are not installed")
def test_tai64nlocal_and_we_read_the_same_time() -> None:
    text = traffic("multilog", 200)
    environment = os.environ | {"TZ": "UTC"}
    local = subprocess.run(["tai64nlocal"], input=text, capture_output=True, text=True, check=True, env=environment)
    assert times(reader().read(local.stdout)) == pytest.approx(times(reader().read(text)), abs=1e-6, rel=0)


# --- hostile lines ---


@pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])
def test_a_sample_is_of_its_own_shape_first(row: Shape) -> None:
    assert next(GRAMMAR.matches(row.sample))[0] is row


@pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])
def test_a_line_cut_anywhere_is_no_exception(row: Shape) -> None:
    assert ORIGIN
    for end in range(len(row.sample)):
        outcome, events = understand(row.sample[:end], 1.0, ORIGIN)
        assert bool(events) == (outcome == "parsed")


@pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])
def test_the_cost_of_a_hostile_line_grows_with_its_length_and_no_faster(row: Shape) -> None:
    sample, tail = row.sample, row.sample[len(row.sample) // 2 :]
    for make in (
        lambda size: (sample + tail * (size // len(tail) + 1))[:size] + "\0",
        lambda size: (sample + sample[-1:] * size)[:size] + "\0",
        lambda size: (sample + "_192.0.2.1" * size)[:size],
        lambda size: (sample[:30] + ": " * size)[:size] + "\0",
    ):
        assert is_linear(lambda line: understand(line, 1.0, ORIGIN), make)


@pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])
def test_strange_ends_are_outcomes(row: Shape) -> None:
    assert ORIGIN
    random = Random(row.template)
    for _ in range(50):
        end = random.randrange(len(row.sample) + 1)
        tail = "".join(chr(random.choice((0, 32, 47, 58, 60, 62, 95, 233, 0xDC80, 0x1F600))) for _ in range(20))
        outcome, events = understand(row.sample[:end] + tail, 1.0, ORIGIN)
        assert bool(events) == (outcome == "parsed")
