"""Negative probes against real servers, good ones and such as abusers like."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiosmtpd.smtp import SMTP, AuthResult

from exporter.probes.estate import Negative
from exporter.probes.negative import ENDINGS, attempt, relayed
from tests.deadline import told_in_time
from tests.exporter.probes.server import Act, authority, serving, settle, tls
from tests.service import PATIENCE

NOW = 1_800_000_000.0
OWN = "example.com"


@dataclass
class House:
    """What a server does; without more, all that it should."""

    relays: str = ""  # recipients that it takes besides its own: a pattern
    forgeable: bool = False
    vrfy: str = "252 2.0.0 Cannot say"
    rejects: str = ""  # what it says to every recipient
    mails: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)

    async def handle_RCPT(self, _server, _session, envelope, address, _options) -> str:  # noqa: N802 - aiosmtpd's
        self.recipients.append(address)
        if self.rejects:
            return self.rejects
        is_own = address.endswith(f"@{OWN}") and not re.search(r"[%!]|@.*@", address)
        if not is_own and not (self.relays and re.search(self.relays, address)):
            return "554 5.7.1 Relay access denied"
        if (envelope.mail_from or "").endswith(f"@{OWN}") and not self.forgeable:
            return "550 5.7.1 Sender address rejected: not logged in"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_VRFY(self, _server, _session, _envelope, address) -> str:  # noqa: N802 - aiosmtpd's
        is_nobody = "mailstat-" in address and "nobody" in self.vrfy
        return "550 5.1.1 User unknown" if is_nobody else self.vrfy

    async def handle_DATA(self, _server, _session, envelope) -> str:  # noqa: N802 - aiosmtpd's
        self.mails.append(envelope.content)
        return "250 2.0.0 Queued"


class Lenient(SMTP):
    """Takes a line feed alone for the end of a line, as servers did."""

    def data_received(self, data: bytes) -> None:
        super().data_received(re.sub(rb"(?<!\r)\n", b"\r\n", data))


class LenientToReturns(SMTP):
    """Takes a carriage return alone for the end of a line."""

    def data_received(self, data: bytes) -> None:
        super().data_received(re.sub(rb"\r(?!\n)", b"\r\n", data))


@contextlib.asynccontextmanager
async def listening(
    house: House, kind: type[SMTP] = SMTP, implicit: ssl.SSLContext | None = None, **more
) -> AsyncIterator[int]:
    """The port of a server."""
    transports: list[asyncio.BaseTransport] = []

    class Kept(kind):
        """aiosmtpd itself forgets a connection whose handshake fails."""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transports.append(transport)
            super().connection_made(transport)

    def session() -> SMTP:
        return Kept(house, hostname="mx.example.com", **more)

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0, ssl=implicit)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for one in transports:
            with contextlib.suppress(AttributeError):  # Python 3.11.2, where TLS has ended already
                one.abort()
        await settle()


def a_negative(port: int, **more) -> Negative:
    usual = {"name": "own", "server": "127.0.0.1", "domain": OWN, "smtp_port": port, "helo": "probe.example.net"}
    usual |= {"submission_port": 1, "implicit_port": 1, "patience": 0.05, "foreign": "example.org"}
    return Negative(**(usual | more))


def tried(house: House, kind: type[SMTP] = SMTP, negative: dict | None = None, **more):
    """What was attempted, at such a server."""

    async def run():
        async with listening(house, kind, **more) as port:
            return await attempt(a_negative(port, **(negative or {})), lambda: NOW)

    return asyncio.run(run())


def verdict(check: str, house: House, kind: type[SMTP] = SMTP, negative: dict | None = None, **more):
    attempted = tried(house, kind, negative, **more)
    return attempted.verdicts[check]


def test_a_good_server_refuses_all_and_keeps_no_message():
    house = House()
    attempted = tried(house, tls_context=tls("good"))
    assert {check: it.is_valid for check, it in attempted.verdicts.items()} == dict.fromkeys(
        ("open_relay", "forged_sender", "plaintext_auth", "vrfy", "old_tls", "smuggling"), True
    ), attempted.dialogue.text()
    assert house.mails == []


def test_nothing_but_smuggling_gets_as_far_as_data():
    house = House(relays=".", forgeable=True, vrfy="250 2.1.5 It is there")
    attempted = tried(house, negative={"smuggling": False})
    assert "DATA" not in attempted.dialogue.text()
    assert house.mails == []
    assert "smuggling" not in attempted.verdicts


@pytest.mark.parametrize(
    "pattern",
    ["@example.org$", "%example.org@example.com", '^"?mailstat-probe@example.org"?@example.com$', "^example.org!"],
)
def test_an_open_relay_is_one_by_any_form(pattern):
    told = verdict("open_relay", House(relays=pattern))
    assert (told.is_valid, told.reason) == (False, "relays"), told


def test_the_forms_are_many_and_no_command_can_be_put_into_one():
    forms = relayed(a_negative(25))
    assert len(set(forms)) == len(forms) >= 8
    assert not any(re.search(r"[\s<>]", text) for form in forms for text in form)


@pytest.mark.parametrize(
    "reply",
    [
        "450 4.7.1 Greylisted, try again later",
        "550 5.7.1 Service unavailable; client host blocked using zen.example.net",
        "556 5.1.10 Recipient address has null MX",
        "451 4.3.0 Temporary lookup failure",
    ],
)
def test_a_refusal_for_another_reason_tells_nothing(reply):
    attempted = tried(House(rejects=reply))
    assert attempted.verdicts["open_relay"].is_valid is None
    assert attempted.verdicts["forged_sender"].is_valid is None
    assert attempted.verdicts["smuggling"].reason == "recipient_refused"


def test_our_own_domain_as_sender():
    assert verdict("forged_sender", House()).is_valid
    assert verdict("forged_sender", House(forgeable=True)).reason == "accepted"


# --- AUTH ---


def authenticate(*_: object) -> AuthResult:
    return AuthResult(success=False, handled=False)


def test_passwords_in_the_clear():
    both = {"authenticator": authenticate, "tls_context": tls("good")}
    assert verdict("plaintext_auth", House(), **both).is_valid
    told = verdict("plaintext_auth", House(), auth_require_tls=False, **both)
    assert (told.is_valid, told.reason) == (False, "offered")


@pytest.mark.parametrize(
    ("steps", "is_valid", "reason"),
    [
        ({"EHLO": b"250-mx\r\n250 AUTH CRAM-MD5 SCRAM-SHA-256\r\n", "AUTH": b"504 5.5.4 Unknown\r\n"}, True, "valid"),
        ({"EHLO": b"250-mx\r\n250 AUTH=LOGIN\r\n"}, False, "offered"),
        ({"EHLO": b"250 mx\r\n", "AUTH": b"334 \r\n", "*": b"501 5.7.0 Cancelled\r\n"}, False, "taken"),
        ({"EHLO": b"250 mx\r\n", "AUTH": b"503 5.5.1 Not enabled\r\n"}, True, "valid"),
        ({"banner": b"554 5.7.1 Go away\r\n"}, None, "refused_banner"),
    ],
)
def test_what_is_said_of_passwords(steps, is_valid, reason):
    async def run():
        async with serving(steps) as server:
            return await attempt(a_negative(server.port, smuggling=False), lambda: NOW)

    told = asyncio.run(run()).verdicts["plaintext_auth"]
    assert (told.is_valid, told.reason) == (is_valid, reason), told


# --- VRFY ---


@pytest.mark.parametrize(
    ("vrfy", "is_valid"),
    [
        ("252 2.0.0 Cannot say", True),
        ("502 5.5.1 No VRFY", True),
        ("250 2.1.5 Postmaster <postmaster@example.com>", False),
        ("252 2.0.0 Postmaster, but nobody else", False),
    ],
)
def test_who_has_a_mailbox(vrfy, is_valid):
    assert verdict("vrfy", House(vrfy=vrfy)).is_valid is is_valid


def test_expn():
    class Telling(SMTP):
        async def smtp_EXPN(self, _arg: str) -> None:  # noqa: N802 - aiosmtpd's
            await self.push("250 2.1.5 ann@example.com")

    assert verdict("vrfy", House(), Telling).reason == "expn"


# --- TLS ---


def old_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority("trusted").issue_cert("localhost").configure_cert(context)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    return context


def test_old_tls():
    assert verdict("old_tls", House(), tls_context=tls("good")).is_valid
    told = verdict("old_tls", House(), tls_context=old_tls())
    assert (told.is_valid, told.reason) == (False, "accepted"), told
    assert verdict("old_tls", House()).reason == "starttls-not-supported"


def test_old_tls_from_the_start():
    async def run(context: ssl.SSLContext):
        async with listening(House(), implicit=context) as port:
            return await attempt(a_negative(1, implicit_port=port, smuggling=False), lambda: NOW)

    assert asyncio.run(run(old_tls())).verdicts["old_tls"].reason == "accepted"
    assert asyncio.run(run(tls("good"))).verdicts["old_tls"].is_valid


# --- smuggling ---


def smuggled(kind: type[SMTP], reason: str, make: type[House] = House):
    """What is said of a server, for this reason where its answers come in time; and the server."""

    def tell(seconds: float):
        house = make()
        return verdict("smuggling", house, kind, {"patience": seconds}), house

    return told_in_time(tell, lambda told: told[0].reason == reason)


@pytest.mark.parametrize("kind", [Lenient, LenientToReturns])
def test_a_server_that_ends_messages_where_it_must_not(kind):
    told, house = smuggled(kind, "accepted")
    assert (told.is_valid, told.reason) == (False, "accepted"), told
    (mail,) = house.mails  # one, and it says what it is
    assert b"To: <postmaster@example.com>" in mail
    assert b"SMTP smuggling" in mail
    assert b"Auto-Submitted: auto-generated" in mail


def test_a_server_that_ends_the_message_and_then_refuses_it_is_no_better():
    class Refusing(House):
        async def handle_DATA(self, *_: object) -> str:  # noqa: N802 - aiosmtpd's
            return "554 5.7.1 Message refused"

    assert smuggled(Lenient, "ends", Refusing)[0].reason == "ends"


def test_a_server_that_hangs_up_at_a_bare_line_feed_is_well():
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx\r\n")
        while (line := await reader.readline()) and not line.startswith(b"DATA"):
            writer.write(b"250 Ok\r\n" if not line.startswith(b"QUIT") else b"221 Bye\r\n")
        if line:
            writer.write(b"354 Go on\r\n")
            await reader.readuntil(b".")
            writer.write(b"521 5.5.2 mx Error: bare <LF> received\r\n")
        writer.close()

    async def run(seconds: float):
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        async with server:
            negative = a_negative(server.sockets[0].getsockname()[1], patience=seconds)
            return (await attempt(negative, lambda: NOW)).verdicts["smuggling"]

    told = told_in_time(lambda seconds: asyncio.run(run(seconds)), lambda it: it.is_valid)
    assert told.is_valid, told


def test_no_ending_is_the_real_one_nor_makes_it_with_what_stands_beside_it():
    everything = b"".join(b"text" + raw for raw in ENDINGS.values())
    assert b"\r\n.\r\n" not in everything


# --- trouble ---


@pytest.mark.parametrize("server", ["127.0.0.1", "no-such-host.invalid"])
def test_a_server_that_is_not_there_tells_nothing(server):
    async def run():
        return await attempt(a_negative(1, server=server), lambda: NOW)

    verdicts = asyncio.run(run()).verdicts
    assert {it.is_valid for it in verdicts.values()} == {None}


@pytest.mark.parametrize("step", ["banner", "EHLO", "MAIL", "RCPT", "VRFY", "AUTH", "DATA"])
@pytest.mark.parametrize("act", ["HANG", "LINES", "LINE", "GARBAGE", "DROP"])
def test_a_hostile_server_costs_no_more_than_the_time_there_is(step, act):
    async def run():
        async with serving({step: Act[act]}) as server, asyncio.timeout(PATIENCE):
            return await attempt(a_negative(server.port, timeout=1.0), lambda: NOW)

    attempted = asyncio.run(run())
    assert len(attempted.dialogue.text()) < 2000 * 500
    assert set(attempted.verdicts) == {
        "open_relay",
        "forged_sender",
        "plaintext_auth",
        "vrfy",
        "old_tls",
        "smuggling",
    }
