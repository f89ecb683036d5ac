"""Blocks of lines: every line has one outcome, whatever it holds and however the lines are cut into blocks."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers.clock import Clock
from parsers.events import Auth, Connect, Disconnect, Event, Origin, Received, Removed, as_record
from parsers.mta.postfix import GRAMMAR
from parsers.reader import REPEATS, LogReader, understand
from parsers.speaker import SPEAKERS
from parsers.tracker import Tracker
from tests.effort import is_linear

NOW = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
BEFORE = "Nov  1 00:00:00 mail postfix/smtpd[4711]: "
CONNECT = "connect from mx.example.org[192.0.2.25]"
ORIGIN = Origin("postfix", "mail", "postfix", "smtpd", 4711)


def new_reader(strange: list[tuple[str, str]] | None = None) -> LogReader:
    told = strange if strange is not None else []
    return LogReader(Clock(UTC, lambda: NOW + 3600), lambda outcome, message: told.append((outcome, message)))


def outcomes(reader: LogReader) -> Counter[str]:
    return Counter(
        {
            name: sum(getattr(tally, name) for tally in reader.tallies.values())
            for name in ("parsed", "ignored", "unknown", "malformed")
        }
    )


def records(events: Sequence[Event]) -> list[dict[str, object]]:
    return [as_record(event) for event in events]


# --- one line ---


def test_a_line_is_an_event_with_time_and_origin() -> None:
    reader = new_reader()
    (event,) = reader.read(BEFORE + CONNECT + "\n")
    assert as_record(event) == {
        "time": NOW,
        "mta": "postfix",
        "host": "mail",
        "service": "postfix",
        "program": "smtpd",
        "pid": 4711,
        "kind": "connect",
        "client_name": "mx.example.org",
        "client_ip": "192.0.2.25",
    }
    assert outcomes(reader) == {"parsed": 1, "ignored": 0, "unknown": 0, "malformed": 0}


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        (BEFORE + CONNECT, "parsed"),
        (BEFORE + "discarding EHLO keywords: CHUNKING", "ignored"),
        (BEFORE + "something that no release of Postfix says", "unknown"),
        (BEFORE, "unknown"),
        (BEFORE + "connect from mx.example.org[192.0.2.25", "malformed"),
        ("no prefix", "malformed"),
        ("Nov 31 00:00:00 mail postfix/smtpd[1]: " + CONNECT, "malformed"),
        ("", "ignored"),
        ("  \t ", "ignored"),
        ("\0\0\0", "ignored"),
        ("Nov  1 00:00:00 mail dovecot: imap-login: Login: user=<kim>", "malformed"),
        ("Nov  1 00:00:00 mail dovecot: x", "unknown"),
        ("Nov  1 00:00:00 mail spamd[12]: spamd: clean message (0.1/5.0) for kim:1000 in 0.2 seconds", "ignored"),
        ("Nov  1 00:00:00 mail opendkim[289]: 4dHvRq1ZTPz9sWk: DKIM-Signature field added", "ignored"),
        ("Nov  1 00:00:00 mail CRON[12]: (root) CMD (true)", "ignored"),
        ("Nov  1 00:00:00 mail process/with/slash[12]: " + CONNECT, "ignored"),
        ("Nov  1 00:00:00 mail postfix1[12]: " + CONNECT, "ignored"),
        ("Nov  1 00:00:00 mail last message repeated 2 times", "ignored"),
    ],
)
def test_every_line_has_one_outcome(line: str, outcome: str) -> None:
    reader = new_reader()
    reader.read(line + "\n")
    assert +outcomes(reader) == {outcome: 1}


def test_what_is_strange_is_told_with_its_message() -> None:
    strange: list[tuple[str, str]] = []
    new_reader(strange).read(f"{BEFORE}what is this?\n{BEFORE}connect from nobody\nno prefix\n")
    assert strange == [("unknown", "what is this?"), ("malformed", "connect from nobody"), ("malformed", "no prefix")]


def test_outcomes_are_counted_for_each_mta() -> None:
    reader = new_reader()
    reader.read(f"{BEFORE}{CONNECT}\nNov  1 00:00:00 mail opendkim[289]: x\nbroken\n")
    assert (reader.tallies["postfix"].parsed, reader.tallies["other"].ignored) == (1, 1)
    assert reader.tallies["other"].malformed == 1


# --- what wraps a message ---


def line_forms(message: str) -> dict[str, str]:
    """The same line in forms that a reader meets again and again."""
    entry = {"__REALTIME_TIMESTAMP": f"{int(NOW)}000000", "_HOSTNAME": "mail", "SYSLOG_IDENTIFIER": "postfix/smtpd"}
    return {
        "RFC 3164": f"Nov  1 00:00:00 mail postfix/smtpd[4711]: {message}",
        "day with a zero": f"Nov 01 00:00:00 mail postfix/smtpd[4711]: {message}",
        "priority": f"<22>Nov  1 00:00:00 mail postfix/smtpd[4711]: {message}",
        "facility": f"Nov  1 00:00:00 <mail.info> mail postfix/smtpd[4711]: {message}",
        "ISO 8601": f"2026-11-01T00:00:00.000000+00:00 mail postfix/smtpd[4711]: {message}",
        "RFC 5424": f"<22>1 2026-11-01T00:00:00Z mail postfix/smtpd 4711 - - {message}",
        "short-full": f"Sun 2026-11-01 00:00:00 UTC mail postfix/smtpd[4711]: {message}",
        "short-unix": f"{int(NOW)}.000000 mail postfix/smtpd[4711]: {message}",
        "collected": f"192.0.2.7 Nov  1 00:00:00 mail postfix/smtpd[4711]: {message}",
        "CRI": f"2026-11-01T00:00:00Z stdout F Nov 01 00:00:00 mail postfix/smtpd[4711]: {message}",
        "journal": json.dumps(entry | {"SYSLOG_PID": "4711", "MESSAGE": message}),
        "docker": json.dumps({"log": f"{BEFORE}{message}\n", "stream": "stdout", "time": "2026-11-01T00:00:00Z"}),
        "CR": f"{BEFORE}{message}\r",
        "trailing blanks": f"{BEFORE}{message}  ",
        "NUL bytes in front": f"\0\0\0{BEFORE}{message}",
    }


SESSION = [
    CONNECT,
    "4dHvRq1ZTPz9sWk: client=mx.example.org[192.0.2.25], sasl_method=PLAIN, sasl_username=kim",
    "disconnect from mx.example.org[192.0.2.25] ehlo=1 auth=1 mail=1 rcpt=1 data=1 quit=1 commands=6",
]


@pytest.mark.parametrize("form", line_forms(""))
def test_a_session_reads_the_same_in_every_form(form: str) -> None:
    lines = [line_forms(message)[form] for message in SESSION * 2]
    events = new_reader().read("\n".join(lines) + "\n")
    assert records(events) == records(new_reader().read("".join(f"{BEFORE}{message}\n" for message in SESSION * 2)))


def test_a_unit_of_systemd_is_an_instance() -> None:
    (event,) = new_reader().read(f"Sun 2026-11-01 00:00:00 UTC mail postfix@-.service[4711]: {CONNECT}\n")
    assert isinstance(event, Connect)
    assert (event.time, event.origin.service, event.origin.program, event.origin.pid) == (NOW, "postfix", "", 4711)


@pytest.mark.parametrize("form", line_forms(""))
def test_a_process_has_one_origin_in_every_form(form: str) -> None:
    lines = [line_forms(message)[form] for message in SESSION]
    events = new_reader().read("\n".join(lines) + "\n")
    assert len({id(event.origin) for event in events}) == 1
    Tracker().follow(events)
    assert sum(event.logins for event in events if isinstance(event, Received | Disconnect)) == 1


def test_forms_may_be_mixed() -> None:
    lines = [line for _ in range(3) for line in line_forms(CONNECT).values()]
    random.Random(1).shuffle(lines)
    events = new_reader().read("\n".join(lines) + "\n")
    assert records(events) == records([Connect(NOW, ORIGIN, "mx.example.org", "192.0.2.25")]) * len(lines)


def test_the_last_line_may_lack_its_end() -> None:
    assert len(new_reader().read(f"{BEFORE}{CONNECT}\n{BEFORE}{CONNECT}")) == 2
    assert len(new_reader().read(f"{BEFORE}{CONNECT}\r")) == 1


# --- repetitions ---


@pytest.mark.parametrize("inner", [f" {CONNECT}", CONNECT])
def test_a_message_that_rsyslog_says_came_again(inner: str) -> None:
    reader = new_reader()
    events = reader.read(f"{BEFORE}message repeated 3 times: [{inner}]\n")
    assert [type(event) for event in events] == [Connect] * 3
    assert outcomes(reader)["parsed"] == 1


@pytest.mark.parametrize(
    "words", ["last message repeated 2 times", "last message repeated 2 times ", "last message repeated 1 time"]
)
@pytest.mark.parametrize("block", [True, False])
def test_a_message_that_syslogd_says_came_again(words: str, block: bool) -> None:
    reader = new_reader()
    lines = [f"{BEFORE}{CONNECT}\n", f"Nov  1 00:00:30 mail {words}\n"]
    events = reader.read("".join(lines)) if block else [event for line in lines for event in reader.read(line)]
    assert [type(event) for event in events] == [Connect] * (1 + int(words[22]))
    assert outcomes(reader) == {"parsed": 2, "ignored": 0, "unknown": 0, "malformed": 0}


def test_a_number_of_repetitions_is_bounded() -> None:
    assert len(new_reader().read(f"{BEFORE}message repeated 999999999 times: [ {CONNECT}]\n")) == REPEATS
    assert len(
        new_reader().read(f"{BEFORE}{CONNECT}\nNov  1 00:00:30 mail last message repeated 999999 times\n")
    ) == (1 + REPEATS)


def test_nothing_that_is_repeated_is_nothing() -> None:
    reader = new_reader()
    assert reader.read("Nov  1 00:00:30 mail last message repeated 2 times\n" * 2) == []
    assert reader.read(f"{BEFORE}message repeated 2 times: [ what is this?]\n") == []
    assert outcomes(reader) == {"parsed": 0, "ignored": 2, "unknown": 1, "malformed": 0}


def test_repeated_failures_count_each() -> None:
    text = "warning: unknown[198.51.100.66]: SASL LOGIN authentication failed: UGFzc3dvcmQ6"
    events = new_reader().read(f"{BEFORE}message repeated 4 times: [ {text}]\n")
    assert sum(event.attempts for event in events if isinstance(event, Auth)) == 4


# --- events that are copied where words repeat ---


def test_words_that_repeat_have_their_own_time_origin_and_id() -> None:
    first, second, third = new_reader().read(
        "Nov  1 00:00:00 mail postfix/qmgr[1]: 1A2B3C4D5E: removed\n"
        "Nov  1 00:00:01 mail postfix/qmgr[1]: 2A2B3C4D5E: removed\n"
        "Nov  1 00:00:01 mail postfix-out/qmgr[2]: 3A2B3C4D5E: removed\n"
    )
    assert records([first, second, third]) == records(
        [
            Removed(NOW, Origin("postfix", "mail", "postfix", "qmgr", 1), "1A2B3C4D5E"),
            Removed(NOW + 1, Origin("postfix", "mail", "postfix", "qmgr", 1), "2A2B3C4D5E"),
            Removed(NOW + 1, Origin("postfix", "mail", "postfix-out", "qmgr", 2), "3A2B3C4D5E"),
        ]
    )


def test_what_the_tracker_adds_to_one_event_is_not_on_the_next() -> None:
    reader, tracker = new_reader(), Tracker()
    for number in range(3):
        events = reader.read(
            f"{BEFORE}{CONNECT}\n"
            f"{BEFORE}{number}A2B3C4D5E: client=mx.example.org[192.0.2.25], sasl_method=PLAIN, sasl_username=kim\n"
            f"{BEFORE}disconnect from mx.example.org[192.0.2.25] auth=1 commands=1\n"
        )
        assert [getattr(event, "message", None) for event in events] == [None, None, None]
        tracker.follow(events)
        assert [getattr(event, "logins", None) for event in events] == [None, 1, 0]


def test_the_number_of_processes_that_are_kept_is_bounded() -> None:
    reader = new_reader()
    for start in range(0, SPEAKERS + 500, 500):
        block = "".join(
            f"Nov  1 00:00:00 mail postfix/smtpd[{pid}]: {CONNECT}\n" for pid in range(start, start + 500)
        )
        assert [event.origin.pid for event in reader.read(block)] == list(range(start, start + 500))
    assert len(reader._speakers) <= SPEAKERS


# --- however a log is cut, and whatever is in it ---


SAMPLES = [row.sample for row in GRAMMAR.shapes]


def spread(seed: int) -> list[str]:
    """Lines of all shapes, of several processes, hosts and seconds, with other things between them."""
    rng = random.Random(seed)
    lines = []
    for second in range(120):
        for _ in range(rng.randrange(8)):
            host, pid = rng.choice(["mail", "mx1"]), rng.randrange(3)
            program = rng.choice(["postfix/smtpd", "postfix-out/smtp", "postfix/qmgr", "dovecot", "postfix/cleanup"])
            stamp = f"Nov  1 00:{second // 60:02}:{second % 60:02}"
            lines.append(f"{stamp} {host} {program}[{pid}]: {rng.choice(SAMPLES)}")
        lines.append(
            rng.choice(["", "garbage", "Nov  1 00:00:00 mail last message repeated 2 times", f"\0{BEFORE}{CONNECT}"])
        )
    return lines


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_read_one_by_one_and_in_blocks_are_the_same(seed: int, end: str) -> None:
    lines = [line + end for line in spread(seed)]
    whole, single, some = new_reader(), new_reader(), new_reader()
    rng = random.Random(seed)
    one_by_one = [event for line in lines for event in single.read(line)]
    in_blocks, rest = [], list(lines)
    while rest:
        size = rng.randrange(1, 20)
        in_blocks += some.read("".join(rest[:size]))
        rest = rest[size:]
    at_once = whole.read("".join(lines))
    assert records(at_once) == records(one_by_one) == records(in_blocks)
    assert outcomes(whole) == outcomes(single) == outcomes(some)
    assert outcomes(whole).total() == len(lines)


def test_the_loop_and_its_slow_counterpart_agree_on_every_sample() -> None:
    for sample in SAMPLES:
        outcome, found = understand(sample, NOW, ORIGIN)
        for times in (1, 2, 3):  # the first is read anew, others may be copied
            reader = new_reader()
            events = reader.read(f"{BEFORE}{sample}\n" * times)
            assert records(events) == records(found) * times
            assert +outcomes(reader) == {outcome: times}


def test_no_message_of_another_program_is_understood() -> None:
    assert understand(CONNECT, NOW, Origin("other", "mail", "", "")) == ("ignored", [])


@given(st.text(alphabet=st.characters(codec=None), max_size=400))
def test_arbitrary_text_is_never_an_exception(text: str) -> None:
    reader = new_reader()
    reader.read(text)
    lines = text.split("\n")
    assert outcomes(reader).total() == len(lines) - (not lines[-1])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(SAMPLES), st.integers(0, 200), st.text(alphabet=st.characters(codec=None), max_size=20)
        ),
        max_size=8,
    )
)
def test_samples_with_text_put_in_are_never_an_exception(parts: list[tuple[str, int, str]]) -> None:
    lines = [BEFORE + sample[:at] + text.replace("\n", "") + sample[at:] + "\n" for sample, at, text in parts]
    reader = new_reader()
    events = reader.read("".join(lines))
    assert outcomes(reader).total() == len(lines)
    assert len(events) <= REPEATS * len(lines)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_text_are_never_an_exception(raw: bytes) -> None:
    text = raw.decode("utf-8", "surrogateescape")
    for line in (
        text,
        f"{BEFORE}{text}",
        f"{BEFORE}4dHvRq1ZTPz9sWk: to=<{text}>, relay=none, delay=1, status=sent (x)",
    ):
        new_reader().read(line)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
JSON_KEYS = st.sampled_from(
    "MESSAGE __REALTIME_TIMESTAMP _SOURCE_REALTIME_TIMESTAMP _HOSTNAME SYSLOG_IDENTIFIER SYSLOG_PID _PID log time"
    " message @timestamp".split()
)


@given(
    st.dictionaries(JSON_KEYS, JSON_VALUES | st.sampled_from([BEFORE + CONNECT, "1793491200000000", "postfix/smtpd"]))
)
def test_any_json_is_never_an_exception(record: dict[str, object]) -> None:
    reader = new_reader()
    reader.read(json.dumps(record) + "\n")
    assert outcomes(reader).total() == 1


@pytest.mark.parametrize(
    "line",
    [
        BEFORE + "x" * 1_000_000,
        "x" * 1_000_000,
        " " * 1_000_000 + "x",
        BEFORE + "connect from " + "[" * 1_000_000,
        BEFORE + ": " * 500_000,
        BEFORE + "4dHvRq1ZTPz9sWk: to=<" + "a>, " * 250_000,
        BEFORE + "message repeated 2 times: [" * 40_000,
        "<22>1 2026-11-01T00:00:00Z mail postfix/smtpd 4711 - [x " + 'a="\\"" ' * 100_000,
        "{" * 1_000_000,
        '{"MESSAGE":' * 100_000,
        '{"log":"' + "x" * 1_000_000 + '"}',
    ],
    ids=lambda line: line[:60].strip(),
)
def test_a_line_of_a_megabyte_has_an_outcome_like_any_other(line: str) -> None:
    reader = new_reader()
    reader.read(line + "\n")
    assert outcomes(reader).total() == 1


HOSTILE = [
    "x\n",
    BEFORE + "x\n",
    f"{BEFORE}{CONNECT}\r\n",
    "Nov  1 00:00:30 mail last message repeated 1 times\n",
    f"{BEFORE}{CONNECT}\nNov  1 00:00:30 mail last message repeated 1 times\n",
    f"{BEFORE}message repeated 1 times: [ x]\n",
    "Nov 31 00:00:00 mail postfix/smtpd[1]: x\n",
    "Nov  1 00:00:00 ",
    "last message repeated ",
    "<22>1 - - a - - [",
    '[a="b"]',
    '<22>1 - - a - - ["\\',
    '{"log":',
    "2026-11-01T00:00:00Z stdout F ",
    "Sun 2026-11-01 00:00:00 ",
    " \t",
    "\0",
]


@pytest.mark.parametrize("words", HOSTILE, ids=repr)
@pytest.mark.parametrize("first", ["", BEFORE, "<22>1 - - a - - ["], ids=["", "prefix", "RFC 5424"])
def test_the_cost_of_hostile_text_grows_with_its_length_and_no_faster(first: str, words: str) -> None:
    assert is_linear(lambda text: new_reader().read(text), lambda size: first + words * (size // len(words)))


def test_utf_8_that_was_cut_is_kept_as_it_is() -> None:
    raw = (
        "Nov  1 00:00:00 mail postfix/qmgr[1]: 1A2B3C4D5E: from=<jürgen@example.com>, size=5, nrcpt=1 (queue active)"
    )
    cut = raw.encode().replace("ü".encode(), b"\xc3").decode("utf-8", "surrogateescape")
    (event,) = new_reader().read(cut + "\n")
    assert as_record(event)["sender"] == "j\udcc3rgen@example.com"


def test_time_that_is_the_last() -> None:
    reader = new_reader()
    reader.read(f"{BEFORE}{CONNECT}\nNov  1 00:00:07 mail postfix/smtpd[4711]: {CONNECT}\n")
    assert reader.last_time == NOW + 7
