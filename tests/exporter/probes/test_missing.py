"""Each reason for which a mail is not seen to arrive: the second table of the documentation."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses

import pytest

from exporter.probes import prober
from exporter.probes.log import Accepted, follow
from exporter.probes.mailbox import mailbox
from exporter.probes.section import Arrive, Imap
from parsers.clock import Clock
from parsers.reader import LogReader
from parsers.tracker import Tracker
from tests.exporter.probes.fault import MISSING
from tests.exporter.probes.server import Act, ca_file, tls
from tests.exporter.probes.test_log import BEGIN, DEFERRED, LINE
from tests.exporter.probes.test_prober import NOW, bench  # noqa: F401 - a fixture
from tests.exporter.probes.test_smtp import PASSWORD, assert_hidden
from tests.service import PATIENCE

EXPIRIES = {"expired": 1577836800, "name": 2208988800, "untrusted": 2208988800}
HOST = "mx.example.net[192.0.2.7]:25"
LINES = {
    "none": "",
    "deferred": DEFERRED,
    "bounced": LINE.format(
        relay=HOST,
        dsn="5.1.1",
        status="bounced (host mx.example.net[192.0.2.7] said: 550 5.1.1 User unknown (in reply to RCPT TO command))",
    ),
    "expired": DEFERRED
    + "2027-01-15T08:00:05+00:00 mx postfix/qmgr[8]: 4F1A2B: from=<probe@example.com>, status=expired, returned to"
    " sender\n",
}


@contextlib.asynccontextmanager
async def a_mailbox(missing):
    """The port of a server that says and does this."""

    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader, writer) -> None:
        tasks.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.CancelledError):
            for step in missing.says:
                writer.write(step)
                await writer.drain()
                await reader.readline()
            while missing.then in (Act.LINE, Act.LINES):
                writer.write(b"x" * 65536 if missing.then is Act.LINE else b"* more\r\n" * 1000)
                await writer.drain()
            if missing.then is not Act.DROP:
                await reader.read()
        writer.transport.abort()

    context = tls(missing.certificate) if missing.certificate else None
    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def told(it) -> tuple[str, list[str]]:
    (sample,) = [
        one for family in it.prober.collect() if family.name == "mail_probe_failure_info" for one in family.samples
    ]
    assert sample.labels["phase"] == "arrival"
    assert it.value("mail_probe_success") == 0
    return sample.labels["reason"], [result for result, mails in it.prober.ledger.counts("one").items() if mails]


BY_MAILBOX = [it for it in MISSING if not (it.log or it.folder or it.seconds)]
BY_TIME = [it for it in MISSING if it not in BY_MAILBOX]


@pytest.mark.parametrize("missing", BY_MAILBOX, ids=lambda it: it.what)
def test_a_mailbox_that_cannot_be_looked_into(bench, missing, monkeypatch, tmp_path, caplog):  # noqa: F811
    monkeypatch.setattr(prober, "_VISIT_SECONDS", 1.0 if missing.reason == "mailbox_timeout" else PATIENCE)
    (tmp_path / "password").write_text(PASSWORD)

    async def play(it):
        async with a_mailbox(missing) as port:
            usual = {"server": "localhost", "port": port, "ca_file": ca_file(tmp_path), "username": "u"}
            usual |= {"tls": "implicit" if missing.certificate else "none", "password_file": tmp_path / "password"}
            how = {key: tmp_path / value if key == "password_file" else value for key, value in missing.how.items()}
            arrive = Arrive(imap=Imap(**(usual | how)))
            it.probe = dataclasses.replace(it.probe, arrive=arrive)
            it.prober.configure([it.probe])
            await it.prober.run_once(it.probe)
            box = mailbox(arrive)
            assert await it.prober.look(box, [it.probe]) is False
            box.close()
            assert told(it) == (missing.reason, list(missing.results))
            # Of one that is refused, too.
            expiry = it.value("mail_probe_mailbox_certificate_expiry_timestamp_seconds")
            assert expiry == EXPIRIES.get(missing.certificate)
            assert_hidden(caplog.text + str(it.prober.views()))

    bench(None, play)


@pytest.mark.parametrize("missing", BY_TIME, ids=lambda it: it.what)
def test_a_mail_that_does_not_come_where_it_should(bench, missing):  # noqa: F811
    async def play(it):
        outcome = await it.prober.run_once(it.probe)
        if missing.folder:
            it.deliver(outcome.mail.raw, missing.folder)
        if missing.log:
            text = BEGIN.format(message_id=outcome.mail.message_id) + LINES[missing.log]
            events = LogReader(Clock(None, it.clock)).read(text)
            Tracker().follow(events)
            assert follow(events, Accepted())
            it.prober.follow(events)
        it.clock.time = NOW + missing.seconds
        await it.look()
        assert told(it) == (missing.reason, list(missing.results))

    bench(None, play)
