"""Scans: what they add up, their budget, what a scrape shows of them, and where queues are found."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path
from threading import Event

import pytest

from exporter.config import Config, PostfixSpool, QueueSource, load_config
from exporter.metrics.backlog import collect
from exporter.pipeline import Pipeline
from exporter.queues import postfix_spool
from exporter.queues.entry import Entry, Place, Recipient
from exporter.queues.figure import KNOWN_TEXTS, Backlog
from exporter.queues.place import find_queues, places, sources
from exporter.queues.scan import scan
from exporter.queues.watch import EVERY, Watch

NOW = 2_000_000_000.0
FULL = "host mx.google.com[192.0.2.9] said: 452 4.2.2 The recipient's inbox is out of storage space"


def entry(queue: str = "deferred", age: float = 100, to: tuple[Recipient, ...] = ()) -> Entry:
    return Entry("A1", queue, 1000, NOW - age, "ann@example.com", to)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    path = tmp_path / "var/spool/postfix"
    for queue in postfix_spool.QUEUES:
        (path / queue).mkdir(parents=True)
    (path / "public").mkdir()
    return path


def samples(watch: Watch, now: float) -> dict[str, dict[tuple[str, ...], float]]:
    return {of.name: {tuple(it.labels.values()): it.value for it in of.samples} for of in collect(watch.scans(), now)}


def test_a_backlog_counts_by_queue_age_and_cause() -> None:
    backlog = Backlog(("active", "deferred"), NOW, domains=1)
    to = (Recipient("bo@gmail.com", FULL), Recipient("cy@gmail.com", FULL), Recipient("di@example.net"))
    backlog.add(entry(to=to))
    backlog.add(entry(age=-5))
    assert backlog.queues["active"].messages == 0
    assert (backlog.queues["deferred"].messages, backlog.queues["deferred"].size) == (2, 2000)
    assert backlog.queues["deferred"].ages[:2] == [1, 1]
    assert backlog.causes == {("google", "mailbox_full"): 1}
    assert {name: it.messages for name, it in backlog.domains.items()} == {"gmail.com": 2, "other": 1}


def test_the_host_that_refused_tells_the_provider_of_a_customers_domain() -> None:
    backlog = Backlog(("deferred",), NOW)
    backlog.add(entry(to=(Recipient("bo@example.org", FULL),)))
    assert backlog.causes == {("google", "mailbox_full"): 1}


def test_the_exporter_scans_while_it_answers(spool: Path) -> None:
    async def first_scan() -> set[str]:
        queue = QueueSource(postfix=PostfixSpool(spool=spool))
        pipeline = Pipeline(Config(queues=(queue,)), None)
        running = asyncio.create_task(pipeline.run())
        while not (
            found := {
                it.labels["queue"]
                for of in pipeline.collect()
                for it in of.samples
                if it.name == "mail_queue_messages"
            }
        ):
            await asyncio.sleep(0.01)
        running.cancel()
        return found

    assert asyncio.run(first_scan()) == set(postfix_spool.QUEUES)


def test_a_queue_of_another_name_is_other() -> None:
    backlog = Backlog(("deferred",), NOW)
    backlog.add(entry(queue="x\n" * 100))
    assert backlog.queues["other"].messages == 1


def test_texts_that_never_repeat_take_no_more_memory() -> None:
    backlog = Backlog(("deferred",), NOW)
    for number in range(KNOWN_TEXTS + 50):
        backlog.add(entry(to=(Recipient("a@example.com", f"451 {number}"),)))
    assert len(backlog._known) <= KNOWN_TEXTS
    assert sum(backlog.causes.values()) == KNOWN_TEXTS + 50


def test_a_scan_ends_with_its_budget_and_says_so(spool: Path) -> None:
    for number in range(1200):
        (spool / f"incoming/{number}").touch()
    clock = count(NOW, 10)
    found = scan(Place("postfix", spool, "p"), seconds=15, clock=lambda: next(clock), rest=lambda _: None)
    assert found.backlog is not None
    assert 0 < found.backlog.messages < 1200
    assert found.error == "not all was read within 15 s"


def test_a_clock_that_is_set_while_a_queue_is_read_changes_nothing(spool: Path) -> None:
    for number in range(1200):
        (spool / f"incoming/{number}").touch()
    rests: list[float] = []
    now = count(0, NOW)  # as where a host learns the time after its start
    found = scan(Place("postfix", spool, "p"), seconds=600, now=lambda: next(now), rest=rests.append)
    assert found.error is None
    assert found.backlog is not None
    assert found.backlog.messages == 1200
    assert 0 <= found.duration < 600
    assert len(rests) == 2
    assert max(rests) < 600


def test_the_next_look_does_not_go_by_a_clock_that_is_set(spool: Path) -> None:
    now = count(0, NOW)
    watch = Watch(lambda: next(now))
    watch.configure([Place("postfix", spool, "p")])
    waits: list[float] = []

    class Stop(Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            self.set()
            return True

    watch._stop = Stop()
    watch._run()
    assert waits == [EVERY]


def test_a_scrape_shows_an_empty_queue_as_zero(spool: Path) -> None:
    watch = Watch(lambda: NOW)
    watch.configure([Place("postfix", spool, "postfix")])
    assert not any(samples(watch, NOW).values())
    watch.look()
    shown = samples(watch, NOW)
    assert shown["mail_queue_messages"] == {("postfix", "postfix", queue): 0 for queue in postfix_spool.QUEUES}
    assert shown["mail_queue_scan_success"] == {("postfix", "postfix"): 1}
    assert set(shown["mail_queue_oldest_age_seconds"].values()) == {0}


def test_ages_add_up_as_buckets_do(spool: Path) -> None:
    (spool / "hold/A1").touch()
    now = (spool / "hold/A1").stat().st_mtime + 1000
    watch = Watch(lambda: now)
    watch.configure([Place("postfix", spool, "postfix")])
    watch.look()
    shown = samples(watch, now + 50)
    ages = {le: value for (*_, queue, le), value in shown["mail_queue_age_seconds"].items() if queue == "hold"}
    assert (ages["900"], ages["3600"], ages["+Inf"]) == (0, 1, 1)
    assert shown["mail_queue_oldest_age_seconds"]["postfix", "postfix", "hold"] == pytest.approx(1050)


def test_a_queue_that_goes_away_keeps_its_figures_and_is_no_success(spool: Path) -> None:
    (spool / "hold/A1").touch()
    watch = Watch(lambda: NOW)
    watch.configure([Place("postfix", spool, "postfix")])
    watch.look()
    spool.rename(spool.with_name("gone"))
    watch.look()
    shown = samples(watch, NOW)
    assert shown["mail_queue_scan_success"] == {("postfix", "postfix"): 0}
    assert shown["mail_queue_messages"]["postfix", "postfix", "hold"] == 1


def test_queues_of_the_host_are_found_and_named(spool: Path, tmp_path: Path) -> None:
    assert find_queues(tmp_path) == []  # Postfix was never configured
    (tmp_path / "etc/postfix").mkdir(parents=True)
    (tmp_path / "etc/postfix/main.cf").touch()
    found = find_queues(tmp_path)
    assert found == [Place("postfix", spool, "postfix")]
    assert places(sources(found)) == found
    assert find_queues(tmp_path / "nowhere") == []


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "mailstat.yml"


def test_queues_are_configured(config: Path) -> None:
    config.write_text("queues:\n  - postfix: {spool: /srv/out, showq: '127.0.0.1:9999'}\n")
    assert places(load_config(config).queues) == [Place("postfix", Path("/srv/out"), "out", "127.0.0.1:9999")]


@pytest.mark.parametrize("text", ["queues: [{}]", "queues: [{postfix: {}}]", "queues: [{postfx: {spool: /x}}]"])
def test_a_queue_that_is_none_is_refused(config: Path, text: str) -> None:
    config.write_text(text)
    with pytest.raises(Exception, match="queues"):
        load_config(config)
