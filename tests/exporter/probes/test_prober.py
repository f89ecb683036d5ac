from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from prometheus_client import CollectorRegistry

from exporter.probes.ledger import Ledger
from exporter.probes.mailbox import mailbox
from exporter.probes.maildir import Maildir
from exporter.probes.message import Key, whose
from exporter.probes.prober import Prober
from exporter.probes.schedule import starts
from exporter.probes.section import Arrive, Probe
from tests.exporter.probes.server import Act, serving
from tests.exporter.probes.test_smtp import a_send
from tests.service import PATIENCE

NOW = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> float:
        return self.time


def a_maildir(folder: Path) -> Path:
    for part in ("new", "cur", "tmp", ".Junk/new", ".Junk/cur"):
        (folder / "Maildir" / part).mkdir(parents=True, exist_ok=True)
    return folder / "Maildir"


class Bench:
    """A prober with one probe, its server and its Maildir."""

    def __init__(self, folder: Path, port: int, *, arrives: bool = True) -> None:
        self.maildir = a_maildir(folder)
        self.clock = Clock()
        arrive = Arrive(maildir=self.maildir) if arrives else None
        self.probe = Probe(name="one", every=60.0, send=a_send(folder, port), arrive=arrive, timeout=PATIENCE)
        self.prober = Prober([self.probe], folder, self.clock)
        self.box = mailbox(arrive) if arrive else None
        self.seen: list[tuple[str, bytes, str, float]] = []
        self.prober.arrivals.hooks.append(lambda *what: self.seen.append(what))
        self.registry = CollectorRegistry()
        self.registry.register(self.prober)
        self._number = itertools.count()

    def deliver(self, raw: bytes, folder: str = "new") -> Path:
        path = self.maildir / folder / f"{next(self._number)}.example"
        path.write_bytes(raw)
        return path

    async def look(self) -> bool:
        return await self.prober.look(self.box, [self.probe])

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"probe": "one"} | labels)

    def count(self, result: str) -> float | None:
        return self.value("mail_probe_messages_total", result=result)


@pytest.fixture
def bench(tmp_path):
    def bench(steps, play, **more):
        async def run():
            async with serving(steps) as server:
                made = Bench(tmp_path, server.port, **more)
                try:
                    await play(made)
                finally:
                    made.prober.close()

        asyncio.run(run())

    return bench


def test_a_mail_goes_round(bench):
    async def play(it):
        assert it.value("mail_probe_success") == 0
        outcome = await it.prober.run_once(it.probe)
        assert it.value("mail_probe_pending_messages") == 1
        it.clock.time += 3
        path = it.deliver(outcome.mail.raw)
        await it.look()
        assert it.value("mail_probe_success") == 1
        assert it.value("mail_probe_pending_messages") == 0
        assert (it.count("sent"), it.count("arrived"), it.count("lost")) == (1, 1, 0)
        assert it.value("mail_probe_phase_seconds", phase="arrival") == 3
        assert it.value("mail_probe_roundtrip_seconds_count") == 1
        assert not path.exists()
        assert [(name, folder) for name, _, folder, _ in it.seen] == [("one", "INBOX")]

    bench(None, play)


def test_a_sending_that_fails_is_no_success_at_once(bench):
    async def play(it):
        outcome = await it.prober.run_once(it.probe)
        it.deliver(outcome.mail.raw)
        await it.look()
        it.prober.configure(
            [Probe(name="one", every=60.0, send=a_send(it.maildir.parent, 1), arrive=it.probe.arrive)]
        )
        await it.prober.run_once(it.prober.probes["one"])
        assert it.value("mail_probe_success") == 0
        assert it.value("mail_probe_failure_info", phase="connect", reason="refused") == 1
        assert it.count("send_failed") == 1

    bench(None, play)


def test_success_does_not_go_stale(bench):
    async def play(it):
        await it.prober.run_once(it.probe)
        assert it.value("mail_probe_success") == 1
        it.clock.time += it.probe.every * 1.5 + it.probe.timeout + 40
        assert it.value("mail_probe_success") == 0

    bench(None, play, arrives=False)


def test_late_then_lost_then_found(bench):
    async def play(it):
        outcome = await it.prober.run_once(it.probe)
        it.clock.time += 121
        await it.look()
        assert it.value("mail_probe_success") == 0
        assert it.value("mail_probe_failure_info", phase="arrival", reason="late") == 1
        it.clock.time += 1800
        await it.look()
        assert it.count("lost") == 1
        assert it.value("mail_probe_failure_info", phase="arrival", reason="lost") == 1
        it.deliver(outcome.mail.raw)
        await it.look()
        assert (it.count("lost"), it.count("found"), it.count("late"), it.count("arrived")) == (1, 1, 1, 1)

    bench(None, play)


def test_nothing_is_lost_before_the_mailbox_was_looked_at(bench):
    async def play(it):
        outcome = await it.prober.run_once(it.probe)
        it.deliver(outcome.mail.raw)
        it.clock.time += 10_000
        (it.maildir / "new").rename(it.maildir / "gone")
        await it.look()
        assert it.count("lost") == 0
        assert it.value("mail_probe_failure_info", phase="arrival", reason="mailbox_unreachable") == 1
        (it.maildir / "gone").rename(it.maildir / "new")
        await it.look()
        assert (it.count("lost"), it.count("arrived")) == (0, 1)

    bench(None, play)


def test_the_folder_for_junk(bench):
    async def play(it):
        outcome = await it.prober.run_once(it.probe)
        it.deliver(outcome.mail.raw, ".Junk/new")
        await it.look()
        assert it.count("spam_folder") == 1
        assert it.value("mail_probe_failure_info", phase="arrival", reason="spam_folder") == 1

    bench(None, play)


def test_mail_of_others_stays_where_it_is(bench):
    async def play(it):
        outcome = await it.prober.run_once(it.probe)
        forged = outcome.mail.raw.replace(outcome.mail.id.encode(), b"0123456789abcdef")
        paths = [
            it.deliver(raw) for raw in (forged, b"", b"\0" * 5000, b"\xff\n\n", b"X-Mailstat-Probe: one 1 2\n\n")
        ]
        (it.maildir / "new" / "pipe").symlink_to("/dev/zero")
        await it.look()
        assert all(path.exists() for path in paths)
        assert it.count("arrived") == 0

    bench(None, play)


def test_a_mail_of_a_gigabyte_is_read_no_further_than_its_beginning(tmp_path):
    maildir = a_maildir(tmp_path)
    with (maildir / "new" / "big").open("wb") as big:
        big.truncate(1 << 30)
    sizes = []
    asyncio.run(Maildir(maildir).visit(lambda found: bool(sizes.append(len(found.raw)))))
    assert sizes == [1 << 20]


def test_an_mbox_is_read_on(bench):
    async def play(it):
        path = it.maildir.parent / "mbox"
        path.touch()
        it.probe = dataclasses.replace(it.probe, arrive=Arrive(mbox=path))
        it.prober.configure([it.probe])
        it.box = mailbox(it.probe.arrive)
        assert await it.look()
        path.write_bytes(b"From x@example.com Fri Jan 15 08:00:00 2027\nSubject: other\n\ntext\n\n")
        assert await it.look()
        outcome = await it.prober.run_once(it.probe)
        with path.open("ab") as box:
            box.write(b"From x@example.com Fri Jan 15 08:00:00 2027\n" + outcome.mail.raw + b"\n")
        for _ in range(2):
            await it.look()
        assert (it.count("arrived"), it.count("duplicate")) == (1, 0)

    bench(None, play)


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_a_sink_takes_the_mail_of_probes_alone(bench, protocol):
    async def play(it):
        port = free_port()
        send = dataclasses.replace(it.probe.send, server="127.0.0.1", port=port, protocol=protocol)
        it.probe = dataclasses.replace(it.probe, send=send, arrive=Arrive(sink=f"{protocol}://127.0.0.1:{port}"))
        it.prober.configure([it.probe])
        it.box = mailbox(it.probe.arrive)
        await it.look()
        outcome = await it.prober.run_once(it.probe)
        assert outcome.result.is_sent, outcome.dialogue.text()
        assert (it.count("sent"), it.count("arrived")) == (1, 1)
        stranger = Prober([it.probe], None)
        assert (await stranger.send(it.probe, send)).result.failure.reply_code == 550
        it.box.close()

    bench(None, play)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_starts_are_spread_and_do_not_drift():
    firsts = sorted(next(starts(f"probe-{n}", 60.0, 0.0, Random(1))) for n in range(500))
    assert all(later - earlier < 2 for earlier, later in itertools.pairwise([0, *firsts]))
    times = list(itertools.islice(starts("one", 60.0, 0.0, Random(1)), 1000))
    assert all(abs(later - earlier - 60) <= 1 for earlier, later in itertools.pairwise(times))
    assert abs(times[-1] - times[0] - 999 * 60) <= 1


@pytest.mark.parametrize("every", [2.0, 60.0, 3600.0, 86400.0])
def test_a_restart_changes_no_start(every):
    for name in ("one", "two", "three"):
        first = next(starts(name, every, NOW, Random(1)))
        again = next(starts(name, every, first - every * 0.01, Random(1)))
        later = next(starts(name, every, first + 1.5, Random(1)))
        assert NOW <= first <= NOW + every + 1
        assert abs(again - first) <= 1
        assert abs((later - first) % every) <= 1 or abs((later - first) % every - every) <= 1


def test_a_reload_breaks_no_dialogue_off_and_ends_what_is_gone(tmp_path):
    async def play() -> None:
        async with serving({"RCPT": Act.PAUSE}) as server:
            send = a_send(tmp_path, server.port)
            one, two = (Probe(name=name, every=1.0, send=send, timeout=PATIENCE) for name in ("one", "two"))
            prober = Prober([one], None)
            running = asyncio.create_task(prober.run())
            while not any(command.startswith("RCPT") for command in server.commands):
                await asyncio.sleep(0.01)
            prober.configure([one, two])
            while not all(prober.ledger.counts(name)["sent"] for name in ("one", "two")):
                await asyncio.sleep(0.01)
            assert prober.ledger.counts("one")["send_failed"] == 0
            prober.configure([two])
            before = prober.ledger.counts("one")["sent"]
            while prober.ledger.counts("two")["sent"] < 3:
                await asyncio.sleep(0.01)
            assert prober.ledger.counts("one")["sent"] <= before + 1
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            prober.close()

    asyncio.run(play())


def test_a_dialogue_that_is_broken_off_may_have_sent_the_mail(bench):
    async def play(it):
        task = asyncio.create_task(it.prober.run_once(it.probe))
        while (
            it.prober.ledger.last_settled("one") is None
            and not it.prober.ledger._base.execute("SELECT 1 FROM mail WHERE state = 'sending'").fetchone()
        ):
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert it.value("mail_probe_pending_messages") == 1
        it.clock.time += 1801
        await it.look()
        assert (it.count("lost"), it.count("send_failed")) == (0, 1)

    bench({".": Act.HANG}, play)


def test_a_ledger_that_cannot_be_written_is_a_failure_and_nothing_is_sent(bench):
    async def play(it):
        await it.prober.run_once(it.probe)
        it.prober.ledger._base.execute("PRAGMA query_only = ON")
        with pytest.raises(sqlite3.Error):
            await it.prober.run_once(it.probe)
        assert it.value("mail_probe_failure_info", phase="mail", reason="internal") == 1
        assert it.value("mail_probe_success") == 0
        assert it.count("sent") == 1

    bench(None, play, arrives=False)


def test_what_is_old_is_forgotten_without_any_mailbox(tmp_path):
    ledger = Ledger(tmp_path / "probes.db")
    ledger.begin("old", "one", "b@example.net", NOW - 30 * 86400)
    ledger.close()

    async def play() -> None:
        prober = Prober([], tmp_path, Clock())
        running = asyncio.create_task(prober.run())
        while prober.ledger.probe_of("old"):
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        prober.close()

    asyncio.run(play())


def test_what_cannot_be_reached_fails_for_that_and_not_for_the_limit(bench):
    async def play(it):
        away = dataclasses.replace(it.probe, send=a_send(it.maildir.parent, 1), timeout=60.0)
        reasons = {(await it.prober.run_once(away)).result.failure.reason for _ in range(130)}
        assert reasons == {"refused"}
        assert (await it.prober.run_once(it.probe)).result.is_sent

    bench(None, play)


def test_the_limit_of_a_destination_holds_over_a_restart(bench):
    async def play(it):
        results = [(await it.prober.send(it.probe, it.probe.send)).result for _ in range(60)]
        results += [(await it.prober.run_once(it.probe)).result for _ in range(50)]
        assert all(result.is_sent for result in results)
        it.prober.close()
        again = Prober([it.probe], it.maildir.parent, it.clock)
        reasons = [(await again.run_once(it.probe)).result.failure for _ in range(11)]
        again.close()
        assert [failure.reason for failure in reasons if failure] == ["own_limit"]

    bench(None, play)


def test_the_expiry_of_a_certificate_stays_when_the_server_goes(bench):
    async def play(it):
        send = dataclasses.replace(it.probe.send, tls="starttls")
        await it.prober.run_once(dataclasses.replace(it.probe, send=send))
        await it.prober.run_once(dataclasses.replace(it.probe, send=a_send(it.maildir.parent, 1)))
        assert it.value("mail_probe_success") == 0
        assert it.value("mail_probe_certificate_expiry_timestamp_seconds") == 2208988800

    bench(None, play)


@pytest.mark.parametrize(("kind", "expiry"), [("expired", 1577836800), ("name", 2208988800)])
def test_the_expiry_of_a_certificate_that_is_refused_is_told(tmp_path, kind, expiry):
    """From the first cycle on: the alert has to fire when the certificate is expired already."""

    async def play():
        async with serving(None, kind) as server:
            it = Bench(tmp_path, server.port)
            send = dataclasses.replace(it.probe.send, tls="starttls")
            await it.prober.run_once(dataclasses.replace(it.probe, send=send))
            assert it.value("mail_probe_success") == 0
            assert it.value("mail_probe_certificate_expiry_timestamp_seconds") == expiry
            it.prober.close()

    asyncio.run(play())


RUN = """
import asyncio, sys
from pathlib import Path
from exporter.config import load_config
from exporter.probes.prober import Prober
folder = Path(sys.argv[1])
prober = Prober(load_config(folder / "mailstat.yml").probes, folder)
print("up", flush=True)
asyncio.run(prober.run())
"""


def test_killed_at_any_moment_no_mail_is_counted_wrongly(tmp_path):
    """Each mail that the server took is delivered; so in the end each of them has arrived once, and none is lost."""
    asyncio.run(_killed(tmp_path, int(os.environ.get("PROBE_KILLS", "5"))))


async def _killed(folder: Path, kills: int) -> None:
    maildir = a_maildir(folder)
    chance = Random(7)
    # Long enough before and after the mail is taken to be killed there, too.
    async with serving({"RCPT": Act.PAUSE, ".": Act.PAUSE}) as server:
        (folder / "mailstat.yml").write_text(
            f"probes: [{{name: one, every: 1s, send: {{server: 127.0.0.1, port: {server.port}, tls: none,"
            " from: a@example.com, to: b@example.com}, arrive: {maildir: Maildir, every: 50ms}, late_after: 1s,"
            " lost_after: 2s}]"
        )
        delivering = asyncio.create_task(_deliver(server, maildir))
        for _ in range(kills):
            process = await _started(folder)
            await asyncio.sleep(chance.random() * 1.5)
            process.send_signal(signal.SIGKILL)
            await process.wait()
        process = await _started(folder)
        try:
            await _until_settled(folder, server, process)
        finally:
            process.kill()
            await process.wait()
            delivering.cancel()
    ledger = Ledger(folder / "probes.db")
    counts = ledger.counts("one")
    rows = dict(ledger._base.execute("SELECT id, state FROM mail"))
    ledger.close()
    key = Key.in_folder(folder)
    taken = [whose(raw, key)[1] for raw in server.mails]
    arrived = [mail_id for mail_id, state in rows.items() if state == "arrived"]
    sys.stdout.write(f"{kills} kills, {len(taken)} mails taken, {len(arrived)} arrived, {counts}\n")
    assert len(taken) >= kills // 5
    # The last one may be on its way when the last process is ended.
    assert len(set(taken) - set(arrived)) <= 1
    assert set(arrived) <= set(taken)
    assert len(set(taken)) == len(taken)
    assert counts["arrived"] == len(arrived)
    assert counts["lost"] == counts["found"]
    assert counts["duplicate"] == 0


async def _started(folder: Path) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", RUN, str(folder), stdout=subprocess.PIPE)
    assert await process.stdout.readline() == b"up\n"
    return process


async def _deliver(server, maildir: Path) -> None:
    for number in itertools.count():
        while len(server.mails) <= number:
            await asyncio.sleep(0.01)
        fresh = maildir / "tmp" / str(number)
        fresh.write_bytes(server.mails[number].removesuffix(b".\r\n"))
        fresh.rename(maildir / "new" / str(number))


async def _until_settled(folder: Path, server, process: asyncio.subprocess.Process) -> None:
    """Until all mails are settled, but for one that is just being sent; the process stands still then."""
    with contextlib.closing(sqlite3.connect(folder / "probes.db")) as base:
        newest = None
        end = time.monotonic() + PATIENCE
        key = Key.in_folder(folder)
        while True:
            process.send_signal(signal.SIGSTOP)  # nothing happens between this look and the end
            with contextlib.suppress(sqlite3.OperationalError):  # the base is only being made
                (most,) = base.execute("SELECT coalesce(max(started), 0) FROM mail").fetchone()
                newest = most if newest is None else newest
                if _is_settled(base, newest, {whose(raw, key)[1] for raw in server.mails}):
                    return
            process.send_signal(signal.SIGCONT)
            assert time.monotonic() < end, list(base.iterdump())
            await asyncio.sleep(0.1)


def _is_settled(base: sqlite3.Connection, newest: float, taken: set[str]) -> bool:
    def is_open(mail_id: str, state: str, is_later: int) -> bool:
        return state not in ("arrived", "sending" if is_later else "", "" if mail_id in taken else "failed")

    rows = base.execute("SELECT id, state, started > ? FROM mail", (newest,)).fetchall()
    return not any(is_open(*row) for row in rows) and any(row[1:] == ("arrived", 1) for row in rows)


def test_a_ledger_that_is_damaged_while_it_runs_is_no_end_of_scrapes(bench, caplog):
    async def play(it):
        await it.prober.run_once(it.probe)
        it.prober.ledger._base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        it.prober.ledger._base.execute("PRAGMA cache_size = 0")
        path = it.maildir.parent / "probes.db"
        path.write_bytes(path.read_bytes()[:4096] + bytes(path.stat().st_size - 4096))
        assert it.value("mail_probe_success") == 0
        assert it.prober.views()
        assert (it.maildir.parent / "probes.db.aside").exists()
        await it.prober.run_once(it.probe)
        assert it.count("sent") == 1

    bench(None, play)


def test_without_probes_there_is_no_ledger(tmp_path):
    async def play() -> None:
        prober = Prober([], tmp_path, Clock())
        running = asyncio.create_task(prober.run())
        for _ in range(10):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        prober.close()

    asyncio.run(play())
    assert not list(tmp_path.iterdir())
