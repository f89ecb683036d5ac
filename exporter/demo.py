"""A Postfix log of traffic that never was, true to what a busy relay writes: to look at, to test, to measure.

Everybody's part in the traffic (a client's session, a message's turn in the queue, an attacker) is a plain
generator of steps in time order; `PostfixTraffic` merges them. What destinations answer stands in `demo.yml`.
The shapes of the lines are those of Postfix 3.7 to 3.9 (smtpd, qmgr, smtp, bounce, ... in its source), and
retries follow qmgr(8). Addresses are of the documentation ranges (RFC 5737, RFC 3849) and domains (RFC 2606).
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from datetime import UTC, datetime
from heapq import heappop, heappush, heapreplace
from itertools import count, cycle
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from random import Random
    from typing import TypeAlias

T = TypeVar("T")
Kind: TypeAlias = "tuple[str, str]"  # what a line tells: a kind of event, and its result, status or direction
Step: TypeAlias = "tuple[float, Kind, str]"  # when, what it tells, "program[pid]: text"
Steps: TypeAlias = "Iterator[Step]"
Row: TypeAlias = "tuple[int, str, str, str, str]"  # an Outcome, as the file has it
TimedSteps: TypeAlias = "Generator[Step, None, float]"  # gives back when it was over

CONNECT = ("connect", "")
DISCONNECT = ("disconnect", "")
LOST = ("connection_error", "inbound")
UNREACHED = ("connection_error", "outbound")
TLS_IN, TLS_OUT = ("tls", "inbound"), ("tls", "outbound")
AUTH_FAILURE = ("auth", "failure")
RECEIVED, SUBMITTED, PICKED_UP = ("received", "smtp"), ("received", "submission"), ("received", "local")
QUEUED = ("queued", "")
DELIVERY = {status: ("delivery", status) for status in ("sent", "deferred", "bounced", "expired")}
REJECT = ("reject", "")
NOTIFICATION = ("notification", "bounce")
REMOVED = ("removed", "")
WARNING = ("problem", "warning")
SCREENED = ("connect", "postscreen")
BLOCKED = ("reject", "postscreen")
UNSCREENED = ("disconnect", "postscreen")
OTHER = ("other", "")

MIN_BACKOFF, MAX_BACKOFF = 300.0, 4000.0  # seconds: the defaults of minimal_ and maximal_backoff_time
CONNECT_TIMEOUT = 30.0  # seconds: the default of smtp_connect_timeout
QUEUE_LIFETIME = 3600.0  # seconds: the default of 5 days would keep expiry out of a log of some hours
FAIR_SPELL = 5400.0  # mean seconds from the end of a provider's block to the next
BAD_SPELL = 1500.0  # mean seconds of a block
SUSPENSION = 90.0  # mean seconds for which the queue manager leaves a dead destination alone
LASTING = frozenset({"4.2.2", "4.4.1", "4.4.3"})  # a full mailbox and a dead host stay so for a while
DAY = 86400.0

HISTORY = 1800.0  # seconds of log that a demonstration begins with
TICK = 0.2  # seconds between two looks at the clock
SLICE = 2000  # lines written before others get their turn

OWN = "192.0.2.25"
CIPHER = (
    "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519"
    " server-signature RSA-PSS (2048 bits) server-digest SHA256"
)


class Outcome(NamedTuple):
    """How an attempt ends: in how many of a thousand, how far it came, and the text, to be filled in."""

    share: int
    status: str
    dsn: str
    stage: str
    text: str


class Provider(NamedTuple):
    """Who runs a destination: its relays by domain, its answers, and those it gives while it blocks us."""

    share: int  # of a thousand recipients
    relays: dict[str, list[str]]
    accepted: str
    failures: Sequence[Row] = ()
    blocks: Sequence[Row] = ()
    program: str = "smtp"
    trust: str = "Trusted"
    cipher: str = CIPHER

    def outcomes(self, *, blocking: bool) -> list[Outcome]:
        """A thousand attempts to draw from."""
        failures = [Outcome(*row) for row in (*self.failures, *(self.blocks if blocking else ()))]
        rest = 1000 - sum(failure.share for failure in failures)
        return deck(
            (each, each.share) for each in [*failures, Outcome(rest, "sent", "2.0.0", "session", self.accepted)]
        )


def deck(shares: Iterator[tuple[T, int]] | Sequence[tuple[T, int]]) -> list[T]:
    """What to draw from in one step: everything as often as its share says."""
    return [thing for thing, share in shares for _ in range(share)]


CAST = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
PROVIDERS = {name: Provider(**fields) for name, fields in CAST["destinations"].items()}
REJECTS: list[str] = deck((text, share) for share, text in CAST["rejects"])
SCANS: list[list[tuple[str, str, str]]] = deck((steps, share) for share, steps in CAST["scans"])

NAMES = ("anna", "ben", "carla", "deniz", "emil", "fatma", "georg", "hana", "ivo", "jana", "karim")
USERS = [(f"{name}.{n}", f"dsl-{n}.isp.example.net[203.0.113.{n}]") for n, name in enumerate(NAMES * 12, 1)]
TRAVELLERS = [(f"{name}.{n}", f"unknown[2001:db8:{n:x}::7]") for n, name in enumerate(NAMES, 40)]
APPLICATIONS = [
    ("app1.example.com[192.0.2.32]", "orders@shop.example.com"),
    ("app2.example.com[192.0.2.33]", "news@letters.example.com"),
    ("app3.example.com[192.0.2.34]", "billing@example.com"),
]
PEERS = [f"out{n}.peer{n % 16}.example.org[2001:db8:ffff:{n % 16:x}::{n:x}]" for n in range(400)]
BOTS = [f"203.0.113.{n}" for n in range(160, 250)]
GUESSES = ("admin", "info", "test", "root", "office", "scanner", "postmaster", "backup", "sales", "user")
SESSION_MESSAGES = deck([(1, 70), (2, 15), (3, 10), (6, 5)])
RECIPIENTS = deck([(1, 84), (2, 8), (3, 4), (8, 3), (20, 1)])


class Client(NamedTuple):
    """Somebody that may hand us mail: what smtpd calls it, its login, how it begins a session."""

    host: str
    sender: str
    login: str = ""
    hello: str = "ehlo=1"


class Processes:
    """The processes of one daemon: each serves one client at a time, and a hundred in its life (max_use)."""

    def __init__(self, program: str, rng: Random, pids: Iterator[int]) -> None:
        self._name, self._pids, self._random = f"postfix/{program}", pids, rng.random
        self._idle: list[str] = []

    def take(self) -> str:
        return self._idle.pop() if self._idle else f"{self._name}[{next(self._pids)}]: "

    def give(self, process: str) -> None:
        if self._random() > 0.01:
            self._idle.append(process)


class Destination:
    """A provider as one traffic meets it: whether it blocks us now, until when it is left alone, and why."""

    def __init__(self, provider: Provider, rng: Random, start: float) -> None:
        self.provider, self._rng = provider, rng
        self._usual, self._blocking = provider.outcomes(blocking=False), provider.outcomes(blocking=True)
        self._outcomes = self._usual
        self._turn = start + rng.expovariate(1 / FAIR_SPELL) if provider.blocks else math.inf
        self.suspended_until, self.suspension = start, ("", "")

    def outcome(self, at: float, last: Outcome | None) -> Outcome:
        """How an attempt ends at that time, when the one before ended in `last`."""
        while at >= self._turn:
            self._turn_over()
        if last is not None and last.dsn in LASTING and self._rng.random() < 0.8:
            return last
        return self._outcomes[int(self._rng.random() * 1000)]

    def _turn_over(self) -> None:
        begins = self._outcomes is self._usual
        self._outcomes = self._blocking if begins else self._usual
        self._turn += self._rng.expovariate(1 / (BAD_SPELL if begins else FAIR_SPELL))

    def note(self, outcome: Outcome, reason: str, at: float) -> None:
        """What qmgr does when no session can be had: it sends nothing there for a while."""
        if self._outcomes is self._blocking and outcome.stage in ("connect", "greeting"):
            self.suspended_until = at + self._rng.expovariate(1 / SUSPENSION)
            self.suspension = (outcome.dsn, f"delivery temporarily suspended: {reason}")


class Route(NamedTuple):
    """Where mail for a domain goes: its relays, and who runs them."""

    domain: str
    relays: list[str]
    destination: Destination


class Recipient:
    """Somebody that a message is for, and how the last attempt to reach them ended."""

    __slots__ = ("address", "last", "route", "to")

    def __init__(self, address: str, route: Route, original: str = "") -> None:
        self.address, self.route = address, route
        self.to = f"to=<{address}>, orig_to=<{original}>" if original else f"to=<{address}>"
        self.last: Outcome | None = None


class Message:
    """A message in the queue, with the recipients that it is still to reach, and how many are being tried."""

    __slots__ = ("arrived", "bounced", "deferred", "queue_id", "recipients", "sender", "size", "trying")

    def __init__(self, queue_id: str, sender: str, size: int, recipients: list[Recipient], arrived: float) -> None:
        self.queue_id, self.sender, self.size, self.arrived = queue_id, sender, size, arrived
        self.recipients, self.deferred = recipients, list[Recipient]()
        self.trying, self.bounced = 0, False


class PostfixTraffic:
    """An endless log: iterate for `(time, line)` in time order; the same state of `rng` gives the same log.

    `rate` is the mean of messages accepted in a second, `start` in seconds since the epoch; stamps are UTC.
    `tally` counts the lines handed out so far, each under one kind: an event, with its result, status,
    direction or severity, or `("other", "")`. A line of `("received", "submission")` also tells of a login.
    A client that postscreen lets pass connects twice: `("connect", "postscreen")`, then `("connect", "")`.
    """

    def __init__(self, rng: Random, *, rate: float = 10.0, start: float = 0.0, rfc3339: bool = False) -> None:
        self.tally: Counter[Kind] = Counter()
        self._rng, self._random, self._bits = rng, rng.random, rng.getrandbits
        self._stamp = self._rfc3339 if rfc3339 else self._rfc3164
        self._second, self._prefix = -1, ""
        self._inodes = cycle(range(0x23000, 0x63000))
        self._order = count()
        self._parts: list[tuple[float, int, Kind, str, Steps]] = []
        self._set_up_daemons()
        self._set_up_routes(start)
        self._set_up_visits(rate, start)
        self._lines = self._merge()

    def __iter__(self) -> Iterator[tuple[float, str]]:
        return self._lines

    def _set_up_daemons(self) -> None:
        pids = cycle(range(1200, 1 << 22, 7))

        def processes(*programs: str) -> list[Processes]:
            return [Processes(program, self._rng, pids) for program in programs]

        self._smtpd, self._submission, self._smtps = processes("smtpd", "submission/smtpd", "smtps/smtpd")
        self._cleanup, self._error, self._bounce = processes("cleanup", "error", "bounce")
        self._agents = dict(zip(("smtp", "lmtp", "local"), processes("smtp", "lmtp", "local"), strict=True))
        self._qmgr, self._pickup, self._postscreen, self._dnsblog, self._anvil, self._scache = (
            only.take() for only in processes("qmgr", "pickup", "postscreen", "dnsblog", "anvil", "scache")
        )

    def _set_up_routes(self, start: float) -> None:
        routes = {}
        for name, provider in PROVIDERS.items():
            destination = Destination(provider, self._rng, start)
            routes[name] = [Route(domain, relays, destination) for domain, relays in provider.relays.items()]
        self._routes = deck(
            (route, PROVIDERS[name].share // len(served)) for name, served in routes.items() for route in served
        )
        (self._mailbox,), (self._local,), (self._peer,) = routes["mailbox"], routes["local"], routes["peer"]

    def _set_up_visits(self, rate: float, start: float) -> None:
        per_session = fmean(SESSION_MESSAGES)
        visits: list[tuple[Callable[[float], Steps], int, float]] = [
            (self._submit, 28, per_session),
            (self._relay, 30, per_session),
            (self._receive, 14, 1),
            (self._pick_up, 2, 1),
            (self._turn_away, 10, 0),
            (self._screen, 6, 0),
            (self._scan, 5, 0),
            (self._guess_once, 4, 0),
            (self._refuse_content, 1, 0),
        ]
        self._visits = deck((visit, share) for visit, share, _ in visits)
        self._visit_rate = rate * len(self._visits) / sum(share * messages for _, share, messages in visits)
        self._next_visit = start
        for endless in (self._spray, self._spray, self._spray, self._count_clients, self._count_sessions):
            self._begin(endless(start))

    # The merge

    def _merge(self) -> Iterator[tuple[float, str]]:
        parts, tally, stamp, order = self._parts, self.tally, self._stamp, self._order
        while True:
            time, _, kind, text, part = parts[0]
            if time >= self._next_visit:
                self._visit()
                continue
            tally[kind] += 1
            yield time, stamp(time) + text
            # What this part begins is never earlier than its own last step, so it still is the first.
            step = next(part, None)
            if step is None:
                heappop(parts)
            else:
                heapreplace(parts, (step[0], next(order), step[1], step[2], part))

    def _begin(self, part: Steps) -> None:
        time, kind, text = next(part)
        heappush(self._parts, (time, next(self._order), kind, text, part))

    def _visit(self) -> None:
        self._begin(self._pick(self._visits)(self._next_visit))
        load = 1 + 0.6 * math.sin(math.tau * (self._next_visit / DAY - 0.3))  # the quietest hour is the second
        self._next_visit += self._rng.expovariate(self._visit_rate * load)

    def _rfc3164(self, time: float) -> str:
        if int(time) != self._second:
            self._second = int(time)
            self._prefix = f"{syslog_time(time)} mail "
        return self._prefix

    def _rfc3339(self, time: float) -> str:
        if int(time) != self._second:
            self._second = int(time)
            self._prefix = f"{datetime.fromtimestamp(self._second, UTC):%Y-%m-%dT%H:%M:%S}"
        return f"{self._prefix}.{int(time % 1 * 1e6):06d}+00:00 mail "

    # Chance

    def _pick(self, things: Sequence[T]) -> T:
        return things[int(self._random() * len(things))]

    def _pause(self, least: float, most: float) -> float:
        """Seconds, more often few than many."""
        return least + (most - least) * self._random() ** 2

    def _queue_id(self, at: float) -> str:
        return f"{int(at % 1 * 1e6):05X}{next(self._inodes):X}"

    def _stranger(self) -> str:
        return f"{self._pick(NAMES)}.{self._bits(10)}@peer{self._bits(4)}.example.org"

    def _user(self) -> str:
        return f"{self._pick(NAMES)}.{self._bits(7)}@example.com"

    def _recipients(self) -> list[Recipient]:
        routes = [self._pick(self._routes) for _ in range(self._pick(RECIPIENTS))]
        return [Recipient(f"{self._pick(NAMES)}.{self._bits(14)}@{route.domain}", route) for route in routes]

    def _message(self, at: float, sender: str, recipients: list[Recipient]) -> Message:
        size = int(900 / (self._random() + 0.001) ** 1.5)
        return Message(self._queue_id(at), sender, size, recipients, at)

    # What clients do

    def _submit(self, at: float) -> Steps:
        user, host = self._pick(USERS if self._random() < 0.9 else TRAVELLERS)
        implicit_tls, method = self._random() < 0.2, "LOGIN" if self._random() < 0.2 else "PLAIN"
        login = f", sasl_method={method}, sasl_username={user}@example.com"
        hello = "ehlo=1 auth=1" if implicit_tls else "ehlo=2 starttls=1 auth=1"
        client = Client(host, f"{user}@example.com", login, hello)
        return self._session(at, client, self._smtps if implicit_tls else self._submission)

    def _relay(self, at: float) -> Steps:
        return self._session(at, Client(*self._pick(APPLICATIONS)), self._smtpd)

    def _session(self, at: float, client: Client, processes: Processes) -> Steps:
        """A client that hands us mail for others; one that logs in does so under TLS."""
        process, messages, recipients = processes.take(), self._pick(SESSION_MESSAGES), 0
        yield at, CONNECT, f"{process}connect from {client.host}"
        at += self._pause(0.01, 0.3)
        if client.login:
            yield at, TLS_IN, f"{process}Anonymous TLS connection established from {client.host}: {CIPHER}"
        received = SUBMITTED if client.login else RECEIVED
        for _ in range(messages):
            at += self._pause(0.01, 0.2)
            message = self._message(at, client.sender, self._recipients())
            recipients += len(message.recipients)
            yield at, received, f"{process}{message.queue_id}: client={client.host}{client.login}"
            self._begin(self._enqueue(message, at + 0.01))
        at += self._pause(0.02, 0.2)
        counters = f"{client.hello} mail={messages} rcpt={recipients} data={messages} quit=1"
        commands = sum(int(counter.partition("=")[2]) for counter in counters.split())
        yield at, DISCONNECT, f"{process}disconnect from {client.host} {counters} commands={commands}"
        processes.give(process)

    def _pick_up(self, at: float) -> Steps:
        recipient = Recipient("admin@mail.example.com", self._local, "root")
        message = self._message(at, "root@mail.example.com", [recipient])
        yield at, PICKED_UP, f"{self._pickup}{message.queue_id}: uid=0 from=<root>"
        yield from self._enqueue(message, at + 0.01)

    def _pass(self, at: float, host: str) -> TimedSteps:
        """A client that postscreen lets through."""
        source = f"[{host.partition('[')[2]}:{32768 + self._bits(14)}"
        yield at, SCREENED, f"{self._postscreen}CONNECT from {source} to [{OWN}]:25"
        at += self._pause(0.001, 0.05)
        yield at, OTHER, f"{self._postscreen}PASS OLD {source}"
        return at + 0.002

    def _receive(self, at: float) -> Steps:
        host, process = self._pick(PEERS), self._smtpd.take()
        at = yield from self._pass(at, host)
        yield at, CONNECT, f"{process}connect from {host}"
        at += self._pause(0.05, 0.4)
        yield at, TLS_IN, f"{process}Anonymous TLS connection established from {host}: {CIPHER}"
        at += self._pause(0.05, 0.4)
        message = self._message(at, self._stranger(), [Recipient(self._user(), self._mailbox)])
        yield at, RECEIVED, f"{process}{message.queue_id}: client={host}"
        self._begin(self._enqueue(message, at + 0.01))
        at += self._pause(0.05, 0.5)
        counters = "ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7"
        yield at, DISCONNECT, f"{process}disconnect from {host} {counters}"
        self._smtpd.give(process)

    def _turn_away(self, at: float) -> Steps:
        host, process, sender, recipient = (
            self._pick(PEERS),
            self._smtpd.take(),
            self._stranger(),
            self._user(),
        )
        at = yield from self._pass(at, host)
        yield at, CONNECT, f"{process}connect from {host}"
        at += self._pause(0.1, 1.0)
        helo, _, ip = host[:-1].partition("[")
        reply = self._pick(REJECTS).format(ip=ip, sender=sender, recipient=recipient, helo=helo)
        envelope = f"from=<{sender}> to=<{recipient}> proto=ESMTP helo=<{helo}>"
        yield at, REJECT, f"{process}NOQUEUE: reject: RCPT from {host}: {reply}; {envelope}"
        at += self._pause(0.01, 0.3)
        yield at, DISCONNECT, f"{process}disconnect from {host} ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4"
        self._smtpd.give(process)

    def _refuse_content(self, at: float) -> Steps:
        host, process, cleanup = self._pick(PEERS), self._smtpd.take(), self._cleanup.take()
        at = yield from self._pass(at, host)
        yield at, CONNECT, f"{process}connect from {host}"
        at += self._pause(0.1, 1.0)
        queue_id, helo = self._queue_id(at), host.partition("[")[0]
        yield at, RECEIVED, f"{process}{queue_id}: client={host}"
        yield at, OTHER, f"{cleanup}{queue_id}: message-id=<{self._bits(60):x}@{helo}>"
        subject = f"reject: header Subject: You have won a prize from {host}"
        envelope = f"from=<{self._stranger()}> to=<{self._user()}> proto=ESMTP helo=<{helo}>"
        yield at, REJECT, f"{cleanup}{queue_id}: {subject}; {envelope}: 5.7.1 message content rejected"
        at += self._pause(0.01, 0.3)
        counters = "ehlo=1 mail=1 rcpt=1 data=0/1 quit=1 commands=4/5"
        yield at, DISCONNECT, f"{process}disconnect from {host} {counters}"
        self._cleanup.give(cleanup)
        self._smtpd.give(process)

    def _screen(self, at: float) -> Steps:
        """A client that postscreen keeps away."""
        ip = self._pick(BOTS)
        source = f"[{ip}]:{32768 + self._bits(14)}"
        yield at, SCREENED, f"{self._postscreen}CONNECT from {source} to [{OWN}]:25"
        at += self._pause(0.01, 0.5)
        listed = f"listed by domain zen.spamhaus.org as 127.0.0.{2 + self._bits(2)}"
        yield at, OTHER, f"{self._dnsblog}addr {ip} {listed}"
        if self._random() < 0.3:
            at += 0.04
            yield at, OTHER, f"{self._postscreen}PREGREET 14 after 0.04 from {source}: EHLO ylmf-pc\\r\\n"
        at += self._pause(2.0, 6.0)
        yield at, OTHER, f"{self._postscreen}DNSBL rank 3 for {source}"
        at += self._pause(0.1, 1.0)
        reply = f"550 5.7.1 Service unavailable; client [{ip}] blocked using zen.spamhaus.org"
        envelope = f"from=<{self._stranger()}>, to=<{self._user()}>, proto=ESMTP, helo=<ylmf-pc>"
        yield at, BLOCKED, f"{self._postscreen}NOQUEUE: reject: RCPT from {source}: {reply}; {envelope}"
        yield at + 0.05, UNSCREENED, f"{self._postscreen}DISCONNECT {source}"

    def _scan(self, at: float) -> Steps:
        host, process = f"unknown[{self._pick(BOTS)}]", self._submission.take()
        yield at, CONNECT, f"{process}connect from {host}"
        for kind, detail, text in self._pick(SCANS):
            at += self._pause(0.01, 1.0)
            yield at, (kind, detail), process + text.format(client=host)
        self._submission.give(process)

    def _guess_once(self, at: float) -> Steps:
        return self._guess(at, self._pick(BOTS))

    def _guess(self, at: float, ip: str) -> TimedSteps:
        """A session in which somebody guesses a password."""
        host, process, guesses = f"unknown[{ip}]", self._submission.take(), 1 + self._bits(1)
        if self._random() < 0.2:
            text = f"hostname h{ip[10:]}.example.net does not resolve to address {ip}: Name or service not known"
            yield at, WARNING, f"{process}warning: {text}"
        yield at, CONNECT, f"{process}connect from {host}"
        for _ in range(guesses):
            at += self._pause(0.5, 3.0)
            failure = f"SASL LOGIN authentication failed: {self._guessed()}"
            yield at, AUTH_FAILURE, f"{process}warning: {host}: {failure}"
        at += self._pause(0.1, 0.5)
        if self._random() < 0.5:
            yield at, LOST, f"{process}lost connection after AUTH from {host}"
        counters = f"ehlo=1 auth=0/{guesses} commands=1/{1 + guesses}"
        yield at, DISCONNECT, f"{process}disconnect from {host} {counters}"
        self._submission.give(process)
        return at

    def _guessed(self) -> str:
        if self._random() < 0.5:
            return "UGFzc3dvcmQ6"  # the prompt "Password:", which is all that some SASL libraries tell
        return f"(reason unavailable), sasl_username={self._pick(GUESSES)}@example.com"

    def _spray(self, at: float) -> Steps:
        """An attacker that comes and goes, trying one name after the other."""
        while True:
            at += self._rng.expovariate(1 / 3600)
            end, ip = at + self._rng.expovariate(1 / 900), self._pick(BOTS)
            while at < end:
                at = yield from self._guess(at, ip)
                at += self._pause(0.1, 3.0)

    # What a message goes through

    def _enqueue(self, message: Message, at: float) -> Steps:
        cleanup = self._cleanup.take()
        message_id = f"{self._bits(60):x}.{int(at)}@mail.example.com"
        yield at, OTHER, f"{cleanup}{message.queue_id}: message-id=<{message_id}>"
        self._cleanup.give(cleanup)
        yield from self._activate(message, at + self._pause(0.01, 0.1))

    def _activate(self, message: Message, at: float) -> Steps:
        recipients, message.deferred, message.bounced = message.recipients, [], False
        message.trying = len(recipients)
        envelope = f"from=<{message.sender}>, size={message.size}, nrcpt={message.trying}"
        yield at, QUEUED, f"{self._qmgr}{message.queue_id}: {envelope} (queue active)"
        for recipient in recipients:
            self._begin(self._attempt(message, recipient, at))

    def _attempt(self, message: Message, recipient: Recipient, active: float) -> Steps:
        """What becomes of one recipient; who comes last leads the message on."""
        at = active + self._pause(0.0, 0.05)
        destination = recipient.route.destination
        if at < destination.suspended_until:
            status = "deferred"
            yield at, DELIVERY[status], self._suspended(message, recipient, active, at)
        else:
            outcome = recipient.last = destination.outcome(at, recipient.last)
            status = outcome.status
            at = yield from self._deliver(message, recipient, outcome, active, at)
        if status == "deferred":
            message.deferred.append(recipient)
        message.bounced |= status == "bounced"
        message.trying -= 1
        if not message.trying:
            yield from self._settle(message, at)

    def _suspended(self, message: Message, recipient: Recipient, active: float, at: float) -> str:
        process, (dsn, reason) = self._error.take(), recipient.route.destination.suspension
        self._error.give(process)
        delays = elapsed(active - message.arrived, at - active, 0.0, 0.0)
        relay = f"{recipient.to}, relay=none, {delays}"
        return f"{process}{message.queue_id}: {relay}, dsn={dsn}, status=deferred ({reason})"

    def _deliver(
        self, message: Message, recipient: Recipient, outcome: Outcome, active: float, begun: float
    ) -> TimedSteps:
        """One delivery request: to the relays that fail, if any, then to the one that has the last word."""
        provider, at = recipient.route.destination.provider, begun
        processes = self._agents[provider.program]
        process, tried = processes.take(), self._tried(recipient.route.relays, outcome)
        for relay in tried:
            at += self._connecting(provider, outcome)
            reply = self._fill(outcome.text, message, recipient, relay)
            if outcome.stage == "connect":
                yield at, UNREACHED, process + reply
            elif relay is not tried[-1]:
                yield at, OTHER, f"{process}{message.queue_id}: {reply}"
        connected, where = at, self._where(provider, outcome, tried[-1])
        if outcome.stage == "session":
            if provider.cipher and "conn_use" not in where:
                session = f"{provider.trust} TLS connection established to {where}: {provider.cipher}"
                yield at, TLS_OUT, f"{process}{session}"
            at += self._pause(0.03, 1.2)
        delays = elapsed(active - message.arrived, begun - active, connected - begun, at - connected)
        result = f"dsn={outcome.dsn}, status={outcome.status} ({reply})"
        text = f"{process}{message.queue_id}: {recipient.to}, relay={where}, {delays}, {result}"
        yield at, DELIVERY[outcome.status], text
        processes.give(process)
        recipient.route.destination.note(outcome, reply, at)
        return at

    def _tried(self, relays: list[str], outcome: Outcome) -> list[str]:
        """After a temporary failure a second relay is tried where there is one (RFC 5321, section 5.1)."""
        first = int(self._random() * len(relays))
        if outcome.status == "deferred" and outcome.stage != "dns" and len(relays) > 1:
            return [relays[first], relays[first - 1]]
        return [relays[first]]

    def _connecting(self, provider: Provider, outcome: Outcome) -> float:
        if outcome.stage == "connect" and outcome.text.endswith("timed out"):
            return CONNECT_TIMEOUT
        return self._pause(0.02, 0.6) if provider.program == "smtp" else 0.01

    def _where(self, provider: Provider, outcome: Outcome, relay: str) -> str:
        if outcome.stage in ("dns", "connect"):
            return "none"
        if provider.program != "smtp":
            return relay
        reused = outcome.stage == "session" and self._random() < 0.1
        return f"{relay}:25, conn_use={2 + self._bits(2)}" if reused else f"{relay}:25"

    def _fill(self, text: str, message: Message, recipient: Recipient, relay: str) -> str:
        return text.format(
            relay=relay,
            recipient=recipient.address,
            domain=recipient.route.domain,
            queue_id=message.queue_id,
            size=message.size,
            now=int(message.arrived),
            token=f"{self._bits(72):018x}",
        )

    def _settle(self, message: Message, at: float) -> Steps:
        """What the queue manager does when every recipient has been tried."""
        if message.bounced:
            at = yield from self._notify(message, at)
        age = at - message.arrived
        if message.deferred and age < QUEUE_LIFETIME:
            message.recipients = message.deferred
            wait = min(max(age, MIN_BACKOFF), MAX_BACKOFF) + 60 * self._random()
            yield from self._activate(message, at + wait)
            return
        if message.deferred:
            result = f"from=<{message.sender}>, status=expired, returned to sender"
            yield at, DELIVERY["expired"], f"{self._qmgr}{message.queue_id}: {result}"
            at = yield from self._notify(message, at)
        yield at, REMOVED, f"{self._qmgr}{message.queue_id}: removed"

    def _notify(self, message: Message, at: float) -> TimedSteps:
        """The bounce to the sender; a bounce that cannot be delivered is dropped."""
        if not message.sender:
            return at
        at += 0.01
        route = self._mailbox if message.sender.endswith("example.com") else self._peer
        notice = self._message(at, "", [Recipient(message.sender, route)])
        cleanup, bounce = self._cleanup.take(), self._bounce.take()
        message_id = f"{datetime.fromtimestamp(at, UTC):%Y%m%d%H%M%S}.{notice.queue_id}@mail.example.com"
        yield at, OTHER, f"{cleanup}{notice.queue_id}: message-id=<{message_id}>"
        sent = f"sender non-delivery notification: {notice.queue_id}"
        yield at, NOTIFICATION, f"{bounce}{message.queue_id}: {sent}"
        self._cleanup.give(cleanup)
        self._bounce.give(bounce)
        self._begin(self._activate(notice, at + 0.005))
        return at + 0.006

    # What daemons tell of themselves

    def _count_clients(self, at: float) -> Steps:
        while True:
            at += 600.0  # anvil_status_update_time
            seen = syslog_time(at - 60)
            client = f"for (submission:{self._pick(BOTS)}) at {seen}"
            yield at, OTHER, f"{self._anvil}statistics: max connection rate {1 + self._bits(4)}/60s {client}"
            yield at, OTHER, f"{self._anvil}statistics: max connection count {1 + self._bits(3)} {client}"
            yield at, OTHER, f"{self._anvil}statistics: max cache size {1 + self._bits(6)} at {seen}"

    def _count_sessions(self, at: float) -> Steps:
        while True:
            at += 660.0
            yield at, OTHER, f"{self._scache}statistics: start interval {syslog_time(at - 600)}"
            found = f"hits={self._bits(5)} miss={self._bits(7)} success=12%"
            yield at, OTHER, f"{self._scache}statistics: domain lookup {found}"


def elapsed(before: float, queue: float, connect: float, transmit: float) -> str:
    """The stages of a delivery, each in seconds, and their sum."""
    total = before + queue + connect + transmit
    return f"delay={seconds(total)}, delays={seconds(before)}/{seconds(queue)}/{seconds(connect)}/{seconds(transmit)}"


SHORT = [f"{n / 100:.2g}" for n in range(1000)]


def seconds(duration: float) -> str:
    """As Postfix logs it: two significant digits, at most two decimals (format_tv in its util library)."""
    return SHORT[int(duration * 100)] if duration < 10 else str(int(duration))


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def syslog_time(time: float) -> str:
    """As in RFC 3164, so without year and zone; the zone is UTC, and the month English in any locale."""
    now = datetime.fromtimestamp(time, UTC)
    return f"{MONTHS[now.month - 1]} {now.day:2d} {now:%H:%M:%S}"


async def write_demo(
    path: Path, *, rate: float, rng: Random, clock: Callable[[], float], rotate_every: float
) -> None:
    """Write such a log to `path` for as long as the task lives: half an hour at once, then in real time.

    `rate` is in messages a second, `clock` gives seconds since the epoch. Every `rotate_every` seconds the
    file is renamed to `.1`, and the `.1` before to `.2`.
    """
    start = clock()
    rotation = start + rotate_every
    traffic = iter(PostfixTraffic(rng, rate=rate, start=start - HISTORY, rfc3339=True))
    time, line = next(traffic)
    while True:
        now = clock()
        if now >= rotation:
            rotate(path)
            rotation = now + rotate_every
        with path.open("a", encoding="utf-8") as log:
            for _ in range(SLICE):
                if time > now:
                    break
                log.write(line + "\n")
                time, line = next(traffic)
        await asyncio.sleep(TICK if time > now else 0)


def rotate(path: Path) -> None:
    """Rename and create, as logrotate does by default, with two generations."""
    older = path.with_name(f"{path.name}.1")
    if older.exists():
        older.replace(path.with_name(f"{path.name}.2"))
    if path.exists():
        path.replace(older)
