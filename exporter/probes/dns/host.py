"""What a mail server shows to another one that delivers to it: STARTTLS, and its certificates."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from exporter.probes import certificate
from exporter.probes.dialogue import Dialogue
from exporter.probes.dns.resolver import sockets
from exporter.probes.failure import ProbeError, explain
from exporter.probes.session import opened
from exporter.probes.smtp import own_name

if TYPE_CHECKING:
    from exporter.probes.dns.world import World

CERTIFICATE_REASONS = ("certificate-expired", "certificate-host-mismatch", "certificate-not-trusted")
"""The reasons of RFC 8460 that are a certificate's own fault."""


async def shown(host: str, world: World, context: ssl.SSLContext) -> list[bytes]:
    """The certificates (DER) that a mail server shows, its own first. Raises ProbeError, with the reason as in the
    probes', where there is no session with TLS that the context agrees with; LookupFailedError."""
    addresses = sockets(await world.resolver.addresses(host))
    loop = asyncio.get_running_loop()
    deadline = loop.time() + world.seconds
    name = await asyncio.to_thread(own_name)
    try:
        async with (
            asyncio.timeout_at(deadline),
            opened(addresses, world.smtp_port, Dialogue(loop.time), name, deadline) as (session, banner),
        ):
            if banner.code // 100 != 2:
                raise ProbeError("refused_banner", banner.text)
            if "STARTTLS" not in await session.greet():
                raise ProbeError("starttls-not-supported", f"{host} does not offer STARTTLS")
            reply = await session.start_tls(context, host)
            tls = session.link.tls
            if tls is None:
                raise ProbeError("starttls-not-supported", reply.text)
            chain = certificate.chain(tls)
            await session.quit()
            return chain
    except (OSError, UnicodeError) as error:
        raise explain(error) from None
