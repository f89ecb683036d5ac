"""The client's side of SMTP (RFC 5321) and LMTP (RFC 2033), with the time that each phase took.

Not a library's: they hide the phases, wait for whole answers however long these are, and let a server keep them.
Whatever the server does, the dialogue ends at its deadline, and no answer is longer than REPLY_LIMIT.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import secrets
import socket
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from exporter.probes import certificate, sasl
from exporter.probes.certificate import Certificate
from exporter.probes.dialogue import MASK, Dialogue
from exporter.probes.failure import Failure, ProbeError, explain
from exporter.probes.hint import tell
from exporter.probes.link import Link, connect, resolve, tls_context
from parsers.reason import reason_of
from parsers.reply import read_reply

if TYPE_CHECKING:
    from exporter.probes.section import Send

LINE_LIMIT = 4096  # bytes; RFC 5321 4.5.3.1.5 allows 512, EHLO of some servers has more
LINES_LIMIT = 100  # lines of one reply
REPLY_LIMIT = 1 << 16  # bytes of one reply
_TEXT_LIMIT = 500  # characters of a reply that are kept
_QUIT_SECONDS = 1.0
_REPLY = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_EXTENSION = re.compile(r"[A-Z0-9][A-Z0-9-]{0,30}")
_EXTENSIONS = 40
# The server has answered all that was said, and we do not like it: taking leave, we leave no trace in its log.
_OWN_DECISIONS = ("starttls-not-supported", "auth_not_offered", "plaintext_auth")


@dataclass
class Result:
    """What a dialogue showed. `phases` are seconds; `extensions` are those of the last EHLO, in capitals.

    `may_be_sent`: the mail was handed over, whether or not the answer to that was good or came at all.
    """

    phases: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    failure: Failure | None = None
    is_sent: bool = False
    may_be_sent: bool = False
    address: str = ""
    extensions: tuple[str, ...] = ()
    certificate: Certificate | None = None
    tls_version: str | None = None
    reply: str = ""


class Reply(NamedTuple):
    """A reply: its code and its lines without it."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it in a line."""
        return f"{self.code} {' '.join(self.lines)}".rstrip()


class Client:
    """One dialogue with a server; `password` is that of `send.username`."""

    def __init__(self, send: Send, password: str, dialogue: Dialogue) -> None:
        self._send = send
        self._password = password
        self._dialogue = dialogue
        self._loop = asyncio.get_running_loop()
        self._phase = "dns"
        self._began = 0.0
        self._offered: dict[str, str] = {}
        self._opened: Link | None = None
        self._may_quit = (
            False  # the server has answered all that was said: else it may take a word for something else
        )
        self.result = Result()
        dialogue.hide(password.encode())

    async def run(self, raw: bytes | None, deadline: float) -> Result:
        """The dialogue, up to the delivery of `raw` where there is one, until `deadline` (of the loop's clock)."""
        start = self._began = self._loop.time()
        try:
            async with asyncio.timeout_at(deadline):
                await self._open(deadline)
                await self._greet()
                await self._log_in()
                if raw is not None:
                    await self._transfer(raw)
            self._may_quit = True
        except (OSError, UnicodeError, ProbeError) as error:
            self._fail(explain(error))
        finally:
            self._lap(self._phase)
            self.result.seconds = self._loop.time() - start
            await self._close(deadline)
        return self.result

    def _fail(self, error: ProbeError) -> None:
        text = self._dialogue.mask(error.text)[:_TEXT_LIMIT]
        self.result.failure = Failure(self._phase, error.reason, text, error.reply_code)
        self._may_quit = error.reply_code is not None or error.reason in _OWN_DECISIONS
        tell(self.result.failure, self._dialogue)

    def _lap(self, phase: str) -> None:
        """The time since the last lap was this phase's."""
        now = self._loop.time()
        self.result.phases[phase] = self.result.phases.get(phase, 0.0) + now - self._began
        self._began = now

    @contextlib.contextmanager
    def _in(self, phase: str) -> Iterator[None]:
        """What is done meanwhile belongs to this phase."""
        self._phase = phase
        self._began = self._loop.time()
        yield
        self._lap(phase)
        # Until the next phase begins, none passes: a second lap adds nothing.

    async def _open(self, deadline: float) -> None:
        send = self._send
        with self._in("dns"):
            addresses = await resolve(send.server, send.port_number, send.reachable_family)
        with self._in("connect"):
            found = ", ".join(address for _, address in addresses)
            self._dialogue.said("--", f"connecting to {send.server} port {send.port_number}: {found}")
            self._opened, self.result.address = await connect(
                addresses, send.port_number, send.source_address, deadline
            )
        if send.tls == "implicit":
            with self._in("starttls"):
                await self._shake_hands()

    async def _greet(self) -> None:
        with self._in("banner"):
            _expect(await self._reply(), 2, "banner")
        with self._in("ehlo"):
            await self._ehlo()
        if self._send.tls in ("starttls", "opportunistic"):
            await self._secure()

    async def _secure(self) -> None:
        with self._in("starttls"):
            if "STARTTLS" not in self._offered:
                if self._send.tls == "opportunistic":
                    return
                raise ProbeError("starttls-not-supported", "the server does not offer STARTTLS")
            _expect(await self._command("STARTTLS"), 2, "starttls")
            await self._shake_hands()
        with self._in("ehlo"):
            await self._ehlo()

    async def _ehlo(self) -> None:
        name = str(self._send.helo or "") or await asyncio.to_thread(own_name)
        reply = await self._command(f"{'LHLO' if self._send.protocol == 'lmtp' else 'EHLO'} {name}")
        if reply.code in (500, 501, 502, 504) and self._send.protocol == "smtp":
            reply = await self._command(f"HELO {name}")
            _expect(reply, 2, "ehlo")
            self._offered = {}
        else:
            _expect(reply, 2, "ehlo")
            self._offered = offered(reply)
        names = sorted(name for name in self._offered if _EXTENSION.fullmatch(name))
        self.result.extensions = tuple(names[:_EXTENSIONS])

    async def _shake_hands(self) -> None:
        send = self._send
        context = await asyncio.to_thread(tls_context, send.ca_file, is_verified=send.verify)
        try:
            await self._link.start_tls(context, send.server_name or send.server)
        finally:
            self._look_at_certificate()
        tls = self._link.tls
        if tls is not None:
            self.result.tls_version = tls.version()
            self._dialogue.said("--", f"{tls.version()} {(tls.cipher() or ('?',))[0]}")

    def _look_at_certificate(self) -> None:
        """Of one that is refused as well: that it has expired is why most are."""
        found = self.result.certificate = certificate.shown(self._link.handshake)
        if found:
            self._dialogue.said("--", str(found))

    async def _log_in(self) -> None:
        if self._send.username is None:
            return
        with self._in("auth"):
            offered = frozenset(self._offered.get("AUTH", "").upper().split())
            may_show = self._link.tls is not None or self._send.tls == "none"
            name = sasl.chosen(self._send.auth, offered, may_show=may_show)
            await self._authenticate(name, self._send.username)

    async def _authenticate(self, name: sasl.Name, username: str) -> None:
        mechanism = sasl.mechanism(name, username, self._password, secrets.token_urlsafe(18))
        command = f"AUTH {name}"
        if mechanism.initial is not None:
            self._dialogue.hide(mechanism.initial)
            command += f" {b64encode(mechanism.initial).decode()}"
        reply = await self._command(command, shown=f"AUTH {name} {MASK}" if mechanism.initial else command)
        while reply.code == 334:
            challenge = sasl.decode(reply.lines[0] if reply.lines else "")
            if name == "XOAUTH2":
                self._dialogue.said("--", f"the token is refused: {challenge.decode('utf-8', 'replace')}")
            answer = await asyncio.to_thread(mechanism.answer, challenge)
            self._dialogue.hide(answer)
            reply = await self._command(b64encode(answer).decode(), shown=MASK)
        _expect(reply, 2, "auth")
        if not mechanism.is_proven:
            raise ProbeError("protocol_error", "the server did not show that it knows the password")

    async def _transfer(self, raw: bytes) -> None:
        commands = self._envelope()
        if self._send.pipelining and "PIPELINING" in self._offered:
            await self._link.write("".join(f"{command}\r\n" for _, command, _ in commands).encode())
            for _, command, _ in commands:
                self._dialogue.said("C:", command)
            await self._answers(commands, is_sent=True)
        else:
            await self._answers(commands, is_sent=False)
        with self._in("end_of_data"):
            await self._content(raw)

    def _envelope(self) -> list[tuple[str, str, int]]:
        return [
            ("mail", f"MAIL FROM:<{self._send.from_ or ''}>", 2),
            ("rcpt", f"RCPT TO:<{self._send.to or ''}>", 2),
            ("data", "DATA", 3),
        ]

    async def _answers(self, commands: list[tuple[str, str, int]], *, is_sent: bool) -> None:
        for phase, command, good in commands:
            with self._in(phase):
                _expect(await (self._reply() if is_sent else self._command(command)), good, phase)

    async def _content(self, raw: bytes) -> None:
        body = re.sub(rb"(?m)^\.", b"..", raw)  # RFC 5321 4.5.2
        self._dialogue.said("--", f"the mail: {len(raw)} bytes")
        # All but the last byte leaves no doubt that the server has not got it.
        await self._link.write(body + b".\r")
        self.result.may_be_sent = True
        await self._link.write(b"\n")
        reply = await self._reply()
        if reply.code // 100 in (4, 5):
            self.result.may_be_sent = False
        _expect(reply, 2, "end_of_data")
        self.result.is_sent = True
        self.result.reply = self._dialogue.mask(reply.text)[:_TEXT_LIMIT]

    async def _close(self, deadline: float) -> None:
        link = self._opened
        if link is None:
            return
        try:
            if self._may_quit:
                async with asyncio.timeout_at(min(deadline, self._loop.time() + _QUIT_SECONDS)):
                    await self._command("QUIT")
        except (OSError, ProbeError):
            pass  # it is done in any case
        finally:
            link.close()

    @property
    def _link(self) -> Link:
        assert self._opened is not None, "nothing is said before there is a connection"
        return self._opened

    async def _command(self, command: str, shown: str | None = None) -> Reply:
        self._dialogue.said("C:", shown or command)
        await self._link.write(f"{command}\r\n".encode())
        return await self._reply()

    async def _reply(self) -> Reply:
        return await next_reply(self._link, self._dialogue)


async def next_reply(link: Link, dialogue: Dialogue) -> Reply:
    """The next reply of a server, of as many lines as it has. Raises OSError and ProbeError."""
    link.allow(REPLY_LIMIT)
    code = b""
    lines: list[str] = []
    while len(lines) < LINES_LIMIT:
        line = await link.line(LINE_LIMIT)
        dialogue.said("S:", line.decode("utf-8", "replace"))
        match = _REPLY.fullmatch(line)
        if match is None or (code and match[1] != code):
            # Masked before it is cut: of a secret that is cut in two, the first part would stay.
            shown = dialogue.mask(line.decode("utf-8", "replace"))
            raise ProbeError("protocol_error", f"not a reply: {shown[:200]}")
        code = match[1]
        lines.append((match[3] or b"").decode("utf-8", "replace"))
        if match[2] != b"-":
            return Reply(int(code), tuple(lines))
    raise ProbeError("protocol_error", f"a reply of more than {LINES_LIMIT} lines")


@functools.lru_cache(maxsize=1)
def _looked_up_name() -> str:
    return socket.getfqdn()


def own_name() -> str:
    """The name of this host in EHLO; to look it up may take seconds."""
    return _looked_up_name()


def offered(reply: Reply) -> dict[str, str]:
    """The extensions that a reply to EHLO offers, in capitals, with their parameters."""
    return dict(_extension(line) for line in reply.lines[1:])


def _extension(line: str) -> tuple[str, str]:
    """Keyword and parameters; of old servers' `AUTH=PLAIN`, too."""
    keyword, _, parameters = line.strip().replace("AUTH=", "AUTH ", 1).partition(" ")
    return keyword.upper(), parameters


def _expect(reply: Reply, first_digit: int, phase: str) -> None:
    """Raises ProbeError, with the reason as in the logs, where the reply is not of this kind."""
    if reply.code // 100 == first_digit:
        return
    if reply.code // 100 in (4, 5):
        known = read_reply(reply.text)
        raise ProbeError(reason_of(reply.text, reply.code, known.dsn, phase), reply.text, reply.code)
    raise ProbeError("protocol_error", f"unexpected {reply.text}", reply.code)
