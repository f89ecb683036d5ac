"""A syslog server, with real clients: logger(1), plain sockets and TLS."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from ipaddress import ip_network
from pathlib import Path

import pytest
import trustme

from exporter.config import Config, LogSource, SyslogSource
from exporter.pipeline import Pipeline
from exporter.sources.address import Address
from exporter.sources.feed import FeedError
from exporter.sources.syslog import Certificate, Syslog, Terms
from tests.service import PATIENCE, wait_for
from tests.tick import tick

NOW = 1_795_284_304.0
OLD = b"<22>Nov 21 10:00:00 mail postfix/smtp[7]: "
LINE = b"Nov 21 10:00:00 mail postfix/smtp[7]: "

needs_logger = pytest.mark.skipif(shutil.which("logger") is None, reason="needs logger of util-linux")
Make = Callable[..., Syslog]


@pytest.fixture
def clock() -> list[float]:
    return [NOW]


@pytest.fixture
def make(clock: list[float]) -> Iterator[Make]:
    """Makes servers that listen."""
    with ExitStack() as stack:

        def made(scheme: str, terms: Terms | None = None, certificate: Certificate | None = None) -> Syslog:
            server = Syslog(Address(scheme, "127.0.0.1"), lambda: clock[0], terms, certificate)
            stack.callback(server.close)
            assert list(server.blocks()) == []
            return server

        yield made


def read(server: Syslog, lines: int) -> list[bytes]:
    """So many lines, and no more of them."""
    found: list[bytes] = []
    end = time.monotonic() + PATIENCE
    while len(found) < lines:
        assert time.monotonic() < end, found
        found += b"".join(server.blocks()).splitlines(keepends=True)
        time.sleep(0.005)
    time.sleep(0.02)
    return found + b"".join(server.blocks()).splitlines(keepends=True)


def until(server: Syslog, is_so: Callable[[], object]) -> list[bytes]:
    found: list[bytes] = []
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, found
        found += b"".join(server.blocks()).splitlines(keepends=True)
        time.sleep(0.005)
    return found


def connected(server: Syslog) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)


def clients(server: Syslog) -> int:
    list(server.blocks())
    return len(server._server.clients)  # type: ignore[union-attr]


# --- by each way


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
@pytest.mark.parametrize("form", [["--rfc3164"], ["--rfc5424"]], ids=str)
@pytest.mark.parametrize("framing", [[], ["--octet-count"]], ids=str)
@needs_logger
def test_logger_itself(make: Make, scheme: str, form: list[str], framing: list[str]) -> None:
    server = make(scheme)
    options = [f"--{scheme}", "--server", "127.0.0.1", "--port", str(server.port), "--priority", "mail.info"]
    words = "NOQUEUE: reject: RCPT from client.example.net[203.0.113.7]: 550 5.1.1 no"
    subprocess.run(["logger", *options, *form, *framing, "--tag", "postfix/smtpd", "--id=7", words], check=True)
    (line,) = read(server, 1)
    assert words.encode() in line
    assert b"postfix/smtpd" in line
    assert server.skipped_bytes == 0


@needs_logger
def test_logger_through_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "log"
    server = Syslog(Address("unix", path=str(path)), lambda: NOW)
    with closing(server):
        assert list(server.blocks()) == []
        subprocess.run(["logger", "--socket", path, "-p", "mail.info", "-t", "sendmail", "a text"], check=True)
        (line,) = read(server, 1)
        assert line.endswith(f" {socket.gethostname().partition('.')[0]} sendmail: a text\n".encode())
    assert not path.exists()


def test_tls(make: Make, tmp_path: Path) -> None:
    authority = trustme.CA()
    server = make("tls", None, certificate(authority, tmp_path))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with shaken(server, context) as client:
        client.sendall(b"".join(b"%d %s%d" % (len(OLD) + 1, OLD, number) for number in range(10)))
        assert read(server, 10) == [b"%s%d\n" % (LINE, number) for number in range(10)]
        client.sendall(b"".join(b"%s%05d\n" % (OLD, number) for number in range(20_000)))
        assert read(server, 20_000)[-1] == LINE + b"19999\n"


def shaken(server: Syslog, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A client whose handshake is done, which the server takes part in only when it is asked for lines."""
    client = context.wrap_socket(connected(server), server_hostname="localhost", do_handshake_on_connect=False)
    client.setblocking(False)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        list(server.blocks())
        try:
            client.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            continue
        client.settimeout(PATIENCE)
        return client
    raise TimeoutError


def certificate(authority: trustme.CA, folder: Path, client_ca: trustme.CA | None = None) -> Certificate:
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "cert.pem").write_bytes(b"".join(it.bytes() for it in issued.cert_chain_pems))
    if client_ca:
        client_ca.cert_pem.write_to_path(folder / "ca.pem")
    return Certificate(folder / "cert.pem", folder / "key.pem", folder / "ca.pem" if client_ca else None)


def test_tls_wants_a_certificate_where_it_is_told_to(make: Make, tmp_path: Path) -> None:
    authority, others = trustme.CA(), trustme.CA()
    server = make("tls", None, certificate(authority, tmp_path, others))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with shaken(server, context) as nobody:  # TLS 1.3: the client learns of the refusal later
        assert until(server, lambda: clients(server) == 0) == []
        with pytest.raises(ssl.SSLError):
            nobody.recv(1)
    others.issue_cert("client.example.net").configure_cert(context)
    with shaken(server, context) as client:
        client.sendall(OLD + b"text\n")
        assert read(server, 1) == [LINE + b"text\n"]


def test_a_certificate_that_was_renewed_is_shown(make: Make, tmp_path: Path) -> None:
    first, second = trustme.CA(), trustme.CA()
    server = make("tls", None, certificate(first, tmp_path))
    tick()
    certificate(second, tmp_path)
    context = ssl.create_default_context()
    second.configure_trust(context)
    shaken(server, context).close()


def test_a_certificate_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    server = Syslog(Address("tls"), lambda: NOW, None, Certificate(tmp_path / "x", tmp_path / "x"))
    with pytest.raises(FeedError, match="tls://:0: "):
        list(server.blocks())
    assert not server.is_up


# --- who may, and how much


def test_a_line_that_is_cut_anywhere_waits_for_its_end(make: Make) -> None:
    server = make("tcp")
    with connected(server) as client:
        client.sendall(OLD + b"one\n" + OLD + b"tw")
        assert read(server, 1) == [LINE + b"one\n"]
        client.sendall(b"o\n")
        assert read(server, 1) == [LINE + b"two\n"]
        client.sendall(OLD + b"half")
    until(server, lambda: clients(server) == 0)
    assert server.skipped_bytes == len(OLD + b"half")


def test_what_is_too_long_is_cut(make: Make) -> None:
    terms = Terms(frame_bytes=500)
    for scheme in ("udp", "tcp"):
        server = make(scheme, terms)
        with closing(sender(server)) as client:
            client.sendall(OLD + b"x" * 1000 + b"\n")
            (line,) = read(server, 1)
        assert line == (OLD + b"x" * 1000)[4:500] + b"\n"
        assert server.skipped_bytes == len(OLD) + 500 + (scheme == "udp")


def sender(server: Syslog) -> socket.socket:
    if server.address.scheme == "tcp":
        return connected(server)
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(("127.0.0.1", server.port))
    return client


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
@pytest.mark.parametrize(("network", "is_allowed"), [("127.0.0.0/8", True), ("192.0.2.0/24", False)])
def test_only_who_may_is_listened_to(make: Make, scheme: str, network: str, is_allowed: bool) -> None:
    server = make(scheme, Terms(allow=(ip_network(network),)))
    with closing(sender(server)) as client:
        client.sendall(OLD + b"text\n")
        if is_allowed:
            assert read(server, 1) == [LINE + b"text\n"]
        elif scheme == "udp":
            assert until(server, lambda: server.skipped_bytes) == []
        else:
            assert until(server, lambda: is_closed(client)) == []


def is_closed(client: socket.socket) -> bool:
    client.settimeout(0.01)
    try:
        return client.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_clients_are_bounded_and_there_is_room_again(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    server = make("tcp", Terms(clients=3))
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connected(server)).sendall(OLD + b"text\n")
        assert len(read(server, 3)) == 3
        for _ in range(2):
            with connected(server) as fourth:
                assert until(server, lambda: is_closed(fourth)) == []
    assert caplog.text.count("others are turned away") == 1
    until(server, lambda: clients(server) == 0)
    with connected(server) as client:
        client.sendall(OLD + b"text\n")
        assert len(read(server, 1)) == 1


def test_who_says_nothing_is_closed(make: Make, clock: list[float], tmp_path: Path) -> None:
    authority = trustme.CA()
    for server in (make("tcp", Terms(idle_seconds=100)), make("tls", None, certificate(authority, tmp_path))):
        with connected(server) as silent, connected(server) as slow:
            until(server, lambda: clients(server) == 2)  # noqa: B023
            slow.sendall(OLD + b"never an end")
            clock[0] += 11
            until(server, lambda: clients(server) == 0)  # noqa: B023
            wait_for(lambda: is_closed(silent))


def test_who_has_spoken_may_be_silent_for_longer(make: Make, clock: list[float]) -> None:
    server = make("tcp", Terms(idle_seconds=100))
    with connected(server) as client:
        client.sendall(OLD + b"text\n")
        assert len(read(server, 1)) == 1
        clock[0] += 99
        assert clients(server) == 1
        clock[0] += 2
        assert clients(server) == 0


# --- more than is read


def test_what_udp_has_no_room_for_is_counted(make: Make) -> None:
    server = make("udp")
    sent = 20_000
    with closing(sender(server)) as client:
        for number in range(sent):
            client.send(OLD + b"%d" % number + b"x" * 900)
    received = len(read(server, 1))
    assert 0 < received < sent
    assert server.dropped == sent - received


def test_a_sender_over_tcp_waits(make: Make) -> None:
    server = make("tcp")
    line = OLD + b"x" * 900 + b"\n"
    with connected(server) as client:
        client.setblocking(False)
        sent = 0
        with suppress(BlockingIOError):
            while sent < 1 << 30:
                sent += client.send(line)
        assert sent < 1 << 30
        client.settimeout(PATIENCE)
        assert len(read(server, sent // len(line))) == sent // len(line)
        client.sendall(line[sent % len(line) :])
        assert read(server, 1) == [line[4:]]
    assert server.dropped == server.skipped_bytes == 0


# --- its own life


def test_a_port_that_is_taken_is_told_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = [NOW]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        source = LogSource(syslog=SyslogSource(listen=f"tcp://127.0.0.1:{port}"))  # type: ignore[arg-type]
        made = Pipeline(Config(sources=(source,)), None, lambda: clock[0])
        made.step()
        (view,) = made.sources()
        assert (view.is_up, view.error) == (False, f"tcp://127.0.0.1:{port}: Address already in use")
    clock[0] += 60
    made.step()
    assert made.sources()[0].is_up
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"<22>Nov 21 10:00:00 mail postfix/smtpd[7]: connect from a.example.net[203.0.113.7]\n")
        end = time.monotonic() + PATIENCE
        while not made.sources()[0].lines and time.monotonic() < end:
            made.step()
    (view,) = made.sources()
    assert (view.lines, view.mtas, view.error) == (1, ("postfix",), None)
    made.close()


def test_the_socket_that_a_killed_process_left_is_replaced_and_one_in_use_is_not(tmp_path: Path) -> None:
    address = Address("unix", path=str(tmp_path / "log"))
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as killed:
        killed.bind(address.path)
    first, second = Syslog(address, lambda: NOW), Syslog(address, lambda: NOW)
    with closing(first), closing(second):
        assert list(first.blocks()) == []
        assert first.is_up
        with pytest.raises(FeedError, match="Address already in use"):
            list(second.blocks())
    Path(address.path).write_text("precious")
    with pytest.raises(FeedError), closing(Syslog(address, lambda: NOW)) as third:
        list(third.blocks())
    assert Path(address.path).read_text() == "precious"


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_bytes_of_any_kind(make: Make, scheme: str) -> None:
    server = make(scheme)
    for _ in range(50):
        with closing(sender(server)) as client:
            client.sendall(os.urandom(5000))
        list(server.blocks())
    with closing(sender(server)) as client:
        client.sendall(OLD + b"text\n")
        found: list[bytes] = []
        end = time.monotonic() + PATIENCE
        while LINE + b"text\n" not in found and time.monotonic() < end:
            found += b"".join(server.blocks()).splitlines(keepends=True)
    assert LINE + b"text\n" in found


@pytest.mark.parametrize("host", ["", "::1", "127.0.0.1", "localhost"])
def test_addresses(host: str) -> None:
    with closing(Syslog(Address("tcp", host), lambda: NOW)) as server:
        try:
            assert list(server.blocks()) == []
        except FeedError:
            assert host == "::1"
            pytest.skip("no IPv6 here")
        assert server.port
