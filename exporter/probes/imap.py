"""Arriving in a mailbox over IMAP (RFC 3501), with the little of it that a probe needs.

Not a library's: they read a literal of any size that the server announces, and a mailbox may be hostile. Of a mail
no more than RAW_LIMIT is fetched; what a server sends beyond that is refused. The folder for junk is found by its
special use (RFC 6154), and UIDVALIDITY and UID are the place of a copy. One session is kept from look to look; where
the server can, it tells of new mail in between (IDLE, RFC 2177).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from base64 import b64decode, b64encode
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from exporter.probes.account import opened, password, refusal, secured
from exporter.probes.arrival import RAW_LIMIT, Found
from exporter.probes.dialogue import Dialogue
from exporter.probes.failure import ProbeError
from exporter.probes.maildir import is_junk
from exporter.probes.message import HEADER

if TYPE_CHECKING:
    from exporter.probes.arrival import Take
    from exporter.probes.certificate import Certificate
    from exporter.probes.link import Link
    from exporter.probes.section import Imap

_LINE_LIMIT = 1 << 16
_LINES_LIMIT = 5000
_ANSWER_LIMIT = RAW_LIMIT + (1 << 18)  # bytes of an answer
_MAILS_LIMIT = 100  # that are fetched at a look
_SEEN = 10_000
# While the server tells of the first folder, the others are looked at so often. It is far below the 29 minutes after
# which a server may take a client that idles for one that is gone.
_IDLE_SECONDS = 30.0
_SESSION_SECONDS = 3600.0  # of one session: then the certificate is looked at again, and whether we may still log in
_REST_SECONDS = 1.0  # between two looks, whatever the server tells
_ANSWER_SECONDS = 30.0  # for the end of IDLE
_LITERAL = re.compile(rb"\{([0-9]{1,10})\}$")
_LIST = re.compile(rb'\* LIST \(([^)]*)\) (?:"(?:[^"\\]|\\.)*"|NIL) (.+)', re.IGNORECASE)
_DATE = re.compile(rb'INTERNALDATE "([^"]{20,30})"', re.IGNORECASE)
_NEWS = re.compile(rb"\* [0-9]{1,10} EXISTS", re.IGNORECASE)


class _Answer(NamedTuple):
    """The untagged lines of an answer, literals taken out of them, and the literals."""

    lines: list[bytes]
    literals: list[bytes]


class _Folder(NamedTuple):
    name: bytes
    is_junk: bool


class ImapMailbox:
    """A mailbox over IMAP. `dialogue` takes down what is said."""

    def __init__(self, how: Imap, dialogue: Dialogue | None = None) -> None:
        self._how = how
        self._dialogue = dialogue
        self._seen: set[str] = set()
        self._session: _Session | None = None
        self._began = 0.0
        self.certificate: Certificate | None = None
        self._folders: list[_Folder] = []

    async def visit(self, take: Take) -> None:
        """Show what is new in the folders. Raises OSError, ProbeError and SecretError."""
        try:
            now = asyncio.get_running_loop().time()
            if now - self._began > _SESSION_SECONDS:
                self.close()
            if self._session is None:
                self._session, self._began = await self._log_in(), now
                self._folders = await self._find_folders(self._session)
            # The first one last: it stays selected, and the server tells of what comes to it.
            for folder in reversed(self._folders):
                await self._look(self._session, folder, take)
        except BaseException:
            self.close()
            raise

    async def wait(self, seconds: float) -> bool:
        """Return after so many seconds or some more, at once where the server tells of mail. Whether it did."""
        if self._session is None or not (self._how.idle and self._session.has_idle):
            await asyncio.sleep(seconds)
            return False
        await asyncio.sleep(_REST_SECONDS)
        try:
            return await self._session.idle(max(seconds, _IDLE_SECONDS) - _REST_SECONDS)
        except (OSError, ProbeError):
            self.close()  # the next look begins anew, and tells what is wrong
            await asyncio.sleep(seconds)
            return False
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the session, without any words."""
        if self._session:
            self._session.close()
            self._session = None

    async def closed(self) -> None:
        """It ends at once."""

    def _note(self, certificate: Certificate) -> None:
        self.certificate = certificate

    async def _log_in(self) -> _Session:
        dialogue = self._dialogue or Dialogue(asyncio.get_running_loop().time, lines=0)
        word = password(self._how, dialogue)
        link = await opened(self._how, dialogue, self._note)
        try:
            session = _Session(link, dialogue)
            await session.greeting()
            if self._how.tls == "starttls":
                await session.command(b"STARTTLS")
                await secured(link, self._how, dialogue, self._note)
            await session.log_in(self._how.auth, self._how.username, word)
        except BaseException:
            link.close()
            raise
        return session

    async def _find_folders(self, session: _Session) -> list[_Folder]:
        """Those to look into, and whether they are for junk: by their special use, or by their name."""
        answer = await session.command(b'LIST "" "*"')
        listed = [_folder(match[1], match[2]) for line in answer.lines if (match := _LIST.fullmatch(line))]
        junk = [folder.name for folder in listed if folder.is_junk]
        if not self._how.folders:
            return [_Folder(b"INBOX", is_junk=False), *[_Folder(name, is_junk=True) for name in junk[:5]]]
        wanted = [(name, _in_utf7(name)) for name in self._how.folders]
        return [_Folder(coded, is_junk(name) or coded in junk) for name, coded in wanted]

    async def _look(self, session: _Session, folder: _Folder, take: Take) -> None:
        opened_folder = await session.command(b"SELECT " + _quoted(folder.name))
        validity = _number(rb"\* OK \[UIDVALIDITY ([0-9]{1,10})\]", opened_folder.lines)
        session.has_news = False
        found = await session.command(f'UID SEARCH HEADER {HEADER} ""'.encode())
        uids = {int(it) for line in found.lines if line[:9].upper() == b"* SEARCH " for it in _uids(line)}
        name = folder.name.decode("utf-8", "replace")
        fresh = [uid for uid in sorted(uids) if f"{name}/{validity}/{uid}" not in self._seen]
        taken = []
        for uid in fresh[-_MAILS_LIMIT:]:
            place = f"{name}/{validity}/{uid}"
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
    """`has_news`: the server told, since that was cleared, that the selected folder has changed."""

    def __init__(self, link: Link, dialogue: Dialogue) -> None:
        self._link = link
        self._dialogue = dialogue
        self._number = 0
        self.has_uidplus = False
        self.has_idle = False
        self.has_news = False

    def close(self) -> None:
        self._link.close()

    async def greeting(self) -> None:
        self._link.allow(_LINE_LIMIT)
        line = await self._said()
        if not line.upper().startswith(b"* OK"):
            raise ProbeError("protocol_error", "not the greeting of an IMAP server")

    async def log_in(self, how: str, username: str, word: str) -> None:
        if how == "XOAUTH2":
            response = f"user={username}\x01auth=Bearer {word}\x01\x01".encode()
            self._dialogue.hide(response)
            await self.command(b"AUTHENTICATE XOAUTH2 " + b64encode(response), failure="auth")
        else:
            await self.command(b"LOGIN " + _quoted(username.encode()) + b" " + _quoted(word.encode()), "auth")
        known = await self.command(b"CAPABILITY")
        words = {word for line in known.lines for word in line.upper().split()}
        self.has_uidplus, self.has_idle = b"UIDPLUS" in words, b"IDLE" in words

    async def fetch(self, uid: int) -> tuple[bytes, float] | None:
        """The beginning of a mail and when it came; None where it is gone."""
        answer = await self.command(f"UID FETCH {uid} (INTERNALDATE BODY.PEEK[]<0.{RAW_LIMIT}>)".encode())
        if not answer.literals:
            return None
        dates = [match[1] for line in answer.lines if (match := _DATE.search(line))]
        return answer.literals[0], _time(dates[0]) if dates else time.time()

    async def idle(self, seconds: float) -> bool:
        """Whether the server told of news in this time, or had before. A server that tells more than it should has
        nothing more to tell."""
        if self.has_news:
            return True
        until = asyncio.get_running_loop().time() + seconds
        tag = await self._send(b"IDLE")
        self._link.allow(_ANSWER_LIMIT)
        while await self._link.readable(until - asyncio.get_running_loop().time()):
            async with asyncio.timeout(_ANSWER_SECONDS):
                line = await self._line([])
            if line.startswith(tag + b" "):
                self.has_idle = False  # it offered what it refuses
                return False
            if _NEWS.match(line):
                break
        await self._link.write(b"DONE\r\n")
        self._dialogue.said("C:", "DONE")
        async with asyncio.timeout(_ANSWER_SECONDS):
            await self._answer(tag, b"IDLE", "refused_command")
        return self.has_news

    async def command(self, command: bytes, failure: str = "refused_command") -> _Answer:
        """The answer to a command."""
        tag = await self._send(command)
        self._link.allow(_ANSWER_LIMIT)
        return await self._answer(tag, command, failure)

    async def _send(self, command: bytes) -> bytes:
        self._number += 1
        tag = f"m{self._number}".encode()
        self._dialogue.said("C:", f"{tag.decode()} {command.decode('utf-8', 'replace')}")
        await self._link.write(tag + b" " + command + b"\r\n")
        return tag

    async def _answer(self, tag: bytes, command: bytes, failure: str) -> _Answer:
        answer = _Answer([], [])
        for _ in range(_LINES_LIMIT):
            line = await self._line(answer.literals)
            if line.startswith(tag + b" "):
                if line[len(tag) + 1 :][:2].upper() != b"OK":
                    reason = refusal(failure, line.decode("utf-8", "replace"))
                    raise ProbeError(reason, self._refusal(command, line[len(tag) + 1 :]))
                return answer
            if line.startswith(b"+") and command.startswith(b"AUTHENTICATE"):
                self._dialogue.said("--", f"the token is refused: {_decoded(line[1:])}")
                await self._link.write(b"\r\n")  # an error of XOAUTH2, which wants an empty answer
                self._dialogue.said("C:", "")
            answer.lines.append(line)
        raise ProbeError("protocol_error", "the answer has no end")

    def _refusal(self, command: bytes, line: bytes) -> str:
        words = b" ".join(command.split(b" ")[: 2 if command.startswith(b"UID") else 1]).decode()
        return f"the server refused {words}: {self._dialogue.mask(line.decode('utf-8', 'replace'))[:300]}"

    async def _line(self, literals: list[bytes]) -> bytes:
        """A line; the literals in it are taken out."""
        line = b""
        while True:
            part = await self._said()
            match = _LITERAL.search(part)
            line += part
            if match is None:
                self.has_news |= _NEWS.match(line) is not None
                return line
            size = int(match[1])
            if size > RAW_LIMIT + 1024:
                raise ProbeError("protocol_error", "a literal that is larger than what was asked for")
            literals.append(await self._link.exactly(size))

    async def _said(self) -> bytes:
        line = await self._link.line(_LINE_LIMIT)
        self._dialogue.said("S:", line.decode("utf-8", "replace"))
        return line


def _folder(flags: bytes, name: bytes) -> _Folder:
    plain = re.sub(rb"\\(.)", rb"\1", name[1:-1]) if name.startswith(b'"') and name.endswith(b'"') else name
    return _Folder(plain, b"\\junk" in flags.lower())


def _in_utf7(name: str) -> bytes:
    """The name of a folder as IMAP writes it (RFC 3501 5.1.3)."""

    def coded(match: re.Match[str]) -> str:
        text = b64encode(match[0].encode("utf-16-be")).decode().rstrip("=").replace("/", ",")
        return f"&{text}-"

    return re.sub(r"[^ -~]+", coded, name.replace("&", "&-")).encode()


def _quoted(text: bytes) -> bytes:
    if b"\r" in text or b"\n" in text or b"\0" in text:
        raise ProbeError("protocol_error", "a line end in a name or a password")
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _decoded(text: bytes) -> str:
    """What is base64, for people; as it is where it is none."""
    with contextlib.suppress(ValueError):
        text = b64decode(text.strip(), validate=True)
    return text.decode("utf-8", "replace")


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
