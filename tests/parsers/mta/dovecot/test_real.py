"""A real Dovecot, and clients that know what they did: its log tells the same.

Needs Debian's dovecot-imapd, dovecot-pop3d and dovecot-submissiond. MAILSTAT_DOVECOT_ROOT names a folder with another
system in which Dovecot is installed, to be run there by chroot(8).
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from imaplib import IMAP4
from pathlib import Path
from poplib import POP3, error_proto
from smtplib import SMTP, SMTPAuthenticationError

import pytest

from parsers.clock import Clock
from parsers.events import Auth, ConnectionFailure, Disconnect, Event, Problem
from parsers.reader import LogReader
from tests.service import PATIENCE, wait_for

ROOT = Path(os.environ.get("MAILSTAT_DOVECOT_ROOT", "/"))
PROTOCOLS = ("imap", "pop3", "submission")
NEEDED = [ROOT / "usr/sbin/dovecot", *(ROOT / f"usr/lib/dovecot/{protocol}-login" for protocol in PROTOCOLS)]

pytestmark = [
    pytest.mark.skipif(not all(path.exists() for path in NEEDED), reason="Dovecot is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot's processes run as several users"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="OpenSSL is not installed"),
]

COMMON = """
base_dir = {folder}/run
log_path = {folder}/log
auth_verbose = yes
auth_mechanisms = plain cram-md5
listen = 127.0.0.1
protocols = imap pop3 submission
submission_relay_host = 127.0.0.1
ssl = yes
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service submission-login {{
  inet_listener submission {{
    port = {submission}
  }}
}}
"""
OLD = """
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
mail_location = maildir:{folder}/mail/%u
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/mail/%u
}}
"""
NEW = """
ssl_server_cert_file = {folder}/cert.pem
ssl_server_key_file = {folder}/key.pem
mail_driver = maildir
mail_path = {folder}/mail/%{{user}}
passdb passwd-file {{
  passwd_file_path = {folder}/users
}}
userdb static {{
  fields {{
    uid = nobody
    gid = nogroup
    home = {folder}/mail/%{{user}}
  }}
}}
"""


def free_ports() -> dict[str, int]:
    sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in (*PROTOCOLS, "imaps")}
    ports = {name: opened.getsockname()[1] for name, opened in sockets.items()}
    for opened in sockets.values():
        opened.close()
    return ports


class Server:
    """Runs Dovecot in a folder of its own; `ports` by protocol."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inside = Path("/") / folder.relative_to(ROOT)
        self.ports = free_ports()
        self.command = ["dovecot"] if self.inside == folder else ["chroot", str(ROOT), "dovecot"]
        self._configure()
        command = [*self.command, "-F", "-c", str(self.inside / "dovecot.conf")]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def _configure(self) -> None:
        self.folder.chmod(0o755)  # the processes run as other users
        (self.folder / "mail").mkdir()
        (self.folder / "mail").chmod(0o777)
        (self.folder / "users").write_text("kim:{PLAIN}right\nlee:{PLAIN}right\n")
        self._certify()
        version = subprocess.run([*self.command, "--version"], check=True, capture_output=True, text=True).stdout
        is_old = tuple(map(int, version.split(".")[:2])) < (2, 4)
        head = "" if is_old else "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
        text = head + COMMON + (OLD if is_old else NEW)
        (self.folder / "dovecot.conf").write_text(text.format(folder=self.inside, **self.ports))

    def _certify(self) -> None:
        files = ["-keyout", self.folder / "key.pem", "-out", self.folder / "cert.pem"]
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost"]
        subprocess.run(["openssl", "req", "-x509", *key, *files], check=True, capture_output=True)

    def wait(self) -> None:
        """Until a client could log in."""
        log = self.folder / "log"

        def is_up() -> bool:
            assert self.process.poll() is None, self.process.communicate()[1]
            return log.exists() and " starting up for " in log.read_text()

        wait_for(is_up)

    def stop(self) -> str:
        """Its log."""
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE)
        return (self.folder / "log").read_text()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="mailstat-", dir=ROOT / "tmp"))
    yield path
    shutil.rmtree(path)


# --- clients, each from an address of its own: Dovecot lets those that fail wait ---

Try = tuple[str, str, str, str, str]  # service, method, user, address, result
TLS = ssl.create_default_context()
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE


class Imap(IMAP4):
    def __init__(self, port: int, address: str) -> None:
        self.address = address
        super().__init__("127.0.0.1", port)

    def _create_socket(self, timeout: float | None) -> socket.socket:  # noqa: ARG002 - the base's
        return socket.create_connection(("127.0.0.1", self.port), source_address=(self.address, 0))


class Pop(POP3):
    def __init__(self, port: int, address: str) -> None:
        self.address = address
        super().__init__("127.0.0.1", port)

    def _create_socket(self, timeout: float) -> socket.socket:  # noqa: ARG002 - the base's
        return socket.create_connection(("127.0.0.1", self.port), source_address=(self.address, 0))


def imap(server: Server, address: str, user: str, *passwords: str, tls: bool = True) -> Iterator[Try]:
    client = Imap(server.ports["imap"], address)
    if tls:
        client.starttls(TLS)
    for password in passwords:
        try:
            client.login(user, password)
            yield "imap", "PLAIN", user, address, "success"
        except IMAP4.error:
            yield "imap", "PLAIN", user, address, "failure"
    client.logout()


def imap_cram(server: Server, address: str, user: str, password: str) -> Iterator[Try]:
    client = Imap(server.ports["imap"], address)
    try:
        client.login_cram_md5(user, password)
        yield "imap", "CRAM-MD5", user, address, "success"
    except IMAP4.error:
        yield "imap", "CRAM-MD5", user, address, "failure"
    client.logout()


def pop3(server: Server, address: str, user: str, password: str) -> Iterator[Try]:
    client = Pop(server.ports["pop3"], address)
    client.stls(TLS)
    try:
        client.user(user)
        client.pass_(password)
        yield "pop3", "PLAIN", user, address, "success"
    except error_proto:
        yield "pop3", "PLAIN", user, address, "failure"
    client.close()


def submission(server: Server, address: str, user: str, password: str) -> Iterator[Try]:
    client = SMTP("127.0.0.1", server.ports["submission"], source_address=(address, 0))
    client.starttls(context=TLS)
    client.ehlo()
    client.user, client.password = user, password
    try:
        client.auth("PLAIN", client.auth_plain)
        yield "submission", "PLAIN", user, address, "success"
    except SMTPAuthenticationError:
        yield "submission", "PLAIN", user, address, "failure"
    client.close()


def smtp(server: Server, address: str, user: str, password: str) -> Iterator[Try]:
    """A mail server that asks for a client of its own; of a success the log does not tell."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(server.folder / "run/auth-client"))
        asking.settimeout(PATIENCE)
        answers = asking.makefile("rw")
        answers.write(f"VERSION\t1\t2\nCPID\t{os.getpid()}\n")
        response = b64encode(f"\0{user}\0{password}".encode()).decode()
        answers.write(f"AUTH\t1\tPLAIN\tservice=smtp\trip={address}\tresp={response}\n")
        answers.flush()
        answer = next(line for line in answers if line.startswith(("OK\t", "FAIL\t")))
    if answer.startswith("FAIL"):
        yield "smtp", "PLAIN", user, address, "failure"


def no_tls(server: Server, address: str) -> None:
    with socket.create_connection(("127.0.0.1", server.ports["imaps"]), source_address=(address, 0)) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        client.recv(100)


def no_login(server: Server, address: str) -> None:
    client = Imap(server.ports["imap"], address)
    client.logout()


def run(server: Server, *clients: Callable[[], Iterator[Try]]) -> Counter[Try]:
    with ThreadPoolExecutor(len(clients)) as pool:
        return Counter(one for tries in pool.map(lambda client: list(client()), clients) for one in tries)


def told(events: list[Event]) -> Counter[Try]:
    counts: Counter[Try] = Counter()
    for event in events:
        if type(event) is Auth:
            who = (event.origin.service, event.sasl_method or "", event.sasl_user or "", event.client_ip or "")
            counts[*who, event.result] += event.attempts
    return counts


# A name that looks like the fields behind it.
LIAR = "kim>, method=LOGIN, rip=192.0.2.66, lip=192.0.2.1, session=<x"


def test_the_log_of_a_real_server_tells_what_its_clients_did(folder: Path) -> None:
    server = Server(folder)
    try:
        server.wait()
        done = run(
            server,
            lambda: imap(server, "127.0.0.2", "kim", "right"),
            lambda: imap(server, "127.0.0.3", "kim", "right", tls=False),
            lambda: imap(server, "127.0.0.4", "kim", "wrong", "wrong"),
            lambda: imap(server, "127.0.0.5", "lee", "wrong", "right"),
            lambda: imap(server, "127.0.0.6", "nobody", "wrong"),
            lambda: imap(server, "127.0.0.7", f'"{LIAR}"', "wrong"),
            lambda: imap_cram(server, "127.0.0.8", "kim", "right"),
            lambda: imap_cram(server, "127.0.0.9", "kim", "wrong"),
            lambda: pop3(server, "127.0.0.10", "kim", "right"),
            lambda: pop3(server, "127.0.0.11", "kim", "wrong"),
            lambda: submission(server, "127.0.0.12", "lee", "right"),
            lambda: submission(server, "127.0.0.13", "lee", "wrong"),
            lambda: smtp(server, "127.0.0.14", "lee", "wrong"),
            lambda: smtp(server, "127.0.0.15", "lee", "right"),
        )
        no_tls(server, "127.0.0.16")
        no_login(server, "127.0.0.17")
    finally:
        log = server.stop()
    strange: list[str] = []
    reader = LogReader(Clock(UTC, time.time), lambda _, message: strange.append(message))
    events = reader.read(log)
    assert strange == []
    real = Counter({(*one[:2], one[2].strip('"'), *one[3:]): count for one, count in done.items()})
    assert real.total() == 15
    # What 2.3 says of a mail server's client has no mechanism.
    heard = Counter({(one[0], one[1] or "PLAIN", *one[2:]): count for one, count in told(events).items()})
    assert heard == real
    failed = [(event.error, event.client_ip) for event in events if type(event) is ConnectionFailure]
    assert failed == [("tls", "127.0.0.16")]
    assert [event.client_ip for event in events if type(event) is Disconnect] == ["127.0.0.17"]
    # The submission service finds no mail server; the end is by a signal.
    assert {event.origin.program for event in events if type(event) is Problem} == {"submission", "master"}
