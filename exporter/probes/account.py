"""A connection to the server of a mailbox, with the secret to log in there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from exporter.probes.certificate import Certificate, shown
from exporter.probes.link import Link, connect, resolve, tls_context
from exporter.probes.section import secret

if TYPE_CHECKING:
    from exporter.probes.dialogue import Dialogue
    from exporter.probes.section import Imap, Pop3

_CONNECT_SECONDS = 30.0
# RFC 5530, RFC 2449, RFC 3206: the server cannot just now, whoever asks.
_PASSING = re.compile(
    r"\[(?:UNAVAILABLE|INUSE|LIMIT|SERVERBUG|IN-USE|LOGIN-DELAY|SYS/(?:TEMP|PERM))\b", re.IGNORECASE
)


async def opened(how: Imap | Pop3, dialogue: Dialogue, note: Callable[[Certificate], None]) -> Link:
    """A connection to a mailbox's server, with TLS where that comes first. Raises OSError and ProbeError."""
    loop = asyncio.get_running_loop()
    addresses = await resolve(how.server, how.port_number, "any")
    dialogue.said("--", f"connecting to {how.server} port {how.port_number}")
    link, _ = await connect(addresses, how.port_number, None, loop.time() + _CONNECT_SECONDS)
    try:
        if how.tls == "implicit":
            await secured(link, how, dialogue, note)
    except BaseException:
        link.close()
        raise
    return link


async def secured(link: Link, how: Imap | Pop3, dialogue: Dialogue, note: Callable[[Certificate], None]) -> None:
    """Begin TLS; `note` is told of the server's certificate, also of one that is refused."""
    context = await asyncio.to_thread(tls_context, how.ca_file, is_verified=how.verify)
    try:
        await link.start_tls(context, how.server)
    finally:
        if found := shown(link.handshake):
            note(found)
            dialogue.said("--", str(found))
    if link.tls is not None:
        dialogue.said("--", f"{link.tls.version()} {(link.tls.cipher() or ('?',))[0]}")


def refusal(reason: str, text: str) -> str:
    """The reason of an answer that is no good one: where the server cannot just now, the password may be right."""
    return "refused_command" if _PASSING.search(text) else reason


def password(how: Imap | Pop3, dialogue: Dialogue) -> str:
    """The secret of this account, which the dialogue hides from now on. Raises SecretError."""
    found = secret(how.password_file, how.password_env)
    dialogue.hide(found.encode(), found.replace("\\", "\\\\").replace('"', '\\"').encode())
    return found
