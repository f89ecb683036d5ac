"""What a server of our own has to refuse: tried as an abuser would, and ended before anything is sent.

No attempt gets as far as DATA, except that of smuggling: it begins a message for our own mailbox, ends it with what
is no end of data (RFC 5321 4.1.1.4), then hangs up. A healthy server waits for the end and throws the beginning away;
only one that takes what is no end for one keeps a message, which is for our own mailbox and says what it is.

A refusal is believed where it is for what was tried: that our address is blocked, or a domain unknown, tells nothing
of relaying. Whatever the server trusts our address with, it cannot be seen to refuse.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from secrets import token_hex
from socket import AddressFamily
from typing import TYPE_CHECKING

from exporter.probes.dialogue import Dialogue
from exporter.probes.dns.verdict import Verdict, bad, good, unknown
from exporter.probes.failure import ProbeError, explain
from exporter.probes.link import resolve, tls_context
from exporter.probes.session import Session, opened
from exporter.probes.smtp import Reply, own_name
from parsers.reason import reason_of
from parsers.reply import read_reply

if TYPE_CHECKING:
    from exporter.probes.estate import Negative

_STEP_SECONDS = 30.0  # that one session may take, smuggling left out
_LINES = 2000  # of all sessions
_FORMS_AT_ONCE = 3  # of relaying in one session: servers slow down and hang up after some errors
# Mechanisms that show no password to whoever listens.
_SECRETIVE = ("CRAM-", "DIGEST-", "SCRAM-", "GSSAPI", "GSS-", "NTLM", "EXTERNAL", "ANONYMOUS")
_BESIDE = frozenset(
    "domain_not_found no_mx dns_failure system_error greylisted rate_limited blocked_ip blocked_domain rdns_helo"
    " sender_rejected user_unknown".split()
)

ENDINGS: Mapping[str, bytes] = {
    "LF . LF": b"\n.\n",
    "LF . CR LF": b"\n.\r\n",
    "CR LF . LF": b"\r\n.\n",
    "LF . CR": b"\n.\r",
    "CR . CR": b"\r.\r",
    "CR . LF": b"\r.\n",
    "CR . CR LF": b"\r.\r\n",
    "CR LF . CR": b"\r\n.\r",
    "CR LF NUL . CR LF": b"\r\n\0.\r\n",
}
"""What is no end of data, and was one for some server (CVE-2023-51764, -51765, -51766)."""


@dataclass
class Attempted:
    """What each check came to, and all that was said."""

    dialogue: Dialogue
    verdicts: dict[str, Verdict] = field(default_factory=dict)


@dataclass
class _Trial:
    """One run against a server."""

    negative: Negative
    dialogue: Dialogue
    addresses: Sequence[tuple[AddressFamily, str]]
    name: str
    deadline: float

    @contextlib.asynccontextmanager
    async def session(self, port: int, tls: tuple[ssl.SSLContext, str] | None = None) -> AsyncIterator[Session]:
        """A session with the server, up to its banner."""
        until = min(self.deadline, asyncio.get_running_loop().time() + _STEP_SECONDS)
        source = self.negative.source_address
        opening = opened(self.addresses, port, self.dialogue, self.name, until, source, tls)
        async with asyncio.timeout_at(until), opening as (session, banner):
            if banner.code // 100 != 2:
                raise ProbeError("refused_banner", banner.text, banner.code)
            yield session
            await session.quit()

    @contextlib.asynccontextmanager
    async def secured(self, port: int) -> AsyncIterator[Session]:
        """A session that has greeted, with TLS where it is offered."""
        async with self.session(port) as session:
            if "STARTTLS" in await session.greet():
                reply = await session.start_tls(tls_context(None, is_verified=False), self.negative.server)
                if reply.code // 100 == 2:
                    await session.greet()
            yield session


_Check = Callable[[_Trial, int], Awaitable[Verdict]]


async def attempt(negative: Negative, now: Callable[[], float]) -> Attempted:
    """Try all of it. `now` gives seconds since the epoch."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + negative.timeout
    attempted = Attempted(Dialogue(loop.time, _LINES))
    checks = _checks(negative, now)
    try:
        async with asyncio.timeout_at(deadline):
            name = str(negative.helo or "") or await asyncio.to_thread(own_name)
            addresses = await resolve(negative.server, negative.smtp_port, "any")
    except (OSError, UnicodeError) as error:
        attempted.verdicts |= dict.fromkeys(checks, unknown("not_reached", explain(error).text))
        return attempted
    trial = _Trial(negative, attempted.dialogue, addresses, name, deadline)
    for check, (run, ports) in checks.items():
        attempted.verdicts[check] = _worst([await _tried(check, run, trial, port) for port in ports])
    return attempted


def _checks(negative: Negative, now: Callable[[], float]) -> dict[str, tuple[_Check, tuple[int, ...]]]:
    plain = (negative.smtp_port, negative.submission_port)
    checks: dict[str, tuple[_Check, tuple[int, ...]]] = {
        "open_relay": (open_relay, plain),
        "forged_sender": (forged_sender, plain),
        "plaintext_auth": (plaintext_auth, plain),
        "vrfy": (vrfy, plain),
        "old_tls": (old_tls, (*plain, negative.implicit_port)),
    }
    if negative.smuggling:
        checks["smuggling"] = (functools.partial(smuggling, now=now), (negative.smtp_port,))
    return checks


async def _tried(check: str, run: _Check, trial: _Trial, port: int) -> Verdict:
    trial.dialogue.said("--", f"{check} at port {port}")
    try:
        verdict = await run(trial, port)
    except (OSError, UnicodeError, ProbeError) as error:
        known = explain(error)
        verdict = unknown("closed" if known.reason == "refused" else known.reason, known.text)
    verdict = verdict._replace(text=f"port {port}: {verdict.text}")
    said = {True: "refused, as it should be", False: "NOT refused", None: "cannot tell"}[verdict.is_valid]
    trial.dialogue.said("--", f"{check}: {said}: {verdict.reason}: {verdict.text}")
    return verdict


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Of the ports that are open."""
    known = [it for it in verdicts if it.reason != "closed"] or list(verdicts)
    return min(known, key=lambda it: (False, None, True).index(it.is_valid))


# --- relaying ---


def relayed(negative: Negative) -> list[tuple[str, str]]:
    """Senders and recipients of mail that is to be relayed, in the forms that servers have fallen for (RFC 5321
    3.6.1, RFC 1123 5.2.16)."""
    away, own, user = str(negative.foreign), str(negative.domain), "mailstat-probe"
    stranger = f"{user}@{away}"
    return [
        (stranger, stranger),
        ("", stranger),
        (negative.mailbox, stranger),
        (stranger, f"{user}%{away}@{own}"),
        (stranger, f'"{stranger}"'),
        (stranger, f'"{stranger}"@{own}'),
        (stranger, f"{stranger}@{own}"),
        (stranger, f"@{own}:{stranger}"),
        (stranger, f"{away}!{user}"),
        (stranger, f"{away}!{user}@{own}"),
    ]


async def open_relay(trial: _Trial, port: int) -> Verdict:
    """Whether mail of strangers to strangers is refused, in all forms."""
    forms = relayed(trial.negative)
    told: list[bool | None] = []
    last = ""
    for start in range(0, len(forms), _FORMS_AT_ONCE):
        async with trial.secured(port) as session:
            for sender, recipient in forms[start : start + _FORMS_AT_ONCE]:
                reply = await _offer(session, sender, recipient)
                if reply.code // 100 == 2:
                    return bad("relays", f"from <{sender}> to <{recipient}>: {reply.text}")
                told.append(_is_refusal(reply))
                last = reply.text
                if reply.code == 421:
                    break
                await session.command("RSET")
    # That the plain form is refused is what counts; of the others it is enough that none gets through.
    return good(f"{len(told)} forms refused") if told and told[0] else unknown("refused_for_else", last)


async def _offer(session: Session, sender: str, recipient: str) -> Reply:
    """The reply to the first of MAIL and RCPT that is not taken, or to RCPT."""
    reply = await session.command(f"MAIL FROM:<{sender}>")
    return await session.command(f"RCPT TO:<{recipient}>") if reply.code // 100 == 2 else reply


def _is_refusal(reply: Reply) -> bool:
    """Whether it is what was tried that is refused."""
    reason = reason_of(reply.text, reply.code, read_reply(reply.text).dsn, "rcpt")
    return reason not in _BESIDE if reply.code // 100 == 5 else reason in ("relay_denied", "smtp_auth")


# --- forgery ---


async def forged_sender(trial: _Trial, port: int) -> Verdict:
    """Whether mail that says to be our own is refused from whoever has not logged in, where other mail is taken."""
    mailbox = trial.negative.mailbox
    async with trial.secured(port) as session:
        forged = await _offer(session, mailbox, mailbox)
        if forged.code // 100 == 2:
            return bad("accepted", f"from <{mailbox}> to <{mailbox}>: {forged.text}")
        await session.command("RSET")
        other = await _offer(session, "", mailbox)
    reason = reason_of(forged.text, forged.code, read_reply(forged.text).dsn, "rcpt")
    if other.code // 100 == 2 or reason == "smtp_auth":
        return good(forged.text)
    is_for_users = port == trial.negative.submission_port  # who takes nothing there without a login
    if forged.code // 100 == 5 and (other.code // 100 == 4 or is_for_users):
        return good(forged.text)  # the others are only greylisted
    return unknown("refused_for_else", f"all mail is refused: {forged.text}")


# --- what is told and taken in the clear ---


async def plaintext_auth(trial: _Trial, port: int) -> Verdict:
    """Whether no password is wanted before TLS: neither offered, nor taken."""
    async with trial.session(port) as session:
        mechanisms = (await session.greet()).get("AUTH", "").upper().split()
        open_ones = [name for name in mechanisms if not name.startswith(_SECRETIVE)]
        if open_ones:
            return bad("offered", f"before TLS: AUTH {' '.join(open_ones)[:100]}")
        reply = await session.command("AUTH PLAIN")
        if reply.code // 100 == 3:
            await session.command("*")
            return bad("taken", "AUTH PLAIN before TLS, though it is not offered")
        return good(reply.text)


async def vrfy(trial: _Trial, port: int) -> Verdict:
    """Whether it is not told who has a mailbox (RFC 5321 7.3)."""
    negative = trial.negative
    async with trial.secured(port) as session:
        expanded = await session.command(f"EXPN {negative.recipient or 'postmaster'}")
        if expanded.code in (250, 251):
            return bad("expn", expanded.text)
        known = await session.command(f"VRFY {negative.mailbox}")
        if known.code in (250, 251):
            return bad("vrfy", known.text)
        nobody = await session.command(f"VRFY mailstat-{token_hex(6)}@{negative.domain}")
        if known.code == 252 and nobody.code // 100 == 5:
            return bad("vrfy", f"{known.text}, but of nobody {nobody.text}")
        return good(known.text) if known.code // 100 != 4 else unknown("refused_for_else", known.text)


async def old_tls(trial: _Trial, port: int) -> Verdict:
    """Whether TLS before 1.2 is refused (RFC 8996)."""
    context = _old_context()
    if context is None:
        return unknown("own_tls", "this host itself cannot do TLS before 1.2")
    try:
        version = await _old_version(trial, port, context)
    except ssl.SSLError as error:
        if error.reason in ("NO_PROTOCOLS_AVAILABLE", "NO_CIPHERS_AVAILABLE"):
            return unknown("own_tls", "this host itself does no TLS before 1.2")
        return good(str(error.reason))
    except ProbeError as error:
        if error.reason == "lost":
            return good("the server hangs up")
        raise
    return bad("accepted", version) if version else unknown("starttls-not-supported", "STARTTLS is not to be had")


async def _old_version(trial: _Trial, port: int, context: ssl.SSLContext) -> str | None:
    """The version that a session has in the end; None where there is no TLS."""
    server = trial.negative.server
    if port == trial.negative.implicit_port:
        async with trial.session(port, (context, server)) as session:
            return session.link.tls.version() if session.link.tls else None
    async with trial.session(port) as session:
        if "STARTTLS" in await session.greet():
            await session.start_tls(context, server)
        return session.link.tls.version() if session.link.tls else None


@functools.lru_cache(maxsize=1)
def _old_context() -> ssl.SSLContext | None:
    """TLS 1.0 and 1.1 alone, with whatever they need that is weak; nothing is sent over it."""
    if not (ssl.HAS_TLSv1 or ssl.HAS_TLSv1_1):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is why
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
    except (ssl.SSLError, ValueError):
        return None
    return context


# --- smuggling ---


async def smuggling(trial: _Trial, port: int, now: Callable[[], float]) -> Verdict:
    """Whether a message ends at nothing but CR LF . CR LF. Each other ending is waited at; then the line is cut."""
    negative, mailbox = trial.negative, trial.negative.mailbox
    opening = opened(trial.addresses, port, trial.dialogue, trial.name, trial.deadline, negative.source_address)
    async with asyncio.timeout_at(trial.deadline), opening as (session, banner):
        if banner.code // 100 != 2:
            raise ProbeError("refused_banner", banner.text, banner.code)
        await session.greet()
        reply = await _offer(session, "", mailbox)
        if reply.code // 100 != 2:
            await session.quit()
            return unknown("recipient_refused", f"<{mailbox}>: {reply.text}")
        reply = await session.command("DATA")
        if reply.code != 354:
            await session.quit()
            return unknown("data_refused", reply.text)
        await session.send(_message(mailbox, now()), "(a message that does not end)")
        for ending, raw in ENDINGS.items():
            await session.send(b"text" + raw, f"(not an end: {ending})")
            if verdict := await _ended(session, ending, negative.patience):
                return verdict
        return good(f"none of {len(ENDINGS)} is an end")


def _message(mailbox: str, time: float) -> bytes:
    lines = (
        f"From: <{mailbox}>",
        f"To: <{mailbox}>",
        f"Date: {format_datetime(datetime.fromtimestamp(time, UTC))}",
        f"Message-ID: <mailstat-negative.{token_hex(8)}@{mailbox.rpartition('@')[2]}>",
        "Subject: This message should not exist: SMTP smuggling",
        "Auto-Submitted: auto-generated",
        "",
        "Your mail server ended this message at a line that is no end of data. Others can use that",
        "to send mail in the name of whoever sends through the same server.",
        "",
    )
    return "".join(f"{line}\r\n" for line in lines).encode()


async def _ended(session: Session, ending: str, patience: float) -> Verdict | None:
    """What it means that the server answers, None where it does not: then it waits for the end, as it should."""
    reply = await _heard(session, patience)
    if reply is None:
        return None
    if reply.code // 100 == 2:
        return bad("accepted", f"{ending} ends a message: {reply.text}")
    # Refused, but what comes next is a command for it, as it is for an abuser.
    with contextlib.suppress(OSError, ProbeError):
        await session.send(b"\r\nNOOP\r\n", "NOOP")
        for _ in range(2):
            answer = await _heard(session, patience)
            if answer and answer.code == 250:
                return bad("ends", f"{ending} ends a message, which is refused: {reply.text}")
    return good(f"{ending}: {reply.text}")


async def _heard(session: Session, seconds: float) -> Reply | None:
    try:
        async with asyncio.timeout(seconds):
            return await session.reply()
    except TimeoutError:
        return None
