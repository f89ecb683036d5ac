"""One log, read by any number of processes, gives the same: parts are made small here, so that there are many."""

from __future__ import annotations

import gzip
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, tzinfo
from itertools import islice
from pathlib import Path
from random import Random
from subprocess import PIPE, Popen
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bench import exim, opensmtpd, qmail, sendmail
from exporter.demo import PostfixTraffic
from mailstat import batch, engine, part, reading
from mailstat.cli import main
from mailstat.figures import Summary
from mailstat.log import Log, Selection
from mailstat.reading import Reading
from mailstat.reports import unparsed

LINES = 3000
OPTIONS = Namespace(where=None)
TIMES = [name for name, kind in batch.columns().items() if kind == "TIMESTAMPTZ"]
ROWS = f"""SELECT * REPLACE ({", ".join(f"epoch_us({name}) AS {name}" for name in TIMES)})
    FROM events ORDER BY number, recipient, reply"""
LAB = Path(__file__).parents[3] / "shared" / "lab"


def postfix() -> Iterator[str]:
    return (f"{line}\n" for _, line in PostfixTraffic(Random(5), rate=20.0, start=1_767_571_200.0))


# Each with whether parts of it can be taken as they were read.
LOGS: dict[str, tuple[Callable[[], Iterator[str]], bool]] = {
    "postfix": (postfix, True),
    "exim": (lambda: exim.lines(1), True),
    "sendmail": (lambda: sendmail.lines(1), False),
    "qmail": (lambda: qmail.lines(1), False),
    "opensmtpd": (lambda: opensmtpd.lines(1), False),
}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "BLOCK_BYTES", 1 << 12)
    monkeypatch.setattr(part, "PART_BYTES", 1 << 15)
    monkeypatch.setattr(reading, "PART_BYTES", 1 << 10)


@pytest.fixture(name="taken")
def _taken(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The parts that were taken as another process had read them."""
    taken: list[Any] = []
    take = Reading._take

    def noted(self: Reading, part: Any, piece: Any) -> None:
        taken.append(part)
        take(self, part, piece)

    monkeypatch.setattr(Reading, "_take", noted)
    return taken


def both(
    paths: list[Path], *, jobs: int, zone: tzinfo = UTC, selection: Selection | None = None, year: int | None = None
) -> tuple[Any, ...]:
    """All that a summary and the event table say, and what was said of the lines."""
    summary = Summary()
    log = Log(paths, selection or Selection(), zone=zone, year=year, jobs=jobs)
    log.read(summary)
    summary.settle()
    lines = {mta: (it.parsed, it.ignored, it.unknown, it.malformed) for mta, it in sorted(log.tallies.items())}
    figures = [summary.first, summary.last, summary.received, summary.size, summary.removed, summary.notifications]
    counts = [summary.connections, summary.logins, summary.rejects, summary.providers(), summary.reasons()]
    table = Log(paths, selection or Selection(), zone=zone, year=year, jobs=jobs)
    with engine.table(table, OPTIONS, batch.columns()) as events:
        rows = events.ask(ROWS)
    return lines, figures, counts, summary.delay(), log.errors, log.notes, rows


def same(paths: list[Path], **options: Any) -> tuple[Any, ...]:
    alone, together = both(paths, jobs=1, **options), both(paths, jobs=3, **options)
    for one, other in zip(alone, together, strict=True):
        assert one == other
    return alone


@pytest.mark.parametrize("name", LOGS)
def test_several_processes_find_what_one_finds(name: str, tmp_path: Path, taken: list[Any]) -> None:
    lines, is_taken = LOGS[name]
    path = tmp_path / "log"
    path.write_text("".join(islice(lines(), LINES)))
    rows = same([path])[-1]
    assert len(rows) > LINES / 4
    assert bool(taken) is is_taken


def test_no_part_of_a_usual_log_is_read_twice(tmp_path: Path, taken: list[Any]) -> None:
    path = tmp_path / "log"
    path.write_text("".join(islice(postfix(), LINES)))
    both([path], jobs=2)
    assert [it.begin for it in taken[: len(taken) // 2]] == [it.begin for it in part.cut(path, path.stat().st_size)]
    assert len(taken) > 20


def test_a_compressed_file_is_read_in_parts_too(tmp_path: Path, taken: list[Any]) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress("".join(islice(postfix(), LINES)).encode()))
    same([path])
    assert len(taken) > 10


def test_files_are_one_log(tmp_path: Path, taken: list[Any]) -> None:
    lines = list(islice(postfix(), LINES))
    paths = [tmp_path / name for name in ("mail.log", "mail.log.1", "mail.log.2.gz")]
    paths[0].write_text("".join(lines[2000:]))
    paths[1].write_text("".join(lines[1000:2000]))
    paths[2].write_bytes(gzip.compress("".join(lines[:1000]).encode()))
    same(paths)
    assert {it.path for it in taken} == set(paths)


def test_a_part_that_begins_otherwise_is_read_again(tmp_path: Path) -> None:
    """Two servers' own logs, syslog, and what is none, in one file."""
    one, other = list(islice(postfix(), 1000)), list(islice(exim.lines(2), 1000))
    mixed = [line for pair in zip(one, other, strict=True) for line in pair]
    mixed[500:500] = ["\n", "no line of any log\n", "x" * 70_000 + "\n", "Jan 40 99:99:99 mail postfix/smtp[1]: x\n"]
    path = tmp_path / "log"
    path.write_text("".join(one + mixed + other + one))
    same([path])


def test_repeated_lines_and_messages_of_several_instances(tmp_path: Path, taken: list[Any]) -> None:
    lines = list(islice(postfix(), LINES))
    for at in range(50, LINES, 97):
        lines[at] = f"{lines[at - 1][:15]} mail last message repeated 3 times\n"
    for at, line in enumerate(lines):
        if "postfix/qmgr" in line or at % 3 == 0:
            lines[at] = line.replace(" postfix/", " postfix-out/", 1)
    path = tmp_path / "log"
    path.write_text("".join(lines))
    same([path])
    assert taken


def test_ids_that_come_again(tmp_path: Path, taken: list[Any]) -> None:
    """Short queue ids belong to another message soon."""
    lines = list(islice(postfix(), LINES))
    path = tmp_path / "log"
    ids = [line.split(": ")[1] for line in lines if ": removed" in line]
    short = {queue_id: f"{number % 50:05X}" for number, queue_id in enumerate(dict.fromkeys(ids))}
    for at, line in enumerate(lines):
        head, _, rest = line.partition(": ")
        name, _, more = rest.partition(": ")
        lines[at] = f"{head}: {short[name]}: {more}" if name in short else line
    path.write_text("".join(lines))
    same([path])
    assert taken


def test_the_hour_that_comes_twice(tmp_path: Path) -> None:
    """In Berlin, 02:00 to 03:00 of 2026-10-25 comes twice: a part cannot tell which it is."""
    lines = list(islice(postfix(), LINES))
    for at, line in enumerate(lines):
        second = at * 7200 // LINES
        hour, rest = divmod(second, 3600)
        lines[at] = f"Oct 25 02:{rest // 60:02}:{rest % 60:02}{line[15:]}"
        assert hour in (0, 1)
    path = tmp_path / "log"
    path.write_text("".join(lines))
    figures = same([path], zone=ZoneInfo("Europe/Berlin"), year=2026)[1]
    assert figures[1] - figures[0] > 7000


def test_a_year_that_is_told_goes_on(tmp_path: Path) -> None:
    lines = list(islice(postfix(), LINES))
    path = tmp_path / "log"
    months = ("Nov", "Dec", "Jan", "Apr", "Sep", "Nov")
    path.write_text("".join(months[at * 6 // LINES] + line[3:] for at, line in enumerate(lines)))
    first, last = same([path], year=2019)[1][:2]
    assert last - first > 300 * 86400


def test_a_selection_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(islice(postfix(), LINES)))
    first, last, *_ = both([path], jobs=1, year=2026)[1]
    middle = Selection(since=first + (last - first) / 4, until=last - (last - first) / 4, mta="postfix")
    rows = same([path], selection=middle, year=2026)[-1]
    assert 0 < len(rows) < LINES


def test_damage_is_told_as_by_one_process(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.write_text("".join(islice(postfix(), LINES)))
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(whole.read_bytes())[:-2000])
    errors = same([whole, cut, tmp_path])[4]
    assert len(errors) == 2


ASKED = [
    ["summary", "--format", "html"],
    ["auth"],
    ["senders", "--quota", "3"],
    ["tls"],
    ["events", "--format", "json"],
    ["events", "--format", "csv", "--where", "status = deferred or kind = auth"],
    ["events", "--format", "json", "--limit", "100"],
]


@pytest.mark.parametrize("arguments", ASKED, ids=" ".join)
@pytest.mark.parametrize("name", ["postfix", "exim"])
def test_what_goes_by_the_order_of_the_log_is_the_same(
    name: str, arguments: list[str], tmp_path: Path, taken: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    lines, is_taken = LOGS[name]
    path = tmp_path / "log"
    path.write_text("".join(islice(lines(), LINES // 3)))
    found = []
    for jobs in (1, 3):
        assert main([*arguments, "--no-cache", "--timezone", "UTC", "--jobs", str(jobs), str(path)]) == 0
        assert bool(taken) is (is_taken and jobs > 1)
        found.append(capsys.readouterr().out)
    assert found[0] == found[1]
    assert len(found[0]) > 50


@pytest.mark.parametrize("most", [unparsed.SHAPES, 40])
@pytest.mark.parametrize("name", LOGS)
def test_lines_that_are_not_understood_are_the_same(
    name: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: list[Any]
) -> None:
    """In several files, one of them large; messages and sessions go on across the borders of parts."""
    lines, is_taken = LOGS[name]
    log = list(islice(lines(), LINES))
    for at in range(5, LINES, 7):  # some kinds come often, most once, and some so late that there is no room for them
        cut = log[at - 1][: 40 + at % 50] + " mail" * (at % 50)
        log[at] = (f"{cut}\n", f"{log[at][:15]} mail last message repeated 3 times\n", "Jan 40 oops: x\n")[at % 3]
    paths = [tmp_path / "mail.log.2.gz", tmp_path / "mail.log.1", tmp_path / "mail.log"]
    paths[0].write_bytes(gzip.compress("".join(log[: LINES // 5]).encode()))
    paths[1].write_text("".join(log[LINES // 5 : LINES // 5 * 4]))
    paths[2].write_text("".join(log[LINES // 5 * 4 :]))
    monkeypatch.setattr(unparsed, "SHAPES", most)
    alone, together = (strange(paths, jobs) for jobs in (1, 3))
    assert together == alone
    assert bool(taken) is is_taken
    assert sum(row[1] for row in alone) > LINES // 40
    assert (alone[-1][-1] == unparsed.REST) is (most == 40)


def strange(paths: list[Path], jobs: int) -> Sequence[Sequence[Any]]:
    """The rows of the report on lines that were not understood."""
    log = Log(paths, Selection(), zone=UTC, jobs=jobs)
    (section,) = unparsed.make(log, OPTIONS).sections
    assert not log.errors
    return section.rows


def test_a_session_that_goes_on_in_the_next_part_is_one(
    tmp_path: Path, taken: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mainlog"
    line = (
        "2026-01-05 10:00:{second:02} 1vcgRA-00000002Abc-{number:04} <= a@example.net H=mx [192.0.2.1]:4711"
        " P=esmtps X=TLS1.3:ECDHE_X25519:256 CV=no S=950\n"
    )
    path.write_text("".join(line.format(second=number // 20, number=number) for number in range(999)))
    assert main(["tls", "--no-cache", "--jobs", "3", "--format", "json", str(path)]) == 0
    assert len(taken) > 2
    assert [row["sessions"] for row in json.loads(capsys.readouterr().out)["rows"]] == [1]


def test_events_of_standard_input_are_not_kept_back() -> None:
    command = [sys.executable, "-m", "mailstat", "events", "--format", "json", "--jobs", "3", "-"]
    process = Popen(command, stdin=PIPE, stdout=PIPE, cwd=Path(__file__).parents[2])
    assert process.stdin
    assert process.stdout
    process.stdin.write("".join(islice(postfix(), LINES // 4)).encode())
    process.stdin.flush()
    assert process.stdout.readline()  # while nobody said that this was all
    process.kill()
    process.communicate()


def test_a_process_that_dies_costs_nothing_but_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.write_text("".join(islice(postfix(), LINES)))
    alone = both([path], jobs=1)
    monkeypatch.setattr(reading, "read_piece", lambda *_: 1 / 0)
    assert both([path], jobs=2) == alone


def test_where_there_is_no_room_for_parts_one_process_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: list[Any]
) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress("".join(islice(postfix(), LINES)).encode()))
    monkeypatch.setattr(reading, "TemporaryDirectory", lambda **_: nullcontext(str(tmp_path / "missing")))
    same([path])
    assert not taken


@pytest.mark.corpus
@pytest.mark.skipif(not LAB.is_dir(), reason="the logs of real servers are not here")
@pytest.mark.parametrize("path", sorted(LAB.glob("*/*log*.gz")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_logs_of_real_servers(path: Path) -> None:
    same([path])
