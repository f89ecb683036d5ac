"""Clients of both servers, who count what they see: `python -m stack.traffic FOLDER`.

Faults of theirs: `spray` (somebody tries passwords), `crowd` (mail to providers beyond the budget), `old-tls`
(clients of another age), `dead` (mail to a host that is gone), `spam`, `silence` (nobody comes).
"""

from __future__ import annotations

import json
import signal
import ssl
import sys
import warnings
from collections.abc import Callable, Iterator
from email.utils import make_msgid
from itertools import count
from pathlib import Path
from random import Random
from smtplib import SMTP, SMTPAuthenticationError, SMTPException
from threading import Event, Lock, Thread
from typing import NamedTuple

from stack import plan as plans
from stack import process
from stack.ground import Entry
from stack.plan import (
    CLIENTS,
    EXIM,
    EXIM_SUBMISSION,
    PASSWORD,
    POSTFIX,
    POSTFIX_SUBMISSION,
    STRANGERS,
    USER,
    Plan,
)

NAME = "traffic"
TRUTH = "clients.jsonl"
SENDER = "alice@sender.example"
TIMEOUT = 100  # seconds: a message whose taking a client did not wait for is in no count of its
PAUSE = 0.25  # seconds between two sessions of one server's clients
DOMAINS = {"google": 8, "microsoft": 6, "yahoo": 4, "gmx": 3, "small": 4}
CROWD = {"apple": 1, "orange": 1, "proton": 1}
WISHES = {"user": 86, "unknown": 3, "later": 4, "shortly": 2, "never": 1, "busy": 2, "cut": 2}
UNWANTED = {"spam": 4}
GUESSES = [f"user{number}" for number in range(40)]

Fact = tuple[str, ...]


class Door(NamedTuple):
    """The ways into a server."""

    mta: str
    number: int
    smtp: Entry
    submission: Entry


DOORS = (Door("postfix", 1, POSTFIX, POSTFIX_SUBMISSION), Door("exim", 2, EXIM, EXIM_SUBMISSION))


def start(plan: Plan) -> None:
    """Let the clients come."""
    command = (sys.executable, "-m", "stack.traffic", plan.folder)
    process.start(plan.folder, NAME, command, (plan.truth / TRUTH).exists)


def read_facts(plan: Plan) -> list[Fact]:
    """All that clients saw: `message MTA via`, `recipient MTA`, `refused MTA phase`, `login MTA result`."""
    return [tuple(json.loads(line)) for line in (plan.truth / TRUTH).read_text().splitlines()]


class Crowd:
    """The clients of one server, until told to end."""

    def __init__(self, door: Door, faults: Path, tell: Callable[[Fact], object], ended: Event) -> None:
        self._door = door
        self._faults = faults
        self._tell = tell
        self._ended = ended
        self._random = Random(door.mta)  # noqa: S311 - traffic
        self._numbers = count()

    def run(self) -> None:
        """One session after the other."""
        while not self._ended.wait(PAUSE):
            if (self._faults / "silence").exists():
                continue
            for visit in self._visits():
                try:
                    visit()
                except (OSError, SMTPException) as error:
                    print(f"{self._door.mta}: {error!r}", file=sys.stderr, flush=True)

    def _visits(self) -> Iterator[Callable[[], None]]:
        yield self._random.choices((self._relay, self._submit, self._stray, self._slip), (60, 30, 4, 1))[0]
        if (self._faults / "spray").exists():
            yield self._guess
        if (self._faults / "old-tls").exists() and self._door.mta == "postfix":
            yield self._encrypt_as_of_old

    # --- sessions ---

    def _session(self, entry: Entry, source: str) -> SMTP:
        session = SMTP(*entry, local_hostname="client.example", timeout=TIMEOUT, source_address=(source, 0))
        session.ehlo()
        return session

    def _relay(self) -> None:
        with self._session(self._door.smtp, self._random.choice(CLIENTS)) as session:
            if self._random.random() < 0.3:
                session.starttls(context=trusting())
                session.ehlo()
            self._give(session, "smtp")

    def _submit(self) -> None:
        self._log_in(self._random.choice(CLIENTS), USER, PASSWORD, gives=True)

    def _slip(self) -> None:
        self._log_in(self._random.choice(CLIENTS), USER, "wrong")

    def _guess(self) -> None:
        self._log_in(self._random.choice(STRANGERS), self._random.choice(GUESSES), "secret")

    def _stray(self) -> None:
        """Somebody for whom the server does not relay."""
        with self._session(self._door.smtp, self._random.choice(STRANGERS)) as session:
            self._give(session, "smtp")

    def _encrypt_as_of_old(self) -> None:
        context = trusting()
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
        with self._session(self._door.smtp, self._random.choice(CLIENTS)) as session:
            session.starttls(context=context)
            session.ehlo()

    def _log_in(self, source: str, user: str, password: str, *, gives: bool = False) -> None:
        with self._session(self._door.submission, source) as session:
            session.starttls(context=trusting())
            session.ehlo()
            session.user = f"{user}@here.example" if self._door.mta == "postfix" else user
            session.password = password
            try:
                session.auth("PLAIN", session.auth_plain)
            except SMTPAuthenticationError:
                self._tell(("login", self._door.mta, "failure"))
                return
            self._tell(("login", self._door.mta, "success"))
            if gives:
                self._give(session, "submission")

    # --- messages ---

    def _give(self, session: SMTP, via: str) -> None:
        session.mail(SENDER)
        taken = 0
        for recipient in self._recipients():
            code, _ = session.rcpt(recipient)
            taken += code == 250
            fact = ("recipient", self._door.mta) if code == 250 else ("refused", self._door.mta, "rcpt")
            self._tell(fact)
        if taken:
            code, answer = session.data(self._message())
            if code != 250:
                raise SMTPException(f"{code} {answer!r}")
            self._tell(("message", self._door.mta, via))

    def _message(self) -> str:
        size = int(self._random.lognormvariate(8, 1.2))
        body = ("Hello. " * 10 + "\r\n") * min(size // 70, 2000)
        return f"From: {SENDER}\r\nMessage-ID: {make_msgid(domain='sender.example')}\r\n\r\n{body}\r\n"

    def _recipients(self) -> list[str]:
        pick = self._random
        domains = DOMAINS | (CROWD if (self._faults / "crowd").exists() else {})
        if (self._faults / "dead").exists() and pick.random() < 0.05:
            return [f"user{next(self._numbers)}@dead.example"]
        number = pick.choices((1, 2, 5), (80, 15, 5))[0]
        domain = pick.choices(list(domains), list(domains.values()))[0]
        known = WISHES | (UNWANTED if (self._faults / "spam").exists() else {})
        wishes = pick.choices(list(known), list(known.values()), k=number)
        return [f"{wish}{self._door.number}-{next(self._numbers)}@{domain}.example" for wish in wishes]


def trusting() -> ssl.SSLContext:
    """Takes any certificate: the servers have made their own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def main() -> None:
    """Let clients come until ended; the sessions that are under way are brought to their end."""
    plan, ended, lock = plans.load(Path(sys.argv[1])), Event(), Lock()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with (plan.truth / TRUTH).open("a") as truth:

        def tell(fact: Fact) -> None:
            with lock:
                truth.write(json.dumps(fact) + "\n")
                truth.flush()

        threads = [Thread(target=Crowd(door, plan.faults, tell, ended).run) for door in DOORS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
