"""Selectors of our domains, as those log them that sign, and what a stranger can do about them."""

from __future__ import annotations

import json
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers.clock import Clock
from parsers.events import KINDS, Origin
from parsers.reader import LogReader
from parsers.shape import Shape
from parsers.signature import KEPT_SECONDS, SELECTORS, Signatures, Signed, Signer
from parsers.signers import SIGNERS
from tests.effort import is_linear
from tests.parsers.test_shape import hostile

NOW = 1_793_491_200.0  # 2026-11-01 00:00:00 UTC
ORIGIN = Origin("other", "mail", "x", "x")
ROWS = [(program, row) for program, signer in SIGNERS.items() for row in signer.grammar.shapes]
CONNECT = "Nov  1 00:00:00 mail postfix/smtpd[1]: connect from mx.example.org[192.0.2.25]\n"
OPENDKIM = "4dHvRq1ZTPz9sWk: DKIM-Signature field added (s={}, d=example.com)"


def read(
    *messages: str, program: str = "opendkim", signatures: Signatures | None = None
) -> tuple[list[str], LogReader]:
    """The selectors of example.com that a log tells of."""
    known = signatures or a_memory()
    reader = LogReader(Clock(UTC, lambda: NOW), signatures=known)
    reader.read("".join(f"Nov  1 00:00:00 mail {program}[4711]: {message}\n" for message in messages))
    return known.selectors("example.com", NOW), reader


def a_memory() -> Signatures:
    made = Signatures()
    made.watch(["Example.com"])
    return made


@pytest.mark.parametrize(("program", "row"), ROWS)
def test_a_sample_tells_of_a_selector_and_is_no_event(program: str, row: Shape) -> None:
    assert read(row.sample, program=program)[0] == ["s2026"]
    reader = LogReader(Clock(UTC, lambda: NOW), signatures=a_memory())
    events = reader.read(f"{CONNECT}Nov  1 00:00:00 mail {program}[4711]: {row.sample}\n{CONNECT}")
    assert [event.kind for event in events] == ["connect"] * 2
    assert {mta: (it.parsed, it.ignored, it.lines) for mta, it in reader.tallies.items()} == {
        "postfix": (2, 0, 2),
        "other": (0, 1, 1),
    }
    assert Signed not in KINDS


@pytest.mark.parametrize(("program", "row"), ROWS)
def test_nobody_else_is_believed(program: str, row: Shape) -> None:
    for other in {"postfix/smtpd", "kernel", f"{program}x", *SIGNERS} - {program}:
        assert read(row.sample, program=other)[0] == []


@pytest.mark.parametrize(
    ("program", "message", "selectors"),
    [
        ("opendkim", "4d: s=evil d=example.com SSL error:04091068", []),
        ("opendkim", "4d: DKIM verification successful", []),
        ("opendkim", "4d: x: DKIM-Signature field added (s=evil, d=example.com)", []),
        ("opendkim", "4d x: DKIM-Signature field added (s=evil, d=example.com)", []),
        ("opendkim", "4d: DKIM-Signature field added (s=evil, d=example.com", []),
        ("opendkim", "4d: DKIM-Signature field added (s=S1, d=EXAMPLE.com)", ["s1"]),
        ("opendkim", "4d: DKIM-Signature field added (s=s1, d=mail.example.com)", []),
        ("amavis", "(1-1) Passed CLEAN, Message-ID: <x, dkim_new=evil:example.com, 1 ms>, 22 ms", []),
        ("amavis", "(1-1) Passed CLEAN, dkim_sd=evil:example.com, 22 ms", []),
        ("amavis", "(1-1) Blocked SPAM, dkim_new=evil:example.com, 22 ms", []),
        ("amavis", "(1-1) Passed CLEAN, dkim_new=a:example.com,b:example.org,c:example.com, 22 ms", ["a", "c"]),
        ("rspamd", ROWS[-1][1].sample.replace(" user: kim,", ""), []),
        ("rspamd", ROWS[-1][1].sample.replace("DKIM_SIGNED", "R_DKIM_ALLOW"), []),
        # As Rspamd 3.4 writes what a stranger chooses: blanks in a Message-ID are `?`, in a sender they are blanks.
        (
            "rspamd",
            "<7a654e>; task; rspamd_task_write_log: id: <x>,?qid:?<1>,?ip:?1,?user:?kim,?DKIM_SIGNED(0){example.com:"
            "s=evil;}?<a>, qid: <4F1A2C>, ip: 192.0.2.7, from: <a user: kim, DKIM_SIGNED(0.00){example.com:s=evil;}"
            "@example.org>, (default: F (no action): [0.00/15.00] [R_DKIM_NA(0.00){}]), len: 193, time: 0.253ms",
            [],
        ),
    ],
)
def test_what_a_stranger_writes_is_no_signature(program: str, message: str, selectors: list[str]) -> None:
    assert read(message, program=program)[0] == selectors


FILE = (
    "2026-11-01 00:00:00 #30361(rspamd_proxy) <7aa6f9>; proxy; proxy_accept_socket: accepted milter connection from"
    " 127.0.0.1 port 55384\n"
    "2026-11-01 00:00:00 #30361(rspamd_proxy) rspamd_worker_hyperscan_ready: loading hyperscan expressions\n"
    "2026-11-01 00:00:01{fraction} {level}#30361(rspamd_proxy) <9e6135>; proxy; rspamd_task_write_log: id: <x>, qid:"
    " <A610137CB0C>, ip: 192.0.2.7, user: kim, from: <kim@example.com>, (default: F (no action): [0.00/15.00]"
    " [DKIM_SIGNED(0.00){{example.com:s=s2026;}},FROM_NO_DN(0.00){{}}]), len: 232, time: 2.591ms\n"
)


@pytest.mark.parametrize(("fraction", "level"), [("", ""), (".123456", ""), ("", "[info] ")])
def test_the_log_that_rspamd_keeps_itself(fraction: str, level: str) -> None:
    known = a_memory()
    reader = LogReader(Clock(UTC, lambda: NOW), signatures=known)
    assert reader.read(FILE.format(fraction=fraction, level=level)) == []
    assert known.selectors("example.com", NOW) == ["s2026"]
    assert abs(reader.last_time - NOW - 1) < 1
    assert {mta: (it.ignored, it.lines) for mta, it in reader.tallies.items()} == {"other": (3, 3)}
    assert (reader.knows_writer, reader.knows_signer) == (False, True)
    again = LogReader(Clock(UTC, lambda: NOW), signatures=known)
    again.restore(reader.memory())
    assert again.knows_signer


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-01 00:00:00 #30361(rspamd proxy) <7aa6f9>; proxy; x",
        "2026-11-01 00:00:00 30361(rspamd_proxy) <7aa6f9>; proxy; x",
        "2026-13-01 00:00:00 #30361(rspamd_proxy) <7aa6f9>; proxy; x",
        "2026-11-01 00:00:00 #(rspamd_proxy) <7aa6f9>; proxy; x",
    ],
)
def test_what_only_looks_like_it_is_malformed(line: str) -> None:
    reader = LogReader(Clock(UTC, lambda: NOW), signatures=a_memory())
    assert reader.read(f"{line}\n") == []
    assert reader.tallies["other"].malformed == 1


def test_several_signatures_of_one_message() -> None:
    (line,) = [row.sample for program, row in ROWS if program == "rspamd" and row.sample.startswith("<")]
    assert read(line.replace("s=s2026;", "s=s2026;example.com:s=e2026;"), program="rspamd")[0] == ["e2026", "s2026"]


@pytest.mark.parametrize(
    "selector",
    ["", ".", "a..b", "-a", "a b", "ü", "\0", "*", "a/b", "x" * 64, "a.b.c.d.e", "\udcff", "s1\\.evil", "..", "a,b"],
)
def test_what_is_no_selector_is_left(selector: str) -> None:
    assert read(OPENDKIM.format(selector))[0] == []


def test_of_a_flood_only_the_last_few_are_kept_and_only_of_domains_that_are_watched() -> None:
    known = a_memory()
    read(*[OPENDKIM.format(f"s{number}") for number in range(5000)], signatures=known)
    read(
        *[f"4d: DKIM-Signature field added (s=s1, d={number}.example.org)" for number in range(100)], signatures=known
    )
    assert len(known.selectors("example.com", NOW)) == SELECTORS
    assert list(known.memory()) == ["example.com"]


def test_a_selector_is_forgotten_when_no_mail_that_it_signed_can_be_on_its_way() -> None:
    known = a_memory()
    known.note(NOW, "example.com", "old")
    known.note(NOW + 1000, "example.com", "new")
    known.note(NOW - 1000, "example.com", "new")  # a log that is behind
    assert known.selectors("EXAMPLE.com", NOW + KEPT_SECONDS - 1) == ["new", "old"]
    assert known.selectors("example.com", NOW + KEPT_SECONDS) == ["new"]
    assert known.selectors("example.com", NOW + 1000 + KEPT_SECONDS) == []
    known.note(NOW + 400 * 86400.0, "example.com", "later")  # whose clock is wrong
    assert "later" not in known.selectors("example.com", NOW)


def test_the_selector_that_was_not_seen_for_the_longest_time_makes_room() -> None:
    known = a_memory()
    for number in range(SELECTORS):
        known.note(NOW + number, "example.com", f"s{number}")
    known.note(NOW + 99, "example.com", "s0")
    known.note(NOW + 100, "example.com", "new")
    assert set(known.selectors("example.com", NOW)) == {
        f"s{number}" for number in range(SELECTORS) if number != 1
    } | {"new"}


def test_what_is_remembered_outlives_the_process() -> None:
    known, again = a_memory(), Signatures()
    known.note(NOW, "example.com", "s1")
    again.restore(json.loads(json.dumps(known.memory())))
    again.watch(["example.com", "example.org"])
    assert again.selectors("example.com", NOW) == ["s1"]
    again.watch(["example.org"])
    again.watch(["example.com"])
    assert again.selectors("example.com", NOW) == []


def test_a_reader_that_is_not_asked_for_signatures_has_none() -> None:
    reader = LogReader(Clock(UTC, lambda: NOW))
    assert reader.read(f"Nov  1 00:00:00 mail opendkim[1]: {OPENDKIM.format('s1')}\n") == []
    assert reader.tallies["other"].ignored == 1


def test_lines_of_who_signs_among_others() -> None:
    """Repeated by syslogd, in a server's own log, and of processes that are new."""
    known = a_memory()
    reader = LogReader(Clock(UTC, lambda: NOW), signatures=known)
    reader.read(f"Nov  1 00:00:00 mail opendkim[1]: {OPENDKIM.format('s1')}\n")
    reader.read("Nov  1 00:00:00 mail last message repeated 3 times\n")
    reader.read(f"Nov  1 00:00:01 mail opendkim[22]: {OPENDKIM.format('s2')}\n")
    assert known.selectors("example.com", NOW) == ["s1", "s2"]
    assert (reader.tallies["other"].lines, reader.tallies["other"].ignored) == (3, 3)
    exim = LogReader(Clock(UTC, lambda: NOW), signatures=a_memory())
    own = "2026-11-01 00:00:00 1tXk2a-00000000ABc-0dEf Completed\n"
    events = exim.read(f"{own}Nov  1 00:00:00 mail opendkim[1]: {OPENDKIM.format('s1')}\n{own}")
    assert [event.kind for event in events] == ["removed", "removed"]


@pytest.mark.parametrize(("program", "row"), ROWS)
def test_the_cost_of_a_hostile_line_grows_with_its_length_and_no_faster(program: str, row: Shape) -> None:
    signer: Signer = SIGNERS[program]
    assert all(is_linear(lambda line: signer.signed(line, NOW, ORIGIN), make) for make in hostile(row))


@pytest.mark.parametrize(("program", "row"), ROWS)
def test_each_sample_has_one_shape(program: str, row: Shape) -> None:
    assert [found for found, *_ in SIGNERS[program].grammar.matches(row.sample)] == [row]


@given(st.text(alphabet=st.characters(codec=None), max_size=200), st.sampled_from(ROWS), st.integers(0, 400))
def test_no_end_of_a_line_is_an_error(text: str, what: tuple[str, Shape], cut: int) -> None:
    program, row = what
    known = a_memory()
    for signed in SIGNERS[program].signed(row.sample[:cut] + text, NOW, ORIGIN):
        known.note(NOW, signed.domain, signed.selector)
    assert len(known.selectors("example.com", NOW)) <= SELECTORS
