"""An OpenSMTPD log of traffic that never was, to measure with.

The traffic of a busy relay in the words of 7.x: submissions, mail for its own users, what it hands on in sessions of
several messages, answers that make it try again, expiry and returned mail, clients that guess passwords.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from bench import RATE, START

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CIPHERS = ("TLSv1.3:TLS_AES_256_GCM_SHA384:256", "TLSv1.2:ECDHE-RSA-AES256-GCM-SHA384:256")
CHECK = 'cert-check result="{}" fingerprint="SHA256:{:064x}"'
RETRY = 400.0  # seconds to the first retry, twice as many to the second (scheduler_ramqueue.c, about)
TRIES = 4  # after which a message expires, so that a log of some hours has expiry


class Provider(NamedTuple):
    """A destination: its mail exchangers, and what it answers, each with its share of a thousand."""

    domain: str
    relays: tuple[str, ...]
    answers: tuple[tuple[int, str, str], ...]


PROVIDERS = (
    Provider(
        "google.example.net",
        ("198.51.100.26 (gmail-smtp-in.l.google.com)", "198.51.100.27 (alt1.gmail-smtp-in.l.google.com)"),
        (
            (900, "Ok", "250 2.0.0 OK  {now} {token} - gsmtp"),
            (40, "PermFail", "550 5.1.1 That account does not exist at this place {token} - gsmtp"),
            (60, "TempFail", "452 4.2.2 The inbox of {rcpt} is out of storage space {token} - gsmtp"),
        ),
    ),
    Provider(
        "outlook.example.net",
        ("198.51.100.33 (outlook-com.olc.protection.outlook.com)",),
        (
            (920, "Ok", "250 2.6.0 <{token}@mail.example.com> [InternalId={now}] Queued mail for delivery"),
            (50, "PermFail", "550 5.5.0 Requested action not taken: mailbox unavailable [{token}]"),
            (30, "TempFail", "451 4.7.500 Server busy. Please try again later from [192.0.2.25]"),
        ),
    ),
    Provider(
        "example.org",
        ("198.51.100.48 (mx1.example.org)", "198.51.100.49 (mx2.example.org)"),
        (
            (880, "Ok", "250 2.0.0 Ok: queued as {token}"),
            (40, "PermFail", "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown"),
            (80, "TempFail", "450 4.7.1 <{rcpt}>: Recipient address rejected: Greylisted"),
        ),
    ),
    Provider("nowhere.example", (), ((1000, "TempFail", "Network error on destination MXs"),)),
)
SHARES = (45, 25, 28, 2)


class Traffic:
    """Lines in the order of their time. What comes later waits in a heap: lines, and what will make lines."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._heap: list[tuple[float, int, str | Callable[[], None]]] = []
        self._number = count()
        self._sessions = {relay: (0.0, "") for provider in PROVIDERS for relay in provider.relays}
        self._clients = [f"203.0.113.{n} host=pc{n}.example.net" for n in range(1, 200)]
        self._peers = [f"198.51.100.{n} host=mx{n}.example.com" for n in range(100, 250)]
        self._bots = [f"203.0.113.{n} host=<unknown>" for n in range(200, 255)]

    def __iter__(self) -> Iterator[str]:
        now, second, stamp = START, 0, ""
        while True:
            now += self._rng.expovariate(RATE)
            self._arrive(now)
            while self._heap and self._heap[0][0] <= now:
                time, _, text = heappop(self._heap)
                if not isinstance(text, str):
                    text()
                    continue
                if int(time) != second:
                    second, stamp = int(time), f"{datetime.fromtimestamp(time, UTC):%b %e %H:%M:%S}"
                yield f"{stamp} mail smtpd[{4712 if text.startswith(('relay:', 'warn:')) else 4711}]: {text}\n"

    def _say(self, time: float, text: str | Callable[[], None]) -> None:
        heappush(self._heap, (time, next(self._number), text))

    def _id(self, digits: int = 16) -> str:
        return f"{self._rng.getrandbits(4 * digits):0{digits}x}"

    def _arrive(self, at: float) -> None:
        kind = self._rng.random()
        if kind < 0.03:
            self._guess(at)
        elif kind < 0.06:
            self._refuse(at)
        else:
            self._submit(at, is_ours=kind < 0.65)

    def _connect(self, at: float, client: str) -> str:
        session = self._id()
        self._say(at, f"{session} smtp connected address={client}")
        self._say(at + 0.05, f"{session} smtp tls ciphers={self._rng.choice(CIPHERS)}")
        return session

    def _guess(self, at: float) -> None:
        session = self._connect(at, self._rng.choice(self._bots))
        self._say(at + 1, f"{session} smtp authentication user=user{self._rng.randrange(99)} result=permfail")
        command = 'command="AUTH LOGIN (password)" result="535 Authentication failed"'
        self._say(at + 2, f"{session} smtp failed-command {command}")
        self._say(at + 2.1, f"{session} smtp disconnected reason=disconnect")

    def _refuse(self, at: float) -> None:
        session, to = (
            self._connect(at, self._rng.choice(self._bots)),
            f"<nobody{self._rng.randrange(999)}@example.com>",
        )
        self._say(
            at + 1, f'{session} smtp failed-command command="RCPT TO:{to}" result="550 Invalid recipient: {to}"'
        )
        self._say(at + 1.1, f"{session} smtp disconnected reason=quit")

    def _submit(self, at: float, *, is_ours: bool) -> None:
        session = self._connect(at, self._rng.choice(self._clients if is_ours else self._peers))
        if is_ours:
            self._say(at + 0.2, f"{session} smtp authentication user=user{self._rng.randrange(99)} result=ok")
        for _ in range(1 if self._rng.random() < 0.7 else 3):
            at += 0.3
            self._message(at, session, is_ours=is_ours)
        self._say(at + 0.1, f"{session} smtp disconnected reason=quit")

    def _message(self, at: float, session: str, *, is_ours: bool) -> None:
        message, recipients = self._id(8), 1 if self._rng.random() < 0.8 else 4
        sender = f"user{self._rng.randrange(99)}@{'example.com' if is_ours else 'peer.example.net'}"
        size = int(self._rng.lognormvariate(9, 1))
        self._say(at, f"{session} smtp message msgid={message} size={size} nrcpt={recipients} proto=ESMTP")
        for _ in range(recipients):
            envelope = message + self._id(8)
            provider = self._rng.choices(PROVIDERS, SHARES)[0]
            to = f"user{self._rng.randrange(9999)}@{provider.domain if is_ours else 'example.com'}"
            self._say(at, f"{session} smtp envelope evpid={envelope} from=<{sender}> to=<{to}>")
            if is_ours:
                begin = at + 0.1
                self._say(begin, partial(self._relay, begin, envelope, sender, to, provider, at))
            else:
                self._store(at + 0.1, envelope, sender, to)

    def _store(self, at: float, envelope: str, sender: str, to: str) -> None:
        what = f"evpid={envelope} from=<{sender}> to=<{to}> rcpt=<{to}> user={to.partition('@')[0]} delay=0s"
        self._say(at, f"{self._id()} mda delivery {what} result=Ok stat=Delivered")

    def _relay(
        self, at: float, envelope: str, sender: str, to: str, provider: Provider, since: float, tries: int = 1
    ) -> None:
        relay = self._rng.choice(provider.relays) if provider.relays else ""
        session = self._session(at, relay) if relay else "0" * 16
        at += self._rng.uniform(0.2, 2.0)
        _, result, text = self._rng.choices(provider.answers, [share for share, *_ in provider.answers])[0]
        delay = elapsed(at - since)
        reply = text.format(now=int(at), token=self._id(20), rcpt=to)
        where = f'source="192.0.2.25" relay="{relay}"' if relay else f'source="-" relay="{provider.domain}"'
        what = f"evpid={envelope} from=<{sender}> to=<{to}> rcpt=<-> {where} delay={delay}"
        self._say(at, f'{session} mta delivery {what} result="{result}" stat="{reply}"')
        if result == "TempFail" and tries < TRIES:
            again = at + RETRY * tries * tries
            self._say(again, partial(self._relay, again, envelope, sender, to, provider, since, tries + 1))
            return
        if result == "TempFail":
            at += RETRY
            what = f"from=<{sender}>, to=<{to}>, rcpt=<->, delay={elapsed(at - since)}, stat=Envelope expired"
            self._say(at, f"relay: Expire for {envelope}: {what}")
        if result != "Ok":
            self._bounce(at + 1, sender)

    def _session(self, at: float, relay: str) -> str:
        """A session with a relay: the one that is open, or a new one, which stays for some seconds."""
        until, session = self._sessions[relay]
        if at < until:
            return session
        session, (ip, _, name) = self._id(), relay.partition(" ")
        until = at + self._rng.uniform(1, 10)
        self._say(at, f"{session} mta connecting address=smtp://{ip}:25 host={name.strip('()')}")
        self._say(at + 0.05, f"{session} mta connected")
        self._say(at + 0.1, f"{session} mta tls ciphers={CIPHERS[0]}")
        self._say(at + 0.1, f"{session} mta {CHECK.format('verified', len(relay))}")
        self._say(until + 3, f"{session} mta disconnected reason=quit messages={self._rng.randrange(1, 30)}")
        self._sessions[relay] = until, session
        return session

    def _bounce(self, at: float, sender: str) -> None:
        session, envelope = self._id(), self._id()
        self._say(at, f"{session} smtp connected address=local host=mail.example.com")
        self._say(at, f"{session} smtp message msgid={envelope[:8]} size=1916 nrcpt=1 proto=ESMTP")
        self._say(at, f"{session} smtp envelope evpid={envelope} from=<> to=<{sender}>")
        self._say(at, f"{session} smtp disconnected reason=quit")
        self._store(at + 0.1, envelope, "", sender)


def elapsed(seconds: float) -> str:
    """`1h3m5s`, without what is 0 (duration_to_text, to.c)."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def lines(seed: int) -> Iterator[str]:
    """The endless log, always the same for the same seed."""
    return iter(Traffic(Random(seed)))  # noqa: S311  # no secret
