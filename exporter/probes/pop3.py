"""Arriving in a mailbox over POP3 (RFC 1939): the beginning of each new mail is read, its UIDL is its place."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from exporter.probes.arrival import RAW_LIMIT, Found
from exporter.probes.failure import ProbeError
from exporter.probes.imap import opened, secured
from exporter.probes.link import Link
from exporter.probes.section import secret

if TYPE_CHECKING:
    from exporter.probes.maildir import Take
    from exporter.probes.section import Pop3

_LINE_LIMIT = 1 << 16
_LIST_LIMIT = 1 << 20  # bytes of the list of mails
_MAILS_LIMIT = 100  # that are read at a look, the newest
_LINES = 1000  # of a mail's text: enough to verify a signature over what we send
_SEEN = 10_000


class Pop3Mailbox:
    """A mailbox over POP3: each look is a session of its own. There is no folder for junk."""

    def __init__(self, how: Pop3) -> None:
        self._how = how
        self._seen: set[str] = set()

    async def visit(self, take: Take) -> None:
        """Show what is new. Raises OSError, ProbeError and SecretError."""
        password = secret(self._how.password_file, self._how.password_env)
        link = await opened(self._how)
        try:
            await _line(link)
            if self._how.tls == "starttls":
                await _command(link, "STLS")
                await secured(link, self._how)
            await _command(link, f"USER {self._how.username}")
            await _command(link, f"PASS {password}", failure="auth")
            await self._look(link, take)
            await _command(link, "QUIT")  # only now is deleted what was marked
        finally:
            link.close()

    async def _look(self, link: Link, take: Take) -> None:
        await _command(link, "UIDL")
        entries = [line.split() for line in (await _text(link, _LIST_LIMIT)).splitlines()]
        listed = [
            (it[0].decode("ascii", "replace"), it[1].decode("ascii", "replace")) for it in entries if len(it) == 2
        ]
        for number, place in listed[-_MAILS_LIMIT:]:
            if place in self._seen or not number.isdigit():
                continue
            await _command(link, f"TOP {number} {_LINES}")
            raw = await _text(link, RAW_LIMIT)
            if take(Found(raw, "INBOX", is_junk=False, place=place, arrived=time.time())) and self._how.delete:
                await _command(link, f"DELE {number}")
            elif len(self._seen) < _SEEN:
                self._seen.add(place)


async def _line(link: Link, words: str = "the greeting", failure: str = "refused_command") -> None:
    link.allow(_LINE_LIMIT)
    if not (await link.line(_LINE_LIMIT)).startswith(b"+OK"):
        raise ProbeError(failure, f"the server refused {words}")


async def _command(link: Link, command: str, failure: str = "refused_command") -> None:
    if "\r" in command or "\n" in command:
        raise ProbeError("protocol_error", "a line end in a name or a password")
    await link.write(f"{command}\r\n".encode())
    await _line(link, command.partition(" ")[0], failure)


async def _text(link: Link, most: int) -> bytes:
    """A text up to its dot. ProbeError where it is longer."""
    link.allow(most + _LINE_LIMIT)
    lines: list[bytes] = []
    while (line := await link.line(_LINE_LIMIT)) != b".":
        lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
    return b"".join(line + b"\r\n" for line in lines)
