"""What stands before a message, in every form that a log has it. All samples are ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from parsers.clock import Clock
from parsers.prefix.wrapper import read_prefix

MESSAGE = "connect from mx.example.org[192.0.2.25]"
MIDNIGHT = datetime(2026, 11, 1, tzinfo=UTC).timestamp()  # what all stamps say; the fraction apart
FRACTION = 0.123456


def clock() -> Clock:
    return Clock(UTC, lambda: MIDNIGHT + 3600)


WHOLE = {
    "RFC 3164": "Nov  1 00:00:00 mail postfix/smtpd[4711]: ",
    "day with one digit": "Nov 1 00:00:00 mail postfix/smtpd[4711]: ",
    "day with a zero (postlogd, journalctl -o short)": "Nov 01 00:00:00 mail postfix/smtpd[4711]: ",
    "several blanks after the tag": "Nov  1 00:00:00 mail postfix/smtpd[4711]:   ",
    "no blank after the tag": "Nov  1 00:00:00 mail postfix/smtpd[4711]:",
    "priority": "<22>Nov  1 00:00:00 mail postfix/smtpd[4711]: ",
    "facility by name": "Nov  1 00:00:00 <mail.info> mail postfix/smtpd[4711]: ",
    "facility by number": "Nov  1 00:00:00 <2.6> mail postfix/smtpd[4711]: ",
    "Solaris' message id": "Nov  1 00:00:00 mail postfix/smtpd[4711]: [ID 197553 mail.info] ",
    "ISO 8601": "2026-11-01T00:00:00+00:00 mail postfix/smtpd[4711]: ",
    "ISO 8601, Z": "2026-11-01T00:00:00Z mail postfix/smtpd[4711]: ",
    "ISO 8601, a blank": "2026-11-01 00:00:00 mail postfix/smtpd[4711]: ",
    "ISO 8601, no zone": "2026-11-01T00:00:00 mail postfix/smtpd[4711]: ",
    "ISO 8601, another zone": "2026-11-01T05:30:00+05:30 mail postfix/smtpd[4711]: ",
    "ISO 8601, priority": "<22>2026-11-01T00:00:00Z mail postfix/smtpd[4711]: ",
    "RFC 5424": "<22>1 2026-11-01T00:00:00Z mail postfix/smtpd 4711 - - ",
    "RFC 5424, message id": "<22>1 2026-11-01T00:00:00Z mail postfix/smtpd 4711 ID47 - ",
    "RFC 5424, byte order mark": "<22>1 2026-11-01T00:00:00Z mail postfix/smtpd 4711 - - \ufeff",
    "RFC 5424, a message that begins with a blank": "<22>1 2026-11-01T00:00:00Z mail postfix/smtpd 4711 - -  ",
    "RFC 5424, structured data": (
        '<22>1 2026-11-01T00:00:00Z mail postfix/smtpd 4711 - [origin ip="192.0.2.1"][x@32473 a="1" b="2"] '
    ),
    "RFC 5424, structured data with quotes": (
        '<22>1 2026-11-01T00:00:00Z mail postfix/smtpd 4711 - [x@32473 a="say \\"hi\\" to [me\\] \\\\"] '
    ),
    "journalctl -o short-iso": "2026-11-01T00:00:00+0000 mail postfix/smtpd[4711]: ",
    "journalctl -o short-full": "Sun 2026-11-01 00:00:00 UTC mail postfix/smtpd[4711]: ",
    "journalctl -o short-full, in German": "So 2026-11-01 00:00:00 UTC mail postfix/smtpd[4711]: ",
    "journalctl -o short-full, zone as an offset": "Sun 2026-10-31 21:00:00 -03 mail postfix/smtpd[4711]: ",
    "journalctl -o short-full, zone with minutes": "Sun 2026-11-01 05:30:00 +0530 mail postfix/smtpd[4711]: ",
    "a collector's own stamp": "- 1793491200 2026.11.01 mx1 Nov 1 00:00:00 mail postfix/smtpd[4711]: ",
    "a collector's address": "192.0.2.7 Nov  1 00:00:00 mail postfix/smtpd[4711]: ",
    "CRI": "2026-11-01T00:00:00Z stdout F Nov 01 00:00:00 mail postfix/smtpd[4711]: ",
    "CRI, a part": "2026-11-01T00:00:00Z stderr P Nov 01 00:00:00 mail postfix/smtpd[4711]: ",
}
PRECISE = {
    "rsyslog's high precision": "2026-11-01T00:00:00.123456+00:00 mail postfix/smtpd[4711]: ",
    "Z": "2026-11-01T00:00:00.123456Z mail postfix/smtpd[4711]: ",
    "nanoseconds": "2026-11-01T00:00:00.123456000Z mail postfix/smtpd[4711]: ",
    "comma": "2026-11-01 00:00:00,123456 mail postfix/smtpd[4711]: ",
    "RFC 5424": "<22>1 2026-11-01T00:00:00.123456Z mail postfix/smtpd 4711 - - ",
    "journalctl -o short-iso-precise": "2026-11-01T00:00:00.123456+0000 mail postfix/smtpd[4711]: ",
    "journalctl -o short-precise": "Nov 01 00:00:00.123456 mail postfix/smtpd[4711]: ",
    "journalctl -o short-unix": "1793491200.123456 mail postfix/smtpd[4711]: ",
    "CRI": "2026-11-01T00:00:00.123456789Z stdout F Nov 01 00:00:00 mail postfix/smtpd[4711]: ",
}


@pytest.mark.parametrize(
    ("before", "time"),
    [pytest.param(before, MIDNIGHT, id=name) for name, before in WHOLE.items()]
    + [pytest.param(before, MIDNIGHT + FRACTION, id=f"{name}, precise") for name, before in PRECISE.items()],
)
def test_every_form_has_time_host_program_and_message(before: str, time: float) -> None:
    prefix = read_prefix(before + MESSAGE, clock())
    assert prefix is not None
    assert prefix.time == pytest.approx(time, abs=1e-5)
    assert (prefix.host, prefix.program, prefix.pid, prefix.message) == ("mail", "postfix/smtpd", 4711, MESSAGE)


@pytest.mark.parametrize(
    ("tag", "program", "pid"),
    [
        ("postfix/smtpd[1]", "postfix/smtpd", 1),
        ("postfix/smtpd", "postfix/smtpd", None),
        ("postfix-out/submission/smtpd[1]", "postfix-out/submission/smtpd", 1),
        ("postfix-192.0.2.1/smtp[1]", "postfix-192.0.2.1/smtp", 1),
        ("dovecot", "dovecot", None),
        ("auth-worker(123)", "auth-worker", None),
    ],
)
def test_a_tag_is_a_program_and_perhaps_a_process(tag: str, program: str, pid: int | None) -> None:
    prefix = read_prefix(f"Nov  1 00:00:00 mail {tag}: words: and more", clock())
    assert prefix is not None
    assert (prefix.program, prefix.pid, prefix.message) == (program, pid, "words: and more")


@pytest.mark.parametrize("host", ["mail.example.com", "192.0.2.1", "2001:db8::1", "src@mail"])
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    prefix = read_prefix(f"Nov  1 00:00:00 {host} postfix/smtpd[1]: x", clock())
    assert prefix is not None
    assert prefix.host == host


@pytest.mark.parametrize(
    ("stamp", "month"),
    [
        ("Jan", 1), ("Mär", 3), ("Mrz", 3), ("mars", 3), ("févr.", 2), ("avr.", 4), ("Mai", 5), ("mai", 5),
        ("juin", 6), ("juil.", 7), ("août", 8), ("Okt", 10), ("Dez", 12), ("déc.", 12), ("ene", 1), ("abr", 4),
        ("ago", 8), ("dic", 12), ("gen", 1), ("mag", 5), ("giu", 6), ("lug", 7), ("set", 9), ("ott", 10),
        ("mrt", 3), ("mei", 5),
    ],
)  # fmt: skip
def test_journalctl_writes_months_in_the_words_of_the_reader(stamp: str, month: int) -> None:
    prefix = read_prefix(f"{stamp} 01 00:00:00 mail postfix/smtpd[1]: x", clock())
    assert prefix is not None
    assert datetime.fromtimestamp(prefix.time, UTC).month == month


def test_nil_values_of_rfc_5424() -> None:
    prefix = read_prefix(f"<22>1 - - postfix/smtpd - - - {MESSAGE}", clock())
    assert prefix is not None
    assert (prefix.time, prefix.host, prefix.pid, prefix.message) == (MIDNIGHT + 3600, "", None, MESSAGE)


def test_rfc_5424_without_a_message() -> None:
    prefix = read_prefix("<22>1 2026-11-01T00:00:00Z mail postfix/smtpd 4711 - -", clock())
    assert prefix is not None
    assert prefix.message == ""


def test_a_stamp_without_zone_is_of_the_zone_that_is_given() -> None:
    berlin = Clock(ZoneInfo("Europe/Berlin"), lambda: MIDNIGHT + 3600)
    for before in ("Nov  1 01:00:00", "2026-11-01T01:00:00", "Sun 2026-11-01 01:00:00 CET"):
        prefix = read_prefix(f"{before} mail postfix/smtpd[1]: x", berlin)
        assert prefix is not None
        assert prefix.time == MIDNIGHT


def test_the_zone_on_the_line_is_stronger() -> None:
    west = Clock(timezone(-timedelta(hours=5)), lambda: MIDNIGHT + 3600)
    for before in ("2026-11-01T00:00:00Z", "Sun 2026-11-01 00:00:00 UTC", "Sun 2026-11-01 01:00:00 +01"):
        prefix = read_prefix(f"{before} mail postfix/smtpd[1]: x", west)
        assert prefix is not None
        assert prefix.time == MIDNIGHT


@pytest.mark.parametrize(
    "line",
    [
        "",
        "connect from mx.example.org[192.0.2.25]",
        "postfix/smtpd[1]: connect from mx.example.org[192.0.2.25]",
        "Nov  1 00:00:00 mail",
        "Nov  1 00:00:00 mail no tag here",
        "Nov  1 mail postfix/smtpd[1]: x",
        "2026-11-01 mail postfix/smtpd[1]: x",
    ],
)
def test_a_line_without_a_prefix(line: str) -> None:
    assert read_prefix(line, clock()) is None


@pytest.mark.parametrize(
    "stamp",
    [
        "Feb 30 00:00:00",
        "Nov 31 00:00:00",
        "Nov  0 00:00:00",
        "Nov  1 24:00:00",
        "Nov  1 00:60:00",
        "Nov  1 00:00:61",
        "Foo  1 00:00:00",
        "2026-13-01T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-11-01T25:00:00Z",
        "2026-11-01T00:00:00+99:00",
    ],
)
def test_an_impossible_time_is_an_error(stamp: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the messages are Python's own
        read_prefix(f"{stamp} mail postfix/smtpd[1]: x", clock())
