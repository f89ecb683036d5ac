"""A flood of names that never come twice: what an attacker chooses changes neither the memory nor the series.

FLOOD is how many there are; `make flood` sends a million.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.config import Config, Labels
from exporter.metrics.mail import MailMetrics
from parsers.events import Auth, Connect, Delivery, Disconnect, Event, Origin, Received, Reject, Removed
from parsers.reason import reason_of
from parsers.tracker import Tracker

FLOOD = int(os.environ.get("FLOOD", "10000"))
BLOCK = 500
MEBIBYTE = 1 << 20
MOST = 20 * MEBIBYTE
ORIGIN = Origin("postfix", "mail", "postfix", "smtpd", 7)
START = 1_790_000_000.0


def address(number: int) -> str:
    """One of many clients, each of a network of its own."""
    return f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::7"


def mail(number: int) -> Iterator[Event]:
    """What one client does whose every word is new."""
    time, client, domain = START + number * 0.01, address(number), f"d{number}.example"
    user, sender, queue_id = f"user{number}@{domain}", f"s{number}@{domain}", f"Q{number:x}"
    reply = f"451 <{sender}> {number:x}x try {number}z again later because of {domain} " + f"w{number} " * 8
    yield Connect(time, ORIGIN, domain, client)
    yield Auth(time, ORIGIN, "failure", domain, client, f"M{number}", user, reply)
    yield Reject(
        time, ORIGIN, phase="rcpt", client_ip=client, sender=sender, recipient=user, helo=domain, reply=reply
    )
    yield Received(time, ORIGIN, queue_id, domain, client, "PLAIN", user, sender, domain, size=1000, recipients=2)
    for status, to in (("deferred", user), ("sent", user), ("bounced", sender)):
        reason = None if status == "sent" else reason_of(reply, 451, f"4.7.{number % 1000}", "rcpt")
        event = Delivery(time, ORIGIN, queue_id, to, status, "outbound", reason=reason, reply=reply)
        event.relay_host, event.relay_ip, event.reply_code, event.phase = f"mx.{domain}", client, 451, "rcpt"
        event.dsn, event.provider = f"4.7.{number % 1000}", f"p{number}"
        yield event
    yield Removed(time, ORIGIN, queue_id)
    yield Disconnect(time, ORIGIN, domain, client)


class Exporter:
    """Tracker and metrics, with all that grows switched on."""

    def __init__(self) -> None:
        self.tracker = Tracker()
        self.metrics = MailMetrics()
        self.configure(Config(labels=Labels(providers=32, domains=50)))

    def configure(self, config: Config) -> None:
        self.metrics.limit(providers=config.labels.providers, domains=config.labels.domains)
        self.metrics.watch.configure(config)

    def flood(self, first: int, last: int) -> None:
        for start in range(first, last, BLOCK):
            events = [event for number in range(start, min(start + BLOCK, last)) for event in mail(number)]
            self.tracker.follow(events)
            self.metrics.observe(events)

    def series(self) -> int:
        return sum(len(it.samples) for it in self.metrics.collect(self.tracker.in_flight()))


def resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


@pytest.fixture(scope="module")
def flooded() -> Exporter:
    """One that has its fill of each label."""
    made = Exporter()
    made.flood(0, 1_500)
    return made


def test_series_do_not_grow_with_the_names_that_are_sent(flooded: Exporter) -> None:
    before = flooded.series()
    flooded.flood(1_500, 3_000)
    assert flooded.series() == before < 3_000


def test_no_name_of_the_flood_is_in_a_scrape(flooded: Exporter) -> None:
    flooded.metrics.limit(providers=32)
    text = "".join(str(sample.labels) for it in flooded.metrics.collect({}) for sample in it.samples)
    assert "2001:db8" not in text
    assert "user1" not in text


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells how much memory is used")
def test_memory_does_not_grow_with_the_names_that_are_sent(flooded: Exporter) -> None:
    before = resident()
    flooded.flood(3_000, 3_000 + FLOOD)
    flooded.series()
    assert resident() - before < MOST
