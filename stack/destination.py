"""The outside world: hosts that accept, defer, refuse and drop as the recipient's local part asks, and keep count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ssl import SSLContext
from threading import Thread
from typing import NamedTuple

from aiosmtpd.smtp import SMTP, Envelope, Session

LATER = "451 4.7.1 Greylisted, please try again later"
REPLIES = {
    "unknown": "550 5.1.1 User unknown",
    "later": LATER,
    "shortly": "451 4.7.1 Not now",
    "never": "452 4.2.2 Mailbox is full",
    "spam": "554 5.7.1 Message refused as spam",
    "busy": "450 4.3.0 Out of memory, try again",
}
AT_RCPT = ("unknown", "later", "shortly", "never")
AT_END = ("spam", "busy", "cut")
PASSING = ("later", "shortly", "busy", "cut")  # only at the first time
SHY = "421 4.3.2 Too busy, closing"
TAKEN = "250 2.0.0 Taken"


class Reply(NamedTuple):
    """What one recipient's attempt came to: `code` is None where the connection was cut.

    Where a client was turned away, nobody knows for which recipient it came.
    """

    recipient: str
    sender: str
    code: int | None
    dsn: str = ""

    @property
    def status(self) -> str:
        """What it is for the server that tries."""
        if self.code is None or 400 <= self.code < 500:
            return "deferred"
        return "sent" if self.code < 300 else "bounced"

    @property
    def is_notification(self) -> bool:
        return self.sender in ("", "<>")


def wish(address: str) -> str:
    """What a recipient asks for: later1-23@example.com is to be deferred for a while."""
    return address.partition("@")[0].rstrip("0123456789-")


class Shy(asyncio.Protocol):
    """Turns a client away as soon as it connects (RFC 5321, section 3.1)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(f"{SHY}\r\n".encode())
        transport.close()


class Destination:
    """One host of the outside world, that turns the first `shy` clients away. Its event loop's thread writes what it
    saw; read it when nothing comes any more.

    With `tls` it offers that. `policy` gives what it says to all recipients, "" while it looks at each; `on_taken`
    gets each message that it takes.
    """

    def __init__(
        self,
        *,
        shy: int = 0,
        tls: SSLContext | None = None,
        policy: Callable[[], str] = str,
        on_taken: Callable[[Envelope], object] | None = None,
    ) -> None:
        self.replies: list[Reply] = []
        self._shy = shy
        self._tls = tls
        self._policy = policy
        self._on_taken = on_taken
        self._asked: set[str] = set()

    # --- what aiosmtpd calls ---

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if refusal := self._policy():
            return self._answer(refusal, address, envelope=envelope)
        asked = wish(address)
        if asked in AT_RCPT and self._insists(address):
            return self._answer(REPLIES[asked], address, envelope=envelope)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Go on"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        asked = next((wish(to) for to in envelope.rcpt_tos if wish(to) in AT_END and self._insists(to)), "")
        if asked == "cut":
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
            self.replies += [Reply(to, envelope.mail_from or "", None) for to in envelope.rcpt_tos]
            return ""
        if asked not in REPLIES and self._on_taken:
            self._on_taken(envelope)
        return self._answer(REPLIES.get(asked, TAKEN), *envelope.rcpt_tos, envelope=envelope)

    def _insists(self, address: str) -> bool:
        is_first = address not in self._asked
        self._asked.add(address)
        return is_first or wish(address) not in PASSING

    def _answer(self, reply: str, *recipients: str, envelope: Envelope) -> str:
        code, dsn, _ = reply.split(" ", 2)
        self.replies += [Reply(recipient, envelope.mail_from or "", int(code), dsn) for recipient in recipients]
        return reply

    # --- connections ---

    def connection(self) -> asyncio.Protocol:
        """What meets a client that connects."""
        if self._shy:
            self._shy -= 1
            self.replies.append(Reply("", "", 421, "4.3.2"))
            return Shy()
        return SMTP(
            self,
            hostname="mx.example.com",
            enable_SMTPUTF8=True,
            tls_context=self._tls,
            loop=asyncio.get_running_loop(),
        )


@contextmanager
def listening(hosts: dict[str, Destination]) -> Iterator[dict[str, tuple[str, int]]]:
    """Let hosts listen, each on a loopback address and a port of its own: these, by the names of the hosts."""
    with _running_loop() as loop:
        servers = asyncio.run_coroutine_threadsafe(_listen(hosts), loop).result()
        try:
            yield {host: server.sockets[0].getsockname() for host, server in servers.items()}
        finally:
            asyncio.run_coroutine_threadsafe(_close(servers), loop).result()


@contextmanager
def _running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(hosts: dict[str, Destination]) -> dict[str, asyncio.Server]:
    """All on the same port, for Sendmail has one for all."""
    loop, servers, port = asyncio.get_running_loop(), {}, 0
    for number, (name, host) in enumerate(hosts.items(), start=20):
        servers[name] = await loop.create_server(host.connection, f"127.0.0.{number}", port)
        port = servers[name].sockets[0].getsockname()[1]
    return servers


async def _close(servers: dict[str, asyncio.Server]) -> None:
    for server in servers.values():
        server.close()
    sessions = asyncio.all_tasks() - {asyncio.current_task()}
    for session in sessions:
        session.cancel()
    await asyncio.gather(*sessions, return_exceptions=True)
