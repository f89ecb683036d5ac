"""A real Rspamd signs what a real Postfix takes from who logged in: the selector is known from its own log file."""

from __future__ import annotations

import os
import time
from datetime import UTC
from smtplib import SMTP

import pytest

from parsers.clock import Clock
from parsers.reader import LogReader
from parsers.signature import Signatures
from stack.destination import Destination, listening
from tests.mta import postfix, rspamd
from tests.mta.client import PASSWORD, SENDER, TIMEOUT, log_in, trusting
from tests.mta.ground import Server, folder_of
from tests.service import wait_for

pytestmark = pytest.mark.mta

DOMAIN = SENDER.partition("@")[2]


def test_rspamd_says_with_which_selector_it_signs(tmp_path):
    if os.geteuid():
        pytest.skip("a mail server starts as root")
    if missing := postfix.missing() + rspamd.missing():
        pytest.skip(f"not here: {', '.join(missing)} (tools/mail_servers.sh fetches them)")
    taken: list[bytes] = []
    host = Destination(on_taken=lambda envelope: taken.append(envelope.content))
    with (
        folder_of("rspamd") as folder,
        rspamd.signing(folder) as milter,
        folder_of("postfix") as other,
        listening({"example.net": host}) as outside,
        postfix.serving(other, outside, 600, smtpd_milters=f"inet:{milter.entry}") as server,
    ):
        give(server, is_known=False)
        wait_for(lambda: len(taken) == 1, server.log.read_text)
        assert selectors(milter.log.read_text()) == []
        give(server, is_known=True)
        wait_for(lambda: len(taken) == 2, server.log.read_text)
        assert [b"DKIM-Signature" in mail for mail in taken] == [False, True]
        wait_for(lambda: selectors(milter.log.read_text()) == [rspamd.SELECTOR], milter.log.read_text)


def give(server: Server, *, is_known: bool) -> None:
    """A mail of somebody who logged in, or of a host that need not; whatever it says of itself."""
    entry = server.submission if is_known else server.smtp
    assert entry is not None
    claim = "x, user: kim, DKIM_SIGNED(0.00){example.com:s=evil;}"
    with SMTP(*entry, local_hostname="client.example.com", timeout=TIMEOUT) as session:
        session.ehlo()
        if is_known:
            session.starttls(context=trusting())
            assert log_in(session, PASSWORD) == "success"
        text = f"From: {SENDER}\r\nTo: user@example.net\r\nSubject: {claim}\r\nMessage-ID: <{claim}>\r\n\r\nHello\r\n"
        session.sendmail(SENDER, ["user@example.net"], text.encode())


def selectors(log: str) -> list[str]:
    """Those that are known from a log, each line of which is one of Rspamd's."""
    known = Signatures()
    known.watch([DOMAIN])
    strange: list[str] = []
    reader = LogReader(Clock(UTC, time.time), lambda _, text: strange.append(text), signatures=known)
    assert reader.read(log) == []
    assert strange == []
    return known.selectors(DOMAIN, reader.last_time)
