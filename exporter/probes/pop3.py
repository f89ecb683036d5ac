"""Arriving in a mailbox over POP3 (RFC 1939): the beginning of each new mail is read, its UIDL is its place."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from exporter.probes.account import opened, password, refusal, secured
from exporter.probes.arrival import RAW_LIMIT, Found, Polled
from exporter.probes.dialogue import Dialogue
from exporter.probes.failure import ProbeError

if TYPE_CHECKING:
    from exporter.probes.arrival import Take
    from exporter.probes.certificate import Certificate
    from exporter.probes.link import Link
    from exporter.probes.section import Pop3

_LINE_LIMIT = 1 << 16
_LIST_LIMIT = 1 << 20  # bytes of the list of mails
_MAILS_LIMIT = 100  # that are read at a look, the newest
_LARGEST = 12_000_000  # bytes of a mail that is looked at: ours are smaller
_LINES = 1000  # of a mail's text: enough to verify a signature over what we send
_SEEN = 10_000


class Pop3Mailbox(Polled):
    """A mailbox over POP3: each look is a session of its own. There is no folder for junk."""

    def __init__(self, how: Pop3, dialogue: Dialogue | None = None) -> None:
        self._how = how
        self._dialogue = dialogue
        self._seen: set[str] = set()

    def _note(self, certificate: Certificate) -> None:
        self.certificate = certificate

    async def visit(self, take: Take) -> None:
        """Show what is new. Raises OSError, ProbeError and SecretError."""
        dialogue = self._dialogue or Dialogue(asyncio.get_running_loop().time, lines=0)
        word = password(self._how, dialogue)
        link = await opened(self._how, dialogue, self._note)
        try:
            session = _Session(link, dialogue)
            await session.line("the greeting")
            if self._how.tls == "starttls":
                await session.command("STLS")
                await secured(link, self._how, dialogue, self._note)
            await session.command(f"USER {self._how.username}", failure="auth")
            await session.command(f"PASS {word}", failure="auth")
            await self._look(session, take)
            await session.command("QUIT")  # only now is deleted what was marked
        finally:
            link.close()

    async def _look(self, session: _Session, take: Take) -> None:
        places = await session.listed("UIDL")
        sizes = await session.listed("LIST")
        fresh = [number for number in places if places[number] not in self._seen]
        for number in fresh[-_MAILS_LIMIT:]:
            place, size = places[number], sizes.get(number, "")
            if not (size.isascii() and size.isdigit() and len(size) < 10 and int(size) <= _LARGEST):
                self._remember(place)
                continue
            await session.command(f"TOP {number} {_LINES}")
            # Whoever can write to the mailbox chooses how long the lines of a mail are.
            raw = await session.text(2 * int(size) + _LINE_LIMIT)
            if take(Found(raw, "INBOX", is_junk=False, place=place, arrived=time.time())) and self._how.delete:
                await session.command(f"DELE {number}")
            else:
                self._remember(place)

    def _remember(self, place: str) -> None:
        if len(self._seen) >= _SEEN:
            self._seen.clear()  # what is shown again is known by its place
        self._seen.add(place)


class _Session:
    def __init__(self, link: Link, dialogue: Dialogue) -> None:
        self._link = link
        self._dialogue = dialogue

    async def line(self, words: str, failure: str = "refused_command") -> None:
        """A status line. Raises ProbeError where it is not a good one."""
        self._link.allow(_LINE_LIMIT)
        text = (await self._link.line(_LINE_LIMIT)).decode("utf-8", "replace")
        self._dialogue.said("S:", text)
        if not text.startswith("+OK"):
            raise ProbeError(refusal(failure, text), f"the server refused {words}: {self._dialogue.mask(text)[:300]}")

    async def command(self, command: str, failure: str = "refused_command") -> None:
        """A command and its status line."""
        if "\r" in command or "\n" in command:
            raise ProbeError("protocol_error", "a line end in a name or a password")
        self._dialogue.said("C:", command)
        await self._link.write(f"{command}\r\n".encode())
        await self.line(command.partition(" ")[0], failure)

    async def listed(self, command: str) -> dict[str, str]:
        """What a command says of each mail, by the mail's number."""
        await self.command(command)
        self._link.allow(_LIST_LIMIT)
        listed: dict[str, str] = {}
        while (line := await self._link.line(_LINE_LIMIT)) != b".":
            number, _, rest = line.decode("ascii", "replace").partition(" ")
            if number.isdigit():
                listed[number] = rest.strip()[:100]
        self._dialogue.said("--", f"{len(listed)} mails")
        return listed

    async def text(self, most: int) -> bytes:
        """The beginning of a text that ends with a dot. ProbeError where all of it is longer than `most`."""
        self._link.allow(most)
        kept = bytearray()
        while (line := await self._link.line(most)) != b".":
            if len(kept) < RAW_LIMIT:
                kept += (line.removeprefix(b".") if line.startswith(b"..") else line) + b"\r\n"
        self._dialogue.said("--", f"the beginning of a mail: {len(kept)} bytes")
        return bytes(kept[:RAW_LIMIT])
