"""OpenSMTPD's schedule, in envelopes that we wrote and in recorded ones."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from exporter.queues.attempt import next_attempt
from exporter.queues.entry import Place
from exporter.queues.opensmtpd_retry import due

LAB = Path(__file__).parents[4] / "shared/lab/queues/opensmtpd"
MESSAGE = "b1d8ade6"
BORN = 1_795_284_000
NOW = BORN + 410
ENVELOPE = f"""\
version: 3
type: mta
errorline: 450 4.2.0 try later
sender: ann@example.com
rcpt: bo@example.org
ctime: {BORN}
last-try: 0
ttl: 0
retry: 1
"""


def spool(folder: Path, text: str = ENVELOPE, written: float = BORN + 3, more: str = "") -> Path:
    """A queue with a message whose envelope was last written then; `more` is that of a second recipient."""
    message = folder / "queue" / MESSAGE[:2] / MESSAGE
    message.mkdir(parents=True)
    (message / "message").write_text("x")
    for number, envelope in enumerate(filter(None, (text, more))):
        path = message / f"{MESSAGE}e748a7c{number}"
        path.write_text(envelope)
        os.utime(path, (written, written))
    return folder


def seconds(folder: Path, now: float = BORN + 5) -> float | None:
    """How long after its arrival the message is tried."""
    attempt = due(folder, MESSAGE, now)
    return attempt.time - BORN if attempt else None


@pytest.mark.parametrize(
    ("kind", "retry", "written", "expected"),
    [
        ("mta", 1, 3, 400),
        ("mta", 2, 401, 1600),
        ("mta", 3, 1605, 3600),
        ("mta", 1, 400, 1600),  # an attempt that took longer than to the next: the one after that
        ("mta", 1, 5000, 6400),
        ("mda", 1, 0, 10),
        ("mda", 3, 41, 90),
    ],
)
def test_the_square_of_the_attempts(tmp_path, kind, retry, written, expected):
    text = ENVELOPE.replace("mta", kind).replace("retry: 1", f"retry: {retry}")
    assert seconds(spool(tmp_path, text, BORN + written), BORN + written) == expected


def test_it_is_told_that_it_is_computed(tmp_path):
    attempt = next_attempt([Place("opensmtpd", spool(tmp_path), "opensmtpd")], MESSAGE, BORN + 5)
    assert attempt
    assert attempt.words.format("noon") == "at noon by OpenSMTPD's schedule"


def test_a_queue_beside_it_of_which_nobody_knows_when_it_is_tried(tmp_path):
    places = [Place("qmail", tmp_path, "qmail"), Place("opensmtpd", spool(tmp_path), "opensmtpd")]
    assert next_attempt(places, MESSAGE, BORN + 5)


@pytest.mark.parametrize(
    "text",
    [
        ENVELOPE.replace("retry: 1", "retry: 0"),  # never tried: it has its turn any moment
        ENVELOPE.replace("mta", "bounce"),
        ENVELOPE.replace("ttl: 0", "ttl: 300"),  # by then it is given up
        ENVELOPE.replace("retry: 1", "retry: 30"),  # after four days
        ENVELOPE.replace("retry: 1", "retry: soon"),
        ENVELOPE.replace("retry: 1", "retry: 99999999999"),
        ENVELOPE.replace(f"{BORN}", "1" * 15),
        ENVELOPE.replace("ctime: ", "ctimes: "),
        "\x1f\x8b",
        "",
    ],
)
def test_what_is_not_certain_is_not_told(tmp_path, text):
    assert seconds(spool(tmp_path, text)) is None


def test_of_a_time_that_has_passed_nothing_is_known(tmp_path):
    """It is just being tried, or was put off without a word in the envelope."""
    assert seconds(spool(tmp_path), NOW) is None


def test_of_several_recipients_nobody_asks(tmp_path):
    assert seconds(spool(tmp_path, more=ENVELOPE)) is None


@pytest.mark.parametrize("queue_id", ["../../etc", "b1d8ade", "B1D8ADE6", "", "00000000"])
def test_what_is_no_message_is_not_known(tmp_path, queue_id):
    assert next_attempt([Place("opensmtpd", spool(tmp_path), "opensmtpd")], queue_id, BORN + 5) is None


def test_recorded_envelopes_agree_with_smtpctl(tmp_path):
    """Each that is pending there, at the second that is told."""
    if not LAB.exists():
        pytest.skip("the recorded spools are not here")
    with tarfile.open(LAB / "spool.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / "var/spool/smtpd/queue"
    rows = [
        row for line in (LAB / "smtpctl_show_queue.txt").read_text().splitlines() if len(row := line.split("|")) > 13
    ]
    pending = {row[0]: int(row[12]) for row in rows if row[11] == "pending" and row[2] == "mta"}
    listed = set()
    for number, (envelope, left) in enumerate(pending.items()):
        path = folder / envelope[:2] / envelope[:8] / envelope
        alone = spool(tmp_path / str(number), path.read_text(errors="replace"), path.stat().st_mtime)
        attempt = due(alone, MESSAGE, path.stat().st_mtime)
        assert attempt, envelope
        listed.add(attempt.time - left)
    assert len(pending) > 50
    assert len(listed) == 1  # the moment of the listing
