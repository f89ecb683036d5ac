"""An Exim log of traffic that never was, as a busy relay with Debian's `log_selector` writes it, to measure with.

Each message, each unwelcome client is a plain generator of lines with their times; `EximTraffic` merges them. The
shapes are those of Exim 4.96 (whose eximstats knows no longer ids), with times in whole seconds and peers' names
under TLS; their shares and lengths are modelled on the log of a relay that submits to the large providers, is told
to come again by one host in eight, bounces one recipient in thirty, and is knocked at all day. Addresses are of the
documentation ranges.
"""

from __future__ import annotations

from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import TYPE_CHECKING
from zlib import crc32

from bench import RATE, START

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    Steps = Generator[tuple[float, str], None, None]

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RETRIES = (900.0, 1800.0, 3600.0, 7200.0)  # seconds between attempts, of Debian's `F,2h,15m; G,16h,1h,1.5`, and so on
RUN = 1800.0  # seconds between two queue runs: Debian's -q30m
TLS_IN = "X=TLS1.3:ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM:256 CV=no"
TLS_OUT = "X=TLS1.3:ECDHE_X25519__ECDSA_SECP256R1_SHA256__AES_256_GCM:256 CV=yes"
# Domain, share, hosts, what their certificate says, what they answer when they take a message.
DESTINATIONS = (
    (
        "gmail.com",
        36,
        ["gmail-smtp-in.l.google.com", "alt1.gmail-smtp-in.l.google.com"],
        "CN=mx.google.com",
        "google",
    ),
    (
        "outlook.com",
        16,
        ["outlook-com.olc.protection.outlook.com"],
        "C=US,ST=WA,CN=mail.protection.outlook.com",
        "ms",
    ),
    ("yahoo.com", 8, ["mta5.am0.yahoodns.net", "mta7.am0.yahoodns.net"], "CN=*.am0.yahoodns.net", "plain"),
    ("icloud.com", 5, ["mx01.mail.icloud.com"], "CN=mx.mail.icloud.com", "plain"),
    ("gmx.net", 5, ["mx00.emig.gmx.net"], "C=DE,O=1&1,CN=mx.gmx.net", "gmx"),
    *((f"{name}.example.org", 3, [f"mx.{name}.example.org"], f"CN=mx.{name}.example.org", "plain")
      for name in ("north", "south", "east", "west", "shop", "school", "club", "works", "press", "labs")),
)  # fmt: skip
SENDERS = [f"{name}@{domain}" for name in ("news", "billing", "orders", "kim", "lee", "noreply") for domain in
           ("example.com", "shop.example.com", "lists.example.net")]  # fmt: skip
DEFERRALS = (
    "450 4.2.0 <{rcpt}>: Recipient address rejected: Greylisted, see http://postgrey.example.org/help/{domain}.html",
    "452 4.2.2 The email account that you tried to reach is over quota. Please direct the recipient to a page of help"
    " {token} - gsmtp",
    "421 4.7.0 [TSS04] Messages from 192.0.2.25 temporarily deferred due to unexpected volume or user complaints",
    "451 4.3.2 System busy, try again later",
)
BOUNCES = (
    "550-5.1.1 The email account that you tried to reach does not exist. Please try\\n550-5.1.1 double-checking the"
    " recipient's email address for typos or\\n550-5.1.1 unnecessary spaces. {token} - gsmtp",
    "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown in virtual mailbox table",
    "550 5.7.1 Unfortunately, messages from [192.0.2.25] weren't sent. Please contact your Internet service provider"
    " since part of their network is on our block list (S3150). {token}",
)
REFUSALS = (
    "relay not permitted",
    "Unrouteable address",
    "rejected because {ip} is in a black list at zen.spamhaus.org\\nhttps://www.spamhaus.org/query/ip/{ip}",
    "Sender verify failed",
)


class EximTraffic:
    """Endless pairs of time and line, in order. `rate` is messages a second, `start` seconds since the epoch."""

    def __init__(self, random: Random, *, rate: float, start: float) -> None:
        self._random = random
        self._rate = rate
        self._start = start
        self._pids = count(100_000)
        self._shares = [share for _, share, *_ in DESTINATIONS]

    def __iter__(self) -> Iterator[tuple[float, str]]:
        waiting: list[tuple[float, int, str, Steps]] = []
        order = count()

        def push(steps: Steps) -> None:
            step = next(steps, None)
            if step:
                heappush(waiting, (step[0], next(order), step[1], steps))

        for endless in (self._arrivals(push), self._strangers(push), self._runs()):
            push(endless)
        while True:
            time, _, text, steps = heappop(waiting)
            if text:
                yield time, f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} {text}"
            push(steps)

    # --- what goes on ---

    def _arrivals(self, push: object) -> Steps:
        at = self._start
        while True:
            at += self._random.expovariate(self._rate)
            push(self._message(at))  # type: ignore[operator]
            yield at, ""

    def _strangers(self, push: object) -> Steps:
        at = self._start
        while True:
            at += self._random.expovariate(self._rate * 0.45)
            push(self._stranger(at))  # type: ignore[operator]
            yield at, ""

    def _runs(self) -> Steps:
        at = self._start
        while True:
            pid = next(self._pids)
            yield at, f"Start queue run: pid={pid}"
            yield at + 2.0, f"End queue run: pid={pid}"
            at += RUN

    def _message(self, at: float) -> Steps:
        random = self._random
        sender, queue_id = random.choice(SENDERS), self._id(at)
        yield (
            at,
            f"{queue_id} <= {sender} {self._client()} S={int(random.lognormvariate(9, 1.2)) + 600}"
            + (f" id={random.getrandbits(64):016x}.{int(at)}@{sender.partition('@')[2]}"),
        )
        if random.random() < 0.12:  # for somebody here
            yield at + 0.4, f"{queue_id} => kim <kim@example.com> R=local_user T=maildir_home"
        else:
            at = yield from self._deliver(at, queue_id, sender)
        yield at + 0.5, f"{queue_id} Completed"

    def _deliver(self, at: float, queue_id: str, sender: str) -> Generator[tuple[float, str], None, float]:
        """All recipients at one destination, with their attempts; gives back when the last was done."""
        random = self._random
        domain, _, hosts, peer, answers = random.choices(DESTINATIONS, self._shares)[0]
        recipients = [self._recipient(domain) for _ in range(1 + int(random.expovariate(2.2)))]
        token = f"{random.getrandbits(80):020x}"
        host = random.choice(hosts)
        address = f"198.51.100.{crc32(host.encode()) % 80 * 3 + random.randrange(3)}"  # each has three
        where = f"R=dnslookup T=remote_smtp H={host} [{address}]"
        at += random.lognormvariate(0.2, 0.7)
        for wait in RETRIES[: random.choices((0, 1, 2, 4), (88, 8, 3, 1))[0]]:
            text = random.choice(DEFERRALS).format(rcpt=recipients[0], domain=domain, token=token)
            said = f"SMTP error from remote mail server after RCPT TO:<{recipients[0]}>: {text}"
            if random.random() < 0.5:
                yield at, f"{queue_id} H={where.partition('H=')[2]}: {said}"
            yield at, f"{queue_id} == {recipients[0]} {where.replace(' H=', ' defer (-44) H=')}: {said}"
            if random.random() < 0.4:
                yield at + RUN / 2, f"{queue_id} == {recipients[0]} routing defer (-52): retry time not reached"
            at += wait
        if random.random() < 0.035:
            text = random.choice(BOUNCES).format(rcpt=recipients[0], token=token)
            said = f"SMTP error from remote mail server after RCPT TO:<{recipients[0]}>: {text}"
            yield at, f'{queue_id} ** {recipients[0]} {where} {TLS_OUT} DN="{peer}": {said}'
            yield from self._bounce(at + 0.1, queue_id, sender)
            recipients = recipients[1:]
        reply = self._reply(answers, token)
        for flag, recipient in zip(("=>", *["->"] * len(recipients)), recipients, strict=False):
            yield at + 0.3, f'{queue_id} {flag} {recipient} {where} {TLS_OUT} DN="{peer}" K C="{reply}"'
        return at

    def _bounce(self, at: float, parent: str, sender: str) -> Steps:
        queue_id = self._id(at)
        yield at, f"{queue_id} <= <> R={parent} U=Debian-exim P=local S={self._random.randrange(2500, 9000)}"
        yield at + 0.1, f"{queue_id} => {sender.partition('@')[0]} <{sender}> R=local_user T=maildir_home"
        yield at + 0.1, f"{queue_id} Completed"

    def _stranger(self, at: float) -> Steps:
        random = self._random
        ip = f"203.0.113.{random.randrange(1, 255)}"
        client = random.choice((f"(client) [{ip}]", f"host-{ip[10:]}.isp.example.net (User) [{ip}]"))
        kind = random.random()
        if kind < 0.5:
            if client.startswith("("):
                yield at, f"no host name found for IP address {ip}"
            user = random.choice(("admin", "info@example.com", "test", "kim", "office"))
            said = "535 Incorrect authentication data"
            yield at + 0.5, f"login_server authenticator failed for {client}: {said} (set_id={user})"
        elif kind < 0.92:
            sender, why = f"x{random.getrandbits(20)}@example.net", random.choice(REFUSALS).format(ip=ip)
            yield at, f"H={client} F=<{sender}> rejected RCPT <{self._recipient('example.com')}>: {why}"
        else:
            said = "An unexpected TLS packet was received."
            yield at, f"TLS error on connection from {client} (gnutls_handshake): {said}"

    # --- what lines are made of ---

    def _client(self) -> str:
        random = self._random
        if random.random() < 0.25:
            return "H=app.example.com (app) [192.0.2.36] P=esmtp"
        number = random.randrange(1, 200)
        user = f"user{number:02}@example.com"
        client = f"dsl-{number}.isp.example.net ([192.0.2.{number}]) [203.0.113.{number}]"
        return f"H={client} P=esmtpsa {TLS_IN} A=plain_server:{user}"

    def _recipient(self, domain: str) -> str:
        name = self._random.choice(("anna", "ben", "carla", "david", "emma"))
        return f"{name}.{self._random.getrandbits(18)}@{domain}"

    def _reply(self, answers: str, token: str) -> str:
        if answers == "google":
            return f"250 2.0.0 OK  1767571200 {token} - gsmtp"
        if answers == "ms":
            return (
                f"250 2.6.0 <{token}@example.com> [InternalId={int(token[:12], 16)}, Hostname=CY5PR01MB1234.namprd01"
                ".prod.outlook.com] 12345 bytes in 0.123, 97.6 KB/sec Queued mail for delivery -> 250 2.1.5"
            )
        if answers == "gmx":
            return f"250 Requested mail action okay, completed: id=1M{token[:5]}-1{token[5:11]}1-00{token[:4]}"
        return f"250 2.0.0 Ok: queued as {token[:11].upper()}"

    def _id(self, at: float) -> str:
        return f"{_base62(int(at), 6)}-{_base62(next(self._pids), 6)}-{_base62(self._random.randrange(2000), 2)}"


def _base62(number: int, width: int) -> str:
    text = ""
    for _ in range(width):
        number, digit = divmod(number, 62)
        text = DIGITS[digit] + text
    return text


def lines(seed: int) -> Iterator[str]:
    """The endless log, always the same for the same seed."""
    return (f"{line}\n" for _, line in EximTraffic(Random(seed), rate=RATE, start=START))  # noqa: S311  # no secret
