"""What a probe tells of its mail in the queue of a real Sendmail or OpenSMTPD: when that is tried again."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from stack.destination import Destination, listening
from tests.deadline import told_in_time
from tests.mta import opensmtpd, sendmail
from tests.mta.ground import Server, folder_of
from tests.service import ran, wait_for

pytestmark = pytest.mark.mta

LIFETIME = 6000  # seconds, far more than any test has
SECONDS = (8, 8, 35)  # by then a server has tried to hand the mail on, where the machine has time for it
RUNS = 3  # times as long is the interval between two runs of the queue


@contextmanager
def root_of_sendmail(folder: Path) -> Iterator[Path]:
    """The spool of a Sendmail, below a root directory where its files are as on a host of its own."""
    root = folder / "root"
    (root / "etc/mail").mkdir(parents=True)
    config = (folder / "sendmail.cf").read_text(errors="replace").replace(f"={folder}/", "=/")
    (root / "etc/mail/sendmail.cf").write_text(config)
    daemon = (folder / "sendmail.pid").read_text()
    (root / "sendmail.pid").write_text(daemon.replace(f"-C {folder}/sendmail.cf ", ""))
    (root / "proc").symlink_to("/proc")
    (root / "queue").symlink_to(folder / "queue")
    yield root / "queue"


def probed(folder: Path, server: Server, mta: str, spool: Path, seconds: float) -> str:
    """What a probe says last whose mail every host refuses for now."""
    send = {"server": server.smtp.host, "port": server.smtp.port, "tls": "none", "source_address": "127.0.0.1"}
    mail = {"from": "probe@example.com", "to": "never-1@example.net"}
    late = {"arrive": {"log": True, "every": "500ms"}, "late_after": f"{seconds}s"}
    probe = {"name": "one", "send": send | mail, **late}
    config = {"sources": [{"file": str(server.log)}], "queues": [{mta: {"spool": str(spool)}}], "probes": [probe]}
    path = folder / "mailstat.yml"
    path.write_text(json.dumps(config))
    done = ran("--config.file", path, "--probe.once", "one")
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def check(missing: Callable[[], list[str]]) -> None:
    if os.geteuid():
        pytest.skip("a mail server starts as root")
    if absent := missing():
        pytest.skip(f"not here: {', '.join(absent)} (tools/mail_servers.sh fetches them)")


def time_in(text: str, words: str) -> float:
    match = re.search(rf"; next attempt {words}", text)
    assert match, text
    return datetime.fromisoformat(match[1].replace(" UTC", "+00:00")).timestamp()


def is_tried(told: str) -> bool:
    return "queued_mailbox_full: it has not arrived: in our queue, last tried at " in told


def test_sendmail_runs_its_queue_by_then():
    check(sendmail.missing)

    def tell(seconds: float) -> tuple[str, float, float]:
        """What the probe said, when the message was tried for the second time, and the interval."""
        with (
            folder_of("retry") as folder,
            listening({"example.net": Destination()}) as outside,
            sendmail.serving(folder, outside, LIFETIME, f"{seconds * RUNS}s") as server,
        ):
            with root_of_sendmail(folder) as spool:
                told = probed(folder, server, "sendmail", spool, seconds)
            (message,) = (folder / "queue").glob("qf*")
            wait_for(lambda: b"\nN2\n" in message.read_bytes())
            tried = re.search(rb"(?m)^K(\d+)$", message.read_bytes())
            assert tried
            return told, float(tried[1]), seconds * RUNS

    def is_by_then(what: tuple[str, float, float]) -> bool:
        told, tried, interval = what
        words = rf"in the queue run that begins by (20\S+ \S+ UTC), as one does every {interval:.0f} s$"
        return is_tried(told) and -1 <= time_in(told, words) - tried < interval

    what = told_in_time(tell, is_by_then, SECONDS)
    assert is_by_then(what), what


def test_opensmtpd_has_the_same_schedule():
    check(opensmtpd.missing)

    def tell(seconds: float) -> tuple[str, float]:
        """What the probe said, and the time that the scheduler has."""
        with (
            folder_of("retry") as folder,
            listening({"example.net": Destination()}) as outside,
            opensmtpd.serving(folder, outside, LIFETIME) as server,
        ):
            told = probed(folder, server, "opensmtpd", folder / "var-spool/smtpd", seconds)
            (row,) = (line.split("|") for line in server.queue().splitlines())
            assert row[11] == "pending"
            return told, int(row[7]) + 400

    told, scheduled = told_in_time(tell, lambda it: is_tried(it[0]), SECONDS)
    assert is_tried(told), told
    assert time_in(told, r"at (20\S+ \S+ UTC) by OpenSMTPD's schedule$") == scheduled
