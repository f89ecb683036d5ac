"""Dovecot's lines that others collected, and a real log with what the clients did: what they know of them.

Where their knowledge and ours differ, the case stands here with the reason.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from parsers.clock import Clock
from parsers.events import Auth, Event, Problem
from parsers.reader import LogReader, understand

SHARED = Path(__file__).parents[4] / "../shared"
CORPUS = SHARED / "corpus/dovecot"
LOGS = sorted(CORPUS.glob("*.log"))
LABS = [
    path for path in (SHARED / "lab/postfix-3.7-postlogd", SHARED / "lab/postfix-3.10-postscreen") if path.exists()
]
NOW = 1795284304.0

pytestmark = [pytest.mark.corpus, pytest.mark.skipif(not LOGS, reason="the shared corpus is not here")]


def rows(name: str) -> list[dict[str, Any]]:
    path = CORPUS / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8", "surrogateescape").splitlines()] if LOGS else []


def read_log(text: str, mta: str | None = None) -> tuple[LogReader, list[Event], list[str]]:
    strange: list[str] = []
    reader = LogReader(Clock(UTC, lambda: NOW), lambda outcome, words: strange.append(f"{outcome}: {words}"), mta=mta)
    return reader, reader.read(text), strange


def failures(line: str) -> list[Auth]:
    """Of one line alone, in whatever form, without what others of its try would say."""
    return [event for event in read_log(line + "\n")[1] if isinstance(event, Auth) and event.result == "failure"]


def is_fragment(words: str) -> bool:
    """What is no whole line, or not Dovecot's."""
    return (
        words.endswith("test no match")  # made up to be nobody's
        or words.startswith(("dovecot: ", "imap", "lda(", "dovecot-lda("))  # without a time, or 1.0's form
        or "dovecot_login authenticator" in words  # Exim's
        or "dovecot_plain authenticator" in words
    )


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
@pytest.mark.parametrize("mta", [None, "dovecot"])
def test_every_line_has_an_outcome_and_only_broken_ones_are_malformed(path: Path, mta: str | None) -> None:
    text = path.read_text("utf-8", "surrogateescape")
    reader, _, strange = read_log(text, mta)
    assert sum(tally.lines for tally in reader.tallies.values()) == text.count("\n")
    assert not any(words.startswith("unknown") for words in strange)
    assert [words for words in strange if not is_fragment(words.partition(": ")[2])] == []


def test_lines_without_a_time_are_understood_too() -> None:
    outcomes: Counter[str] = Counter()
    for line in (CORPUS / "dovecot-docs.log").read_text().splitlines():
        origin = read_log("Nov 21 10:00:00 mail dovecot: master: Error: x\n")[1][0].origin
        outcomes[understand(line.removeprefix("dovecot: "), NOW, origin)[0]] += 1
    # One has a time of its own.
    assert outcomes == {"ignored": 6, "parsed": 4, "unknown": 1}


# --- fail2ban: which lines tell of abuse, and whose ---

# Its aggressive mode bans those, too, who come and do not try to log in, which is no failure to.
AGGRESSIVE = ("no auth attempts", "disconnected before auth was ready", "tls_handshake_not_finished")


_VERDICT = re.compile(r"auth(?:-worker)?[(:].*<[\w+/=]{16}|pam_unix\(dovecot:auth\)|auth-worker<\d+>: .*,<").search


def is_told_again(line: str) -> bool:
    """Whether a login process tells of the same try, for the line has its session; or libpam beside Dovecot."""
    return " user=<" not in line and bool(_VERDICT(line))


@pytest.mark.parametrize("row", rows("fail2ban"), ids=lambda row: row["line"][:60])
def test_what_is_banned_is_a_failed_login_of_that_address(row: dict[str, Any]) -> None:
    line, expect = row["line"], row["expect"]
    addresses = [event.client_ip for event in failures(line)]
    if not expect["match"] or any(words in line for words in AGGRESSIVE) or is_told_again(line):
        assert addresses == []
    else:
        assert addresses == [expect["host"]]


def test_most_of_what_is_banned_is_compared() -> None:
    compared = [row for row in rows("fail2ban") if failures(row["line"])]
    assert len(compared) == 35


# --- OSSEC: the rule that a line is of ---

FAILED, STARTED, FATAL, ENDED = {"9702", "9705", "9707", "9771"}, {"9703"}, {"9704"}, {"9706"}


@pytest.mark.parametrize("row", rows("ossec"), ids=lambda row: f"{row['case']} {row['line'][:40]}")
def test_the_rule_of_a_line_is_the_kind_of_its_event(row: dict[str, Any]) -> None:
    rule = row["expect"]["rule"]
    events = read_log(row["line"] + "\n")[1]
    if rule in FAILED:
        assert [event.result for event in events if isinstance(event, Auth)] == ["failure"]
    elif rule in FATAL:
        assert [event.severity for event in events if isinstance(event, Problem)] == ["fatal"]
    elif rule in STARTED:
        assert events == []
    elif rule in ENDED:
        assert [event.kind for event in events] == ["disconnect"]
    else:  # no rule of theirs for Dovecot, or one that only groups lines
        assert rule in ("1002", "9770")


# --- a real Dovecot that a Postfix asked ---


def test_a_log_of_its_own_is_known_to_the_last_line() -> None:
    text = gzip.decompress((LABS[0] / "dovecot.log.gz").read_bytes()).decode()
    reader, events, strange = read_log(text)
    assert strange == []
    assert reader.tallies["dovecot"].lines == text.count("\n")
    assert Counter(event.kind for event in events) == {"auth": 60, "problem": 9}


@pytest.mark.parametrize(("lab", "log"), list(zip(LABS, ("dovecot.log.gz", "mail.log.gz"), strict=False)))
def test_what_dovecot_refused_is_what_the_clients_were_told(lab: Path, log: str) -> None:
    """All 535 answers; of some tries Postfix gave up waiting, and told the client so (454)."""
    truth = [json.loads(line) for line in gzip.decompress((lab / "truth.jsonl.gz").read_bytes()).splitlines()]
    _, events, _ = read_log(gzip.decompress((lab / log).read_bytes()).decode(), "dovecot")
    told = Counter((event.client_ip, event.sasl_user) for event in events if type(event) is Auth)
    assert {event.origin.service for event in events if type(event) is Auth} == {"smtp"}
    failed = [told for told in truth if told["ev"] == "auth_fail"]
    assert told <= Counter((told["client"], told["user"]) for told in failed)
    assert told >= Counter((told["client"], told["user"]) for told in failed if told["code"] == 535)
