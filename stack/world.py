"""The destinations of the stack as a process: `python -m stack.world FOLDER`.

The fault `refuse` holds domains and what their hosts say to everybody; `DOMAIN REPLY` a line. The fault `clock` sets
the clock of the probes' host wrong.
"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from itertools import count
from pathlib import Path

from aiosmtpd.smtp import Envelope

from stack import plan as plans
from stack import process
from stack.destination import Destination, Reply
from stack.ground import Entry, certificate, is_listening
from stack.plan import DESTINATION_PORT, DESTINATIONS, Plan

NAME = "world"
FAULT, CLOCK = "refuse", "clock"
AHEAD = 90.0  # seconds, of a clock that is wrong
TRUTH = "destinations.jsonl"
MAILDIR = "maildir"
BEAT = 0.2  # seconds between two looks at what came
HEADER = """\
Received: from mx.here.example (mx.here.example [198.51.100.193]) by mx.probe.example with ESMTPS id {number}\r
 (version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384); {date}\r
Authentication-Results: mx.probe.example; spf=pass smtp.mailfrom=sender.example; dkim=none; dmarc=pass\r
X-Spam-Status: No, score=0.7 required=5.0\r
"""


def start(plan: Plan) -> None:
    """Let all of them listen."""
    folder = plan.folder / NAME
    for path in (folder, *(plan.folder / MAILDIR / name for name in ("new", "cur", "tmp"))):
        path.mkdir(parents=True)
    certificate(folder)
    entries = [Entry(ip, DESTINATION_PORT) for ip in DESTINATIONS.values()]
    command = (sys.executable, "-m", "stack.world", plan.folder)
    process.start(plan.folder, NAME, command, lambda: all(map(is_listening, entries)))


def read_replies(plan: Plan) -> list[tuple[str, Reply]]:
    """What all attempts came to, with the domain that was asked."""
    rows = [json.loads(line) for line in (plan.truth / TRUTH).read_text().splitlines()]
    return [(domain, Reply(*reply)) for domain, reply in rows]


def refusal(fault: Path, domain: str) -> str:
    """What the hosts of a domain say to everybody, "" for nothing."""
    rules = fault.read_text().splitlines() if fault.exists() else []
    return next((reply for to, _, reply in (line.partition(" ") for line in rules) if to == domain), "")


async def listen(plan: Plan) -> None:
    """Until ended; what they saw until then is written down."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(plan.folder / NAME / "server.pem")
    hosts: dict[str, Destination] = {}
    for domain, ip in DESTINATIONS.items():
        policy = partial(refusal, plan.faults / FAULT, domain)
        keep = _keeper(plan) if domain == "probe.example" else None
        hosts[domain] = Destination(tls=tls, policy=policy, on_taken=keep)
        await loop.create_server(hosts[domain].connection, ip, DESTINATION_PORT)
    with (plan.truth / TRUTH).open("a", buffering=1) as truth:
        while not ended.is_set():
            await asyncio.sleep(BEAT)
            for domain, host in hosts.items():
                replies, host.replies = host.replies, []
                for reply in replies:
                    truth.write(json.dumps([domain, reply]) + "\n")


def _keeper(plan: Plan) -> Callable[[Envelope], object]:
    """Writes what comes, as a receiver does that has looked at it."""
    numbers, maildir = count(), plan.folder / MAILDIR

    def keep(envelope: Envelope) -> None:
        number = next(numbers)
        ahead = AHEAD if (plan.faults / CLOCK).exists() else 0.0
        header = HEADER.format(number=number, date=formatdate(time.time() + ahead))
        name, content = f"{number}.mx.probe.example", envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode()
        (maildir / "tmp" / name).write_bytes(header.encode() + raw)
        (maildir / "tmp" / name).rename(maildir / "new" / name)

    return keep


if __name__ == "__main__":
    asyncio.run(listen(plans.load(Path(sys.argv[1]))))
