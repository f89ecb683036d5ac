"""Negative probes against a real Postfix, as it is by itself and as it should be; what it makes of them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from exporter.probes.estate import Negative
from exporter.probes.negative import Attempted, attempt
from stack.ground import run
from tests.deadline import told_in_time
from tests.mta import postfix
from tests.mta.client import STRANGER, TRUSTED
from tests.mta.ground import Server, folder_of
from tests.service import wait_for

pytestmark = pytest.mark.mta

OUTSIDE = {"example.com": ("127.0.0.1", 9)}  # nobody listens, and nothing goes there
HARDENED = """\
smtpd_forbid_bare_newline = yes
disable_vrfy_command = yes
smtpd_sender_restrictions = check_sender_access inline:{ here.example=REJECT }
smtpd_tls_protocols = >=TLSv1.2
smtpd_tls_mandatory_protocols = >=TLSv1.2
"""


@contextmanager
def serving(more: str = "") -> Iterator[Server]:
    if os.geteuid():
        pytest.skip("a mail server starts as root")
    if missing := postfix.missing():
        pytest.skip(f"not here: {', '.join(missing)} (tools/mail_servers.sh fetches them)")
    with folder_of("postfix") as folder, postfix.serving(folder, OUTSIDE, 60) as server:
        with (folder / "config/main.cf").open("a") as config:
            config.write(more)
        run("postfix", "-c", folder / "config", "reload")
        yield server


def tried(server: Server, source: str = STRANGER, patience: float = 1) -> Attempted:
    assert server.submission
    negative = Negative(
        name="own",
        server=server.smtp.host,
        domain="here.example",
        foreign="example.com",
        smtp_port=server.smtp.port,
        submission_port=server.submission.port,
        implicit_port=1,
        source_address=source,
        patience=patience,
        helo="stranger.example.net",
    )
    return asyncio.run(attempt(negative, time.time))


def is_valid(attempted: Attempted) -> dict[str, bool | None]:
    return {check: it.is_valid for check, it in attempted.verdicts.items()}


def test_a_postfix_as_it_should_be_refuses_all_and_keeps_nothing() -> None:
    with serving(HARDENED) as server:
        attempted = tried(server)
        assert is_valid(attempted) == dict.fromkeys(attempted.verdicts, True), attempted.dialogue.text()
        wait_for(lambda: "after DATA" in server.log.read_text())
        assert server.queue() == ""
        assert "queue active" not in server.log.read_text()


def test_a_postfix_as_it_is_by_itself_tells_of_mailboxes_and_takes_our_domain_from_anybody() -> None:
    def try_it(patience: float) -> tuple[Attempted, bool]:
        with serving() as server:
            attempted = tried(server, patience=patience)
            wait_for(lambda: "after DATA" in server.log.read_text() or "queue active" in server.log.read_text())
            return attempted, "queue active" in server.log.read_text()

    def is_seen(told: tuple[Attempted, bool]) -> bool:
        attempted, is_kept = told
        return is_valid(attempted)["smuggling"] is not is_kept

    told = told_in_time(try_it, is_seen, (1, 4, 12))
    assert is_seen(told)  # older ones end messages at a bare line feed
    attempted, _ = told
    verdicts = is_valid(attempted)
    assert verdicts["open_relay"], attempted.dialogue.text()
    assert verdicts["plaintext_auth"]
    assert verdicts["vrfy"] is False
    assert verdicts["forged_sender"] is False


def test_for_hosts_that_it_trusts_it_is_an_open_relay() -> None:
    with serving() as server:
        attempted = tried(server, TRUSTED)
    assert attempted.verdicts["open_relay"].reason == "relays"
