"""A real Dovecot, and people who log in to it or try to: the report and the metrics have the same numbers."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from imaplib import IMAP4
from poplib import POP3, error_proto
from typing import Any, NamedTuple

import pytest

from stack.ground import Entry
from tests.mta import dovecot
from tests.mta.client import AT_ONCE, PASSWORD, TIMEOUT, USER
from tests.mta.ground import folder_of, mailstat
from tests.service import Scrape, following, wait_for

pytestmark = pytest.mark.mta

WRONG = "wrong"
ROUNDS = 3
# Over and over: the passwords that somebody tries in one session. (Of one that gets in at last, the log does not tell
# how often it failed.)
SESSIONS = [(PASSWORD,), (WRONG, WRONG), (WRONG,), (PASSWORD,)]


class Run(NamedTuple):
    """What the clients counted, and what was made of the log."""

    clients: Counter[str]
    summary: dict[str, Any]
    metrics: Scrape
    strange: str


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    if os.geteuid():
        pytest.skip("a mail server starts as root")
    if missing := dovecot.missing():
        pytest.skip(f"not here: {', '.join(missing)} (tools/mail_servers.sh fetches them)")
    with folder_of("dovecot") as folder:
        with dovecot.serving(folder) as server, following(folder, server.log) as exporter:
            clients = log_in_all(server)
            wait_for(lambda: server.log.read_text().count("-login: ") >= len(SESSIONS) * ROUNDS * 3)
            server.stop()
            metrics = exporter.until(lambda it: it.lines() == server.log.read_text().count("\n"))
        summary = json.loads(mailstat("summary", "--format", "json", server.log))
        yield Run(clients, summary, metrics, mailstat("unparsed", server.log))


def log_in_all(server: dovecot.Logins) -> Counter[str]:
    """All sessions, some at once; how many logins succeeded and failed."""
    ways = ((by_command, server.imap), (by_authenticate, server.imap), (by_pop, server.pop3))
    sessions = [(way, entry, passwords) for way, entry in ways for passwords in SESSIONS * ROUNDS]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = pool.map(lambda it: it[0](it[1], it[2]), sessions)
        return sum(results, Counter[str]())


def by_command(entry: Entry, passwords: tuple[str, ...]) -> Counter[str]:
    with IMAP4(*entry, timeout=TIMEOUT) as session:
        return tried(lambda password: session.login(USER, password), passwords)


def by_authenticate(entry: Entry, passwords: tuple[str, ...]) -> Counter[str]:
    with IMAP4(*entry, timeout=TIMEOUT) as session:
        return tried(
            lambda password: session.authenticate("PLAIN", lambda _: f"\0{USER}\0{password}".encode()), passwords
        )


def by_pop(entry: Entry, passwords: tuple[str, ...]) -> Counter[str]:
    session = POP3(*entry, timeout=TIMEOUT)

    def log_in(password: str) -> None:
        session.user(USER)
        session.pass_(password)

    results = tried(log_in, passwords)
    session.quit()
    return results


def tried(log_in: Callable[[str], object], passwords: tuple[str, ...]) -> Counter[str]:
    results: Counter[str] = Counter()
    for password in passwords:
        try:
            log_in(password)
        except (IMAP4.error, error_proto):
            results["failure"] += 1
        else:
            results["success"] += 1
    return results


def test_every_line_is_known(run: Run) -> None:
    assert run.summary["lines"]["unknown"] == run.summary["lines"]["malformed"] == 0, run.strange


def test_logins_are_those_of_the_clients(run: Run) -> None:
    assert run.summary["auth"] == run.clients == {"success": 18, "failure": 27}
    assert run.metrics.by("mail_auth_attempts_total", "result") == {(key,): n for key, n in run.clients.items()}
    assert run.metrics.by("mail_auth_attempts_total", "method").keys() == {("PLAIN",)}
