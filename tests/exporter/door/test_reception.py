"""Places for clients: how many, for how long, and who has to go; sockets of all kinds."""

from __future__ import annotations

import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import Gauge

from exporter.door.address import ListenError
from exporter.door.reception import Reception
from exporter.door.visitor import Patience
from tests.deadline import told_in_time
from tests.exporter.door.place import UNHURRIED, Place, ask
from tests.service import PATIENCE, wait_for

SLOW = b"GET /metrics HTTP/1.1\r\nHost: a\r\nX-"


def is_closed(client: socket.socket) -> bool:
    """Whether the other end has gone; waits for it."""
    try:
        return client.recv(100) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("text", [b"", b"G", SLOW], ids=["nothing", "a byte", "half a head"])
def test_who_says_nothing_whole_in_time_is_sent_away(place: Place, text: bytes) -> None:
    place.open(None, patience=Patience(request=0.2))
    with place.connect() as slow:
        slow.sendall(text)
        assert is_closed(slow)


@pytest.mark.parametrize("is_at_once", [False, True])
def test_the_second_request_has_to_be_whole_in_time_too(place: Place, is_at_once: bool) -> None:
    def is_second_sent_away(seconds: float) -> bool:
        place.close()
        place.open(None, patience=Patience(request=seconds, answer=3 * seconds if is_at_once else 0.1))
        connection = place.client()
        with closing(connection), suppress(ConnectionError):  # the first may not be in time on a busy machine
            assert ask(connection).status == 200
            if not is_at_once:
                with place.connect() as other:  # let the time pass in which the answer has to be taken
                    assert is_closed(other)
            connection.sock.sendall(SLOW)
            return is_closed(connection.sock)
        return False

    assert told_in_time(is_second_sent_away, bool)


def test_who_does_not_take_the_answer_is_sent_away(place: Place) -> None:
    place.open(None, patience=Patience(request=PATIENCE, answer=0.2))
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.connect(("127.0.0.1", place.port))
        slow.settimeout(PATIENCE)
        with pytest.raises(ConnectionError):
            # Answers pile up until the server's buffers are full.
            slow.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 1_000_000)


def test_where_all_places_are_taken_the_one_goes_who_says_nothing(place: Place) -> None:
    reception = place.open(None, most=5)
    silent = [place.connect() for _ in range(5)]
    for client in silent:
        client.sendall(SLOW)
    assert place.get().status == 200
    assert is_closed(silent[0])
    assert reception.visitors <= 5
    for _ in range(20):
        assert place.get().status == 200
    for client in silent:
        client.close()


def test_a_scraper_that_comes_again_outlasts_who_says_nothing(place: Place) -> None:
    reception = place.open(None, most=4, patience=replace(UNHURRIED, grace=0.01))
    kept = place.client()
    silent = [place.connect() for _ in range(2)]
    for number in range(10):
        assert ask(kept).status == 200
        silent.append(place.connect())
        silent[-1].sendall(SLOW)
        wait_for(lambda: reception.sent_away == number)  # noqa: B023 - else several may have come since its request
    assert ask(kept).status == 200
    kept.close()
    for client in silent:
        client.close()


def test_many_scrapes_at_once_share_few_places(place: Place) -> None:
    reception = place.open(None, most=8, patience=Patience(grace=PATIENCE))
    with ThreadPoolExecutor(40) as threads:
        answers = list(threads.map(lambda _: place.get().status, range(200)))
    assert answers == [200] * 200
    assert reception.sent_away == 0


def test_who_comes_while_the_loop_is_busy_need_not_come_again(place: Place) -> None:
    """A connection that finds the system's list full is tried again a second later: that was the slowest scrape."""
    place.open(None)
    go_on = threading.Event()
    place.loop.call_soon_threadsafe(go_on.wait, PATIENCE)
    clients = [place.connect() for _ in range(400)]
    go_on.set()
    for client in clients:
        client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert all(client.recv(100).startswith(b"HTTP/1.1 200 OK") for client in clients)
    for client in clients:
        client.close()


def test_who_goes_leaves_a_place(place: Place) -> None:
    reception = place.open(None)
    for _ in range(30):
        place.connect().close()
        assert place.get().status == 200
    with ThreadPoolExecutor(1) as thread:
        while thread.submit(lambda: reception.visitors).result() > 1:
            assert place.get().status == 200


def test_a_head_has_so_many_lines_and_no_more(place: Place) -> None:
    place.open(None)
    for lines, status in ((50, b"200"), (100, b"400")):
        with place.connect() as client:
            client.sendall(
                b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + b"X: y\r\n" * lines + b"\r\n"
            )
            assert status in client.recv(65536).split(b"\r\n")[0]


# Clients that end their half of the connection

ONCE = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
KEPT = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
LACKING = b"POST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nx"
WHOLE = LACKING.replace(b"99", b"1")


def told(client: socket.socket, *parts: bytes) -> bytes:
    """What a client gets that sends this, and that it sends no more."""
    for part in parts:
        client.sendall(part)
    client.shutdown(socket.SHUT_WR)
    return b"".join(iter(lambda: client.recv(65536), b""))


def assert_empty(reception: Reception) -> None:
    """Nobody is there, now or soon."""
    wait_for(lambda: reception.visitors == 0, lambda: f"{reception.visitors} visitors are left")


@pytest.mark.parametrize("text", [ONCE, KEPT, WHOLE], ids=["once", "kept", "with a body"])
def test_who_sends_no_more_has_the_answer(place: Place, text: bytes) -> None:
    reception = place.open(None)
    with place.connect() as client:
        answer = told(client, text)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"mail_messages_in_flight 2.0" in answer or b"is reloaded" in answer
    assert_empty(reception)


def test_who_sends_no_more_has_the_answer_over_a_unix_socket(place: Place, tmp_path: Path) -> None:
    place.open(None, f"unix:{tmp_path}/s")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{tmp_path}/s")
        assert told(client, KEPT).startswith(b"HTTP/1.1 200 OK")


def test_who_sends_no_more_after_an_answer_has_the_next(place: Place) -> None:
    place.open(None)
    connection = place.client()
    assert ask(connection).status == 200
    assert told(connection.sock, KEPT).startswith(b"HTTP/1.1 200 OK")
    connection.close()


def test_who_sends_no_more_is_told_that_a_request_is_bad(place: Place) -> None:
    place.open(None)
    with place.connect() as client:
        assert told(client, b"GET /metrics HTTP/7\r\n\r\n").startswith(b"HTTP/1.0 400")


@pytest.mark.parametrize("text", [b"", b"G", SLOW, LACKING], ids=["nothing", "a byte", "half a head", "half a body"])
def test_who_sends_no_more_and_asked_nothing_whole_is_gone(place: Place, text: bytes) -> None:
    reception = place.open(None)
    with place.connect() as client:
        answer = told(client, text)
    assert answer == b"" or (text is LACKING and answer.startswith(b"HTTP/1.1 200 OK"))  # which needs no body
    assert_empty(reception)


def test_who_sends_no_more_after_the_answer_is_gone(place: Place) -> None:
    reception = place.open(None)
    connection = place.client()
    assert ask(connection).status == 200
    assert told(connection.sock) == b""
    connection.close()
    assert_empty(reception)


@pytest.mark.parametrize("more", [b"", b"G"], ids=["nothing", "half a head"])
def test_who_sends_no_more_and_takes_nothing_is_sent_away(place: Place, more: bytes) -> None:
    Gauge("bulk", "x" * (16 << 20), registry=place.view.registry)

    def taken(seconds: float) -> int | None:
        place.close()
        reception = place.open(None, patience=replace(UNHURRIED, answer=seconds))
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            slow.connect(("127.0.0.1", place.port))
            slow.settimeout(PATIENCE)
            with suppress(ConnectionError):  # it may be sent away before it has said that, on a busy machine
                slow.sendall(KEPT)
                assert slow.recv(1) == b"H"
                slow.sendall(more)
                slow.shutdown(socket.SHUT_WR)
                assert_empty(reception)
                return sum(iter(lambda: len(slow.recv(65536)), 0))
        return None

    answer = told_in_time(taken, lambda found: found is not None)
    assert answer is not None
    assert answer < 15 << 20


def test_who_is_gone_before_the_answer_leaves_nothing_behind(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    reception = place.open(None)
    Gauge("bulk", "x" * (16 << 20), registry=place.view.registry)
    place.loop.call_soon_threadsafe(place.view.may_save.clear)
    with place.connect() as client:
        client.sendall(KEPT)
        wait_for(lambda: reception.visitors == 1)
    assert place.get("/-/healthy").status == 200
    place.loop.call_soon_threadsafe(place.view.may_save.set)
    assert_empty(reception)
    assert not caplog.records


def test_who_sends_no_more_goes_first_where_all_places_are_taken(place: Place) -> None:
    """A client that is gone looks the same: its request keeps nobody from a place."""
    reception = place.open(None, most=3, patience=replace(UNHURRIED, grace=0.05))
    place.loop.call_soon_threadsafe(place.view.may_save.clear)
    clients = [place.connect() for _ in range(3)]
    for client in clients:
        client.sendall(KEPT)
        client.shutdown(socket.SHUT_WR)
    assert place.get("/-/healthy").status == 200
    assert reception.sent_away >= 1
    place.loop.call_soon_threadsafe(place.view.may_save.set)
    for client in clients:
        client.close()


# Addresses


def test_a_unix_socket(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "mailstat.sock"
    reception = place.open(None, f"unix:{path}", "127.0.0.1:0")
    assert reception.addresses[0] == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.0 200 OK")
    place.close()
    assert not path.exists()


def test_a_unix_socket_that_a_killed_process_left(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "mailstat.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    place.open(None, f"unix:{path}")
    assert path.is_socket()


def test_a_unix_socket_that_another_process_has(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "mailstat.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(ListenError, match="Address already in use"):
            place.open(None, f"unix:{path}")
    assert path.is_socket()


@pytest.mark.parametrize(
    "address", ["unix:", "unix:mailstat.sock", "unix:/absent/mailstat.sock", f"unix:/{'x' * 200}"]
)
def test_a_unix_socket_that_cannot_be(place: Place, address: str) -> None:
    with pytest.raises(ListenError, match=r"^cannot listen on unix:"):
        place.open(None, address)


def test_a_file_is_not_replaced_by_a_socket(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("content")
    with pytest.raises(ListenError, match="Address already in use"):
        place.open(None, f"unix:{path}")
    assert path.read_text() == "content"
