"""Arriving in a mailbox over IMAP (RFC 3501), with the little of it that a probe needs.

Not a library's: they read a literal of any size that the server announces, and a mailbox may be hostile. Of a mail
no more than RAW_LIMIT is fetched; what a server sends beyond that is refused. The folder for junk is found by its
special use (RFC 6154), and UIDVALIDITY and UID are the place of a copy.
"""

from __future__ import annotations

import asyncio
import re
import time
from base64 import b64encode
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from exporter.probes.arrival import RAW_LIMIT, Found
from exporter.probes.failure import ProbeError
from exporter.probes.link import Link, connect, resolve, tls_context
from exporter.probes.maildir import is_junk
from exporter.probes.message import HEADER
from exporter.probes.section import secret

if TYPE_CHECKING:
    from exporter.probes.maildir import Take
    from exporter.probes.section import Imap, Pop3

_LINE_LIMIT = 1 << 16
_LINES_LIMIT = 5000
_ANSWER_LIMIT = RAW_LIMIT + (1 << 18)  # bytes of an answer
_MAILS_LIMIT = 100  # that are fetched at a look
_SEEN = 10_000
_CONNECT_SECONDS = 30.0
_LITERAL = re.compile(rb"\{([0-9]{1,10})\}$")
_LIST = re.compile(rb'\* LIST \(([^)]*)\) (?:"(?:[^"\\]|\\.)*"|NIL) (.+)', re.IGNORECASE)
_DATE = re.compile(rb'INTERNALDATE "([^"]{20,30})"', re.IGNORECASE)


class _Answer(NamedTuple):
    """The untagged lines of an answer, literals taken out of them, and the literals."""

    lines: list[bytes]
    literals: list[bytes]


class _Folder(NamedTuple):
    name: bytes
    is_junk: bool


async def opened(how: Imap | Pop3) -> Link:
    """A connection to a mailbox's server, with TLS where that comes first."""
    loop = asyncio.get_running_loop()
    addresses = await resolve(how.server, how.port_number, "any")
    link, _ = await connect(addresses, how.port_number, None, loop.time() + _CONNECT_SECONDS)
    try:
        if how.tls == "implicit":
            await secured(link, how)
    except BaseException:
        link.close()
        raise
    return link


async def secured(link: Link, how: Imap | Pop3) -> None:
    """Begin TLS."""
    context = await asyncio.to_thread(tls_context, how.ca_file, is_verified=how.verify)
    await link.start_tls(context, how.server)


class ImapMailbox:
    """A mailbox over IMAP: each look is a session of its own."""

    def __init__(self, how: Imap) -> None:
        self._how = how
        self._seen: set[str] = set()

    async def visit(self, take: Take) -> None:
        """Show what is new in the folders. Raises OSError, ProbeError and SecretError."""
        password = secret(self._how.password_file, self._how.password_env)
        link = await opened(self._how)
        try:
            session = _Session(link)
            await session.greeting()
            if self._how.tls == "starttls":
                await session.command(b"STARTTLS")
                await secured(link, self._how)
            await session.log_in(self._how.auth, self._how.username, password)
            for folder in await self._folders(session):
                await self._look(session, folder, take)
            await session.command(b"LOGOUT")
        finally:
            link.close()

    async def _folders(self, session: _Session) -> list[_Folder]:
        if self._how.folders:
            return [_Folder(name.encode(), is_junk(name)) for name in self._how.folders]
        answer = await session.command(b'LIST "" "*"')
        listed = [_folder(match[1], match[2]) for line in answer.lines if (match := _LIST.fullmatch(line))]
        return [_Folder(b"INBOX", is_junk=False), *[folder for folder in listed if folder.is_junk][:5]]

    async def _look(self, session: _Session, folder: _Folder, take: Take) -> None:
        opened_folder = await session.command(b"SELECT " + _quoted(folder.name))
        validity = _number(rb"\* OK \[UIDVALIDITY ([0-9]{1,10})\]", opened_folder.lines)
        found = await session.command(f'UID SEARCH HEADER {HEADER} ""'.encode())
        uids = sorted({int(it) for line in found.lines if line[:9].upper() == b"* SEARCH " for it in _uids(line)})
        name = folder.name.decode("utf-8", "replace")
        taken = []
        for uid in uids[-_MAILS_LIMIT:]:
            place = f"{name}/{validity}/{uid}"
            if place in self._seen:
                continue
            mail = await session.fetch(uid)
            if mail is not None and take(Found(mail[0], name, folder.is_junk, place, mail[1])):
                taken.append(uid)
            if mail is not None and not (self._how.delete and uid in taken):
                self._remember(place)
        if taken and self._how.delete:
            await self._delete(session, taken)

    def _remember(self, place: str) -> None:
        if len(self._seen) >= _SEEN:
            self._seen.clear()  # what is shown again is known by its place
        self._seen.add(place)

    async def _delete(self, session: _Session, uids: list[int]) -> None:
        """Only these: EXPUNGE would take what others have marked, so without UIDPLUS (RFC 4315) they stay marked."""
        which = ",".join(map(str, uids))
        await session.command(f"UID STORE {which} +FLAGS.SILENT (\\Deleted)".encode())
        if session.has_uidplus:
            await session.command(f"UID EXPUNGE {which}".encode())


class _Session:
    def __init__(self, link: Link) -> None:
        self._link = link
        self._number = 0
        self.has_uidplus = False

    async def greeting(self) -> None:
        self._link.allow(_LINE_LIMIT)
        line = await self._link.line(_LINE_LIMIT)
        if not line.upper().startswith(b"* OK"):
            raise ProbeError("protocol_error", "not the greeting of an IMAP server")

    async def log_in(self, how: str, username: str, password: str) -> None:
        if how == "XOAUTH2":
            response = b64encode(f"user={username}\x01auth=Bearer {password}\x01\x01".encode())
            await self.command(b"AUTHENTICATE XOAUTH2 " + response, failure="auth")
        else:
            await self.command(b"LOGIN " + _quoted(username.encode()) + b" " + _quoted(password.encode()), "auth")
        known = await self.command(b"CAPABILITY")
        self.has_uidplus = any(b" UIDPLUS" in line.upper() for line in known.lines)

    async def fetch(self, uid: int) -> tuple[bytes, float] | None:
        """The beginning of a mail and when it came; None where it is gone."""
        answer = await self.command(f"UID FETCH {uid} (INTERNALDATE BODY.PEEK[]<0.{RAW_LIMIT}>)".encode())
        if not answer.literals:
            return None
        dates = [match[1] for line in answer.lines if (match := _DATE.search(line))]
        return answer.literals[0], _time(dates[0]) if dates else time.time()

    async def command(self, command: bytes, failure: str = "refused_command") -> _Answer:
        """The answer to a command. Its text is in no error: it may repeat a password."""
        self._number += 1
        tag = f"m{self._number}".encode()
        await self._link.write(tag + b" " + command + b"\r\n")
        self._link.allow(_ANSWER_LIMIT)
        answer = _Answer([], [])
        for _ in range(_LINES_LIMIT):
            line = await self._line(answer.literals)
            if line.startswith(tag + b" "):
                if line[len(tag) + 1 :][:2].upper() != b"OK":
                    words = b" ".join(command.split(b" ")[: 2 if command.startswith(b"UID") else 1]).decode()
                    raise ProbeError(failure, f"the server refused {words}")
                return answer
            if line.startswith(b"+"):
                await self._link.write(b"\r\n")  # an error of XOAUTH2, which wants an empty answer
            answer.lines.append(line)
        raise ProbeError("protocol_error", "the answer has no end")

    async def _line(self, literals: list[bytes]) -> bytes:
        """A line; the literals in it are taken out."""
        line = b""
        while True:
            part = await self._link.line(_LINE_LIMIT)
            match = _LITERAL.search(part)
            line += part
            if match is None:
                return line
            size = int(match[1])
            if size > RAW_LIMIT + 1024:
                raise ProbeError("protocol_error", "a literal that is larger than what was asked for")
            literals.append(await self._link.exactly(size))


def _folder(flags: bytes, name: bytes) -> _Folder:
    plain = re.sub(rb"\\(.)", rb"\1", name[1:-1]) if name.startswith(b'"') and name.endswith(b'"') else name
    return _Folder(plain, b"\\junk" in flags.lower())


def _quoted(text: bytes) -> bytes:
    if b"\r" in text or b"\n" in text or b"\0" in text:
        raise ProbeError("protocol_error", "a line end in a name or a password")
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _number(pattern: bytes, lines: list[bytes]) -> int:
    return next((int(match[1]) for line in lines if (match := re.match(pattern, line, re.IGNORECASE))), 0)


def _uids(line: bytes) -> list[bytes]:
    return [it for it in line[9:].split() if it.isdigit() and len(it) <= 10]


def _time(text: bytes) -> float:
    """Whole seconds are all there is: the end of the second, so that nothing arrives before it is sent."""
    try:
        return datetime.strptime(text.decode("ascii", "replace").strip(), "%d-%b-%Y %H:%M:%S %z").timestamp() + 0.999
    except ValueError:
        return time.time()
