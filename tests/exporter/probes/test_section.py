from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from exporter.config import ConfigError, load_config
from exporter.probes.section import SecretError, secret
from tests.exporter.probes.server import ca_file, serving

FULL = """
probes:
  - name: gmail-roundtrip
    every: 5m
    send: {server: smtp.example.com, port: 587, tls: starttls, username: probe, password_file: probe.pw,
      from: probe@example.com, to: probe@example.net}
    arrive: {imap: {server: imap.example.net, username: probe, password_file: imap.pw,
      folders: [INBOX, "[Gmail]/Spam"]}}
    late_after: 2m
    lost_after: 1h30m
"""
RUN = "import sys; from exporter.cli import main; sys.exit(main())"
SEND = "server: mx.example.com, from: a@example.com, to: b@example.com"


@pytest.fixture
def load(tmp_path):
    def load(content: str):
        path = tmp_path / "mailstat.yml"
        path.write_text(content)
        return load_config(path)

    return load


def test_a_full_probe(load, tmp_path):
    (probe,) = load(FULL).probes
    assert (probe.name, probe.every, probe.late_after, probe.lost_after) == ("gmail-roundtrip", 300, 120, 5400)
    assert (probe.send.from_, probe.send.to) == ("probe@example.com", "probe@example.net")
    assert probe.send.password_file == tmp_path / "probe.pw"
    assert probe.arrive.imap.folders == ("INBOX", "[Gmail]/Spam")
    assert probe.arrive.imap.port_number == 993


@pytest.mark.parametrize(
    ("probe", "error"),
    [
        ("{name: a}", "probes[0].send: missing"),
        ("{name: a b, send: {%s}}", "probes[0]: name: expected letters, digits, _, ., - (at most 64)"),
        ("{name: a, evry: 5m, send: {%s}}", 'probes[0].evry: unknown key, did you mean "every"?'),
        (
            "{name: a, every: 5, send: {%s}}",
            "probes[0].every: expected a duration such as 30s or 5m, got 5",
        ),
        (
            "{name: a, send: {%s, tls: startls}}",
            'probes[0].send.tls: expected one of starttls, opportunistic, implicit, none, got "startls", did you mean'
            ' "starttls"?',
        ),
        (
            "{name: a, send: {%s, verify: 1}}",
            "probes[0].send.verify: expected true or false, got 1",
        ),
        ("{name: a, send: {server: x, form: a@b}}", 'probes[0].send.form: unknown key, did you mean "from"?'),
        (
            "{name: a, send: {server: x, from: 'a@b\\r\\nRCPT'}}",
            "probes[0].send.from_",
        ),
        ("{name: a, send: {%s, username: u}}", "probes[0].send: password_file: missing, there is a username"),
        (
            "{name: a, send: {%s, password: hunter2}}",
            'probes[0].send.password: unknown key, did you mean "password_env"?',
        ),
        ("{name: a, send: {server: 'u:hunter2@mx'}}", "probes[0].send: server: expected a host name or an address"),
        ("{name: a, send: {server: 'https://mx'}}", "probes[0].send: server: expected a host name or an address"),
        (
            "{name: a, send: {%s}, targets: ['mx:25', 'u:hunter2@mx']}",
            "probes[0]: targets: expected a host name or an address",
        ),
        ("{name: a, send: {%s}, arrive: {}}", "probes[0].arrive: expected exactly one of imap, pop3, maildir"),
        ("{name: a, send: {server: x}, arrive: {log: true}}", "probes[0]: send.to: missing, there is an `arrive`"),
        ("{name: a, late_after: 1h, send: {%s}}", "probes[0]: lost_after: expected at least late_after"),
    ],
)
def test_what_is_wrong_is_told(load, probe, error):
    with pytest.raises(ConfigError) as caught:
        load(f"probes: [{probe}]".replace("%s", SEND))
    assert "hunter2" not in str(caught.value)
    assert error.replace("from_", "from") in str(caught.value).replace("send: from:", "send.from:")


def test_a_name_stands_for_one_probe(load):
    one = "{name: a, send: {%s}}"
    with pytest.raises(ConfigError, match=r'probes\[1\].name: "a" is the name of probes\[0\]'):
        load(f"probes: [{one}, {one}]".replace("%s", SEND))


def test_secrets_come_from_a_file_or_the_environment(tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv("PROBE_PASSWORD", "from the environment")
    assert secret(tmp_path / "secret", None) == "from a file"
    assert secret(None, "PROBE_PASSWORD") == "from the environment"
    assert secret(None, None) == ""
    with pytest.raises(SecretError, match="not set"):
        secret(None, "PROBE_NOTHING")


def once(folder, name: str, steps=None) -> tuple[int, str, str]:
    """The status, output and errors of `--probe.once NAME`, where the probe `one` meets a server that does this."""

    async def run() -> tuple[int, str, str]:
        async with serving(steps) as server:
            (folder / "password").write_text("hunter2-and-more")
            path = folder / "mailstat.yml"
            path.write_text(
                f"probes: [{{name: one, send: {{server: localhost, port: {server.port}, from: a@example.com,"
                f" to: b@example.com, username: u, password_file: password, ca_file: {ca_file(folder)}}}}}]"
            )
            command = [sys.executable, "-c", RUN, f"--config.file={path}", f"--probe.once={name}"]
            process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            out, err = await process.communicate()
            return process.returncode, out.decode(), err.decode()

    return asyncio.run(run())


def test_once(tmp_path):
    status, out, _ = once(tmp_path, "one")
    assert status == 0, out
    assert "C: AUTH PLAIN ****" in out
    assert "hunter2" not in out
    assert out.splitlines()[-1].startswith("sent in ")


def test_once_that_fails(tmp_path):
    status, out, _ = once(tmp_path, "one", {"MAIL": b"550 5.7.1 No\r\n"})
    assert status == 1
    assert out.splitlines()[-1].startswith("failed at mail after ")


def test_once_without_such_a_probe(tmp_path):
    status, _, err = once(tmp_path, "two")
    assert status == 2
    assert "there are: one" in err
