"""Probes that submit to a real server: Postfix, which hands their mail on, keeps it or returns it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.destination import Destination, listening
from tests.mta import postfix
from tests.mta.client import PASSWORD, USER
from tests.mta.ground import Server, folder_of
from tests.service import ran, running

pytestmark = pytest.mark.mta

LIFETIME = 600  # seconds, far more than any test has
PAUSE = 60  # until a second try: while the server tries, it has no time of the next one
IN_VAIN = "8s"  # for a mail that does not arrive: by then the server has tried to hand it on


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Path, Server]]:
    if os.geteuid():
        pytest.skip("a mail server starts as root")
    if missing := postfix.missing():
        pytest.skip(f"not here: {', '.join(missing)} (tools/mail_servers.sh fetches them)")
    with (
        folder_of("probes") as folder,
        listening({"example.net": Destination()}) as outside,
        postfix.serving(folder, outside, LIFETIME, PAUSE) as server,
    ):
        (folder / "password").write_text(PASSWORD)
        (folder / "wrong").write_text(f"wrong {PASSWORD}")
        for part in ("new", "cur", "tmp"):
            (folder / "Maildir" / part).mkdir(parents=True)
        yield folder, server


def configure(
    folder: Path, server: Server, to: str, arrive: dict, every: str | None = None, late_after: str = "60s", **send
) -> Path:
    """A probe that submits over TLS with a login. Nobody signed the server's certificate."""
    submission = server.submission
    assert submission is not None
    login = {"username": f"{USER}@here.example", "password_file": str(folder / "password")}
    where = {"server": submission.host, "port": submission.port, "tls": "starttls", "verify": False}
    mail = {"from": "probe@example.com", "to": f"{to}@example.net"}
    probe = {"name": "one", "send": where | login | mail | send, "arrive": arrive, "late_after": late_after}
    if every:
        probe["every"] = every
    config = folder / f"{to}.yml"
    queues = [{"postfix": {"spool": str(folder / "queue")}}]
    config.write_text(json.dumps({"sources": [{"file": str(server.log)}], "queues": queues, "probes": [probe]}))
    return config


def once(config: Path) -> subprocess.CompletedProcess[str]:
    return ran("--config.file", config, "--probe.once", "one")


@pytest.mark.parametrize("auth", ["PLAIN", "LOGIN"])
def test_our_log_tells_that_it_was_handed_on(server, auth):
    done = once(configure(*server, f"good-{len(auth)}", {"log": True, "every": "500ms"}, auth=auth))
    assert done.returncode == 0, done.stdout + done.stderr + server[1].log.read_text()
    assert done.stdout.splitlines()[-1].startswith("arrived ")
    assert PASSWORD not in done.stdout


def test_a_mail_in_the_queue_and_when_it_is_tried_again(server):
    done = once(configure(*server, "never-1", {"maildir": str(server[0] / "Maildir")}, late_after=IN_VAIN))
    last = done.stdout.splitlines()[-1]
    assert done.returncode == 1
    assert "queued_mailbox_full: it has not arrived: in our queue, last tried at " in last, done.stdout
    assert "452 4.2.2 Mailbox is full" in last
    assert "; next attempt at 20" in last


def test_a_mail_that_was_returned(server):
    done = once(configure(*server, "unknown-1", {"maildir": str(server[0] / "Maildir")}, late_after=IN_VAIN))
    last = done.stdout.splitlines()[-1]
    assert done.returncode == 1
    assert "user_unknown: it has not arrived: given up at " in last, done.stdout
    assert "550 5.1.1 User unknown" in last


def test_a_mail_that_was_handed_on_and_is_nowhere(server):
    done = once(configure(*server, "good-2", {"maildir": str(server[0] / "Maildir")}, late_after=IN_VAIN))
    assert done.returncode == 1
    assert "handed_over: it has not arrived: handed to " in done.stdout.splitlines()[-1], done.stdout


def test_the_wrong_password(server):
    done = once(configure(*server, "good-3", {"log": True}, password_file=str(server[0] / "wrong")))
    assert done.returncode == 1
    assert "535 5.7.8 Error: authentication failed" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("failed at auth "), done.stdout
    assert "smtp_auth" in done.stdout.splitlines()[-1]


def test_the_service_tells_the_same(server, tmp_path):
    config = configure(*server, "never-2", {"maildir": str(server[0] / "Maildir")}, every="2s", late_after=IN_VAIN)
    with running(tmp_path, "--config.file", config, "--state.dir", tmp_path / "state") as exporter:
        found = {"probe": "one", "phase": "arrival", "reason": "queued_mailbox_full"}
        exporter.until(lambda it: it.has("mail_probe_failure_info", **found), "mail_probe_failure_info")
        page = exporter.ask("/")[1]
    assert "in our queue, last tried at" in page
    assert "next attempt at" in page
    assert "never-2" not in page
