"""What holds for every shape of Dovecot, and who wrote a line."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers.clock import Clock
from parsers.events import Auth, Origin
from parsers.mta.dovecot import GRAMMAR, SERVER, origin
from parsers.mta.dovecot.process import NAMES
from parsers.reader import LogReader, understand
from parsers.shape import Shape
from tests.effort import is_linear

ORIGIN = Origin("dovecot", "mail.example.com", "dovecot", "dovecot")
FAILED = (
    "Disconnected (auth failed, 2 attempts in 9 secs): user=<kim>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, TLS,"
    " session=<YFzQvNBghtt/AAAB>"
)


@pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])
def test_a_sample_is_of_its_own_shape_first_and_of_no_other_but_a_general_one(row: Shape) -> None:
    first, *others = [found for found, _, _ in GRAMMAR.matches(row.sample)]
    assert first == row
    assert all(other.general for other in others)


def literals(row: Shape) -> str:
    """Everything that a template says itself, in order: what its matcher looks for."""
    return re.sub(r"\{[^{}]*\}", "x", row.template.replace("[[", "").replace("]]", "")).translate({91: "", 93: ""})


def hostile(row: Shape) -> list[Callable[[int], str]]:
    """Lines that begin as the shape does, go on with its own literals again and again, and never end as it does."""
    words, sample = literals(row), row.sample
    tail = sample[len(sample) // 2 :] or "x"
    return [
        lambda size: (sample[:40] + words * (size // max(len(words), 1) + 1))[:size] + "\0",
        lambda size: (words + tail * (size // len(tail) + 1))[:size] + "\0",
        lambda size: (sample + sample[-1:] * size)[:size] + "\0",
        lambda size: (sample + ", " * size)[:size] + "\0",
        lambda size: (sample[:40] + " (" * size)[:size] + ": user=<" + FAILED,
        lambda size: (sample[:40] + ">, method=" * size)[:size] + ", rip=192.0.2.7",
    ]


@pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])
def test_the_cost_of_a_hostile_line_grows_with_its_length_and_no_faster(row: Shape) -> None:
    assert all(is_linear(lambda line: understand(line, 1.0, ORIGIN), make) for make in hostile(row))


@given(
    st.text(alphabet=st.characters(codec=None), max_size=200), st.sampled_from(GRAMMAR.shapes), st.integers(0, 150)
)
def test_no_end_of_a_line_is_worse_than_malformed(text: str, row: Shape, cut: int) -> None:
    outcome, events = understand(row.sample[:cut] + text, 1.0, ORIGIN)
    assert outcome in ("parsed", "ignored", "unknown", "malformed")
    assert bool(events) == (outcome == "parsed")


@pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])
def test_a_line_cut_anywhere_is_no_exception(row: Shape) -> None:
    for end in range(len(row.sample)):
        outcome, events = understand(row.sample[:end], 1.0, ORIGIN)
        assert bool(events) == (outcome == "parsed")


# --- whatever stands before the message ---


@pytest.mark.parametrize(
    ("before", "host", "pid"),
    [
        ("Nov  1 00:00:00 mail dovecot: imap-login: ", "mail", None),
        ("Nov  1 00:00:00 mail dovecot[7508]: imap-login: ", "mail", 7508),
        ("Nov  1 00:00:00 mail imap-login: ", "mail", None),
        ("2026-11-01T00:00:00.123456+00:00 mail dovecot: imap-login: ", "mail", None),
        ("Nov 01 00:00:00 imap-login: Info: ", "", None),
        ("2026-11-01 00:00:00 imap-login: Info: ", "", None),
        ("2026-11-01T00:00:00+0000 imap-login: Info: ", "", None),
        ("@4000000069055e0a077a9e94 imap-login: Info: ", "", None),
        ("Nov 01 00:00:00 Info: imap-login: ", "", None),
    ],
)
def test_a_login_is_told_whatever_its_log(before: str, host: str, pid: int | None) -> None:
    (event,) = LogReader(Clock(UTC, lambda: 1795284304.0)).read(f"{before}{FAILED}\n")
    assert isinstance(event, Auth)
    assert (event.client_ip, event.attempts) == ("192.0.2.7", 2)
    found = event.origin
    assert (found.host, found.pid, found.service, found.program) == (host, pid, "imap", "imap-login")


def test_the_forms_of_a_log_may_change_from_line_to_line() -> None:
    lines = ("Nov 01 00:00:00 imap-login: Info: ", "Nov  1 00:00:00 mail dovecot: imap-login: ") * 3
    reader = LogReader(Clock(UTC, lambda: 1795284304.0))
    events = reader.read("".join(f"{before}{FAILED}\n" for before in lines))
    assert [event.origin.host for event in events] == ["", "mail"] * 3
    assert (reader.tallies["dovecot"].parsed, reader.tallies["dovecot"].lines) == (6, 6)


def test_what_a_strange_line_of_its_own_log_looks_like_does_not_change_the_log() -> None:
    reader = LogReader(Clock(UTC, lambda: 1795284304.0))
    words = ("imap-login: Info: " + FAILED, "something new: that came", "imap-login: Info: " + FAILED)
    assert len(reader.read("".join(f"Nov 01 00:00:00 {text}\n" for text in words))) == 2
    assert reader.tallies["dovecot"].unknown == 1


@pytest.mark.parametrize("program", ["dovecot", "dovecot-lda", "imap-login", "submission-login"])
def test_a_program_of_dovecot(program: str) -> None:
    found = origin("mail", program, 4711)
    assert found is not None
    assert (found.service, found.program, found.pid) == ("dovecot", program, 4711)


@pytest.mark.parametrize("program", ["auth", "imap", "postfix/smtpd", "dovecotx", ""])
def test_a_program_that_is_not_of_dovecot(program: str) -> None:
    assert origin("mail", program, 4711) is None


@pytest.mark.parametrize("name", NAMES)
def test_each_process_is_told_in_its_own_log(name: str) -> None:
    assert SERVER.own_log is not None
    assert SERVER.own_log.is_line(f"Nov 21 10:00:00 {name}(kim)<7><a+b/c=>: Error: no")
    assert not SERVER.own_log.is_line(f"Nov 21 10:00:00 mail {name}: Error: no")
