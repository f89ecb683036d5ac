"""A dialogue with an SMTP server of which nothing is expected: each reply is told as it comes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from socket import AddressFamily

from exporter.probes.dialogue import Dialogue
from exporter.probes.link import Link, connect
from exporter.probes.smtp import Reply, next_reply, offered

_QUIT_SECONDS = 1.0


class Session:
    """A session that is open. Its methods raise OSError and ProbeError."""

    def __init__(self, link: Link, dialogue: Dialogue, name: str) -> None:
        self.link = link
        self._dialogue = dialogue
        self._name = name

    async def command(self, command: str) -> Reply:
        """The reply to a command."""
        self._dialogue.said("C:", command)
        await self.link.write(f"{command}\r\n".encode())
        return await self.reply()

    async def reply(self) -> Reply:
        """The next reply."""
        return await next_reply(self.link, self._dialogue)

    async def greet(self) -> dict[str, str]:
        """Say who we are: the extensions that are offered, none where only HELO is known."""
        reply = await self.command(f"EHLO {self._name}")
        if reply.code // 100 == 5:
            await self.command(f"HELO {self._name}")
            return {}
        return offered(reply)

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> Reply:
        """Ask for TLS, and shake hands where the server agrees."""
        reply = await self.command("STARTTLS")
        if reply.code // 100 == 2:
            await self.link.start_tls(context, server_name)
        return reply

    async def send(self, what: bytes, shown: str) -> None:
        """Send bytes as they are."""
        self._dialogue.said("C:", shown)
        await self.link.write(what)

    async def quit(self) -> None:
        """Take leave, if the server still listens."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_QUIT_SECONDS):
                await self.command("QUIT")


@contextlib.asynccontextmanager
async def opened(
    addresses: Sequence[tuple[AddressFamily, str]],
    port: int,
    dialogue: Dialogue,
    name: str,
    deadline: float,
    source: str | None = None,
    implicit: tuple[ssl.SSLContext, str] | None = None,
) -> AsyncIterator[tuple[Session, Reply]]:
    """A session and the server's banner, until the end of the block; with TLS first where there is a context for it,
    and the server's name. `name` is what EHLO says. Raises OSError and ProbeError."""
    dialogue.said("--", f"connecting to port {port}: {', '.join(address for _, address in addresses)}")
    link, _ = await connect(list(addresses), port, source, deadline)
    try:
        if implicit:
            await link.start_tls(*implicit)
        session = Session(link, dialogue, name)
        yield session, await session.reply()
    finally:
        link.close()
