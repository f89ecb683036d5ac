"""The service behind a door, in a thread of its own, and what real clients see of it."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import threading
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import bcrypt
import trustme
from prometheus_client import CollectorRegistry, Gauge

from exporter.door.door import Door
from exporter.door.reception import MOST, Reception
from exporter.door.visitor import Patience
from exporter.web import application, serve
from tests.service import PATIENCE

HOST = "exporter.example.com"
UNHURRIED = Patience(handshake=PATIENCE, request=PATIENCE, answer=PATIENCE)


class View:
    """Something to show."""

    started = 0.0
    version = "1.2.3"

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.may_save = asyncio.Event()
        self.may_save.set()
        Gauge("mail_messages_in_flight", "Messages.", registry=self.registry).set(2)

    def is_ready(self) -> bool:
        return True

    def sources(self) -> list[object]:
        return []

    def troubles(self) -> list[str]:
        return []

    async def save(self) -> None:
        await self.may_save.wait()


@dataclass
class Answer:
    """To one request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Place:
    """A door on a port of loopback."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.door: Door
        self.reception: Reception | None = None
        self.now = monotonic
        self.view = View()

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    def open(
        self, path: Path | None, *addresses: str, most: int = MOST, patience: Patience | None = None
    ) -> Reception:
        self.door = Door(path, self.now)

        async def reload() -> list[str]:
            return []

        app = application(self.view, "/metrics", reload, door=self.door)
        self.reception = self.call(serve(app, addresses or ["127.0.0.1:0"], most, patience or UNHURRIED))
        return self.reception

    @property
    def port(self) -> int:
        assert self.reception
        return self.reception.addresses[0][1]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def client(self, tls: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(HOST, timeout=PATIENCE)
        raw = self.connect()
        try:
            connection.sock = tls.wrap_socket(raw, server_hostname=HOST) if tls else raw
        except BaseException:
            raw.close()
            raise
        return connection

    def get(self, path: str = "/metrics", tls: ssl.SSLContext | None = None, login: str | None = None) -> Answer:
        """The answer to one request on a connection of its own."""
        connection = self.client(tls)
        try:
            return ask(connection, path, login)
        finally:
            connection.close()

    def close(self) -> None:
        """So that it can be opened anew."""
        if self.reception:
            self.call(self.reception.cleanup())
        self.reception = None

    def stop(self) -> None:
        self.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


def ask(connection: http.client.HTTPConnection, path: str = "/metrics", login: str | None = None) -> Answer:
    connection.request("GET", path, headers=basic(login))
    answer = connection.getresponse()
    return Answer(answer.status, answer.headers, answer.read())


def basic(login: str | None) -> dict[str, str]:
    return {} if login is None else {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}


def hashed(password: str, cost: int = 4) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def write_pair(folder: Path, authority: trustme.CA, name: str = HOST) -> None:
    """A certificate of the server, and its key."""
    issued = authority.issue_cert(name)
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")


def trusting(authority: trustme.CA, client: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """What a client has that knows this authority, and perhaps has a certificate of its own."""
    made = ssl.create_default_context()
    authority.configure_trust(made)
    if client:
        client.configure_cert(made)
    return made
