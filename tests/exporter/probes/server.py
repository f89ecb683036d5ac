"""An SMTP server that does what a script says: right, wrong, slowly, or without end. It speaks real TCP and TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID


class Act(Enum):
    """What it may do instead of a reply."""

    DROP = "closes the connection"
    HANG = "says nothing more"
    LINES = "continues a reply without end"
    LINE = "sends a line without end"
    SLOW = "sends a byte now and then"
    GARBAGE = "sends bytes that are no text"
    PAUSE = "says what is right after a while"
    TLS = "begins TLS"
    MUTE = "says that TLS may begin, and nothing more"
    ALERT = "says that TLS may begin, and then that this version may not"
    CRAWL = "says that TLS may begin, and a byte now and then"


Step = bytes | Act

# The beginning of a record of a handshake; the alert `protocol_version` (RFC 8446 6.2).
_RECORDS = {Act.CRAWL: b"\x16\x03\x03\x3f\xff", Act.ALERT: b"\x15\x03\x03\x00\x02\x02\x46"}

GOOD: Mapping[str, Step] = {
    "banner": b"220 mx.example.com ESMTP\r\n",
    "EHLO": b"250-mx.example.com\r\n250-PIPELINING\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE 1000000\r\n",
    "LHLO": b"250-mx.example.com\r\n250 SIZE 1000000\r\n",
    "HELO": b"250 mx.example.com\r\n",
    "STARTTLS": Act.TLS,
    "AUTH": b"235 2.7.0 Welcome\r\n",
    "MAIL": b"250 2.1.0 Ok\r\n",
    "RCPT": b"250 2.1.5 Ok\r\n",
    "DATA": b"354 Go on\r\n",
    ".": b"250 2.0.0 Ok: queued as 4F1A2B\r\n",
    "QUIT": b"221 2.0.0 Bye\r\n",
}


@dataclass
class Server:
    """A server that listens, all commands that it got, the mail, and the addresses of its clients."""

    port: int = 0
    commands: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)


@cache
def authority(name: str) -> trustme.CA:
    """A certification authority; only the client's `ca_file` makes one trusted."""
    return trustme.CA(organization_name=name)


@cache
def intermediate() -> trustme.CA:
    """One that the trusted one signed; what it signs is shown with its own certificate."""
    return authority("trusted").create_child_ca()


@cache
def tls(kind: str) -> ssl.SSLContext:
    """What the server shows: a certificate that is `good`, `expired`, of the wrong `name`, or `untrusted`; good ones
    for other hosts are `for mx.example.com`, those of the intermediate authority `chain for mx.example.com`. An `old`
    one is good but for the authority between, and one that is `strange` has many names, some of them none."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if kind in ("old", "strange"):
        load(context, *(old_chain() if kind == "old" else strange_chain()))
        return context
    name = "elsewhere.example.net" if kind == "name" else kind.partition("for ")[2] or "localhost"
    expiry = datetime(2020, 1, 1, tzinfo=UTC) if kind == "expired" else None
    issuer = authority("other" if kind == "untrusted" else "trusted")
    made = (intermediate() if kind.startswith("chain") else issuer).issue_cert(
        name, not_before=datetime(2019, 1, 1, tzinfo=UTC), not_after=expiry or datetime(2040, 1, 1, tzinfo=UTC)
    )
    made.configure_cert(context)
    return context


def load(context: ssl.SSLContext, key: ec.EllipticCurvePrivateKey, *chain: x509.Certificate) -> None:
    """Show these certificates, the first is of this key."""
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with tempfile.NamedTemporaryFile() as file:
        file.write(private + b"".join(one.public_bytes(Encoding.PEM) for one in chain))
        file.flush()
        context.load_cert_chain(file.name)


def old_chain() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate, x509.Certificate]:
    """A good certificate that an authority signed which has expired."""
    root = x509.load_pem_x509_certificate(authority("trusted").cert_pem.bytes())
    root_key = load_pem_private_key(authority("trusted").private_key_pem.bytes(), None)
    key, between_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    between = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "between")])
    basic = x509.BasicConstraints(ca=True, path_length=0)
    old = _certificate(between_key, between, root.subject, 2020).add_extension(basic, critical=True)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    good = _certificate(key, x509.Name([]), between, 2040).add_extension(names, critical=True)
    return key, good.sign(between_key, hashes.SHA256()), old.sign(root_key, hashes.SHA256())


def strange_chain() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A certificate that nobody signed but itself, whose names nobody would take for such."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "strange")])
    strange = ["a b", 'x"}\n1', "\0", "y" * 500, "<script>", *(f"n{number}.example.com" for number in range(500))]
    names = x509.SubjectAlternativeName([x509.DNSName(it) for it in strange])
    made = _certificate(key, name, name, 2040).add_extension(names, critical=False)
    return key, made.sign(key, hashes.SHA256())


def _certificate(
    key: ec.EllipticCurvePrivateKey, subject: x509.Name, issuer: x509.Name, year: int
) -> x509.CertificateBuilder:
    """One that is good until so many years, to be signed."""
    made = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    return made.not_valid_before(datetime(2019, 1, 1, tzinfo=UTC)).not_valid_after(datetime(year, 1, 1, tzinfo=UTC))


@contextlib.contextmanager
def deaf() -> Iterator[int]:
    """A port that takes no connection: its queue is full."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


def ca_file(folder: Path) -> Path:
    """The file with the authority that is trusted."""
    path = folder / "ca.pem"
    if not path.exists():
        authority("trusted").cert_pem.write_to_path(path)
    return path


async def settle() -> None:
    """Let all that is on its way within this loop come to its end: some turns, which no machine is too slow for."""
    for _ in range(20):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def serving(
    steps: Mapping[str, Step] | None = None,
    certificate: str = "good",
    *,
    implicit: bool = False,
    host: str | None = None,
    port: int = 0,
) -> AsyncIterator[Server]:
    """A server on a port of its own that does this where it differs from what is good."""
    script = {**GOOD, **(steps or {})}
    server = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.clients.append(writer.get_extra_info("peername")[0])
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            await _talk(reader, writer, script, certificate, server)
        writer.transport.abort()
        tasks.discard(task)

    listening = await asyncio.start_server(
        talk, host or "127.0.0.1", port, ssl=tls(certificate) if implicit else None
    )
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
        await settle()  # it may not have seen the last connection yet
    finally:
        listening.close()
        for task in set(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _talk(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    script: Mapping[str, Step],
    certificate: str,
    server: Server,
) -> None:
    await _act(writer, script["banner"], certificate, reader)
    while line := await reader.readline():
        command = line.decode().strip()
        verb = command.split(" ")[0].split(":")[0].upper()
        server.commands.append(command)
        step = script.get(f"{verb} again") if server.commands.count(command) > 1 else None
        step = step or script.get(command) or script.get(verb, b"334 \r\n" if verb not in GOOD else b"")
        await _act(writer, step, certificate, reader)
        if step is Act.TLS:
            await writer.start_tls(tls(certificate))
        if verb == "DATA" and isinstance(step, bytes) and step.startswith(b"354"):
            server.mails.append(await reader.readuntil(b"\r\n.\r\n"))
            await _act(writer, script["."], certificate, reader)
        if verb == "QUIT":
            return


async def _act(writer: asyncio.StreamWriter, step: Step, certificate: str, reader: asyncio.StreamReader) -> None:
    if isinstance(step, bytes):
        writer.write(step)
    elif step is Act.TLS:
        writer.write(b"220 2.0.0 Go ahead\r\n")
    elif step is Act.MUTE:
        writer.write(b"220 2.0.0 Go ahead\r\n")
        await asyncio.sleep(3600)
    elif step in (Act.CRAWL, Act.ALERT):
        writer.write(b"220 2.0.0 Go ahead\r\n")
        await reader.read(1)  # the client begins: what comes with the reply would be an injection
        writer.write(_RECORDS[step])
        await _without_end(writer, Act.CRAWL)
    elif step is Act.DROP:
        raise ConnectionResetError
    elif step is Act.GARBAGE:
        writer.write(bytes(range(256)) * 4)
    elif step is Act.PAUSE:
        await asyncio.sleep(0.3)
        writer.write(b"250 2.1.0 Ok\r\n")
    elif step is Act.HANG:
        await asyncio.sleep(3600)
    else:
        await _without_end(writer, step)
    await writer.drain()


async def _without_end(writer: asyncio.StreamWriter, step: Act) -> None:
    part = {
        Act.LINES: b"250-and more\r\n" * 100,
        Act.LINE: b"250 " + b"x" * 9000,
        Act.SLOW: b"2",
        Act.CRAWL: b"\x16",
    }[step]
    for _ in range(sys.maxsize):
        writer.write(part)
        await writer.drain()
        if step in (Act.SLOW, Act.CRAWL):
            await asyncio.sleep(0.02)
