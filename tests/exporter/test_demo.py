from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import suppress
from itertools import chain, count, islice, pairwise, repeat
from random import Random
from typing import TYPE_CHECKING

import pytest

from exporter.demo import HISTORY, PROVIDERS, PostfixTraffic, write_demo

if TYPE_CHECKING:
    from pathlib import Path

START = 1_790_000_000.0
LINES = 60_000

# Counted over the text alone, with no knowledge of how it came about.
SIGNS = {
    ("delivery", "sent"): r"status=sent \(",
    ("delivery", "deferred"): r"status=deferred \(",
    ("delivery", "bounced"): r"status=bounced \(",
    ("delivery", "expired"): r"status=expired, ",
    ("auth", "failure"): r"SASL \w+ authentication failed",
    ("connect", ""): r"smtpd\[\d+\]: connect from ",
    ("connect", "postscreen"): r"postscreen\[\d+\]: CONNECT from ",
    ("disconnect", ""): r": disconnect from ",
    ("reject", ""): r"(smtpd|cleanup)\[\d+\]: \w+: reject: ",
    ("reject", "postscreen"): r"postscreen\[\d+\]: NOQUEUE: reject: ",
    ("received", "submission"): r": client=.*sasl_username=",
    ("received", "smtp"): r": client=(?!.*sasl_username=)",
    ("received", "local"): r": uid=\d+ from=",
    ("queued", ""): r"\(queue active\)$",
    ("notification", "bounce"): r"sender non-delivery notification: ",
    ("removed", ""): r": removed$",
    ("tls", "inbound"): r"TLS connection established from ",
    ("tls", "outbound"): r"TLS connection established to ",
    ("connection_error", "outbound"): r"\]: connect to ",
    ("connection_error", "inbound"): r"lost connection after|timeout after|SSL_accept error",
}


@pytest.fixture(scope="module")
def traffic() -> tuple[list[tuple[float, str]], Counter[tuple[str, str]]]:
    """Slow traffic, so that it lasts long enough for retries and expiry."""
    source = PostfixTraffic(Random(1), rate=0.4, start=START)
    return list(islice(source, LINES)), source.tally


def test_the_same_seed_gives_the_same_log() -> None:
    first, again, other = (list(islice(PostfixTraffic(Random(seed)), 3000)) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_lines_come_in_time_order(traffic) -> None:
    lines, _ = traffic
    assert all(earlier <= later for (earlier, _), (later, _) in pairwise(lines))


def test_tally_is_what_the_text_says(traffic) -> None:
    lines, tally = traffic
    for kind, sign in SIGNS.items():
        found = sum(1 for _, line in lines if re.search(sign, line))
        assert found == tally[kind] > 0, kind
    assert tally.total() == LINES


@pytest.mark.parametrize(
    ("rfc3339", "prefix"),
    [(False, r"Sep [ 2]\d \d\d:\d\d:\d\d"), (True, r"2026-09-2\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")],
)
def test_every_line_has_its_prefix(rfc3339: bool, prefix: str) -> None:
    line_start = re.compile(prefix + r" mail postfix/(submission/|smtps/)?[a-z]+\[\d+\]: \S")
    for _, line in islice(PostfixTraffic(Random(2), start=START, rfc3339=rfc3339), 5000):
        assert line_start.match(line), line


def test_every_message_is_removed_once_or_still_queued(traffic) -> None:
    lines, _ = traffic
    queued = Counter(m[1] for _, line in lines if (m := re.search(r"(\w+): from=<\S*>, size=", line)))
    removed = Counter(m[1] for _, line in lines if (m := re.search(r"(\w+): removed$", line)))
    assert set(removed) <= set(queued)
    assert set(removed.values()) == {1}
    assert max(queued.values()) > 3, "nothing was retried"


def test_a_deferred_recipient_is_delivered_later_with_its_true_delay(traffic) -> None:
    lines, _ = traffic
    arrived, deferred, late = {}, set(), 0
    for time, line in lines:
        if m := re.search(r"smtpd\[\d+\]: (\w+): client=", line):
            arrived[m[1]] = time
        elif m := re.search(r"(\w+): (to=<\S+>),.* delay=([\d.]+),.* status=(sent|deferred) ", line):
            queue_id, recipient, delay, status = m.groups()
            if status == "deferred":
                deferred.add((queue_id, recipient))
            elif (queue_id, recipient) in deferred and queue_id in arrived:
                late += 1
                assert float(delay) == pytest.approx(time - arrived[queue_id], abs=1.0)
    assert late > 0


def test_a_process_serves_one_client_at_a_time(traffic) -> None:
    lines, _ = traffic
    serving = set()
    for _, line in lines:
        if m := re.search(r"(\S*smtpd\[\d+\]): (connect|disconnect) from ", line):
            process, what = m.groups()
            assert (process in serving) == (what == "disconnect"), line
            serving ^= {process}


def test_a_provider_has_bad_hours() -> None:
    blocked: Counter[int] = Counter()
    for time, line in islice(PostfixTraffic(Random(1), rate=0.4, start=START), LINES):
        blocked[int((time - START) // 1800)] += "4.7.28 Gmail sees" in line
    assert min(blocked.values()) == 0 < max(blocked.values())


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_answers_a_thousand_times(name: str) -> None:
    for blocking in (False, True):
        outcomes = PROVIDERS[name].outcomes(blocking=blocking)
        assert len(outcomes) == 1000
        assert {outcome.status for outcome in outcomes} <= {"sent", "deferred", "bounced"}


async def run_demo(path: Path, *, until: Path) -> None:
    clock = chain(repeat(START, 20), count(START, 40.0))  # the history is written first
    demo = asyncio.create_task(
        write_demo(path, rate=0.5, rng=Random(3), clock=lambda: next(clock), rotate_every=60.0)
    )
    while not until.exists() and not demo.done():
        await asyncio.sleep(0.01)
    demo.cancel()
    with suppress(asyncio.CancelledError):
        await demo


def test_demo_begins_with_history_goes_on_and_rotates(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    asyncio.run(run_demo(path, until=tmp_path / "mail.log.2"))
    text = "".join((tmp_path / f"mail.log{suffix}").read_text() for suffix in (".2", ".1"))
    assert text.endswith("\n")
    source = PostfixTraffic(Random(3), rate=0.5, start=START - HISTORY, rfc3339=True)
    assert text.splitlines() == [line for _, line in islice(source, text.count("\n"))]
    assert text.startswith("2026-09-21T13:43:20")
