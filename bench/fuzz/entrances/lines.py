"""Lines of a log, of every mail server, through reader, tracker and metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC
from itertools import islice

from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from bench.generate import LOGS
from exporter.metrics.mail import MailMetrics
from exporter.sources.lines import LINE_BYTES, Lines
from exporter.state import encode
from parsers.clock import Clock
from parsers.mta import SERVERS
from parsers.reader import LogReader
from parsers.server import Join
from parsers.tracker import Tracker

NOW = 1_795_305_600.0
_OFTEN = 100  # inputs between two scrapes
_PREFIXES = (
    "Jan  5 10:00:00 mail {mta}/smtp[7]: ",
    "2026-01-05T10:00:00.123456+00:00 mail {mta}[7]: ",
    "<22>1 2026-01-05T10:00:00Z mail {mta} 7 - - ",
    "2026-01-05 10:00:00 ",
    "@400000006780f3a01b2c3d44 ",
)


def _seeds() -> Iterator[bytes]:
    """The start of each log that we can write, and each sample of each shape under one of the prefixes."""
    for lines in LOGS.values():
        yield "".join(islice(lines(1), 12)).encode()
    number = 0
    for mta, server in SERVERS.items():
        for shape in server.grammar.shapes if server.grammar else ():
            number += 1
            yield (_PREFIXES[number % len(_PREFIXES)].format(mta=mta) + shape.sample + "\n").encode()


SEEDS = tuple(_seeds())
WORDS = (
    *(
        b"orig_to=<",
        b"relay=",
        b"delays=",
        b"dsn=",
        b"nrcpt=",
        b"size=",
        b"removed",
        b"last message repeated 9 times",
    ),
    *(
        b"<= ",
        b"=> ",
        b"-> ",
        b"** ",
        b"== ",
        b"Completed",
        b"H=",
        b"R=",
        b"T=",
        b'C="',
        b"mailer=esmtp",
        b"stat=Sent",
    ),
    *(b"starting delivery 9: msg 1 to remote ", b"delivery 9: success: ", b"end msg 1", b"smtp event=", b"result="),
    *(b"#Fields: date-time,event-id", b'{"log":"', b'","stream":"stdout"}', b"2026-01-05T10:00:00Z stdout F "),
)


class _Scraped(Collector):
    def __init__(self, metrics: MailMetrics, tracker: Tracker) -> None:
        self.metrics, self.tracker = metrics, tracker

    def collect(self) -> Iterator[object]:  # type: ignore[override]
        return iter(self.metrics.collect(self.tracker.in_flight()))


@contextmanager
def opened() -> Iterator[Callable[[bytes], object]]:
    """One tracker and one set of metrics for all, as the exporter has; a log of its own for each input."""
    tracker, metrics = Tracker(), MailMetrics(providers=32)
    joins: dict[str, Join] = {}
    met: set[str] = set()
    fed = 0

    def feed(text: bytes) -> None:
        nonlocal fed
        fed += 1
        reader = LogReader(Clock(UTC, lambda: NOW), joins=joins, met=met)
        lines = Lines(LINE_BYTES)
        block = (lines.feed(text + b"\n") or b"").decode("utf-8", "surrogateescape")
        events = reader.read(block)
        tracker.follow(events)
        metrics.observe(events)
        counted = sum(tally.lines for tally in reader.tallies.values())
        assert counted >= 0
        if not fed % _OFTEN:
            generate_latest(_Scraped(metrics, tracker))  # type: ignore[arg-type]
            encode(metrics.memory())
            encode(tracker.memory())

    yield feed
