"""A Sendmail log of traffic that never was, to measure with.

The shares of the lines are about those of a relay at log level 9: as many deliveries as messages and some more,
deferrals that come again, TLS sessions, refusals. Names are of RFC 2606, addresses of RFC 5737 and RFC 3849.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import NamedTuple

from bench import RATE, START

LATER = (0.0, 600.0, 1800.0, 3600.0)  # seconds from the arrival of a message to its queue runs
CIPHER = "version=TLSv1.3, verify=OK, cipher=TLS_AES_256_GCM_SHA384, bits=256/256"
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx"  # sixty: sendmail/queue.c

Step = tuple[float, int, str]  # when, a number that keeps the order, "program[pid]: text"


class Destination(NamedTuple):
    """Where recipients are: its domains, its relays, how it answers."""

    share: int  # of a hundred recipients
    domains: list[str]
    relays: list[str]
    accepted: str


DESTINATIONS = [
    Destination(
        45,
        ["gmail.com"],
        ["gmail-smtp-in.l.google.com. [192.0.2.26]", "gmail-smtp-in.l.google.com. [IPv6:2001:db8:0:0:0:0:0:1b]"],
        "OK  {time} {id} - gsmtp",
    ),
    Destination(
        25,
        ["outlook.com", "hotmail.com"],
        [
            "outlook-com.olc.pr...ction.outlook.com. [192.0.2.30]",
            "hotmail-com.olc.pr...ction.outlook.com. [192.0.2.31]",
        ],
        "<{id}@example.com> [InternalId={time}, Hostname=DB1.prod.outlook.com] 12345 bytes in 0.123, 97.6 KB/sec"
        " Queued mail for delivery -> 250 2.1.5",
    ),
    Destination(
        30,
        [f"peer{n}.example.org" for n in range(3000)],
        [f"mx{n}.example.net. [198.51.100.{n}]" for n in range(250)],
        "Ok: queued as {id}",
    ),
]
DECK = [each for each in DESTINATIONS for _ in range(each.share)]
FAILURES = [
    "dsn=4.2.0, reply=450 4.2.0 <{to}>: Recipient address rejected: Greylisted, stat=Deferred: 450 4.2.0 <{to}>:"
    " Recipient address rejected: Greylisted",
    "dsn=4.2.2, reply=452 4.2.2 <{to}>: mailbox full, stat=Deferred: 452 4.2.2 <{to}>: mailbox full",
    "dsn=4.4.2, stat=Deferred",
    "dsn=4.4.1, stat=Deferred: Connection refused by mx.example.net.",
    "dsn=4.0.0, stat=Deferred",
]
BOUNCES = [
    ("5.1.1", "550 5.1.1 <{to}>: Recipient address rejected: User unknown", "User unknown"),
    ("5.7.1", "554 5.7.1 Message identified as spam", "Service unavailable"),
]
RECIPIENTS = [1] * 84 + [2] * 8 + [3] * 4 + [8] * 3 + [20]


class SendmailTraffic:
    """The lines of traffic that never was, in the order of their times."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._steps: list[Step] = []
        self._order = count()
        self._pids = count(1000)
        self._now = START

    def __iter__(self) -> Iterator[str]:
        while True:
            while not self._steps or self._steps[0][0] > self._now:
                self._arrive()
                self._now += self._rng.expovariate(RATE)
            time, _, text = heappop(self._steps)
            yield f"{datetime.fromtimestamp(time, UTC):%b %e %H:%M:%S} mail {text}"

    def _say(self, time: float, program: str, text: str) -> None:
        heappush(self._steps, (time, next(self._order), f"{program}: {text}"))

    def _id(self, time: float, pid: int) -> str:
        moment = datetime.fromtimestamp(time, UTC)
        stamp = (moment.month - 1, moment.day, moment.hour, moment.minute, moment.second, self._rng.randrange(50))
        return "6" + "".join(DIGITS[part] for part in stamp) + f"{next(self._order) % 50:02}"[-1] + f"{pid:06}"

    def _arrive(self) -> None:
        """A client's session: a message, or something that is none."""
        choice, pid = self._rng.random(), next(self._pids) % 900_000
        process, time = f"sm-mta[{pid}]", self._now
        number = self._rng.randrange(2000)
        client = f"client{number}.example.net [203.0.113.{number % 250}]"
        if choice < 0.05:
            self._refuse(time, process, pid, client)
        elif choice < 0.08:
            text = f"{self._id(time, pid)}: AUTH failure (LOGIN): authentication failure (-13) SASL(-13):"
            self._say(time, process, f"{text} authentication failure: checkpass failed, user=info, relay={client}")
        elif choice < 0.11:
            self._say(
                time,
                process,
                f"{self._id(time, pid)}: {client} did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA",
            )
        else:
            self._take(time, process, pid, client, is_user=choice < 0.5)

    def _refuse(self, time: float, process: str, pid: int, client: str) -> None:
        queue_id, address = self._id(time, pid), f"user{self._rng.randrange(9999)}@example.com"
        if self._rng.random() < 0.5:
            self._say(time, process, f"{queue_id}: <{address}>... User unknown")
        else:
            reply = f"550 5.7.1 <{address}>... Relaying denied. Proper authentication required."
            text = f"ruleset=check_rcpt, arg1=<{address}>, relay={client}, reject={reply}"
            self._say(time, process, f"{queue_id}: {text}")
        text = f"size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay={client}"
        self._say(time, process, f"{queue_id}: from=<x@example.org>, {text}")

    def _take(self, time: float, process: str, pid: int, client: str, *, is_user: bool) -> None:
        rng, queue_id = self._rng, self._id(time, pid)
        many, sender = rng.choice(RECIPIENTS), f"user{rng.randrange(999)}@example.com"
        self._say(time, process, f"STARTTLS=server, relay={client}, {CIPHER.replace('OK', 'NO')}")
        if is_user:
            self._say(
                time,
                process,
                f"AUTH=server, relay={client}, authid=user{client.partition('.')[0][6:]}, mech=PLAIN, bits=0",
            )
        way = "proto=ESMTPSA, daemon=MSA" if is_user else "proto=ESMTPS, daemon=MTA"
        text = f"size={rng.randrange(1000, 99999)}, class=0, nrcpts={many}, msgid=<{queue_id}.{pid}@example.com>"
        self._say(time, process, f"{queue_id}: from=<{sender}>, {text}, {way}, relay={client}")
        while many:
            some = rng.randrange(1, many + 1)
            many -= some
            self._deliver(time, queue_id, next(self._pids) % 900_000, rng.choice(DECK), sender, some)

    def _deliver(
        self, arrived: float, queue_id: str, pid: int, destination: Destination, sender: str, many: int
    ) -> None:
        """The attempts for the recipients at one destination, until they are over."""
        rng = self._rng
        users = [f"user{rng.randrange(99999)}@{rng.choice(destination.domains)}" for _ in range(many)]
        relay = rng.choice(destination.relays)
        for later in LATER:
            time, took = arrived + later + rng.random() * 2, rng.randrange(3)
            process = f"sm-mta[{pid}]"
            if "[" in relay and rng.random() < 0.9:
                self._say(time, process, f"STARTTLS=client, relay={relay.partition(' ')[0]}, {CIPHER}")
            to = ",".join(f"<{user}>" for user in users)
            start = f"{queue_id}: to={to}, delay={clock(later + took)}, xdelay={clock(took)}, mailer=esmtp, pri=31703"
            start += f", relay={relay}, "
            choice = rng.random()
            if choice > 0.1 + 0.2 * (later > 0):
                said = destination.accepted.format(id=f"{pid:010x}", time=int(time))
                self._say(time + took, process, f"{start}dsn=2.0.0, stat=Sent ({said})")
                return
            if choice < 0.03:
                dsn, reply, stat = rng.choice(BOUNCES)
                self._say(time + took, process, f"{start}dsn={dsn}, reply={reply.format(to=users[0])}, stat={stat}")
                new_id = self._id(time, pid)
                self._say(time + took, process, f"{queue_id}: {new_id}: DSN: {stat}")
                end = "delay=00:00:00, xdelay=00:00:00, mailer=local, pri=30000, dsn=2.0.0, stat=Sent"
                self._say(time + took, process, f"{new_id}: to=<{sender}>, {end}")
                return
            self._say(time + took, process, start + rng.choice(FAILURES).format(to=users[0]))


def clock(seconds: float) -> str:
    """A time as Sendmail writes it."""
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def lines(seed: int) -> Iterator[str]:
    """The endless log, always the same for the same seed."""
    return (f"{line}\n" for line in SendmailTraffic(Random(seed)))  # noqa: S311  # no secret
