"""Real servers between clients and destinations that count: the report and the metrics have the same numbers."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stack.destination import Destination, Reply, listening, wish
from tests.deadline import told_in_time
from tests.mta import exim, opensmtpd, postfix, sendmail
from tests.mta.client import PASSWORD, STRANGER, Seen, Visit, visit_all
from tests.mta.ground import Addresses, Server, folder_of, mailstat
from tests.service import Scrape, following

pytestmark = pytest.mark.mta

# Seconds that a server tries to deliver: what is refused once has to get through in them. It takes long to see what
# is given up, so a host with time for others alone is given more only when it needs it.
LIFETIMES = (15, 60, 200)
PATIENCE = 300  # seconds until the queue must be empty
LOOKS = 3  # in a row: what goes from one queue to another may be in neither of them for one look
PAUSE = 0.3  # seconds between two tries

STATUSES = ("sent", "deferred", "bounced", "expired")
REASONS = {
    None: "connection_failed",
    421: "system_error",
    450: "system_error",
    451: "greylisted",
    452: "mailbox_full",
    550: "user_unknown",
    554: "spam_content",
}
# What each round sends: the recipients of one message in a line, whose local parts ask for what is to become of them.
LETTERS = """
user@example.com
user@example.com user@example.com user@example.com
user@example.com user@example.net
user@example.com unknown@example.com
unknown@example.com later@example.com user@example.com
later@example.com
spam@example.com spam@example.com
busy@example.com user@example.com
cut@example.com cut@example.com
unknown@example.com
never@example.com
user@example.com never@example.com
user@example.org
"""


class Kind(NamedTuple):
    """A server under test."""

    mta: str
    missing: Callable[[], list[str]]
    serving: Callable[[Path, Addresses, int], AbstractContextManager[Server]]
    hides: frozenset[str] = frozenset()  # what others log and this one does not
    expires: str = "recipients"  # or messages: what a line of the log gives up
    rounds: int = 2  # how often all letters are sent
    shy: int = 2  # clients that the shy host turns away


KINDS = {
    "postfix": Kind("postfix", postfix.missing, postfix.serving, expires="messages"),
    # TLS is only told with a message.
    "exim": Kind(
        "exim",
        exim.missing,
        partial(exim.serving, selector=""),
        hides=frozenset({"connections", "recipients", "sessions without a message"}),
    ),
    "exim-all": Kind(
        "exim",
        exim.missing,
        partial(exim.serving, selector="+all -arguments"),
        hides=frozenset({"sessions without a message"}),
    ),
    # It has enhanced codes of its own mind, and takes the reply code off what it was sent with.
    "sendmail": Kind(
        "sendmail",
        sendmail.missing,
        sendmail.serving,
        hides=frozenset({"connections", "recipients", "enhanced codes", "replies of sent", "refused sizes"}),
    ),
    # It tries what waits every few seconds at best, and after a 421 it leaves a host alone for longer than that.
    "opensmtpd": Kind(
        "opensmtpd", opensmtpd.missing, opensmtpd.serving, hides=frozenset({"recipients"}), rounds=1, shy=0
    ),
}


class Run(NamedTuple):
    """What clients and destinations counted, and what was made of the log."""

    kind: Kind
    clients: Seen
    hosts: list[Destination]
    log: str
    summary: dict[str, Any]
    metrics: Scrape
    strange: str  # the lines that nobody understood

    @property
    def replies(self) -> list[Reply]:
        """What all attempts came to; a client that was turned away came for one recipient, for none has another."""
        return [reply for host in self.hosts for reply in host.replies]

    @property
    def recipients(self) -> set[str]:
        """Those that the server took from its clients."""
        return {key[1] for key in self.clients if key[0] == "recipient"}

    @property
    def waiting(self) -> dict[str, list[int | None]]:
        """The recipients that came to no end, with the codes of all replies."""
        ended = {reply.recipient for reply in self.replies if reply.status != "deferred"}
        return {to: [it.code for it in self.replies if it.recipient == to] for to in self.recipients - ended}

    @property
    def is_unhurried(self) -> bool:
        """Whether nothing was given up but what was never to get through."""
        return all(wish(recipient) == "never" for recipient in self.waiting)

    @property
    def expired(self) -> list[list[int | None]]:
        """The replies to what was given up: to recipients, or to the longest waiting one of a message."""
        given_up: dict[str, list[int | None]] = {}
        for recipient, codes in self.waiting.items():
            what = recipient if self.kind.expires == "recipients" else number_of(recipient)
            given_up[what] = max(given_up.get(what, []), codes, key=len)
        return list(given_up.values())

    @property
    def notifications(self) -> int:
        return sum(1 for reply in self.replies if reply.status == "sent" and reply.is_notification)


@pytest.fixture(scope="module", params=KINDS)
def run(request: pytest.FixtureRequest) -> Run:
    kind = KINDS[request.param]
    if os.geteuid():
        pytest.skip("a mail server starts as root")
    if missing := kind.missing():
        pytest.skip(f"not here: {', '.join(missing)} (tools/mail_servers.sh fetches them)")
    return told_in_time(partial(run_through, kind), lambda run: run.is_unhurried, LIFETIMES)


def run_through(kind: Kind, lifetime: int) -> Run:
    shy = Destination(shy=kind.shy)
    hosts = {"example.com": Destination(), "example.net": Destination(), "example.org": shy}
    with ExitStack() as stack:
        folder = stack.enter_context(folder_of(kind.mta))
        addresses = stack.enter_context(listening(hosts))
        server = stack.enter_context(kind.serving(folder, addresses, lifetime))
        exporter = stack.enter_context(following(folder, server.log))
        clients = visit_all(visits(kind.rounds), server.smtp, server.submission)
        drain(server)
        # What it says of the last message comes after that has left, and is lost where it is ended before.
        exporter.until(lambda it: is_read(it, server) and not it.total("mail_messages_in_flight"))
        server.stop()
        metrics = exporter.until(lambda it: is_read(it, server))
        summary = json.loads(mailstat("summary", "--format", "json", server.log))
        strange = mailstat("unparsed", server.log)
        return Run(kind, clients, list(hosts.values()), server.log.read_text(), summary, metrics, strange)


def visits(rounds: int) -> list[Visit]:
    """The sessions of all clients; every recipient is one of a kind, and the same number is in the same message."""
    letters = [
        tuple(f"{local}{place}-{number}@{domain}" for place, (local, domain) in enumerate(recipients))
        for number, line in enumerate(LETTERS.split("\n")[1:-1] * rounds)
        for recipients in [[address.split("@") for address in line.split()]]
    ]
    third = len(letters) // 3
    relayed = [Visit((letter,)) for letter in letters[:third]]
    submitted = [Visit((letter,), password=PASSWORD) for letter in letters[third : 2 * third]]
    crowded = [Visit(tuple(letters[start : start + 4])) for start in range(2 * third, len(letters), 4)]
    refused = [
        Visit((("user@example.com",),), source=STRANGER),
        Visit((("no-such-user@here.example",),)),
        Visit((("no-such-user@here.example", "user1-1000@example.com"),)),
        Visit((("user@example.com",),), size=10_000_000),
        Visit(password="wrong"),
        Visit(password="wrong"),
        Visit(),
    ]
    return relayed + submitted + crowded + refused


def drain(server: Server) -> None:
    end = time.monotonic() + PATIENCE
    while waiting := "".join(server.queue() for _ in range(LOOKS)):
        assert time.monotonic() < end, f"{waiting}\n{server.log.read_text()[-20_000:]}"
        time.sleep(PAUSE)
        server.retry()


def is_read(metrics: Scrape, server: Server) -> bool:
    """Whether the exporter has read all of the log."""
    return metrics.lines() == server.log.read_text().count("\n")


def number_of(recipient: str) -> str:
    """The number of the message."""
    return recipient.partition("@")[0].rpartition("-")[2]


def test_every_line_is_known(run: Run) -> None:
    assert run.summary["lines"]["total"] == run.log.count("\n")
    assert run.summary["lines"]["unknown"] == run.summary["lines"]["malformed"] == 0, run.strange


def test_messages_received_are_those_of_the_clients_and_the_notifications(run: Run) -> None:
    counted = Counter({(via,): run.clients["message", via] for via in ("smtp", "submission")})
    counted["notification",] = run.notifications
    assert run.metrics.by("mail_messages_received_total", "via") == +counted
    assert run.summary["messages"]["received"] == run.metrics.total("mail_messages_received_total")


def test_notifications_are_those_that_the_destinations_took(run: Run) -> None:
    assert run.summary["messages"]["notifications"] == run.notifications > 0
    assert run.metrics.by("mail_notifications_total", "type") == {("bounce",): run.notifications}


def test_all_messages_left_the_queue(run: Run) -> None:
    assert run.summary["messages"]["removed"] == run.summary["messages"]["received"]
    assert run.metrics.total("mail_messages_removed_total") == run.summary["messages"]["removed"]
    assert run.metrics.total("mail_messages_in_flight") == 0


def test_deliveries_are_the_attempts_that_the_destinations_saw(run: Run) -> None:
    counted = Counter(reply.status for reply in run.replies)
    counted["expired"] = len(run.expired)
    assert run.summary["deliveries"] == counted
    assert all(counted[status] for status in STATUSES)
    assert run.metrics.by("mail_deliveries_total", "status") == {(status,): n for status, n in counted.items()}


def test_replies_are_those_of_the_destinations(run: Run) -> None:
    labels: tuple[str, ...] = ("status", "reply_code", "dsn")
    if "enhanced codes" in run.kind.hides:
        labels = labels[:2]
    statuses = STATUSES[1:] if "replies of sent" in run.kind.hides else STATUSES
    counted = Counter(
        (it.status, str(it.code), it.dsn)[: len(labels)] for it in run.replies if it.code and it.status in statuses
    )
    told = run.metrics.by("mail_delivery_replies_total", *labels)
    assert {key: n for key, n in told.items() if key[1]} == counted


def test_reasons_are_what_the_destinations_meant(run: Run) -> None:
    counted = Counter((it.status, REASONS[it.code]) for it in run.replies if it.status != "sent")
    counted += Counter(("expired", REASONS[codes[-1] if codes else 421]) for codes in run.expired)
    assert {(it["status"], it["reason"]): it["count"] for it in run.summary["reasons"]} == counted
    assert run.metrics.by("mail_delivery_failures_total", "status", "reason") == counted


def test_attempts_are_as_many_as_the_recipient_took(run: Run) -> None:
    ended = {reply.recipient: reply.status for reply in run.replies if reply.status != "deferred"}
    tries = Counter(ended[reply.recipient] for reply in run.replies if reply.recipient in ended)
    # Who was turned away had said nothing of a recipient yet, but came again and got through.
    tries["sent"] += sum(1 for reply in run.replies if not reply.recipient)
    tries["expired"] = sum(map(len, run.expired))
    assert run.metrics.by("mail_delivery_attempts_sum", "status") == {(status,): n for status, n in tries.items()}
    for status in tries:
        assert run.metrics.total("mail_delivery_attempts_count", status=status) == run.summary["deliveries"][status]


def test_what_the_server_refused(run: Run) -> None:
    refused: Counter[tuple[str, ...]] = Counter()
    for key, count in run.clients.items():
        if key[0] == "refused" and not (key[1] == "mail" and "refused sizes" in run.kind.hides):
            refused[key[1:2]] += count
    assert refused
    assert run.metrics.by("mail_rejects_total", "phase") == refused
    assert run.summary["rejects"]["total"] == refused.total()


def test_logins(run: Run) -> None:
    logins = {result: run.clients["login", result] for result in ("success", "failure")}
    assert run.summary["auth"] == logins
    assert run.metrics.by("mail_auth_attempts_total", "method", "result") == {
        ("PLAIN", result): n for result, n in logins.items() if n
    }


def test_messages_have_their_recipients(run: Run) -> None:
    needs(run, "recipients")
    assert run.metrics.total("mail_message_recipients_sum") == len(run.recipients) + run.notifications
    assert run.metrics.total("mail_message_recipients_count") == run.summary["messages"]["received"]


def test_connections(run: Run) -> None:
    needs(run, "connections")
    assert run.summary["connections"] == run.clients["connection",]
    assert run.metrics.total("mail_connections_total") == run.clients["connection",]


def test_tls_sessions(run: Run) -> None:
    told = run.clients["login", "success"] if "sessions without a message" in run.kind.hides else run.clients["tls",]
    labels = ("direction", "protocol", "trust")
    counted = Counter({("inbound", "TLSv1.3", "anonymous"): told})
    assert run.metrics.by("mail_tls_connections_total", *labels) == +counted


def needs(run: Run, what: str) -> None:
    if what in run.kind.hides:
        pytest.skip(f"this log does not tell of {what}")
