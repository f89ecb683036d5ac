"""Our numbers beside those of pflogsumm and eximstats, on the same logs: docs/comparison.md has each difference."""

from __future__ import annotations

import os
import re
import subprocess
from argparse import Namespace
from datetime import UTC
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bench import exim, package
from exporter.demo import PostfixTraffic
from exporter.sources.compression import open_log
from mailstat import engine
from mailstat.log import Log, Selection
from parsers.clock import Clock
from parsers.reader import LogReader

LAB = Path(__file__).parents[2] / "shared" / "lab"
LINES = 20_000
LOGS = {
    "postfix": ["demo", "postfix-3.7-postlogd/mail.log.gz", "postfix-3.10-postscreen/mail.log.gz"],
    "exim": ["bench", "exim-4.96-verbose/mainlog.gz"],
}


def log_of(name: str, folder: Path) -> Path:
    path = folder / "mail.log"
    if name == "demo":
        traffic = PostfixTraffic(Random(11), rate=20.0, start=1_767_571_200.0)
        path.write_text("".join(f"{line}\n" for _, line in islice(traffic, LINES)))
    elif name == "bench":
        path.write_text("".join(islice(exim.lines(1), LINES)))
    elif (LAB / name).exists():
        with open_log(LAB / name) as file:
            path.write_bytes(file.read())
    else:
        pytest.skip("the logs of real servers are not here")
    return path


def perl(name: str, *arguments: str | Path, packages: tuple[str, ...]) -> str:
    """What one of the old tools says. Skips where it cannot be had."""
    try:
        script = package.program(name, *packages)
        modules = package.perl_path()
    except package.MissingError as error:
        pytest.skip(f"{name} is not installed, and cannot be had: {error}")
    command = ["perl", str(script), *map(str, arguments)]
    environment = os.environ | {"PERL5LIB": modules, "TZ": "UTC"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    log = Log([path], Selection(), zone=UTC)
    with engine.table(log, Namespace(where=None), [sql]) as events:
        return events.ask(sql)


def one(path: Path, what: str) -> Any:
    return ask(path, f"SELECT {what} FROM events")[0][0]


# --- Postfix ---


class Postfix:
    """A log of Postfix: what pflogsumm and we say of it, and what its lines are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = path.read_text("utf-8", "surrogateescape").split("\n")
        packages = ("pflogsumm", "libdate-calc-perl", "libbit-vector-perl", "libcarp-clan-perl")
        self.told = perl("pflogsumm", "--syslog-name=postfix-out", path, packages=packages)

    def theirs(self, what: str) -> int:
        found = re.search(rf"^\s+(\d+) +{what}", self.told, re.MULTILINE)
        assert found, what
        return int(found[1])

    def ours(self, what: str) -> int:
        return int(one(self.path, what))

    def ids(self, pattern: str) -> list[str]:
        search = re.compile(rf" postfix(?:-out)?/[^\[]*\[\d+\]: (\w+): {pattern}").search
        return [found[1] for line in self.lines if (found := search(line))]

    def count(self, pattern: str) -> int:
        search = re.compile(pattern).search
        return sum(search(line) is not None for line in self.lines)

    @property
    def sizes(self) -> dict[str, int]:
        """What the queue manager says first of each id."""
        search = re.compile(r"qmgr\[\d+\]: (\w+): from=<[^>]*>, size=(\d+)").search
        found = [match for line in self.lines if (match := search(line))]
        return {match[1]: int(match[2]) for match in reversed(found)}


@pytest.fixture(name="postfix", scope="module", params=LOGS["postfix"], ids=lambda name: name.split("/")[0])
def _postfix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Postfix:
    return Postfix(log_of(request.param, tmp_path_factory.mktemp("log")))


BEGUN = "is_arrival AND via IN ('smtp', 'submission', 'local')"


def test_postfix_received(postfix: Postfix) -> None:
    """pflogsumm counts who begins a message; we count what is in the queue, once, and notifications with it."""
    begun, sizes = postfix.ids("(?:client|uid)="), postfix.sizes
    assert postfix.theirs("received") == len(begun)
    never = [queue_id for queue_id in begun if queue_id not in sizes]
    held = {*postfix.ids("(?:hold|discard): ")} & {*never}
    again = [it for it in postfix.ids(r"(?:client|uid)=.*\borig_(?:queue_)?id=") if it in sizes]
    within = postfix.ours(f"count(*) FILTER ({BEGUN})")
    forwarded = postfix.ours("count(DISTINCT new_queue_id) FILTER (reply LIKE 'forwarded as %')")
    assert within == len(begun) - len(never) + len(held) - len(again)
    assert forwarded == postfix.theirs("forwarded")


def test_postfix_delivered(postfix: Postfix) -> None:
    """What local(8) forwards goes on under another id: pflogsumm does not call that delivered, Postfix does."""
    sent = postfix.ours("count(*) FILTER (kind = 'delivery' AND status = 'sent')")
    assert sent == postfix.theirs("delivered") + postfix.theirs("forwarded")


def test_postfix_deferred(postfix: Postfix) -> None:
    found = re.search(r"^\s+(\d+) +deferred  \((\d+)  deferrals\)", postfix.told, re.MULTILINE)
    assert found
    deferred = "FILTER (kind = 'delivery' AND status = 'deferred')"
    assert int(found[1]) == postfix.ours(f"count(DISTINCT queue_id) {deferred}")
    assert int(found[2]) == postfix.ours(f"count(*) {deferred}")


def test_postfix_bounced(postfix: Postfix) -> None:
    assert postfix.theirs("bounced") == postfix.ours("count(*) FILTER (kind = 'delivery' AND status = 'bounced')")


def test_postfix_rejected(postfix: Postfix) -> None:
    """pflogsumm knows a reject by its word; a message that is too long is refused without it."""
    too_long = postfix.count(r"\w+: queue file size limit exceeded")
    milter = postfix.count(r"postfix(?:-out)?/[\w/]*smtpd\[\d+\]: (?:NOQUEUE|\w+): milter-reject: ")
    proxy = postfix.count(r": proxy-reject: ")
    commands = postfix.count(r"postfix(?:-out)?/smtps/smtpd\[\d+\]: reject")
    ours = postfix.ours("count(*) FILTER (kind = 'reject')")
    assert ours == postfix.theirs("rejected") + too_long + milter + proxy + commands


def test_postfix_recipients(postfix: Postfix) -> None:
    address = "split_part(recipient, '@', 1) || '@' || lower(split_part(recipient, '@', -1))"
    sent = "kind = 'delivery' AND status = 'sent' AND coalesce(reply, '') NOT LIKE '%forwarded as %'"
    assert postfix.theirs("recipients\n") == postfix.ours(f"count(DISTINCT {address}) FILTER ({sent})")


def test_postfix_bytes(postfix: Postfix) -> None:
    """In kibibytes or mebibytes: of what was begun and queued, each id once; of each delivery to each recipient."""
    sizes = postfix.sizes
    begun = sum(sizes.get(queue_id, 0) for queue_id in set(postfix.ids("(?:client|uid)=")))
    found = re.search(r"^\s+(\d+)([km ])  bytes received", postfix.told, re.MULTILINE)
    assert found
    unit = {" ": 1, "k": 1024, "m": 1024 * 1024}[found[2]]
    again = set(postfix.ids(r"(?:client|uid)=.*\borig_(?:queue_)?id="))
    held = set(postfix.ids("hold: "))  # which are counted before anybody knows their size
    ours = postfix.ours(f"sum(message_size) FILTER ({BEGUN})")
    assert ours == begun - sum(sizes.get(queue_id, 0) for queue_id in again | held)
    assert abs(begun / unit - int(found[1])) <= 1


# --- Exim ---


class Exim:
    """A log of Exim: what eximstats and we say of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = path.read_text("utf-8", "surrogateescape").split("\n")
        self.told = perl("eximstats", "-t5000", path, packages=("exim4-base",))

    def row(self, name: str) -> list[str]:
        found = re.search(rf"^  {name} +(.*)$", self.told, re.MULTILINE)
        assert found, name
        return found[1].split()

    def kinds(self, line: str) -> set[str]:
        reader = LogReader(Clock(UTC, lambda: 1_800_000_000.0), mta="exim")
        return {event.kind for event in reader.read(line + "\n")}


@pytest.fixture(name="exim_log", scope="module", params=LOGS["exim"], ids=lambda name: name.split("/")[0])
def _exim(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exim:
    return Exim(log_of(request.param, tmp_path_factory.mktemp("log")))


def test_exim_received(exim_log: Exim) -> None:
    volume, messages, *_ = exim_log.row("Received")
    assert int(messages) == one(exim_log.path, "count(*) FILTER (is_arrival)")
    size = one(exim_log.path, "sum(message_size) FILTER (is_arrival)")
    unit = {"KB": 1024, "MB": 1024**2}[volume[-2:]]
    assert abs(size / unit - int(volume[:-2])) <= 1


def test_exim_delivered(exim_log: Exim) -> None:
    """eximstats counts what a blackhole takes as delivered; nobody has it."""
    _, _, addresses, _ = exim_log.row("Delivered")
    blackholes = sum(re.search(r" [=-]> (?::?blackhole|discarded)", line) is not None for line in exim_log.lines)
    sent = one(exim_log.path, "count(*) FILTER (kind = 'delivery' AND status = 'sent')")
    assert int(addresses) == sent + blackholes


def test_exim_failed_and_delayed(exim_log: Exim) -> None:
    """Messages with a recipient that failed, or had to wait."""
    found = exim_log.row("Received")
    delayed, failed = int(found[3]), int(found[5])
    assert failed == one(exim_log.path, "count(DISTINCT queue_id) FILTER (status IN ('bounced', 'expired'))")
    assert delayed == one(exim_log.path, "count(DISTINCT queue_id) FILTER (status = 'deferred')")


def test_exim_rejects(exim_log: Exim) -> None:
    """What Exim itself refused by an ACL is the same. Under `Unknown`, eximstats also counts what other servers
    refused of ours, by one of three words on a line."""
    refused = re.compile(r" rejected (?:RCPT|MAIL) ").search
    ours = [line for line in exim_log.lines if refused(line) and "reject" in exim_log.kinds(line)]
    by_size = [line for line in ours if "message too big" in line]  # which eximstats has under that name
    theirs = [int(count) for count in re.findall(r"^ +(\d+) +Rejected (?:RCPT|MAIL)", exim_log.told, re.MULTILINE)]
    assert sum(theirs) == len(ours) - len(by_size) > 30
    assert int(exim_log.row("Rejects")[0]) > one(exim_log.path, "count(*) FILTER (kind = 'reject')")
    unknown = re.search(r"^ +(\d+) +Unknown$", exim_log.told, re.MULTILINE)
    assert unknown
    remote = [line for line in exim_log.lines if " remote mail server " in line and "rejected" in line]
    assert remote
    assert not any("reject" in exim_log.kinds(line) for line in remote)


def test_eximstats_knows_no_id_of_exim_4_97(tmp_path: Path) -> None:
    """Ids have 6-11-4 characters since then: eximstats of Debian 12 finds no message in such a log."""
    path = log_of("exim-4.98/mainlog.gz", tmp_path)
    if Exim(path).row("Received")[1] != "0":
        pytest.skip("this eximstats is newer")
    assert one(path, "count(*) FILTER (is_arrival)") > 700
