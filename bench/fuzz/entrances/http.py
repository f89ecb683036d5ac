"""Bytes that come to the port, from whoever reaches it: the real service, real sockets."""

from __future__ import annotations

import asyncio
import logging
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import bcrypt
from prometheus_client import CollectorRegistry, Gauge

from exporter.door.door import Door
from exporter.door.reception import Reception
from exporter.web import application, serve

SECONDS = 120.0  # until an answer is given up
_LOGIN = b"Authorization: Basic YWxpY2U6cGFzcw==\r\n"
SEEDS = (
    b"GET /metrics HTTP/1.1\r\nHost: a\r\n" + _LOGIN + b"Connection: close\r\n\r\n",
    b"GET /metrics?name[]=a&name[]=b HTTP/1.1\r\nHost: a\r\n"
    b"Accept: application/openmetrics-text;version=1.0.0;q=0.8\r\n"
    b"Accept-Encoding: gzip\r\n" + _LOGIN + b"\r\n",
    b"POST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n" + _LOGIN + b"\r\nabc",
    b"POST /-/reload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + _LOGIN + b"\r\n3\r\nabc\r\n0\r\n\r\n",
    b"GET / HTTP/1.0\r\n" + _LOGIN + b"\r\nGET /-/ready HTTP/1.1\r\nHost: a\r\n" + _LOGIN + b"\r\n",
    b"GET /probe?module=a&target=b HTTP/1.1\r\nHost: a\r\nX-Prometheus-Scrape-Timeout-Seconds: 1e3\r\n"
    + _LOGIN
    + b"\r\n",
    b"HEAD /-/healthy HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" + _LOGIN + b"\r\n",
)
WORDS = (
    *(b"Content-Length: ", b"Transfer-Encoding: ", b"Expect: 100-continue\r\n", b"\r\n\r\n", b"chunked", b"HTTP/9.9"),
    *(
        b"GET ",
        b"CONNECT ",
        b"OPTIONS * ",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"http://a@b:99999999/",
        b"//[::1",
        b"%00",
    ),
    *(
        b"\x16\x03\x01\x02\x00",
        b"Host: \r\n",
        b"X: y\r\n" * 80,
        b"Cookie: a\r\n",
        b"Authorization: Basic ",
        b"Range: bytes=0-",
    ),
    *(
        b"Content-Encoding: gzip\r\n",
        b"multipart/form-data; boundary=",
        b"name[]=",
        b"If-None-Match: *\r\n",
        b"YTpi",
        b"Og==",
    ),
)


class _View:
    started = 0.0
    version = "1"

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        Gauge("mail_messages_in_flight", "Messages.", registry=self.registry).set(2)

    def is_ready(self) -> bool:
        return True

    def sources(self) -> list[Any]:
        return []

    def troubles(self) -> list[str]:
        return []

    async def save(self) -> None:
        """Nothing is kept."""


class _Errors(logging.Handler):
    """What the service says of itself that it should never have to."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.said.append(f"{record.getMessage()} {record.exc_info[1] if record.exc_info else ''}")


@contextmanager
def opened() -> Iterator[Callable[[bytes], object]]:
    """Each input is a connection's, which ends with it; then a scrape is answered still."""
    loop = asyncio.new_event_loop()
    errors = _Errors()
    loop.set_exception_handler(lambda _, context: errors.said.append(str(context)))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    logging.getLogger().addHandler(errors)
    with tempfile.TemporaryDirectory(prefix="mailstat-fuzz-") as folder:
        config = Path(folder) / "web.yml"
        config.write_text(f"basic_auth_users: {{alice: {bcrypt.hashpw(b'pass', bcrypt.gensalt(4)).decode()}}}\n")
        reception = asyncio.run_coroutine_threadsafe(_start(config), loop).result()
        port = reception.addresses[0][1]
        try:
            yield lambda text: _feed(text, port, errors)
        finally:
            asyncio.run_coroutine_threadsafe(reception.cleanup(), loop).result()
            logging.getLogger().removeHandler(errors)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


async def _start(config: Path) -> Reception:
    async def reload() -> list[str]:
        return []

    app = application(_View(), "/metrics", reload, door=Door(config, lambda: 0.0))
    return await serve(app, ["127.0.0.1:0"])


def _feed(text: bytes, port: int, errors: _Errors) -> None:
    answer = _ask(text, port)
    assert not answer or answer.startswith(b"HTTP/"), answer[:100]
    assert b" 500 " not in answer.split(b"\r\n", 1)[0], answer[:200]
    assert not errors.said, errors.said.pop()
    assert _ask(SEEDS[0], port).startswith(b"HTTP/1.1 200 OK")


def _ask(text: bytes, port: int) -> bytes:
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection, suppress(ConnectionError):
        connection.sendall(text)
        if text != SEEDS[0]:
            connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(1 << 16):
            received += part
    return received
