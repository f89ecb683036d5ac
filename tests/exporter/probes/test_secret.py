"""Servers that repeat to us all that we told them: no secret is in anything that the exporter says or writes."""

from __future__ import annotations

import base64
import contextlib
import json
import socketserver
import threading
import urllib.parse
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.exporter.probes.test_prober import free_port
from tests.service import PATIENCE, ran, running

SECRET = 'Hunter2"and\\more=%3C'
USER = "probe"
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2")


class Echo(socketserver.StreamRequestHandler):
    """Repeats what it heard, as it was and decoded, in whatever it says; `is_open` lets everybody in."""

    server: EchoServer

    def handle(self) -> None:
        self.heard: list[str] = []
        with contextlib.suppress(OSError):
            self.say(getattr(self, f"{self.server.protocol}_greeting"))
            for line in self.rfile:
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                self.heard = [*self.heard, text, *decoded(text)][-12:]
                getattr(self, self.server.protocol)(text)

    smtp_greeting = "220 mx.example.com"
    imap_greeting = "* OK ready"
    pop3_greeting = "+OK ready"

    def say(self, *lines: str) -> None:
        for line in lines:
            self.wfile.write(line.encode("utf-8", "replace")[:3500] + b"\r\n")

    @property
    def echo(self) -> str:
        return " ".join(self.heard).replace("\r", " ").replace("\n", " ") + " ".join(self.heard).upper()

    def smtp(self, line: str) -> None:
        verb = line.partition(" ")[0].upper()
        if verb == "EHLO":
            self.say("250-mx.example.com", f"250 AUTH {' '.join(MECHANISMS)}")
        elif verb in ("AUTH", "QUIT", "RSET") and line.count(" ") < 2 and verb == "AUTH":
            self.say(f"334 {base64.b64encode(b'Username:').decode()}")
        elif verb in ("MAIL", "RCPT", "DATA", "QUIT"):
            self.say(f"{'550' if verb == 'RCPT' else '250'}-{self.echo}", f"{'550' if verb == 'RCPT' else '250'} x")
        elif verb == "AUTH" or len(self.heard) > 6:
            self.say(f"{'235' if self.server.is_open else '535'} {self.echo}")
        else:
            self.say(f"334 {base64.b64encode(b'Password:').decode()}")

    def imap(self, line: str) -> None:
        tag, _, command = line.partition(" ")
        if command.upper().startswith(("LOGIN", "AUTHENTICATE", "SELECT")):
            is_good = self.server.is_open and not command.upper().startswith("SELECT")
            self.say(f"* OK {self.echo}", f"{tag} {'OK' if is_good else 'NO'} [ALERT] {self.echo}")
        else:
            self.say(f"* {self.echo}", f"{tag} OK {self.echo}")

    def pop3(self, line: str) -> None:
        is_good = line.startswith("USER") or (self.server.is_open and line.startswith("PASS"))
        self.say(f"{'+OK' if is_good else '-ERR'} {self.echo}")


def decoded(text: str) -> Iterator[str]:
    for word in text.split(" "):
        with contextlib.suppress(ValueError):
            yield base64.b64decode(word, validate=True).decode("utf-8", "replace").replace("\0", " ")


class EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, protocol: str, *, is_open: bool) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.protocol, self.is_open = protocol, is_open
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self.server_address[1]


def probe(name: str, port: int, to: EchoServer | None = None, **more) -> dict:
    send = {"server": "127.0.0.1", "port": port, "tls": "none", "from": "a@example.com", "to": "b@example.net"}
    made: dict = {"name": name, "every": "1s", "late_after": "2s", "timeout": "1m", "send": send | more}
    if to:
        login = {"server": "127.0.0.1", "port": to.port, "tls": "none", "username": USER, "password_file": "word"}
        made["arrive"] = {to.protocol: login, "every": "100ms"}
    return made


@pytest.fixture
def config(tmp_path) -> Iterator[Path]:
    """Probes of every way to log in, to servers that let in and that refuse."""
    (tmp_path / "word").write_text(SECRET)
    (tmp_path / "mail.log").touch()
    (tmp_path / "key.pem").write_text(f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----\n")
    with contextlib.ExitStack() as stack:

        def serve(protocol: str, *, is_open: bool) -> EchoServer:
            server = EchoServer(protocol, is_open=is_open)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return server

        probes = []
        for word, is_open in (("open", True), ("shut", False)):
            smtp = serve("smtp", is_open=is_open).port
            login = {"username": USER, "password_file": "word"}
            probes += [probe(f"{word}-{name.lower()}", smtp, **login, auth=name) for name in MECHANISMS]
            probes += [probe(f"{word}-{name}", 1, serve(name, is_open=is_open)) for name in ("imap", "pop3")]
        xoauth2 = probe("imap-xoauth2", 1, serve("imap", is_open=False))
        xoauth2["arrive"]["imap"]["auth"] = "XOAUTH2"
        hook = probe("hook", 1)
        hook["arrive"] = {"hook": {"listen": f"127.0.0.1:{free_port()}", "token_file": "word"}}
        dkim = {"domain": "example.com", "selector": "s", "key_file": "key.pem"}
        path = tmp_path / "mailstat.yml"
        all_of_them = [*probes, xoauth2, hook, probe("signed", 1, dkim=dkim)]
        path.write_text(json.dumps({"sources": [{"file": "mail.log"}], "probes": all_of_them}))
        yield path


def assert_no_secret(what: str, text: str) -> None:
    inside = [base64.b64encode(b"x" * shift + SECRET.encode() + b"x" * 3).decode()[4:-8] for shift in range(3)]
    login = base64.b64encode(f"\0{USER}\0{SECRET}".encode()).decode().rstrip("=")
    escaped = (json.dumps(SECRET)[1:-1], SECRET.replace('"', ""), urllib.parse.quote(SECRET), SECRET.encode().hex())
    for form in (SECRET, *escaped, *inside, login):
        where = text.lower().find(form.lower())
        assert where < 0, f"{what}: {text[max(where - 300, 0) : where + 100]}"


def test_no_secret_is_in_anything_that_is_said_or_written(config, tmp_path):
    names = [it["name"] for it in json.loads(config.read_text())["probes"]]
    arguments = (f"--config.file={config}", f"--state.dir={tmp_path / 'state'}", "--log.level=debug")
    listen = json.loads(config.read_text())["probes"][-2]["arrive"]["hook"]["listen"]
    with running(tmp_path, *arguments) as exporter:
        exporter.until(
            lambda it: sum(1 for _ in it.of("mail_probe_failure_info")) >= len(names), "mail_probe_failure_info"
        )
        said = {f"/probe of {name}": exporter.ask(f"/probe?module={name}&debug=true")[1] for name in names}
        said |= {path: exporter.ask(path)[1] for path in ("/metrics", "/", "/probe?module=open-plain", "/-/ready")}
        said["OpenMetrics"] = exporter.ask("/metrics", Accept="application/openmetrics-text; version=1.0.0")[1]
        said["the hook"] = posted(listen)
        exporter.hang_up()
        exporter.until(lambda it: it.total("mailstat_config_last_reload_successful") == 1)
    said["the log"] = exporter.log
    assert "AUTH PLAIN ****" in said["/probe of shut-plain"]
    assert "a probe fails" in said["the log"]
    for path in (tmp_path / "state").rglob("*"):
        if path.is_file():
            said[path.name] = path.read_bytes().decode("latin-1")
    for what, text in said.items():
        assert text or what.endswith(("-wal", "-shm", ".lock"))
        assert_no_secret(what, text)


@pytest.mark.parametrize(
    "name", ["open-login", "shut-plain", "shut-imap", "open-imap", "open-pop3", "imap-xoauth2", "signed"]
)
def test_no_secret_is_shown_to_who_waits_for_a_probe(config, name):
    done = ran(f"--config.file={config}", f"--probe.once={name}", "--log.level=debug")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "failed at " in done.stdout
    assert_no_secret(name, done.stdout + done.stderr)


def test_no_secret_is_in_what_is_wrong_with_a_configuration(tmp_path):
    send = {"server": "mx", "password": SECRET, "username": USER, "password_file": SECRET * 30, "to": SECRET}
    arrive = {"imap": {"server": "mx", "username": USER, "password": SECRET}, "hook": {"token": SECRET}}
    path = tmp_path / "mailstat.yml"
    path.write_text(json.dumps({"probes": [{"name": "one", "send": send, "arrive": arrive}]}))
    done = ran(f"--config.file={path}", "--config.check")
    assert done.returncode == 1
    assert_no_secret("the check", done.stdout + done.stderr)


def posted(listen: str) -> str:
    """What the hook answers to a wrong token and to something strange."""
    answers = []
    for token in ("x", SECRET):
        connection = HTTPConnection(listen, timeout=PATIENCE)
        connection.request(
            "POST", "/", b"x", {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        answers.append(f"{answer.status} {answer.headers} {answer.read()!r}")
        connection.close()
    return " ".join(answers)
