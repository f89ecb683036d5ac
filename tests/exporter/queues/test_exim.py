"""Exim's spool: ours, made by hand, and the recorded one of a server."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest

from exporter.queues import exim
from exporter.queues.entry import Entry, Place
from exporter.queues.place import find_queues

LAB = Path(__file__).parents[4] / "shared/lab/queues/exim"
HEADERS = """\
{id}-H
Debian-exim 100 102
<ann@example.com>
1795284940 0
-received_time_usec .645560
--helo_name client.example.com
{more}{done}
3
bo@example.org
cy@example.net
di@example.net dsn 0,1

297P Received: from client.example.com
\tby mail.example.com
eve@example.org
"""
LOG = (
    "2026-11-21 18:15:43 bo@example.org R=dnslookup T=remote_smtp defer (-44) H=mx.example.org [2001:db8::1]: SMTP"
    " error from remote mail server after RCPT TO:<bo@example.org>: 452 4.2.2 mailbox full\n"
    "2026-11-21 18:20:43 bo@example.org R=dnslookup T=remote_smtp defer (-54): retry time not reached for any host\n"
)
SHORT, LONG = "1xUpci-0003CB-25", "1xUpUs-0000000024t-37JL"


def put(spool: Path, queue_id: str, *, folder: str = "", more: str = "", done: str = "XX") -> None:
    (spool / "input" / folder).mkdir(parents=True, exist_ok=True)
    (spool / "input" / folder / f"{queue_id}-H").write_text(HEADERS.format(id=queue_id, more=more, done=done))
    (spool / "input" / folder / f"{queue_id}-D").write_text(f"{queue_id}-D\ntext\n")


def read(spool: Path) -> list[Entry]:
    return sorted(exim.entries(Place("exim", spool, "exim")))


def addresses(entry: Entry) -> list[str]:
    return [to.address for to in entry.recipients]


@pytest.mark.parametrize("queue_id", [SHORT, LONG])
@pytest.mark.parametrize("folder", ["", "c"])
def test_a_message_is_read_from_a_spool_split_or_not(tmp_path: Path, queue_id: str, folder: str) -> None:
    put(tmp_path, queue_id, folder=folder)
    (tmp_path / "msglog" / folder).mkdir(parents=True)
    (tmp_path / "msglog" / folder / queue_id).write_text(LOG)
    (entry,) = read(tmp_path)
    assert (entry.queue_id, entry.queue, entry.arrival, entry.sender) == (
        queue_id,
        "queued",
        1795284940,
        "ann@example.com",
    )
    assert addresses(entry) == ["bo@example.org", "cy@example.net", "di@example.net"]
    assert entry.recipients[0].reason.endswith("452 4.2.2 mailbox full")
    assert not entry.recipients[1].reason
    assert entry.size == len(HEADERS.format(id=queue_id, more="", done="XX")) + len(f"{queue_id}-D\ntext\n")


def test_who_has_got_it_does_not_wait(tmp_path: Path) -> None:
    put(tmp_path, SHORT, done="YN bo@example.org\nNN cy@example.net")
    (tmp_path / f"input/{SHORT}-J").write_text("di@example.net\n")
    assert addresses(read(tmp_path)[0]) == []


def test_a_frozen_message_is_in_its_own_queue(tmp_path: Path) -> None:
    put(tmp_path, SHORT, more="-frozen 1795285000\n")
    assert read(tmp_path)[0].queue == "frozen"


@pytest.mark.parametrize("text", ["", "\n\n\n\n", f"{SHORT}-H\nu 1 1\n<a@example.com>\nsoon 0\n", "\0" * 100_000])
def test_a_damaged_file_is_no_message(tmp_path: Path, text: str) -> None:
    put(tmp_path, SHORT)
    (tmp_path / f"input/{SHORT}-H").write_text(text)
    assert read(tmp_path) == []


def test_a_message_that_goes_away_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, SHORT)
    (tmp_path / f"input/{SHORT}-D").unlink()
    assert read(tmp_path) == []


def test_a_spool_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="input"):
        read(tmp_path)


def test_the_spool_is_found(tmp_path: Path) -> None:
    (tmp_path / "var/spool/exim4/input").mkdir(parents=True)
    assert find_queues(tmp_path) == [Place("exim", tmp_path / "var/spool/exim4", "exim")]


@pytest.mark.skipif(not LAB.exists(), reason="the recorded spool is not here")
def test_a_recorded_spool_agrees_with_the_server(tmp_path: Path) -> None:
    with tarfile.open(LAB / "spool.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    found = {it.queue_id: it for it in read(tmp_path / "var/spool/exim4")}
    listing = (LAB / "exim4_-bp.txt").read_text()
    listed = dict(re.findall(r"^ *\S+ +\S+ (\S+) <(.*?)>", listing, re.MULTILINE))
    assert {queue_id: it.sender for queue_id, it in found.items()} == listed
    frozen = set(re.findall(r"(\S+) <.*> \*\*\* frozen \*\*\*", listing))
    assert {queue_id for queue_id, it in found.items() if it.queue == "frozen"} == frozen
    waiting = sorted(line.strip() for line in listing.splitlines() if re.fullmatch(r" {10}\S+", line))
    assert sorted(to for it in found.values() for to in addresses(it)) == waiting
