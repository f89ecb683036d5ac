"""Arriving at a server of the exporter's own, over SMTP or LMTP: needs the extra `mailstat[sink]`."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from exporter.probes.arrival import RAW_LIMIT, Found
from exporter.probes.failure import ProbeError
from exporter.probes.message import new_id

if TYPE_CHECKING:
    from exporter.probes.maildir import Take

_SILENCE_SECONDS = 60


class Sink:
    """A server that listens from the first look on; each mail is shown when it comes, and none is kept."""

    def __init__(self, url: str) -> None:
        self._protocol, _, address = url.partition("://")
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._take: Take | None = None
        self._server: asyncio.Server | None = None

    async def visit(self, take: Take) -> None:
        """Listen. Raises OSError where that cannot be, ProbeError without the extra."""
        self._take = take
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._session, self._host, self._port)

    def close(self) -> None:
        """Listen no more."""
        if self._server:
            self._server.close()
            self._server = None

    def _session(self) -> asyncio.Protocol:
        try:
            from aiosmtpd.lmtp import LMTP  # noqa: PLC0415 - an extra
            from aiosmtpd.smtp import SMTP  # noqa: PLC0415 - an extra
        except ImportError:
            raise ProbeError("internal", "sink: install mailstat[sink]") from None
        kind = LMTP if self._protocol == "lmtp" else SMTP
        made: asyncio.Protocol = kind(
            self, data_size_limit=RAW_LIMIT, timeout=_SILENCE_SECONDS, hostname="mailstat.invalid", ident="mailstat"
        )
        return made

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """A mail came; what is not ours is refused, so that nobody believes it was delivered."""
        raw = bytes(envelope.content)
        found = Found(raw, "sink", is_junk=False, place=new_id(), arrived=time.time())
        is_ours = self._take is not None and self._take(found)
        return "250 2.0.0 Ok" if is_ours else "550 5.7.1 Only for the mail of probes"
