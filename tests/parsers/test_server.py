"""Whose log it is, told from a line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstat.cli import MTAS
from parsers.clock import Clock
from parsers.mta import SERVERS, own_server
from parsers.reader import LogReader
from parsers.shape import Grammar
from parsers.speaker import OTHER
from tests.effort import is_linear

SAMPLES = [(mta, line) for mta, server in SERVERS.items() for line in server.samples]
GRAMMARS: list[Grammar] = [server.grammar for server in SERVERS.values() if server.grammar]
CRON = "Nov 21 10:00:00 mail CRON[4711]: (root) CMD (true)"


def writers(text: str) -> set[str]:
    reader = LogReader(Clock(UTC, lambda: 1795284304.0))
    reader.read(text)
    assert reader.knows_writer == any(tally.lines for mta, tally in reader.tallies.items() if mta != OTHER)
    return {mta for mta, tally in reader.tallies.items() if tally.lines} - {OTHER}


def test_every_server_of_the_contract_is_known() -> None:
    assert sorted(SERVERS) == sorted(MTAS)


@pytest.mark.parametrize(("mta", "line"), SAMPLES)
def test_a_sample_is_told_by_its_own_server_alone(mta: str, line: str) -> None:
    assert writers(line + "\n") == {mta}
    assert writers(f"\ufeff{line}\r\n") == {mta}
    logs = [server.mta for server in SERVERS.values() if server.own_log]
    bare = line.removeprefix("\ufeff")
    assert [found for found in logs if (log := SERVERS[found].own_log) and log.is_line(bare)] in ([mta], [])


@pytest.mark.parametrize(
    ("grammar", "sample"), [(grammar, row.sample) for grammar in GRAMMARS for row in grammar.shapes]
)
def test_no_words_of_a_server_are_taken_for_another_s_log(grammar: Grammar, sample: str) -> None:
    assert own_server(f"Nov 21 10:00:00 mail postfix/smtpd[4711]: {sample}") is None
    assert own_server(f"2026-11-21 10:00:00 mail postfix/smtpd[4711]: {sample}") is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        CRON,
        "2026-11-21 10:00:00 mail CRON[4711]: (root) CMD (true)",
        "2026-11-21 10:00:00 INFO start of something",
        "Nov 21 10:00:00 mail process/daemon/with/slash[9708]: x",
        "Nov 99 10:00:00 mail postfix/smtpd[4711]: connect from unknown[192.0.2.1]",
        "#Log-type: HttpProxy Logs\n#Fields: DateTime,RequestId,MajorVersion",
    ],
)
def test_what_is_no_mail_log_is_of_nobody(line: str) -> None:
    assert writers(line + "\n") == set()


def test_several_servers_may_share_a_log() -> None:
    assert writers("\n".join(SERVERS[mta].samples[-1] for mta in ("sendmail", "postfix", "exim"))) == {
        "sendmail",
        "postfix",
        "exim",
    }


@given(st.text(), st.sampled_from([line for _, line in SAMPLES]), st.integers(0, 120))
def test_no_text_is_an_exception(text: str, line: str, at: int) -> None:
    assert writers(text) <= set(MTAS)
    assert writers(line[:at] + text) <= set(MTAS)


@pytest.mark.parametrize(
    "make",
    [
        lambda size: "a" * size,
        lambda size: '"a,"' * (size // 4),
        lambda size: "2026-11-21T10:00:00.123Z," + '"",' * (size // 3),
        lambda size: "2026-11-21 10:00:00 " + "H" * size,
        lambda size: "Nov 21 10:00:00 " * (size // 16),
        lambda size: "{" * size,
        lambda size: "imap(" * (size // 5),
    ],
)
def test_the_cost_of_hostile_text_grows_with_its_length_and_no_faster(make: Callable[[int], str]) -> None:
    assert is_linear(own_server, make)
