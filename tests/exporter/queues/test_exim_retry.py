"""Exim's retry hints, in a database laid out as Berkeley DB does (a real one is read in tests/mta/test_probes.py)."""

from __future__ import annotations

import struct
from pathlib import Path
from random import Random

import pytest

from exporter.queues.attempt import next_attempt
from exporter.queues.berkeley import records
from exporter.queues.entry import Attempt, Place
from exporter.queues.exim_retry import due
from tests.exporter.queues.test_exim import LONG, SHORT

PAGE = 4096
NOW, SOON, LATER, NEVER = 1_795_290_000, 1_795_300_000, 1_795_310_000, 1_795_400_000
HEADERS = "{id}-H\nDebian-exim 100 102\n<ann@example.com>\n1795284940 0\nXX\n{many}\n{recipients}\n\n010  From: x\n"
LOG = """\
2026-11-22 07:47:13 Received from ann@example.com
2026-11-22 07:47:14 H=mx1.example.org [192.0.2.1] Connection refused
2026-11-22 07:47:14 +0100 H=MX2.example.org [2001:db8::2]: SMTP error from remote mail server after end of data: 450 x
"""


def database(hints: dict[str, int], order: str = "<") -> bytes:
    """The hints that are due at these times, in a file of two pages."""
    items = [it for key, time in hints.items() for it in (b"\1" + key.encode() + b"\0", b"\1" + hint(time))]
    page, places, end = bytearray(PAGE), [], PAGE
    for item in items:
        end -= len(item)
        places.append(end)
        page[end : end + len(item)] = item
    struct.pack_into(f"{order}HHBB", page, 20, len(items), end, 0, 13)
    struct.pack_into(f"{order}{len(items)}H", page, 26, *places)
    meta = bytearray(PAGE)
    struct.pack_into(f"{order}III", meta, 12, 0x061561, 9, PAGE)
    return bytes(meta + page)


def hint(time: int) -> bytes:
    return struct.pack("=4q3i", SOON - 9, SOON - 99, SOON - 9, time, 0, 111, 65) + b"Connection refused\0"


def spool(folder: Path, hints: dict[str, int], *recipients: str, queue_id: str = SHORT, split: str = "") -> Path:
    for part in ("input", "msglog"):
        (folder / part / split).mkdir(parents=True)
    (folder / "db").mkdir()
    text = HEADERS.format(id=queue_id, many=len(recipients), recipients="\n".join(recipients))
    (folder / "input" / split / f"{queue_id}-H").write_text(text)
    (folder / "input" / split / f"{queue_id}-D").write_text("x\n")
    (folder / "msglog" / split / queue_id).write_text(LOG)
    (folder / "db/retry").write_bytes(database(hints))
    return folder


@pytest.mark.parametrize(
    "key",
    [
        "R:bo@example.org",
        "R:Bo@example.org:<ann@example.com>",
        "T:bo@example.org",
        "R:example.org",
        "T:mx1.example.org:192.0.2.1",
        "T:mx1.example.org:192.0.2.1:587",
        f"T:mx1.example.org:192.0.2.1:{SHORT}",
        f"T:mx2.example.org:2001:db8::2:587:{SHORT}",
    ],
)
def test_a_hint_that_keeps_a_message(tmp_path, key):
    assert due(spool(tmp_path, {key: SOON}, "Bo@example.org"), SHORT, NOW) == Attempt(SOON)


@pytest.mark.parametrize(
    "key",
    [
        "R:bob@example.org",
        "R:bo@example.org:<eve@example.net>",
        "T:example.org",
        "T:mx1.example.org:192.0.2.10",
        "T:mx3.example.org:192.0.2.1",
        f"T:mx1.example.org:192.0.2.1:{LONG}",
        "R:.*",
        "",
    ],
)
def test_a_hint_of_somebody_else(tmp_path, key):
    assert due(spool(tmp_path, {key: SOON}, "bo@example.org"), SHORT, NOW) is None


def test_the_first_of_several_hosts_will_do_but_not_before_the_address(tmp_path):
    hosts = {"T:mx1.example.org:192.0.2.1": NEVER, "T:mx2.example.org:2001:db8::2": SOON}
    folder = spool(tmp_path, hosts, "bo@example.org")
    assert due(folder, SHORT, NOW) == Attempt(SOON)
    (folder / "db/retry").write_bytes(database(hosts | {"R:bo@example.org": LATER}))
    assert due(folder, SHORT, NOW) == Attempt(LATER)


def test_a_message_in_a_spool_that_is_split(tmp_path):
    folder = spool(tmp_path, {"R:bo@example.org": SOON}, "bo@example.org", queue_id=LONG, split=LONG[5])
    assert next_attempt([Place("exim", folder, "exim")], LONG, NOW) == Attempt(SOON)
    assert due(folder, SHORT, NOW) is None


def test_what_is_frozen_is_not_tried(tmp_path):
    folder = spool(tmp_path, {"R:bo@example.org": SOON}, "bo@example.org")
    head = folder / f"input/{SHORT}-H"
    head.write_text(head.read_text().replace("\nXX\n", "\n-frozen 1795284999\nXX\n"))
    assert due(folder, SHORT, NOW) is None


@pytest.mark.parametrize("queue_id", ["../../etc/x", "4F1A2B", "", "1xUpci-0003CB-25/..", "-"])
def test_what_is_no_queue_id_names_no_file(tmp_path, queue_id):
    places = [Place("exim", spool(tmp_path, {"R:bo@example.org": SOON}, "bo@example.org"), "exim")]
    assert next_attempt(places, queue_id, NOW) is None


def test_without_a_database_or_a_spool_nothing_is_known(tmp_path):
    folder = spool(tmp_path, {"R:bo@example.org": SOON}, "bo@example.org")
    (folder / "db/retry").unlink()
    assert next_attempt([Place("exim", folder, "exim"), Place("exim", folder / "none", "x")], SHORT, NOW) is None


def test_numbers_of_another_order_are_read_too(tmp_path):
    (tmp_path / "retry").write_bytes(database({"R:bo@example.org": SOON}, ">"))
    assert [key for key, _ in records(tmp_path / "retry")] == [b"R:bo@example.org\0"]


def test_a_file_that_is_torn_or_of_another_kind_is_no_error(tmp_path):
    whole = database({f"R:bo{number}@example.org": SOON for number in range(9)})
    folder = spool(tmp_path, {}, "bo@example.org")
    random = Random(1)
    for _ in range(3000):
        torn = bytearray(whole[: random.choice((len(whole), random.randrange(len(whole))))])
        for _ in range(random.randrange(1, 30)):
            # Mostly where it says what the rest is.
            place = random.choice((random.randrange(64), PAGE + random.randrange(64), random.randrange(len(whole))))
            torn[place : place + 1] = random.randbytes(1)
        (folder / "db/retry").write_bytes(torn)
        assert len(list(records(folder / "db/retry"))) <= 9
        due(folder, SHORT, NOW)
