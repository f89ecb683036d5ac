"""Probe mail that a real Dovecot has, found there over IMAP and POP3."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from exporter.probes.arrival import Found
from exporter.probes.dialogue import Dialogue
from exporter.probes.mailbox import mailbox
from exporter.probes.message import HEADER
from exporter.probes.prober import Prober
from exporter.probes.section import Arrive, Imap, Pop3, Probe, Send
from tests.exporter.probes.server import authority, ca_file, serving
from tests.exporter.probes.test_smtp import PASSWORD, assert_hidden

LIBRARY = Path("/usr/lib/dovecot")
MISSING = [name for name in ("imap", "pop3", "dovecot-lda") if not (LIBRARY / name).exists()]
pytestmark = [
    pytest.mark.skipif(bool(MISSING or not shutil.which("dovecot")), reason="needs dovecot-imapd and dovecot-pop3d"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot of Debian starts as root only"),
]

CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap pop3
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
ssl_dh =
auth_mechanisms = plain login
auth_failure_delay = 0
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/home/%n allow_all_users=yes
}}
mail_location = maildir:{folder}/home/%n/Maildir
first_valid_uid = 1
postmaster_address = postmaster@example.net
namespace inbox {{
  inbox = yes
  mailbox Rubbish {{
    auto = subscribe
    special_use = \\Junk
  }}
}}
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    address = 127.0.0.1
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""


class Dovecot:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.imap, self.pop3 = free_port(), free_port()
        made = authority("trusted").issue_cert("localhost")
        made.private_key_and_cert_chain_pem.write_to_path(folder / "key.pem")
        shutil.copy(folder / "key.pem", folder / "cert.pem")
        home = folder / "home"
        home.mkdir()
        mail = pwd.getpwnam("mail")
        os.chown(home, mail.pw_uid, mail.pw_gid)
        for above in (home, *home.parents):
            if above != Path("/tmp") and above.is_relative_to("/tmp"):
                above.chmod(above.stat().st_mode | 0o711)
        text = CONFIG.format(folder=folder, password=PASSWORD, imap=self.imap, pop3=self.pop3)
        (folder / "dovecot.conf").write_text(text)
        (folder / "password").write_text(PASSWORD)
        self.process = subprocess.Popen(["dovecot", "-F", "-c", folder / "dovecot.conf"])
        for port in (self.imap, self.pop3):
            wait_for(port, folder / "dovecot.log")

    def deliver(self, raw: bytes) -> None:
        command = [LIBRARY / "dovecot-lda", "-c", self.folder / "dovecot.conf", "-d", "probe"]
        subprocess.run(command, input=raw, check=True)

    def login(self, port: int, **more) -> dict:
        secret = {"password_file": self.folder / "password", "ca_file": ca_file(self.folder)}
        return {"server": "localhost", "port": port, "tls": "starttls", "username": "probe"} | secret | more

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port: int, log: Path) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text() if log.exists() else "no log")


@pytest.fixture(scope="module")
def dovecot(tmp_path_factory):
    made = Dovecot(tmp_path_factory.mktemp("dovecot"))
    yield made
    made.stop()


def round_trip(dovecot: Dovecot, arrive: Arrive, looks: int = 2, then=lambda: None) -> Prober:
    """A mail is sent and looked for, some times; the prober then."""

    async def run() -> Prober:
        async with serving() as server:
            send = Send(server="127.0.0.1", port=server.port, tls="none", from_="a@example.com", to="b@example.net")
            probe = Probe(name="one", every=60.0, send=send, arrive=arrive)
            prober = Prober([probe], None)
            outcome = await prober.run_once(probe)
            dovecot.deliver(outcome.mail.raw)
            then()
            box = mailbox(arrive)
            for _ in range(looks):
                await prober.look(box, [probe])
            box.close()
            return prober

    return asyncio.run(run())


def counts(prober: Prober) -> dict[str, int]:
    return {result: mails for result, mails in prober.ledger.counts("one").items() if mails}


def files(dovecot: Dovecot) -> list[Path]:
    return [
        path for path in (dovecot.folder / "home/probe/Maildir").glob("*/*") if path.parent.name in ("new", "cur")
    ]


def test_imap(dovecot):
    prober = round_trip(dovecot, Arrive(imap=Imap(**dovecot.login(dovecot.imap))))
    assert counts(prober) == {"sent": 1, "arrived": 1}
    assert files(dovecot) == []


def test_imap_that_deletes_nothing_counts_each_mail_once(dovecot):
    prober = round_trip(dovecot, Arrive(imap=Imap(**dovecot.login(dovecot.imap), delete=False)), looks=3)
    assert counts(prober) == {"sent": 1, "arrived": 1}
    assert len(files(dovecot)) == 1
    for path in files(dovecot):
        path.unlink()


def test_the_server_tells_of_mail_and_nobody_asks_meanwhile(dovecot):
    """Far sooner than anybody would ask, and again in the next silence."""

    async def run() -> list[str]:
        dialogue = Dialogue(asyncio.get_running_loop().time)
        box = mailbox(Arrive(imap=Imap(**dovecot.login(dovecot.imap, delete=False))), dialogue)
        found: list[Found] = []
        await box.visit(lambda it: bool(found.append(it)))
        for number in (1, 2):
            waiting = asyncio.create_task(box.wait(3600.0))
            while dialogue.text().count("+ idling") < number:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(dovecot.deliver, f"{HEADER}: {number}\r\n\r\n".encode())
            assert await waiting is True
            await box.visit(lambda it: bool(found.append(it)))
            assert len(found) == number
        box.close()
        return dialogue.text().splitlines()

    lines = asyncio.run(run())
    assert sum(" LOGIN " in line for line in lines) == 1
    assert sum("C: DONE" in line for line in lines) == 2
    assert_hidden("".join(lines))
    for path in files(dovecot):
        path.unlink()


def test_a_mail_that_comes_between_a_look_and_the_wait_is_told_of(dovecot):
    async def run() -> bool:
        box = mailbox(Arrive(imap=Imap(**dovecot.login(dovecot.imap))))
        await box.visit(lambda _: False)
        await asyncio.to_thread(dovecot.deliver, f"{HEADER}: x\r\n\r\n".encode())
        told = await box.wait(3600.0)
        await box.visit(lambda _: True)
        box.close()
        return told

    assert asyncio.run(run())
    assert files(dovecot) == []


def test_without_idle_it_is_asked(dovecot):
    async def run() -> tuple[bool, float]:
        box = mailbox(Arrive(imap=Imap(**dovecot.login(dovecot.imap), idle=False)))
        await box.visit(lambda _: False)
        told = await box.wait(0.01)
        box.close()
        return told

    assert asyncio.run(run()) is False


def test_a_server_that_goes_away_while_it_is_waited_for_is_asked_anew(dovecot):
    async def run() -> list[str]:
        dialogue = Dialogue(asyncio.get_running_loop().time)
        box = mailbox(Arrive(imap=Imap(**dovecot.login(dovecot.imap))), dialogue)
        await box.visit(lambda _: False)
        waiting = asyncio.create_task(box.wait(0.5))
        while "+ idling" not in dialogue.text():
            await asyncio.sleep(0.01)
        await asyncio.to_thread(
            subprocess.run, ["doveadm", "-c", dovecot.folder / "dovecot.conf", "kick", "probe"], check=True
        )
        assert await waiting is False
        await box.visit(lambda _: False)
        box.close()
        return dialogue.text().splitlines()

    assert sum(" LOGIN " in line for line in asyncio.run(run())) == 2


def test_a_folder_for_junk_that_is_named_is_one_by_its_use(dovecot):
    raw = f"{HEADER}: x\r\n\r\n".encode()

    async def run() -> list[Found]:
        box = mailbox(Arrive(imap=Imap(**dovecot.login(dovecot.imap), folders=("INBOX", "Rubbish"))))
        found: list[Found] = []
        await box.visit(lambda it: not found.append(it))
        box.close()
        return found

    dovecot.deliver(raw)
    which = ["-u", "probe", "Rubbish", "mailbox", "INBOX", "all"]
    subprocess.run(["doveadm", "-c", dovecot.folder / "dovecot.conf", "move", *which], check=True)
    assert [(it.folder, it.is_junk) for it in asyncio.run(run())] == [("Rubbish", True)]


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_a_mail_of_strangers_with_lines_of_megabytes_keeps_nobody_from_ours(dovecot, kind):
    login = dovecot.login(getattr(dovecot, kind))
    arrive = Arrive(imap=Imap(**login)) if kind == "imap" else Arrive(pop3=Pop3(**login))
    for raw in (
        b"Subject: x\r\n\r\n" + b"y" * 3_000_000,
        b"X: " + b"z" * 2_000_000 + b"\r\n\r\n",
        b".\r\n" * 500_000,
    ):
        dovecot.deliver(f"{HEADER}: one 1 2\r\n".encode() + raw)
    prober = round_trip(dovecot, arrive)
    assert counts(prober) == {"sent": 1, "arrived": 1}
    assert prober.status(prober.probes["one"]).mailbox is None
    assert len(files(dovecot)) == 3
    for path in files(dovecot):
        path.unlink()


def test_pop3(dovecot):
    prober = round_trip(dovecot, Arrive(pop3=Pop3(**dovecot.login(dovecot.pop3))))
    assert counts(prober) == {"sent": 1, "arrived": 1}
    assert files(dovecot) == []


def test_the_junk_folder_is_found_by_its_special_use(dovecot):
    def move() -> None:
        which = ["-u", "probe", "Rubbish", "mailbox", "INBOX", "all"]
        subprocess.run(["doveadm", "-c", dovecot.folder / "dovecot.conf", "move", *which], check=True)

    prober = round_trip(dovecot, Arrive(imap=Imap(**dovecot.login(dovecot.imap))), then=move)
    assert counts(prober) == {"sent": 1, "arrived": 1, "spam_folder": 1}


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_the_wrong_password_is_told_and_not_shown(dovecot, kind, caplog, tmp_path):
    (tmp_path / "wrong").write_text(f"wrong{PASSWORD}")
    login = dovecot.login(getattr(dovecot, kind), password_file=tmp_path / "wrong")
    arrive = Arrive(imap=Imap(**login)) if kind == "imap" else Arrive(pop3=Pop3(**login))
    prober = round_trip(dovecot, arrive, looks=1)
    assert prober._statuses["one"].mailbox.reason == "mailbox_auth"
    assert_hidden(caplog.text + str(prober._statuses))
