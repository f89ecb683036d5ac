"""A qmail log of traffic that never was, in several forms, to measure with.

Invented traffic of a busy host, in the words of qmail-send.c: messages with one to four recipients, attempts that
overlap, retries, bounces, and message numbers that are used again at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from heapq import heappop, heappush
from random import Random

from bench import RATE, START

LIMITS = {"local": 10, "remote": 120}
HOSTS = 4_000  # that mail is sent to
DOMAINS = ("gmail.com", "outlook.com", "yahoo.com", "gmx.de", "icloud.com")
REPLIES = (
    "250_2.0.0_Ok:_queued_as_{id}",
    "250_2.0.0_OK__1767571200_{id}_-_gsmtp",
    "250_OK_id={id}",
    "250_ok_1767571200_qp_{number}",
)
DEFERRALS = (
    "Connected_to_{ip}_but_connection_died._(#4.4.2)/",
    "Connected_to_{ip}_but_greeting_failed./Remote_host_said:_421_4.7.0_Try_again_later/",
    "{ip}_does_not_like_recipient./Remote_host_said:_450_4.2.0_<{to}>:_Greylisted/Giving_up_on_{ip}./",
    "Sorry,_I_wasn't_able_to_establish_an_SMTP_connection._(#4.4.1)/",
)
FAILURES = (
    "{ip}_does_not_like_recipient./Remote_host_said:_550_5.1.1_<{to}>:_User_unknown/Giving_up_on_{ip}./",
    "{ip}_failed_after_I_sent_the_message./Remote_host_said:_554_5.7.1_Message_rejected_as_spam/",
    "Sorry,_I_couldn't_find_any_host_named_{domain}._(#5.1.2)/",
)
NO_MAILBOX = "Sorry,_no_mailbox_here_by_that_name._(#5.1.1)/"


class Message:
    """A message in the queue, and how many of its recipients are not done."""

    __slots__ = ("has_failed", "number", "sender", "size", "unfinished")

    def __init__(self, number: int, sender: str, size: int, recipients: int) -> None:
        self.number, self.sender, self.size = number, sender, size
        self.unfinished, self.has_failed = recipients, False


class QmailTraffic:
    """An endless log: times and texts, in order."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._due: list[tuple[float, int, Callable[[float], Iterator[str]]]] = []
        self._count = self._attempts = 0
        self._busy = {"local": 0, "remote": 0}
        self._free = list(range(270_000, 262_000, -2))  # inodes: what was given back last is taken first
        ips = (f"198.51.{random.randrange(100)}.{random.randrange(1, 255)}" for _ in range(HOSTS))
        self._hosts = [
            (DOMAINS[n % 50] if n % 50 < len(DOMAINS) else f"host{n}.example.org", ip) for n, ip in enumerate(ips)
        ]

    def __iter__(self) -> Iterator[tuple[float, str]]:
        self._later(START, self._arrive)
        last = START
        while True:
            time, _, step = heappop(self._due)
            for text in step(time):
                last = max(time, last + 0.00002)
                yield last, text

    def _later(self, time: float, step: Callable[[float], Iterator[str]]) -> None:
        self._count += 1
        heappush(self._due, (time, self._count, step))

    def _arrive(self, time: float) -> Iterator[str]:
        random = self._random
        self._later(time + random.expovariate(RATE), self._arrive)
        recipients = random.choice((1, 1, 1, 1, 2, 4))
        size = int(random.lognormvariate(9, 1))
        sender = f"user{random.randrange(5000)}@example.com"
        yield from self._queue(
            time, Message(self._free.pop(), sender, size, recipients), uid=random.choice((82, 82, 1001))
        )

    def _queue(self, time: float, message: Message, *, uid: int, qp: int = 0) -> Iterator[str]:
        qp = qp or self._random.randrange(300, 65_000)
        yield f"new msg {message.number}"
        yield f"info msg {message.number}: bytes {message.size} from <{message.sender}> qp {qp} uid {uid}"
        for _ in range(message.unfinished):
            self._plan(time + 0.0005, message)

    def _plan(self, time: float, message: Message) -> None:
        random = self._random
        domain, ip = random.choice(self._hosts)
        channel = "remote" if message.sender and random.random() < 0.7 else "local"
        to = f"user{random.randrange(9000)}@{domain if channel == 'remote' else 'example.com'}"
        self._later(time, lambda now: self._start(now, message, channel, to, ip))

    def _start(self, time: float, message: Message, channel: str, to: str, ip: str) -> Iterator[str]:
        self._attempts += 1
        number = self._attempts
        self._busy[channel] += 1
        seconds = self._random.lognormvariate(-0.5, 0.8) if channel == "remote" else 0.02
        self._later(time + seconds, lambda now: self._finish(now, message, number, channel, to, ip))
        yield f"starting delivery {number}: msg {message.number} to {channel} {to}"
        yield self._status()

    def _finish(self, time: float, message: Message, number: int, channel: str, to: str, ip: str) -> Iterator[str]:
        random = self._random
        self._busy[channel] -= 1
        fate = random.random()
        known = {
            "ip": ip,
            "to": to,
            "domain": to.partition("@")[2],
            "number": number,
            "id": f"{random.getrandbits(60):X}",
        }
        if fate < 0.08 and channel == "remote":
            self._later(time + 400, lambda now: self._start(now, message, channel, to, ip))
            yield f"delivery {number}: deferral: {random.choice(DEFERRALS).format(**known)}"
            yield self._status()
            return
        if fate < 0.13:
            message.has_failed = True
            text = random.choice(FAILURES) if channel == "remote" else NO_MAILBOX
            yield f"delivery {number}: failure: {text.format(**known)}"
        elif channel == "remote":
            text = f"{ip}_accepted_message./Remote_host_said:_{random.choice(REPLIES).format(**known)}/"
            yield f"delivery {number}: success: {text}"
        else:
            yield f"delivery {number}: success: did_1+0+0/"
        yield self._status()
        yield from self._end(time, message)

    def _end(self, time: float, message: Message) -> Iterator[str]:
        message.unfinished -= 1
        if message.unfinished:
            return
        if message.has_failed and message.sender:
            qp = self._random.randrange(300, 65_000)
            yield f"bounce msg {message.number} qp {qp}"
            bounce = Message(self._free.pop(), "", message.size + 700, 1)
            self._later(time + 0.001, lambda now: self._queue(now, bounce, uid=87, qp=qp))
        yield f"end msg {message.number}"
        self._free.append(message.number)

    def _status(self) -> str:
        return "status: " + " ".join(f"{name} {self._busy[name]}/{most}" for name, most in LIMITS.items())


def multilog(time: float, text: str) -> str:
    """TAI64N, as `multilog t` writes it."""
    seconds = int(time)
    return f"@{(1 << 62) + 10 + seconds:016x}{int((time - seconds) * 1e9):08x} {text}"


def tai64nlocal(time: float, text: str) -> str:
    """What tai64nlocal makes of it."""
    return f"{datetime.fromtimestamp(int(time), UTC):%Y-%m-%d %H:%M:%S}.{int(time % 1 * 1e9):09d} {text}"


def splogger(time: float, text: str) -> str:
    """Through syslog."""
    stamp = f"{datetime.fromtimestamp(int(time), UTC):%b %e %H:%M:%S}"
    return f"{stamp} mail qmail: {time:.6f} {text}"


FORMS: dict[str, Callable[[float, str], str]] = {
    "multilog": multilog,
    "tai64nlocal": tai64nlocal,
    "splogger": splogger,
}


def lines(seed: int, form: str = "multilog") -> Iterator[str]:
    """The endless log in one of its forms, always the same for the same seed."""
    write = FORMS[form]
    return (f"{write(time, text)}\n" for time, text in QmailTraffic(Random(seed)))  # noqa: S311  # no secret
