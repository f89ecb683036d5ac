"""Probes that submit to a real server, Postfix or Exim, which hands their mail on, keeps it or returns it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from aiosmtpd.smtp import Envelope

from stack.destination import Destination, listening, wish
from tests.deadline import told_in_time
from tests.mta import exim, postfix
from tests.mta.client import MOST, PASSWORD, USER
from tests.mta.ground import Server, folder_of
from tests.service import ran, running

pytestmark = pytest.mark.mta

LIFETIME = 600  # seconds, far more than any test has
PAUSE = 60  # until a second try: while the server tries, it has no time of the next one
RUN = 1.0  # seconds between two runs of Exim's queue
IN_VAIN = (8, 30, 120)  # seconds for a mail that does not arrive: by then the server has tried to hand it on


class Kind(NamedTuple):
    """A server under test: who logs in there, where its queue is, and what it says to a wrong password and to a mail
    that is too large."""

    missing: Callable[[], list[str]]
    serving: Callable[..., AbstractContextManager[Server]]
    username: str
    spool: str
    wrong: str
    too_large: str


KINDS = {
    "postfix": Kind(
        postfix.missing,
        partial(postfix.serving, lifetime=LIFETIME, pause=PAUSE),
        f"{USER}@here.example",
        "queue",
        "535 5.7.8 Error: authentication failed",
        "552 5.3.4",
    ),
    "exim": Kind(
        exim.missing,
        partial(exim.serving, lifetime=LIFETIME, selector="", pause=PAUSE),
        USER,
        "spool",
        "535 Incorrect authentication data",
        "552 Message size exceeds maximum permitted",
    ),
}


class Place(NamedTuple):
    """A server that runs, the folder of all that belongs to it, and what it is called."""

    folder: Path
    server: Server
    mta: str


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    kind = KINDS[request.param]
    if os.geteuid():
        pytest.skip("a mail server starts as root")
    if missing := kind.missing():
        pytest.skip(f"not here: {', '.join(missing)} (tools/mail_servers.sh fetches them)")
    with (
        folder_of("probes") as folder,
        listening({"example.net": Destination(on_taken=partial(keep, folder / "Maildir"))}) as outside,
    ):
        for part in ("new", "cur", "tmp"):
            (folder / "Maildir" / part).mkdir(parents=True)
        (folder / "password").write_text(PASSWORD)
        (folder / "wrong").write_text(f"wrong {PASSWORD}")
        with kind.serving(folder, outside) as server, trying(server, is_needed=request.param == "exim"):
            yield Place(folder, server, request.param)


_numbers = itertools.count()


def keep(maildir: Path, envelope: Envelope) -> None:
    """What the host outside does with a mail: for a user it is in the mailbox, else it is gone."""
    if any(wish(to) == "user" for to in envelope.rcpt_tos):
        assert isinstance(envelope.content, bytes)
        path = maildir / "tmp" / f"{next(_numbers)}.example"
        path.write_bytes(envelope.content)
        path.rename(maildir / "new" / path.name)


@contextlib.contextmanager
def trying(server: Server, *, is_needed: bool) -> Iterator[None]:
    """Have the server look into its queue now and then, where it does not by itself."""
    is_over = threading.Event()

    def run() -> None:
        while not is_over.wait(RUN):
            server.retry()

    thread = threading.Thread(target=run if is_needed else int)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def configure(place: Place, to: str, arrive: dict, every: str | None = None, late_after: float = 300, **send) -> Path:
    """A probe that submits over TLS with a login. Nobody signed the server's certificate."""
    submission, kind = place.server.submission, KINDS[place.mta]
    assert submission is not None
    login = {"username": kind.username, "password_file": str(place.folder / "password")}
    where = {"server": submission.host, "port": submission.port, "tls": "starttls", "verify": False}
    mail = {"from": "probe@example.com", "to": f"{to}@example.net"}
    times = {"late_after": f"{late_after:g}s", "timeout": "5m"}
    probe = {"name": "one", "send": where | login | mail | send, "arrive": arrive} | times
    if every:
        probe["every"] = every
    config = place.folder / f"{to}.yml"
    queues = [{place.mta: {"spool": str(place.folder / kind.spool)}}]
    config.write_text(json.dumps({"sources": [{"file": str(place.server.log)}], "queues": queues, "probes": [probe]}))
    return config


def in_maildir(place: Place) -> dict:
    return {"maildir": str(place.folder / "Maildir"), "every": "500ms"}


def once(config: Path) -> subprocess.CompletedProcess[str]:
    return ran("--config.file", config, "--probe.once", "one")


def in_vain(place: Place, to: str, reason: str) -> subprocess.CompletedProcess[str]:
    """The same for a mail that does not arrive, where the server had time enough to tell why."""

    def tell(seconds: float) -> subprocess.CompletedProcess[str]:
        return once(configure(place, to, in_maildir(place), late_after=seconds))

    return told_in_time(tell, lambda done: f": {reason}: " in done.stdout, IN_VAIN)


@pytest.mark.parametrize("auth", ["PLAIN", "LOGIN"])
def test_our_log_tells_that_it_was_handed_on(place, auth):
    done = once(configure(place, f"good-{len(auth)}", {"log": True, "every": "500ms"}, auth=auth))
    assert done.returncode == 0, done.stdout + done.stderr + place.server.log.read_text()
    assert done.stdout.splitlines()[-1].startswith("arrived ")
    assert PASSWORD not in done.stdout


def test_a_mail_arrives_behind_the_server(place):
    done = once(configure(place, "user-1", in_maildir(place)))
    assert done.returncode == 0, done.stdout + done.stderr + place.server.log.read_text()
    assert "C: STARTTLS" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("arrived ")
    assert not list((place.folder / "Maildir/new").iterdir())


def test_a_mail_in_the_queue_and_when_it_is_tried_again(place):
    done = in_vain(place, "never-1", "queued_mailbox_full")
    last = done.stdout.splitlines()[-1]
    assert done.returncode == 1
    assert "queued_mailbox_full: it has not arrived: in our queue, last tried at " in last, done.stdout
    assert "452 4.2.2 Mailbox is full" in last
    assert "; next attempt at 20" in last


def test_a_mail_that_was_returned(place):
    done = in_vain(place, "unknown-1", "user_unknown")
    last = done.stdout.splitlines()[-1]
    assert done.returncode == 1
    assert "user_unknown: it has not arrived: given up at " in last, done.stdout
    assert "550 5.1.1 User unknown" in last


def test_a_mail_that_was_handed_on_and_is_nowhere(place):
    done = in_vain(place, "good-2", "handed_over")
    assert done.returncode == 1
    assert "handed_over: it has not arrived: handed to " in done.stdout.splitlines()[-1], done.stdout


def test_the_wrong_password(place):
    done = once(configure(place, "good-3", {"log": True}, password_file=str(place.folder / "wrong")))
    assert done.returncode == 1
    assert KINDS[place.mta].wrong in done.stdout
    assert done.stdout.splitlines()[-1].startswith("failed at auth "), done.stdout
    assert "smtp_auth" in done.stdout.splitlines()[-1]


def test_a_mail_that_is_refused_at_submission(place):
    done = once(configure(place, "good-7", {"log": True}, size=2 * MOST))
    assert done.returncode == 1
    assert KINDS[place.mta].too_large in done.stdout
    assert done.stdout.splitlines()[-1].startswith("failed at end_of_data "), done.stdout
    assert "message_too_large" in done.stdout.splitlines()[-1]


def test_the_service_tells_the_same(place, tmp_path):
    config = configure(place, "never-2", in_maildir(place), every="2s", late_after=IN_VAIN[0])
    with running(tmp_path, "--config.file", config, "--state.dir", tmp_path / "state") as exporter:
        found = {"probe": "one", "phase": "arrival", "reason": "queued_mailbox_full"}
        exporter.until(lambda it: it.has("mail_probe_failure_info", **found), "mail_probe_failure_info")
        page = exporter.ask("/")[1]
    assert "in our queue, last tried at" in page
    assert "next attempt at" in page
    assert "never-2" not in page
