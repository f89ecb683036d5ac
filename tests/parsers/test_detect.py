"""Whose log it is, told from its first lines."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstat.cli import MTAS
from parsers.detect import LINES, SIGNS_ENOUGH, Detector
from parsers.mta import SERVERS, postfix
from tests.effort import is_linear

SHARED = Path(__file__).parents[2] / "../shared"
FILES = sorted(
    path
    for path in (*SHARED.glob("corpus/*/*.log"), *SHARED.glob("corpus/exchange/*.csv"), *SHARED.glob("lab/*/*log.gz"))
    if path.parent.name not in ("bounces", "other")
)
# Files that are not of the server that their folder names, or cannot be told.
EXCEPTIONS = {
    "dovecot/ossec.log": "exim",  # collected lines, two of them Exim's about a login at Dovecot: an MTA goes first
    "opensmtpd/poolp-blog.log": None,  # messages without what stands before them
    "postfix/postfix-logwatch.log": None,  # the same
    "postfix/whyscream-grok.log": None,  # the same
    "postfix-3.7-postlogd/dovecot.log.gz": "dovecot",  # that server's own log
}


def detect(text: str) -> str | None:
    detector = Detector()
    detector.feed(text)
    return detector.mta


def sample(mta: str) -> str:
    return SERVERS[mta].samples[0] + "\n"


POSTFIX, EXIM, DOVECOT = sample("postfix"), sample("exim"), sample("dovecot")
CRON = "Nov 21 10:00:00 mail CRON[4711]: (root) CMD (true)\n"


SAMPLES = [(mta, line) for mta, server in SERVERS.items() for line in server.samples]


def test_every_server_of_the_contract_is_known() -> None:
    assert sorted(SERVERS) == sorted(MTAS)


@pytest.mark.parametrize(("mta", "line"), SAMPLES)
def test_a_sample_is_told_by_its_own_sign_alone(mta: str, line: str) -> None:
    assert detect(line) == mta
    assert detect(f"\ufeff{line}\r\n") == mta
    logs = [(server.mta, server.own_log) for server in SERVERS.values() if server.own_log]
    assert [found for found, log in logs if log.is_line(line.removeprefix("\ufeff"))] in ([mta], [])


@pytest.mark.parametrize("shape", [row.sample for row in postfix.GRAMMAR.shapes])
def test_no_words_of_postfix_are_taken_for_another_server(shape: str) -> None:
    assert detect(f"Nov 21 10:00:00 mail postfix/smtpd[4711]: {shape}") == "postfix"
    assert detect(f"2026-11-21 10:00:00 mail postfix/smtpd[4711]: {shape}") == "postfix"


@pytest.mark.parametrize(
    "line",
    [
        "",
        CRON,
        "2026-11-21 10:00:00 mail CRON[4711]: (root) CMD (true)",
        "2026-11-21 10:00:00 INFO start of something",
        "Nov 21 10:00:00 mail smtpd[4711]: a Python program",
        "Nov 21 10:00:00 mail process/daemon/with/slash[9708]: x",
        "Nov 99 10:00:00 mail postfix/smtpd[4711]: connect from unknown[192.0.2.1]",
        "#Software: Microsoft Exchange Server",
        "#Software: Microsoft Exchange Server\n#Log-type: IMAP4 Log\n#Fields: dateTime,sessionId,seqNumber",
        "#Log-type: HttpProxy Logs\n#Fields: DateTime,RequestId,MajorVersion",
        "2026-11-21T10:00:00.123Z,0000000000000001,1,192.0.2.1:993,203.0.113.7:40000,a@example.com,15,20,30,login,a,R=ok",
    ],
)
def test_what_is_no_mail_log_is_of_nobody(line: str) -> None:
    assert detect(line) is None


def test_the_majority_of_the_lines_of_mail_servers_decides() -> None:
    assert detect(CRON * 9 + EXIM * 2 + POSTFIX * 3) == "postfix"
    assert detect(CRON * 9 + EXIM * 3 + POSTFIX * 2) == "exim"


def test_dovecot_is_told_only_where_it_is_alone() -> None:
    assert detect(DOVECOT * 1000 + POSTFIX) == "postfix"
    assert detect(DOVECOT * 3 + CRON) == "dovecot"


def test_no_more_lines_are_looked_at_than_needed() -> None:
    assert detect(EXIM * SIGNS_ENOUGH + POSTFIX * 999) == "exim"
    assert detect(CRON * LINES + POSTFIX) is None


def test_blocks_add_up() -> None:
    detector = Detector()
    for block in (CRON, EXIM, POSTFIX + CRON, POSTFIX):
        detector.feed(block)
    assert detector.mta == "postfix"


def test_a_log_without_a_grammar_is_named() -> None:
    detector = Detector()
    assert detector.unread is None
    detector.feed(EXIM)
    assert (detector.unread or "").startswith("an Exim log: this release reads ")
    detector.feed(POSTFIX * 2)
    assert detector.unread is None


@pytest.mark.corpus
@pytest.mark.skipif(not FILES, reason="the shared corpus is not here")
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_collected_logs_and_those_of_real_servers(path: Path) -> None:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    mta = path.parent.name.partition("-")[0]
    assert detect(raw.decode("utf-8", "surrogateescape")) == EXCEPTIONS.get(f"{path.parent.name}/{path.name}", mta)


@given(st.text(), st.sampled_from([line for _, line in SAMPLES]), st.integers(0, 120))
def test_no_text_is_an_exception(text: str, line: str, at: int) -> None:
    assert detect(text) in (*MTAS, None)
    assert detect(line[:at] + text) in (*MTAS, None)


@pytest.mark.parametrize(
    "make",
    [
        lambda size: "\n" * size,
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
    assert is_linear(detect, make)
