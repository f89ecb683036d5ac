"""Arriving at a server of the exporter's own, over SMTP or LMTP: needs the extra `mailstat[sink]`."""

from __future__ import annotations

import asyncio
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from exporter.probes.arrival import RAW_LIMIT, Found, Polled
from exporter.probes.failure import ProbeError

if TYPE_CHECKING:
    from exporter.probes.arrival import Take

_SILENCE_SECONDS = 60
_LARGEST = 11_000_000  # bytes of a mail: ours are smaller
_SESSIONS = 20  # at a time: each may hold a mail


class Sink(Polled):
    """A server that listens from the first look on; each mail is shown when it comes, and none is kept."""

    def __init__(self, url: str) -> None:
        self._protocol, _, address = url.partition("://")
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._take: Take | None = None
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Protocol] = set()

    async def visit(self, take: Take) -> None:
        """Listen. Raises OSError where that cannot be, ProbeError without the extra."""
        self._take = take
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._new_session, self._host, self._port)

    def close(self) -> None:
        """Listen no more."""
        if self._server:
            self._server.close()
            self._server = None

    def _new_session(self) -> asyncio.Protocol:
        """A session; where there are too many, one that ends at once."""
        self._sessions = {one for one in self._sessions if not _is_over(one)}
        if len(self._sessions) >= _SESSIONS:
            return _Refusal()
        made = self._session()
        self._sessions.add(made)
        return made

    def _session(self) -> asyncio.Protocol:
        try:
            from aiosmtpd.lmtp import LMTP  # noqa: PLC0415 - an extra
            from aiosmtpd.smtp import SMTP  # noqa: PLC0415 - an extra
        except ImportError:
            raise ProbeError("internal", "sink: install mailstat[sink]") from None
        kind = LMTP if self._protocol == "lmtp" else SMTP
        made: asyncio.Protocol = kind(
            self, data_size_limit=_LARGEST, timeout=_SILENCE_SECONDS, hostname="mailstat.invalid", ident="mailstat"
        )
        return made

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """A mail came; what is not ours is refused, so that nobody believes it was delivered."""
        raw = bytes(envelope.content)
        # Who got no answer sends again, and that is no second mail: its place is what it is.
        place = sha256(raw).hexdigest()
        found = Found(raw[:RAW_LIMIT], "sink", is_junk=False, place=place, arrived=time.time())
        is_ours = self._take is not None and self._take(found)
        return "250 2.0.0 Ok" if is_ours else "550 5.7.1 Only for the mail of probes"


class _Refusal(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport), "a socket's"
        transport.write(b"421 4.3.2 Too many connections\r\n")
        transport.close()


def _is_over(session: Any) -> bool:
    """Whether an aiosmtpd session has come to its end: it lets go of its transport then."""
    return session.transport is None
