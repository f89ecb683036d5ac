"""The spools of Sendmail, OpenSMTPD and qmail: ours, made by hand, and the recorded ones of servers."""

from __future__ import annotations

import os
import re
import tarfile
from pathlib import Path

import pytest

from exporter.queues import opensmtpd, qmail, sendmail
from exporter.queues.entry import Place, Recipient
from exporter.queues.place import find_queues

LAB = Path(__file__).parents[4] / "shared/lab/queues"
CONTROL = """\
V8
T1795284940
MDeferred: 452 4.2.2 mailbox full
S<ann@example.com>
rRFC822; bo@example.org
RPFD:<bo@example.org>
R<cy@example.net>
H??Subject: RPFD:<eve@example.org>
.
"""
ENVELOPE = """\
version: 3
type: mta
errorline: 450 4.2.0 try later
sender: ann@example.com
rcpt: bo@example.org
ctime: 1795284949
"""


@pytest.mark.parametrize(("folder", "text"), [("", ""), ("q1", "q1"), ("q1/qf", "q1/df")])
@pytest.mark.parametrize(("kind", "queue"), [("q", "queued"), ("h", "quarantined")])
def test_a_message_of_sendmail(tmp_path: Path, folder: str, text: str, kind: str, queue: str) -> None:
    for name in (folder, text):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / f"{kind}f6ALIFeo0012092").write_text(CONTROL)
    (tmp_path / text / "df6ALIFeo0012092").write_text("text")
    (entry,) = sendmail.entries(Place("sendmail", tmp_path, "mqueue"))
    assert entry[:5] == ("6ALIFeo0012092", queue, len(CONTROL) + 4, 1795284940, "ann@example.com")
    reason = "452 4.2.2 mailbox full"
    assert entry.recipients == (Recipient("bo@example.org", reason), Recipient("cy@example.net", reason))


@pytest.mark.parametrize("text", ["", "Tsoon\n", "\0" * 100_000])
def test_a_damaged_file_of_sendmail_is_no_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "qf6ALIFeo0012092").write_text(text)
    assert list(sendmail.entries(Place("sendmail", tmp_path, "mqueue"))) == []


@pytest.mark.parametrize(("text", "count"), [(ENVELOPE, 1), ("\x1f\x8b", 0)])
def test_a_message_of_opensmtpd(tmp_path: Path, text: str, count: int) -> None:
    folder = tmp_path / "queue/b1/b1d8ade6"
    folder.mkdir(parents=True)
    (folder / "message").write_text("12345")
    (folder / "b1d8ade6e748a7cd").write_text(text)
    (entry,) = opensmtpd.entries(Place("opensmtpd", tmp_path, "opensmtpd"))
    assert (entry.queue_id, entry.size) == ("b1d8ade6", 5)
    assert entry.recipients == (Recipient("bo@example.org", "450 4.2.0 try later"),) * count
    assert (entry.arrival == 1795284949) == bool(count)


def test_the_messages_of_qmail(tmp_path: Path) -> None:
    for kind in ("mess", "info", "local", "remote"):
        (tmp_path / kind / "7").mkdir(parents=True)
    for number in ("100", "101"):
        (tmp_path / "mess/7" / number).write_text("12345")
    (tmp_path / "info/7/100").write_bytes(b"Fann@example.com\0")
    os.utime(tmp_path / "info/7/100", (0, 1795284940))
    (tmp_path / "remote/7/100").write_bytes(b"Dbo@example.org\0Tcy@example.net\0")
    queued, todo = sorted(qmail.entries(Place("qmail", tmp_path, "qmail")))
    assert queued == ("100", "queued", 5, 1795284940, "ann@example.com", (Recipient("cy@example.net"),))
    assert (todo.queue_id, todo.queue, todo.recipients) == ("101", "todo", ())


@pytest.mark.parametrize("server", [sendmail, opensmtpd, qmail])
def test_a_spool_that_is_not_there_is_an_error(tmp_path: Path, server: object) -> None:
    with pytest.raises(OSError, match="nowhere"):
        list(server.entries(Place("", tmp_path / "nowhere", "")))  # type: ignore[attr-defined]


def test_spools_are_found(tmp_path: Path) -> None:
    for name in ("spool/mqueue", "spool/mqueue-client", "spool/smtpd/queue", "qmail/queue/mess"):
        (tmp_path / "var" / name).mkdir(parents=True)
    found = [(it.mta, it.service) for it in find_queues(tmp_path)]
    assert found == [
        ("sendmail", "mqueue"),
        ("sendmail", "mqueue-client"),
        ("opensmtpd", "opensmtpd"),
        ("qmail", "qmail"),
    ]


@pytest.fixture
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if not LAB.exists():
        pytest.skip("the recorded spools are not here")
    with tarfile.open(LAB / request.param / "spool.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "var/spool"


@pytest.mark.parametrize("recorded", ["sendmail"], indirect=True)
def test_a_recorded_spool_of_sendmail_agrees_with_mailq(recorded: Path) -> None:
    listing = (LAB / "sendmail/mailq.txt").read_text()
    listed = set(re.findall(r"^([0-9A-Za-z]{14})[-*X ]", listing, re.MULTILINE))
    assert {it.queue_id for it in sendmail.entries(Place("sendmail", recorded / "mqueue", "mqueue"))} == listed


@pytest.mark.parametrize("recorded", ["opensmtpd"], indirect=True)
def test_a_recorded_spool_of_opensmtpd_agrees_with_smtpctl(recorded: Path) -> None:
    listing = (LAB / "opensmtpd/smtpctl_show_queue.txt").read_text()
    rows = [line.split("|") for line in listing.splitlines() if line.count("|") >= 13]
    found = {it.queue_id: it for it in opensmtpd.entries(Place("opensmtpd", recorded / "smtpd", "smtpd"))}
    told = {(queue_id, to.address) for queue_id, it in found.items() for to in it.recipients}
    listed = {(row[0][:8], row[5]) for row in rows}
    assert len(told & listed) > 0.9 * len(listed)  # mail moved between the two recordings
