"""Files in, events out: in the order of time, whatever the files are and however they are given."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from itertools import permutations
from pathlib import Path

import pytest
import zstandard

from mailstat.log import Log, Selection
from parsers.events import Event

LINE = "{time} mail postfix/qmgr[7]: {id}: removed\n"
MANY = 3000  # lines: more than a block


def times(start: int, count: int) -> str:
    """So many lines, a second apart."""
    return "".join(
        LINE.format(time=f"2026-01-05T{it // 3600:02d}:{it // 60 % 60:02d}:{it % 60:02d}+00:00", id=f"4F2A{it:06X}")
        for it in range(start, start + count)
    )


def events(log: Log) -> list[Event]:
    return [event for batch in log.batches() for event in batch]


def ids(log: Log) -> list[int]:
    return [int(event.queue_id[4:], 16) for event in events(log)]  # type: ignore[attr-defined]


def log_of(*paths: Path, selection: Selection | None = None, year: int | None = None) -> Log:
    return Log(paths, selection or Selection(), zone=UTC, year=year)


def lines_of(log: Log) -> int:
    return sum(tally.lines for tally in log.tallies.values())


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_files_in_any_order_are_read_in_the_order_of_time(tmp_path: Path, order: tuple[int, ...]) -> None:
    paths = [tmp_path / name for name in ("mail.log.2.gz", "mail.log.1", "mail.log")]
    paths[0].write_bytes(gzip.compress(times(0, 10).encode()))
    paths[1].write_text("\n" + times(10, 10))
    paths[2].write_text("what is no log line\n" + times(20, 10))
    assert ids(log_of(*(paths[it] for it in order))) == list(range(30))


def test_a_file_of_several_names_is_read_once(tmp_path: Path) -> None:
    path, link, none = tmp_path / "mail.log", tmp_path / "maillog", tmp_path / "none"
    path.write_text(times(0, 10))
    link.symlink_to(path)
    log = log_of(path, link, path, none, none)
    assert ids(log) == list(range(10))
    assert log.notes == [
        f"{link}: the same file as {path}, read once",
        f"{path}: named twice, read once",
        f"{none}: named twice, read once",
    ]
    assert len(log.errors) == 1


def test_a_message_is_followed_from_one_file_to_the_next(tmp_path: Path) -> None:
    begin, end = tmp_path / "b", tmp_path / "a"
    stamp = "2026-01-05T10:00:0{} "
    begin.write_text(
        f"{stamp.format(0)}mail postfix/smtpd[7]: 4F2A31C: client=mx.example.com[192.0.2.1]\n"
        f"{stamp.format(1)}mail postfix/qmgr[8]: 4F2A31C: from=<kim@example.com>, size=70, nrcpt=1 (queue active)\n"
    )
    end.write_text(
        f"{stamp.format(2)}mail postfix/smtp[9]: 4F2A31C: to=<bo@example.org>, relay=mx.example.org[192.0.2.2]:25,"
        " delay=1, delays=0/0/1/0, dsn=2.0.0, status=sent (250 ok)\n"
    )
    (delivery,) = (it for it in events(log_of(end, begin)) if it.kind == "delivery")
    assert delivery.sender == "kim@example.com"  # type: ignore[attr-defined]


PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("named", [True, False], ids=["by its name", "under another name"])
def test_a_packed_file_is_read_like_a_plain_one(tmp_path: Path, suffix: str, named: bool) -> None:
    path = tmp_path / f"mail.log{suffix if named else '.old'}"
    path.write_bytes(PACKED[suffix](times(0, MANY).encode()))
    assert ids(log_of(path)) == list(range(MANY))


@pytest.mark.parametrize("suffix", PACKED)
def test_what_stands_before_the_cut_of_a_packed_file_is_read(tmp_path: Path, suffix: str) -> None:
    path, other = tmp_path / f"mail.log{suffix}", tmp_path / "mail.log"
    packed = PACKED[suffix](times(0, MANY).encode())
    path.write_bytes(packed[: len(packed) - 4])
    other.write_text(times(MANY, 5))
    log = log_of(path, other)
    found = ids(log)
    assert found[-5:] == list(range(MANY, MANY + 5))
    assert found[:-5] == list(range(len(found) - 5))
    assert [error.partition(": ")[0] for error in log.errors] == [str(path)]
    assert "\n" not in log.errors[0]


def test_the_end_of_a_cut_gzip_file_is_as_near_as_can_be(tmp_path: Path) -> None:
    path = tmp_path / "mail.log.gz"
    path.write_bytes(gzip.compress(times(0, MANY).encode())[:-4])  # the trailer alone is damaged
    log = log_of(path)
    assert ids(log) == list(range(MANY))
    assert len(log.errors) == 1


def test_a_last_line_without_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    path.write_text(times(0, 3).rstrip("\n"))
    log = log_of(path)
    assert (ids(log), lines_of(log)) == ([0, 1, 2], 3)


def test_pipes_are_read_once(tmp_path: Path) -> None:
    """As the shell's `<(zcat mail.log.1.gz)` gives them: what was looked at is gone."""
    paths = [tmp_path / "one", tmp_path / "two"]
    for number, path in enumerate(paths):
        os.mkfifo(path)
        threading.Thread(target=feed, args=(path, times(number * MANY, MANY)), daemon=True).start()
    log = log_of(*paths)
    assert ids(log) == list(range(2 * MANY))
    assert log.errors == []


def feed(path: Path, text: str) -> None:
    with suppress(BrokenPipeError):
        path.write_text(text)


def test_what_cannot_be_read_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    good, missing = tmp_path / "mail.log", tmp_path / "none"
    good.write_text(times(0, 5))
    log = log_of(missing, good, tmp_path)
    assert ids(log) == [0, 1, 2, 3, 4]
    assert log.errors == [f"{missing}: No such file or directory", f"{tmp_path}: Is a directory"]


def test_a_selection_is_from_a_moment_and_before_another(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    path.write_text(times(0, 10))
    first = events(log_of(path))[0].time
    assert ids(log_of(path, selection=Selection(since=first + 2, until=first + 5))) == [2, 3, 4]
    assert ids(log_of(path, selection=Selection(mta="exim"))) == []
    odd = Selection(where=lambda event: event.time % 2 == 1)
    assert ids(log_of(path, selection=odd)) == [1, 3, 5, 7, 9]


def test_all_lines_are_counted_whatever_is_selected(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    path.write_text(times(0, 10))
    log = log_of(path, selection=Selection(since=9e9))
    assert events(log) == []
    assert lines_of(log) == 10


def test_the_year_that_a_log_does_not_write(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    stamps = ("Dec 31 23:59:59", "Jan  1 00:00:01")
    path.write_text("".join(LINE.format(time=stamp, id="4F2A000001") for stamp in stamps))
    os.utime(path, (1_577_836_900, 1_577_836_900))  # 2020-01-01T00:01:40Z
    new_year = 1_577_836_800
    assert [event.time - new_year for event in events(log_of(path))] == [-1, 1]
    assert [event.time - new_year for event in events(log_of(path, year=2019))] == [-1, 1]
    assert events(log_of(path, year=2015))[0].time == 1_451_606_399


def test_progress_adds_up_to_the_files_as_they_are_stored(tmp_path: Path) -> None:
    plain, packed = tmp_path / "mail.log", tmp_path / "mail.log.1.gz"
    plain.write_text(times(MANY, MANY))
    packed.write_bytes(gzip.compress(times(0, MANY).encode()))
    seen: list[int] = []
    log = log_of(plain, packed)
    log.on_read = seen.append
    events(log)
    assert sum(seen) == plain.stat().st_size + packed.stat().st_size


def test_what_a_server_says_of_anothers_clients_counts_only_where_that_one_is_not_read(tmp_path: Path) -> None:
    dovecot, postfix = tmp_path / "dovecot.log", tmp_path / "mail.log"
    dovecot.write_text("2026-01-05 00:00:00 auth: Info: sql(kim,192.0.2.7): Password mismatch\n")
    refused = "warning: unknown[192.0.2.7]: SASL PLAIN authentication failed: x"
    postfix.write_text(f"2026-01-05T00:00:02+00:00 mail postfix/smtpd[7]: {refused}\n")
    alone = events(Log([dovecot], Selection(), zone=UTC))
    both = events(Log([dovecot, postfix], Selection(), zone=UTC))
    assert [event.origin.service for event in alone] == ["smtp"]
    assert [event.origin.service for event in both] == ["postfix"]
