"""Probe mail that a real Dovecot takes over LMTP and submission, found there over IMAP and POP3."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from cryptography import x509
from prometheus_client import CollectorRegistry

from exporter.probes import imap
from exporter.probes.arrival import Found
from exporter.probes.dialogue import Dialogue
from exporter.probes.mailbox import mailbox
from exporter.probes.message import HEADER, Key
from exporter.probes.prober import Prober
from exporter.probes.run import Outcome, send_probe
from exporter.probes.section import Arrive, Imap, Pop3, Probe, Send
from tests.exporter.probes.server import authority, ca_file, serving
from tests.exporter.probes.test_smtp import PASSWORD, assert_hidden
from tests.service import PATIENCE, wait_for

LIBRARY = Path("/usr/lib/dovecot")
MISSING = [name for name in ("imap", "pop3", "lmtp", "submission", "dovecot-lda") if not (LIBRARY / name).exists()]
pytestmark = [
    pytest.mark.skipif(bool(MISSING or not shutil.which("dovecot")), reason=f"no {MISSING} of Dovecot"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot of Debian starts as root only"),
]

CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap pop3 lmtp submission
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
ssl_dh =
auth_mechanisms = plain login cram-md5 scram-sha-256 xoauth2
auth_failure_delay = 0
auth_username_format = %Ln
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_trusted = no
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {folder}/oauth2.conf
}}
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
service submission-login {{
  inet_listener submission {{
    address = 127.0.0.1
    port = {submission}
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
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


OAUTH2 = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={folder}/keys/
username_attribute = sub
"""
SIGNING_KEY = b"the key of the provider that gives the tokens out"


def a_token(lifetime: float = 3600.0) -> str:
    """A token for the user `probe`, as an identity provider makes it (RFC 7519)."""
    now = int(time.time())
    claims = {"sub": "probe", "iat": now, "nbf": now, "exp": int(now + lifetime)}
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.digest(SIGNING_KEY, signed, "sha256")
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


class Dovecot:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.imap, self.pop3, self.lmtp, self.submission, self.relay = (free_port() for _ in range(5))
        made = authority("trusted").issue_cert("localhost")
        made.private_key_and_cert_chain_pem.write_to_path(folder / "key.pem")
        shutil.copy(folder / "key.pem", folder / "cert.pem")
        home = folder / "home"
        home.mkdir()
        mail = pwd.getpwnam("mail")
        os.chown(home, mail.pw_uid, mail.pw_gid)
        ports = {name: getattr(self, name) for name in ("imap", "pop3", "lmtp", "submission", "relay")}
        text = CONFIG.format(folder=folder, password=PASSWORD, **ports)
        (folder / "oauth2.conf").write_text(OAUTH2.format(folder=folder))
        (folder / "keys/default/HS256").mkdir(parents=True)
        (folder / "keys/default/HS256/default").write_text(base64.b64encode(SIGNING_KEY).decode())
        (folder / "dovecot.conf").write_text(text)
        (folder / "password").write_text(PASSWORD)
        self.process = subprocess.Popen(["dovecot", "-F", "-c", folder / "dovecot.conf"])
        for port in (self.imap, self.pop3, self.lmtp, self.submission):
            wait_for(lambda port=port: is_listening(port), (folder / "dovecot.log").read_text)

    def deliver(self, raw: bytes) -> None:
        command = [LIBRARY / "dovecot-lda", "-c", self.folder / "dovecot.conf", "-d", "probe"]
        subprocess.run(command, input=raw, check=True)

    def login(self, port: int, **more) -> dict:
        secret = {"password_file": self.folder / "password", "ca_file": ca_file(self.folder)}
        return {"server": "localhost", "port": port, "tls": "starttls", "username": "probe"} | secret | more

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def is_listening(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def dovecot():
    # Not below pytest's folder: Dovecot's user has to go there, and pytest shuts it to others at each start.
    with tempfile.TemporaryDirectory(prefix="mailstat-dovecot-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        made = Dovecot(Path(folder))
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
def test_the_certificate_of_the_mailbox_is_told(dovecot, kind):
    login = dovecot.login(getattr(dovecot, kind))
    arrive = Arrive(imap=Imap(**login)) if kind == "imap" else Arrive(pop3=Pop3(**login))
    registry = CollectorRegistry()
    registry.register(round_trip(dovecot, arrive, looks=2))
    told = registry.get_sample_value("mail_probe_mailbox_certificate_expiry_timestamp_seconds", {"probe": "one"})
    (shown,) = x509.load_pem_x509_certificates((dovecot.folder / "cert.pem").read_bytes())[:1]
    assert told == shown.not_valid_after_utc.timestamp()

    async def look() -> str:
        dialogue = Dialogue(asyncio.get_running_loop().time)
        box = mailbox(arrive, dialogue)
        await box.visit(lambda _: False)
        box.close()
        return dialogue.text()

    until = f"{shown.not_valid_after_utc:%Y-%m-%d}"
    assert f"the certificate is for localhost; the chain is good until {until}" in asyncio.run(look())


def test_a_session_does_not_last_for_ever_so_that_a_new_certificate_is_seen(dovecot, monkeypatch):
    monkeypatch.setattr(imap, "_SESSION_SECONDS", 0.0)

    async def look() -> str:
        dialogue = Dialogue(asyncio.get_running_loop().time)
        box = mailbox(Arrive(imap=Imap(**dovecot.login(dovecot.imap))), dialogue)
        for _ in range(2):
            await box.visit(lambda _: False)
        box.close()
        return dialogue.text()

    assert asyncio.run(look()).count("the certificate is for") == 2


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_the_wrong_password_is_told_and_not_shown(dovecot, kind, caplog, tmp_path):
    (tmp_path / "wrong").write_text(f"wrong{PASSWORD}")
    login = dovecot.login(getattr(dovecot, kind), password_file=tmp_path / "wrong")
    arrive = Arrive(imap=Imap(**login)) if kind == "imap" else Arrive(pop3=Pop3(**login))
    prober = round_trip(dovecot, arrive, looks=1)
    assert prober._statuses["one"].mailbox.reason == "mailbox_auth"
    assert_hidden(caplog.text + str(prober._statuses))


def submitted(dovecot: Dovecot, word: str, **how) -> Outcome:
    """A mail that is submitted, with this secret; Dovecot hands it on to a server of ours."""

    async def run() -> Outcome:
        (dovecot.folder / "word").write_text(word)
        async with serving(port=dovecot.relay):
            login = dovecot.login(dovecot.submission, password_file=dovecot.folder / "word", helo="probe.example.com")
            send = Send(**login, from_="a@example.com", to="b@example.net", **how)
            return await send_probe(Probe(name="one", send=send, timeout=PATIENCE), send, Key(b"k" * 32), time.time)

    return asyncio.run(run())


@pytest.mark.parametrize("name", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", None])
def test_submission_by_each_mechanism(dovecot, name):
    outcome = submitted(dovecot, PASSWORD, auth=name)
    assert outcome.result.is_sent, outcome.dialogue.text() + (dovecot.folder / "dovecot.log").read_text()[-2000:]
    assert f"C: AUTH {name or 'SCRAM-SHA-256'}" in outcome.dialogue.text()
    assert_hidden(outcome.dialogue.text())


@pytest.mark.parametrize("name", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_submission_with_the_wrong_password(dovecot, name):
    failure = submitted(dovecot, f"wrong{PASSWORD}", auth=name).result.failure
    assert (failure.phase, failure.reason, failure.reply_code) == ("auth", "smtp_auth", 535)


def test_submission_with_a_token(dovecot):
    token = a_token()
    outcome = submitted(dovecot, token, auth="XOAUTH2")
    assert outcome.result.is_sent, outcome.dialogue.text() + (dovecot.folder / "dovecot.log").read_text()[-2000:]
    assert token not in outcome.dialogue.text()


def test_submission_with_a_token_that_is_too_old(dovecot):
    token = a_token(-60.0)
    outcome = submitted(dovecot, token, auth="XOAUTH2")
    failure = outcome.result.failure
    assert (failure.phase, failure.reason) == ("auth", "smtp_auth")
    assert token not in outcome.dialogue.text() + str(outcome.result)


@pytest.mark.parametrize(("lifetime", "reason"), [(3600.0, None), (-60.0, "mailbox_auth")])
def test_imap_with_a_token(dovecot, tmp_path, lifetime, reason, caplog):
    token = a_token(lifetime)
    (tmp_path / "token").write_text(token)
    login = dovecot.login(dovecot.imap, password_file=tmp_path / "token", auth="XOAUTH2")
    prober = round_trip(dovecot, Arrive(imap=Imap(**login)))
    failure = prober.status(prober.probes["one"]).mailbox
    assert (failure and failure.reason) == reason
    assert token not in caplog.text + str(failure)
    for path in files(dovecot):
        path.unlink()


def test_lmtp_into_the_mailbox(dovecot):
    async def run() -> Prober:
        send = Send(
            server="127.0.0.1",
            port=dovecot.lmtp,
            protocol="lmtp",
            tls="none",
            from_="a@example.com",
            to="probe@example.net",
        )
        arrive = Arrive(imap=Imap(**dovecot.login(dovecot.imap)))
        probe = Probe(name="one", every=60.0, send=send, arrive=arrive)
        prober = Prober([probe], None)
        outcome = await prober.run_once(probe)
        assert outcome.result.is_sent, outcome.dialogue.text()
        box = mailbox(arrive)
        while not prober.ledger.counts("one")["arrived"]:
            await prober.look(box, [probe])
        box.close()
        return prober

    assert counts(asyncio.run(run())) == {"sent": 1, "arrived": 1}
    assert files(dovecot) == []
