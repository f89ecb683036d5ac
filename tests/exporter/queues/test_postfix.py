"""Postfix' queue: the reply of showq, `postqueue -j`, and the directories; the same messages by each way."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.queues import postfix, postfix_json, postfix_showq, postfix_spool
from exporter.queues.entry import Entry, Place, QueueError

LAB = Path(__file__).parents[4] / "shared/lab/queues/postfix"
GREETING = b"protocol\0mail_queue_list_protocol\0\0"
ONE = (
    b"queue_name\0deferred\0queue_id\x004jX0kW0bJrzKff0\0time\x001795284947\0size\x002044\0forced_expire\x000\0"
    b"sender\0ann@example.com\0recipient\0bo@example.org\0reason\0connect to mx.example.org[192.0.2.7]:25:"
    b" Connection refused\0recipient\0cy@example.net\0\0"
)


def read(reply: bytes, step: int = 7) -> list[Entry]:
    stream = BytesIO(reply)
    return list(postfix_showq.read(lambda: stream.read(step)))


def test_a_message_has_its_recipients_with_their_reasons() -> None:
    (entry,) = read(GREETING + ONE + b"\0")
    assert entry[:5] == ("4jX0kW0bJrzKff0", "deferred", 2044, 1795284947, "ann@example.com")
    assert [to.address for to in entry.recipients] == ["bo@example.org", "cy@example.net"]
    assert entry.recipients[0].reason.endswith("Connection refused")
    assert not entry.recipients[1].reason


def test_releases_that_do_not_greet_are_understood() -> None:
    assert read(ONE + b"\0") == read(GREETING + ONE + b"\0")


@pytest.mark.parametrize("reply", [GREETING + b"\0", b"\0"])
def test_an_empty_queue_has_no_message(reply: bytes) -> None:
    assert read(reply) == []


@pytest.mark.parametrize(
    "reply", [b"", GREETING, GREETING + ONE, GREETING + ONE[:-9], b"HTTP/1.1 400 Bad Request\r\n", b"x" * 200_000]
)
def test_a_reply_that_is_cut_or_something_else_is_said_to_be(reply: bytes) -> None:
    with pytest.raises(QueueError):
        read(reply, step=65536)


@given(
    st.lists(st.sampled_from([b"\0", b"queue_id", b"recipient", b"size", b"12", b"reason", b"time", ONE, b"\xff"]))
)
def test_no_reply_brings_it_down(parts: list[bytes]) -> None:
    with suppress(QueueError):
        assert all(isinstance(entry, Entry) for entry in read(b"".join(parts), step=100))


def test_a_message_with_a_huge_list_of_recipients_keeps_some() -> None:
    (entry,) = read(ONE[:-1] + b"recipient\0bo@example.org\0" * 5000 + b"\0\0", step=65536)
    assert len(entry.recipients) == 1000


@pytest.mark.skipif(not LAB.exists(), reason="the recorded replies are not here")
@pytest.mark.parametrize("instance", ["postfix", "postfix-out"])
def test_a_recorded_reply_agrees_with_postqueue(instance: str) -> None:
    told = read((LAB / f"showq.{instance}.bin").read_bytes())
    lines = (LAB / f"postqueue_-c_etc_{instance}_-j.txt").read_bytes().splitlines()
    asked = {it.queue_id: it for it in postfix_json.read(line for line in lines if line.startswith(b"{"))}
    assert len(told) > 0
    assert {it.queue_id: it for it in told} == asked


def test_a_line_that_is_no_message_is_said_to_be() -> None:
    with pytest.raises(QueueError):
        list(postfix_json.read([b'{"queue_id": 1}']))


def test_a_long_queue_id_tells_when_the_message_arrived() -> None:
    assert postfix_spool.arrival("4jX0kW0bJrzKff0") == pytest.approx(1795284947, abs=2)
    assert postfix_spool.arrival("5C04B246281") is None


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A spool with a flat and a hashed directory."""
    for queue in postfix_spool.QUEUES:
        (tmp_path / queue).mkdir()
    (tmp_path / "deferred/A").mkdir()
    file = tmp_path / "deferred/A/A1B2C3D4E5"
    file.write_bytes(b"x" * 100)
    os.utime(file, (0, 4_000_000_000))  # the next attempt
    (tmp_path / "incoming/4jX0kW0bJrzKff0").write_bytes(b"x" * 10)
    return tmp_path


def test_the_directories_tell_messages_and_sizes(spool: Path) -> None:
    found = {(it.queue, it.queue_id): it for it in postfix_spool.entries(spool)}
    assert set(found) == {("deferred", "A1B2C3D4E5"), ("incoming", "4jX0kW0bJrzKff0")}
    deferred = found["deferred", "A1B2C3D4E5"]
    assert deferred.size == 100
    assert deferred.arrival < 4_000_000_000


@pytest.fixture
def serve() -> Iterator[Callable[[socket.socket, bytes], None]]:
    """Answer one who connects."""
    threads = []

    def serve(listener: socket.socket, reply: bytes) -> None:
        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(reply)

        listener.listen()
        threads.append(Thread(target=answer))
        threads[-1].start()

    yield serve
    for thread in threads:
        thread.join()


def test_showq_is_asked_first(spool: Path, serve: Callable[[socket.socket, bytes], None]) -> None:
    (spool / "public").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(spool / "public/showq"))
        serve(listener, GREETING + ONE + b"\0")
        found = list(postfix.entries(Place("postfix", spool, "postfix")))
    assert [it.sender for it in found] == ["ann@example.com"]


def test_showq_is_asked_over_tcp(spool: Path, serve: Callable[[socket.socket, bytes], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serve(listener, GREETING + ONE + b"\0")
        place = Place("postfix", spool, "postfix", f"127.0.0.1:{listener.getsockname()[1]}")
        assert len(list(postfix.entries(place))) == 1


def test_where_showq_does_not_answer_the_directories_do(spool: Path) -> None:
    assert len(list(postfix.entries(Place("postfix", spool, "postfix")))) == 2


def test_what_was_tried_is_told_where_nothing_is_open(tmp_path: Path) -> None:
    with pytest.raises(QueueError, match=r"showq|No such file"):
        list(postfix.entries(Place("postfix", tmp_path / "nowhere", "postfix")))


def test_the_lines_of_postqueue_are_json() -> None:
    line = {"queue_name": "hold", "queue_id": "A1", "arrival_time": 5, "message_size": 7, "recipients": []}
    (entry,) = postfix_json.read([json.dumps(line).encode()])
    assert (entry.queue, entry.size, entry.arrival) == ("hold", 7, 5)
