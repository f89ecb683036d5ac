"""A run for whoever waits at the terminal: it tells all that is said, and where the mail is in the end."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from exporter.probes.end import LogEnds
from exporter.probes.failure import Failure
from exporter.probes.hint import hint
from exporter.probes.once import once
from exporter.probes.prober import Prober
from exporter.probes.section import Arrive, Imap, Probe
from exporter.queues.attempt import next_attempt
from exporter.queues.entry import Place
from tests.deadline import told_in_time
from tests.exporter.probes.server import Server, serving
from tests.exporter.probes.test_log import BEGIN, DEFERRED, SENT
from tests.exporter.probes.test_prober import a_maildir
from tests.exporter.probes.test_smtp import PASSWORD, a_send, assert_hidden
from tests.service import PATIENCE

QUEUED_ID = "4F1A2B"


def run(
    folder: Path, then, steps=None, arrive: Arrive | None = None, late_after: float = PATIENCE
) -> tuple[bool, str]:
    """Whether all was well, and what is told; `then` is what happens with the mail that the server got."""
    maildir = a_maildir(folder)
    (folder / "mail.log").write_text("what is written before\n")

    async def play() -> tuple[bool, str]:
        said: list[str] = []
        async with serving(steps) as server:
            send = a_send(folder, server.port, username="probe")
            to = arrive or Arrive(maildir=maildir, every=0.1)
            probe = Probe(
                name="one", send=send, arrive=to, late_after=late_after, lost_after=3600.0, timeout=PATIENCE
            )
            prober = Prober([probe], None)
            prober.next_attempt = partial(next_attempt, [Place("postfix", folder / "spool", "postfix")])
            happening = asyncio.create_task(happens(server, then, folder))
            is_well = await once(prober, probe, LogEnds([folder / "mail.log"], time.time), said.append)
            happening.cancel()
            prober.close()
        return is_well, "".join(said)

    return asyncio.run(play())


async def happens(server: Server, then, folder: Path) -> None:
    while not server.mails:
        await asyncio.sleep(0.01)
    then(folder, server.mails[0].removesuffix(b".\r\n"))


def log(folder: Path, raw: bytes, line: str) -> None:
    message_id = raw.partition(b"Message-ID: <")[2].partition(b">")[0].decode()
    text = BEGIN.format(message_id=message_id) + line
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
    with (folder / "mail.log").open("a") as opened:
        opened.writelines(f"{now}{one[25:]}\n" for one in text.splitlines())


def late(folder: Path, then, reason: str, arrive: Arrive | None = None) -> tuple[bool, str]:
    """The same where the mail is late, and there was time enough to see this reason."""

    def tell(seconds: float) -> tuple[bool, str]:
        return run(folder, then, arrive=arrive, late_after=seconds)

    return told_in_time(tell, lambda told: f": {reason}: " in told[1])


def test_a_mail_that_arrives(tmp_path):
    is_well, told = run(tmp_path, lambda folder, raw: (folder / "Maildir/new/1").write_bytes(raw))
    assert is_well, told
    assert "C: AUTH PLAIN ****" in told
    assert "sent in " in told
    assert told.splitlines()[-1].startswith("arrived ")
    assert_hidden(told)


def test_a_mail_in_the_folder_for_junk(tmp_path):
    is_well, told = run(tmp_path, lambda folder, raw: (folder / "Maildir/.Junk/new/1").write_bytes(raw))
    assert not is_well
    assert "failed at arrival: spam_folder" in told.splitlines()[-1]


def test_a_mail_that_is_refused_is_not_waited_for(tmp_path):
    is_well, told = run(tmp_path, lambda *_: None, {"RCPT": b"550 5.1.1 User unknown\r\n"})
    assert not is_well
    assert told.splitlines()[-1].startswith("failed at rcpt after ")


NEXT = "next attempt at 2096-10-02 07:06:40 UTC"
OVERDUE = "next attempt as soon as the queue is run"


@pytest.mark.parametrize(
    ("depth", "due", "words"), [("", 4e9, NEXT), ("4", 4e9, NEXT), ("4/F", 4e9, NEXT), ("", 1e9, OVERDUE)]
)
def test_a_mail_in_our_queue_and_when_it_is_tried_again(tmp_path, depth, due, words):
    deferred = tmp_path / "spool/deferred" / depth
    deferred.mkdir(parents=True)
    (deferred / QUEUED_ID).touch()
    os.utime(deferred / QUEUED_ID, (due, due))
    is_well, told = late(tmp_path, lambda folder, raw: log(folder, raw, DEFERRED), "queued_greylisted")
    last = told.splitlines()[-1]
    assert not is_well
    assert "queued_greylisted: it has not arrived: in our queue, last tried at " in last
    assert "450 4.7.1 Greylisted" in last
    assert last.endswith(words)


def test_a_mail_that_nobody_tried_to_deliver_yet(tmp_path):
    is_well, told = late(tmp_path, lambda folder, raw: log(folder, raw, ""), "queued")
    assert not is_well
    assert told.splitlines()[-1].endswith("queued: it has not arrived: in our queue, not tried yet")


def test_a_mail_that_was_handed_over(tmp_path):
    is_well, told = late(tmp_path, lambda folder, raw: log(folder, raw, SENT), "handed_over")
    assert not is_well
    assert "handed_over: it has not arrived: handed to mx.example.net at 20" in told.splitlines()[-1]


def test_our_log_is_enough_where_there_is_no_mailbox(tmp_path):
    arrive = Arrive(log=True, every=0.1)
    is_well, told = run(tmp_path, lambda folder, raw: log(folder, raw, SENT), arrive=arrive)
    assert is_well, told
    assert told.splitlines()[-1].startswith("arrived ")


def test_a_mailbox_that_cannot_be_looked_at_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAP_PASSWORD", PASSWORD)
    imap = Imap(server="127.0.0.1", port=1, tls="none", username="u", password_env="IMAP_PASSWORD")
    arrive = Arrive(imap=imap, every=0.1)
    is_well, told = late(tmp_path, lambda *_: None, "mailbox_refused", arrive)
    assert not is_well
    assert "cannot look there: mailbox_refused" in told


@pytest.mark.parametrize("first", [b"* OK ready\r\n", b"* BYE too many of you\r\n"])
def test_a_mailbox_that_cannot_be_looked_at_is_asked_twice_and_named_as_what_failed(tmp_path, monkeypatch, first):
    """More often, and who tries a wrong password is locked out."""
    monkeypatch.setenv("IMAP_PASSWORD", PASSWORD)
    seen: list[bytes] = []

    async def talk(reader, writer) -> None:
        writer.write(first)
        seen.append(await reader.readline())
        writer.write(b"m1 NO [AUTHENTICATIONFAILED] Authentication failed.\r\n")
        writer.close()

    async def play() -> tuple[bool, str]:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        imap = Imap(server="127.0.0.1", port=port, tls="none", username="u", password_env="IMAP_PASSWORD")
        try:
            return await asyncio.to_thread(
                run, tmp_path, lambda *_: None, arrive=Arrive(imap=imap, every=0.01), late_after=3600.0
            )
        finally:
            server.close()

    is_well, told = asyncio.run(play())
    reason = "mailbox_auth" if b"OK" in first else "mailbox_protocol_error"
    assert not is_well
    assert len(seen) == 2
    assert told.splitlines()[-1].startswith(
        f"failed at arrival: {reason}: it may have arrived, but nobody can look: "
    )
    assert hint(Failure("arrival", reason, "")) in told
    assert_hidden(told)


def test_what_is_no_queue_id_names_no_file(tmp_path):
    (tmp_path / "deferred").mkdir()
    (tmp_path / "secret").touch()
    place = Place("postfix", tmp_path, "postfix")
    assert next_attempt([place], "../secret", 0.0) is None
    assert next_attempt([place], "4F1A2B", 0.0) is None
