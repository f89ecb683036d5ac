"""The clients of a mail server, who count what they give it and what it refuses."""

from __future__ import annotations

import ssl
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from email.utils import make_msgid
from smtplib import SMTP, SMTPAuthenticationError
from typing import NamedTuple

from stack.ground import Entry

TRUSTED, STRANGER = "127.0.0.1", "127.0.0.9"  # whom the server relays for, and whom it does not
SENDER = "alice@example.com"
USER, PASSWORD = "carol", "correct horse"
MOST = 1_000_000  # bytes of a message that the server takes
TIMEOUT = 120  # seconds: all answers come far sooner
AT_ONCE = 4  # sessions

Seen = Counter[tuple[str, ...]]


class Visit(NamedTuple):
    """One session: who comes from where, and the recipients of each message. With a password, over TLS."""

    letters: tuple[tuple[str, ...], ...] = ()
    source: str = TRUSTED
    password: str | None = None
    size: int | None = None  # bytes, as the client says, whatever they are


def visit_all(visits: list[Visit], smtp: Entry, submission: Entry | None) -> Seen:
    """Let all clients come, some at once; what they saw, summed up. Without submission, nobody logs in."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sessions = pool.map(lambda it: visit(it, smtp, submission), visits)
        return sum(sessions, Seen())


def visit(visit: Visit, smtp: Entry, submission: Entry | None) -> Seen:
    """One session."""
    if visit.password is not None and submission is not None:
        with _session(submission, visit) as session:
            session.starttls(context=trusting())
            seen = Seen({("connection",): 1, ("tls",): 1, ("login", log_in(session, visit.password)): 1})
            return seen + _give_all(session, visit, "submission")
    with _session(smtp, visit) as session:
        return Seen({("connection",): 1}) + _give_all(session, visit, "smtp")


def _session(entry: Entry, visit: Visit) -> SMTP:
    session = SMTP(*entry, local_hostname="client.example.com", timeout=TIMEOUT, source_address=(visit.source, 0))
    session.ehlo()
    return session


def _give_all(session: SMTP, visit: Visit, via: str) -> Seen:
    return sum((give(session, recipients, visit.size, via) for recipients in visit.letters), Seen())


def trusting() -> ssl.SSLContext:
    """Takes any certificate: the server has made its own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def log_in(smtp: SMTP, password: str) -> str:
    smtp.ehlo()
    smtp.user, smtp.password = USER, password
    try:
        smtp.auth("PLAIN", smtp.auth_plain)
    except SMTPAuthenticationError:
        return "failure"
    return "success"


def give(smtp: SMTP, recipients: tuple[str, ...], size: int | None, via: str) -> Seen:
    """One message; it is sent if at least one of the recipients is taken."""
    seen = Seen()
    code, _ = smtp.mail(SENDER, [f"SIZE={size}"] if size else [])
    if code != 250:
        return Seen({("refused", "mail", str(code)): 1})
    for recipient in recipients:
        code, _ = smtp.rcpt(recipient)
        seen[("recipient", recipient) if code == 250 else ("refused", "rcpt", str(code))] += 1
    if not any(key[0] == "recipient" for key in seen):
        smtp.rset()
        return seen
    code, answer = smtp.data(f"From: {SENDER}\r\nMessage-ID: {make_msgid(domain='example.com')}\r\n\r\nHello\r\n")
    assert code == 250, answer
    return seen + Seen({("message", via): 1})
