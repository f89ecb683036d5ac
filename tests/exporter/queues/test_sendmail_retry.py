"""When Sendmail's queue is run again, by files that we wrote as the server does, and with recorded messages."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest

from exporter.queues.attempt import next_attempt
from exporter.queues.entry import Place
from exporter.queues.sendmail_retry import due

LAB = Path(__file__).parents[4] / "shared/lab/queues/sendmail"
ID = "6ALIFeo0012092"
BORN, TRIED = 1_795_284_000, 1_795_284_940
CONTROL = f"""\
V8
T{BORN}
K{TRIED}
N2
P159216
MDeferred: 452 4.2.2 mailbox full
S<ann@example.com>
RPFD:<bo@example.org>
H??Subject: x
K1
.
"""
CONFIG = """\
#O MinQueueAge=30m
O QueueDirectory=/var/spool/mqueue
O PidFile=/run/sendmail/mta/sendmail.pid
"""
COMMAND = "/usr/sbin/sendmail-mta -Am -L sm-mta -bd -q10m"


def host(root: Path, control: str = CONTROL, config: str = CONFIG, command: str = COMMAND, folder: str = "") -> Path:
    """A host with this message, configuration and daemon, as root sees it; the queue."""
    spool = root / "var/spool/mqueue"
    (spool / folder).mkdir(parents=True)
    (spool / folder / f"qf{ID}").write_text(control)
    (root / "etc/mail").mkdir(parents=True)
    (root / "etc/mail/sendmail.cf").write_text(config)
    (root / "run/sendmail/mta").mkdir(parents=True)
    (root / "run/sendmail/mta/sendmail.pid").write_text(f"4711\n{command}\n")
    (root / "proc/4711").mkdir(parents=True)
    return spool


def told(spool: Path) -> float | None:
    attempt = due(spool, ID, 0.0)
    return attempt.time if attempt else None


@pytest.mark.parametrize(
    ("command", "seconds"),
    [
        ("sendmail -bd -q10m", 600),
        ("sendmail -bd -q10", 600),
        ("sendmail -q1h30m -bD", 5400),
        ("sendmail -bd -q30s", 30),
        ("sendmail -bd -q1d", 86400),
    ],
)
def test_a_run_begins_within_the_interval_of_the_daemon(tmp_path, command, seconds):
    assert told(host(tmp_path, command=command)) == TRIED + seconds


@pytest.mark.parametrize("folder", ["q1", "q1/qf"])
def test_a_message_of_a_queue_that_is_split(tmp_path, folder):
    config = CONFIG.replace("mqueue", "mqueue/q*")
    assert told(host(tmp_path, config=config, folder=folder)) == TRIED + 600


@pytest.mark.parametrize(
    ("option", "seconds"),
    [
        ("O MinQueueAge=30m", 1800),
        ("O MinQueueAge=30", 1800),
        ("O MaxQueueAge=1h", TRIED - BORN),  # as long as it waited until then, but no longer than this
        ("O MaxQueueAge=5m", 300),
        ("O MinQueueAge=30m\nO MaxQueueAge=5m", 300),
    ],
)
def test_what_was_just_tried_is_passed_over(tmp_path, option, seconds):
    assert told(host(tmp_path, config=CONFIG + option + "\n")) == TRIED + seconds + 600


def test_what_was_never_tried_is_tried_at_the_first_run(tmp_path):
    control = CONTROL.replace("N2", "N0").replace(f"K{TRIED}", "K0")
    assert told(host(tmp_path, control, CONFIG + "O MinQueueAge=30m\n")) == BORN + 600


def test_it_is_told_how_it_is_known(tmp_path):
    attempt = next_attempt([Place("sendmail", host(tmp_path), "mqueue")], ID, 0.0)
    assert attempt
    assert attempt.words.format("noon") == "in the queue run that begins by noon, as one does every 10 min"


@pytest.mark.parametrize(
    "command",
    [
        "sendmail -bd",  # somebody else runs the queue
        "sendmail -bd -qp10m",
        "sendmail -bd -qGgroup",
        "sendmail -bd -q10m -q5m",
        "sendmail -bd -q",
        "sendmail -bd -q0s",
        "sendmail -bd -q10x",
        "sendmail -bd -q9999999999d",
        "sendmail -bd -q999999w",
        "sendmail -bd -q10m -C /etc/mail/other.cf",
        "sendmail -bd -q10m -O MinQueueAge=1d",
        "sendmail -bd -q10m -oQ/var/spool/other",
        "sendmail -Ac -q10m",
        "",
    ],
)
def test_a_daemon_whose_runs_are_not_certain(tmp_path, command):
    assert told(host(tmp_path, command=command)) is None


@pytest.mark.parametrize(
    "config",
    [
        "",
        CONFIG.replace("/mqueue", "/other"),
        CONFIG.replace("O PidFile", "#O PidFile"),
        CONFIG + "Qslow, Path=/var/spool/mqueue/slow, Interval=1h\n",
        CONFIG + "O MinQueueAge=often\n",
    ],
)
def test_a_configuration_that_leaves_it_open(tmp_path, config):
    assert told(host(tmp_path, config=config)) is None


@pytest.mark.parametrize(
    "control", ["", CONTROL.replace(f"K{TRIED}", "Ksoon"), CONTROL.replace("N2\n", ""), CONTROL.replace("T", "t")]
)
def test_a_damaged_message(tmp_path, control):
    assert told(host(tmp_path, control)) is None


def test_a_message_in_quarantine_is_not_tried(tmp_path):
    spool = host(tmp_path)
    (spool / f"qf{ID}").rename(spool / f"hf{ID}")
    assert told(spool) is None


def test_a_daemon_that_has_ended_tries_nothing(tmp_path):
    spool = host(tmp_path)
    (tmp_path / "proc/4711").rmdir()
    assert told(spool) is None


@pytest.mark.parametrize("missing", ["etc/mail/sendmail.cf", "run/sendmail/mta/sendmail.pid"])
def test_without_one_of_its_files_nothing_is_known(tmp_path, missing):
    place = Place("sendmail", host(tmp_path), "mqueue")
    (tmp_path / missing).unlink()
    assert next_attempt([place], ID, 0.0) is None


@pytest.mark.parametrize("queue_id", ["../../../etc/passwd", "", "4F1A", "6ALIFeo0012093"])
def test_what_is_no_message_is_not_known(tmp_path, queue_id):
    assert next_attempt([Place("sendmail", host(tmp_path), "mqueue")], queue_id, 0.0) is None


def test_recorded_messages(tmp_path):
    """Tried once, or not at all."""
    if not LAB.exists():
        pytest.skip("the recorded spools are not here")
    spool = host(tmp_path)
    with tarfile.open(LAB / "spool.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    files = [path for path in spool.glob("qf*") if path.name != f"qf{ID}"]
    for path in files:
        attempt = due(spool, path.name[2:], 0.0)
        arrival, tried = (int(it) for it in re.findall(rb"(?m)^[TK](\d+)$", path.read_bytes()))
        assert attempt
        assert attempt.time == max(tried, arrival) + 600
    assert len(files) > 30
