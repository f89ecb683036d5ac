"""What outlives the process: everything that was counted, with the places up to which it was."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from contextlib import closing
from itertools import islice, pairwise
from pathlib import Path
from random import Random

import pytest
from prometheus_client import generate_latest

from exporter.begin import offset_file
from exporter.config import Config, LogSource
from exporter.demo import PostfixTraffic
from exporter.pipeline import UNKEPT, Pipeline
from exporter.sources import position
from exporter.sources.file import FileTail
from exporter.state import DamagedError, InUseError, State
from parsers.message import Message
from tests.disk import full_disk
from tests.service import PATIENCE

NOW = 1_790_000_600.0
START = 1_790_000_000.0
LINES = 3_000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "mail.log"
    traffic = PostfixTraffic(Random(5), rate=20.0, start=START, rfc3339=True)
    path.write_text("".join(f"{line}\n" for _, line in islice(traffic, LINES)))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir()
    return made


def pipeline(folder: Path | None, *logs: Path) -> Pipeline:
    return Pipeline(Config(sources=tuple(LogSource(file=log) for log in logs)), folder, lambda: NOW)


def shown(made: Pipeline) -> list[str]:
    """A scrape, what is watched included; sums depend a little on the order of adding."""
    lines = [line for line in generate_latest(made).decode().splitlines() if not line.startswith("#")]
    samples = [line.rpartition(" ") for line in lines]
    return [f"{name} {round(float(value), 6)}" for name, _, value in samples]


def finish(made: Pipeline) -> list[str]:
    while made.step():
        pass
    with closing(made):
        return shown(made)


def read_in_pieces(folder: Path, log: Path, text: bytes, pieces: int) -> list[str]:
    """Append a piece, start, read, stop, again and again."""
    cuts = [round(len(text) * it / pieces) for it in range(pieces + 1)]
    for start, end in pairwise(cuts):
        with log.open("ab") as file:
            file.write(text[start:end])
        scrape = finish(pipeline(folder, log))
    return scrape


def test_it_makes_no_difference_how_often_the_exporter_was_stopped(log: Path, folder: Path, tmp_path: Path) -> None:
    whole = finish(pipeline(None, log))
    text = log.read_bytes()
    log.unlink()
    assert read_in_pieces(folder, log, text, 37) == whole


def test_what_was_not_saved_is_read_again(log: Path, folder: Path) -> None:
    """As after `kill -9`: of a pipeline that is not closed, nothing is left but its last save."""
    whole = finish(pipeline(None, log))
    text = log.read_bytes()
    log.write_bytes(text[: len(text) // 2])
    finish(pipeline(folder, log))
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    log.write_bytes(text)
    finish(pipeline(folder, log))
    for path in folder.iterdir():
        path.unlink()
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    assert finish(pipeline(folder, log)) == whole


def test_a_log_that_is_followed_again_goes_on(log: Path, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.log"
    other.write_text("")
    made = pipeline(folder, log, other)
    while made.step():
        pass
    before = shown(made)
    made.configure(Config(sources=(LogSource(file=other),)))
    made.configure(Config(sources=(LogSource(file=log), LogSource(file=other))))
    assert finish(made) == before
    finish(pipeline(folder, other))
    assert finish(pipeline(folder, log, other)) == before


def test_an_offset_file_is_taken_over_once(log: Path, folder: Path) -> None:
    tail = FileTail(log)
    first = next(tail.blocks())
    found = tail.position
    assert found
    offset_file = pipeline_offset_file(folder, log)
    position.save(offset_file, found)
    for _ in range(2):
        scrape = finish(pipeline(folder, log))
        assert f'mailstat_log_read_bytes_total{{source="{log}"}} {float(log.stat().st_size - len(first))}' in scrape
    assert not list(folder.glob("*.offset*"))


def pipeline_offset_file(folder: Path, log: Path) -> Path:
    return offset_file(folder, log)


# --- the database ---


def garbage(path: Path) -> None:
    path.write_bytes(Random(1).randbytes(20_000))


def short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def holes(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        for place in range(4096, size, 4096):
            file.seek(place + 100)
            file.write(bytes(300))


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 7")


def other_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE part")
        connection.execute("CREATE TABLE part (something TEXT)")


def changed_content(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE part SET content = x'93010203' WHERE name = 'mail'")


def other_content(path: Path) -> None:
    with closing(State(path.parent)) as state:
        state.save({"tracker": b"\x01"}).result()


@pytest.mark.parametrize(
    "damage", [garbage, short, holes, newer, foreign, other_tables, changed_content, other_content]
)
def test_a_database_that_cannot_be_used_is_set_aside(
    log: Path, folder: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    whole = finish(pipeline(folder, log))
    assert callable(damage)
    damage(folder / "state.db")
    damaged = (folder / "state.db").read_bytes()
    assert finish(pipeline(folder, log)) == whole
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert told.message == "the state cannot be used: it was set aside, and counting starts anew"
    assert vars(told)["file"] == str(folder / "state.db.aside")
    assert (folder / "state.db.aside").read_bytes() == damaged
    caplog.clear()
    assert finish(pipeline(folder, log)) == whole
    assert not caplog.records


def test_an_empty_database_is_a_new_one(log: Path, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "state.db").touch()
    finish(pipeline(folder, log))
    assert not caplog.records


def test_what_is_no_file_is_told_and_nothing_is_saved(
    log: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "state.db").mkdir()
    unsaved = finish(pipeline(folder, log))
    assert "mailstat_state_last_save_successful 0.0" in unsaved
    assert [it for it in unsaved if "last_save" not in it] == [
        it for it in finish(pipeline(None, log)) if "last_save" not in it
    ]
    assert [record.message for record in caplog.records] == [UNKEPT]


def test_nobody_else_may_read_it(folder: Path) -> None:
    before = os.umask(0)
    try:
        with closing(State(folder)) as state:
            state.save({"a": b"1"}).result()
            assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    finally:
        os.umask(before)


def test_a_second_process_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.state.BUSY_SECONDS", 0.01)
    with closing(State(folder)), pytest.raises(InUseError, match=r"state\.db: another process uses it"):
        State(folder)
    State(folder).close()


def test_what_the_disk_refuses_is_saved_when_there_is_room(
    log: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = pipeline(folder, log)
    while made.step():
        pass
    with full_disk():
        for _ in range(2):
            writing = made._commit()
            assert writing
            assert isinstance(writing.exception(), OSError)
    assert made._state
    made._state._do(list)  # behind what is told of the write, which the same thread does
    assert "mailstat_state_last_save_successful 0.0" in shown(made)
    assert [record.message for record in caplog.records] == ["the state cannot be saved"]
    before = finish(made)
    assert finish(pipeline(folder, log)) == [it.replace("successful 0.0", "successful 1.0") for it in before]


def test_parts_change_together_or_not_at_all(folder: Path) -> None:
    with closing(State(folder)) as state:
        state.save({"one": b"1", "two": b"2"}).result()
        with full_disk():
            assert isinstance(state.save({"one": b"3", "two": bytes(1 << 20)}).exception(), OSError)
    with closing(State(folder)) as state:
        assert state._do(state._load, "one") == b"1"
        state.save({"one": None, "two": b"4"}).result()
    with closing(State(folder)) as state:
        assert state._do(state._names, "") == ["two"]


def test_only_what_has_changed_is_written(log: Path, folder: Path) -> None:
    made = pipeline(folder, log)
    while made.step():
        pass
    first = made._commit()
    assert first
    first.result()
    written = (folder / "state.db-wal").read_bytes()
    assert made._commit() is first
    assert (folder / "state.db-wal").read_bytes() == written
    made.close()


def test_hostile_text_and_numbers_are_stored(folder: Path) -> None:
    message = Message("\udcff\x00", 5.0, sender="\ud800", size=1 << 200, attempts={"\udc80@example.com": 1})
    with closing(State(folder)) as state:
        from exporter.state import encode  # noqa: PLC0415

        state.save({"messages": encode([("postfix", message)])}).result()
        found = state.load("messages", list[tuple[str, Message]])
    assert found
    assert (found[0][1].queue_id, found[0][1].size) == ("\\udcff\x00", (1 << 63) - 1)
    assert found[0][1].attempts == {"\\udc80@example.com": 1}


def test_a_part_of_another_kind_is_damaged(folder: Path) -> None:
    with closing(State(folder)) as state:
        state.save({"number": b"\x01"}).result()
        assert state.load("number", int) == 1
        with pytest.raises(DamagedError, match="number: Expected `str`"):
            state.load("number", str)


def test_fields_of_what_is_stored_stay_in_their_places() -> None:
    """A change of these needs a new `exporter.state.VERSION`, unless fields are added at the end."""
    assert Message.__struct_fields__[:20] == (
        *("queue_id", "since", "via", "client_name", "client_ip", "sasl_user", "sender", "message_id", "size"),
        *("recipients", "has_arrived", "attempts", "unfinished", "has_failed", "direction", "provider", "reason"),
        "vague",
    )


def test_a_file_that_was_removed_is_made_anew(log: Path, folder: Path) -> None:
    made = pipeline(folder, log)
    while made.step():
        pass
    writing = made._commit()
    assert writing
    writing.result()
    for path in folder.iterdir():
        path.unlink()
    with log.open("a") as file:
        file.write("something else\n")
    before = finish(made)
    assert finish(pipeline(folder, log)) == before


def saved(made: Pipeline) -> BaseException | None:
    writing = made._commit()
    assert writing
    error = writing.exception()
    assert made._state
    made._state._do(list)  # behind what is told of the write, which the same thread does
    return error


def test_what_could_not_be_opened_at_the_start_is_kept_once_it_can_be(
    log: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    older = pipeline(folder, log)
    older.step()
    older.close()
    (folder / "state.db").rename(folder / "away")
    (folder / "state.db").mkdir()
    made = pipeline(folder, log)
    while made.step():
        pass
    assert isinstance(saved(made), OSError)
    assert "mailstat_state_last_save_successful 0.0" in shown(made)
    assert made.troubles() == [f"The state cannot be saved: {folder / 'state.db'}: Is a directory"]
    (folder / "state.db").rmdir()
    (folder / "away").rename(folder / "state.db")  # what an earlier process knew is of no use any more
    assert saved(made) is None
    assert made.troubles() == []
    whole = finish(made)
    assert "mailstat_state_last_save_successful 1.0" in whole
    assert finish(pipeline(folder, log)) == whole
    assert [record.message for record in caplog.records] == [UNKEPT, "the state can be saved again"]


def test_a_folder_that_is_not_there_is_made_and_nobody_else_reads_what_stands_there(
    log: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "state"
    made = pipeline(folder, log)
    while made.step():
        pass
    assert saved(made) is None
    assert folder.stat().st_mode & 0o077 == 0
    assert [path.name for path in folder.iterdir() if path.stat().st_mode & 0o077] == []
    made.close()


@pytest.mark.parametrize("damage", [garbage, newer])
def test_a_file_that_is_replaced_while_it_runs_is_set_aside_and_made_anew(
    log: Path, folder: Path, tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    made = pipeline(folder, log)
    while made.step():
        pass
    assert saved(made) is None
    other = tmp_path / "other.db"
    damage(other)  # type: ignore[operator]
    other.replace(folder / "state.db")
    assert "mailstat_state_last_save_successful 1.0" in shown(made)
    log.write_text(log.read_text() + "Jan  1 00:00:00 mx1 postfix/qmgr[1]: 4XyZ: removed\n")
    while made.step():
        pass
    assert saved(made) is None
    whole = finish(made)
    assert finish(pipeline(folder, log)) == whole


def test_a_state_that_another_process_takes_is_no_end_of_scrapes(
    log: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.state.BUSY_SECONDS", 0.01)
    made = pipeline(folder, log)
    made.step()
    (folder / "state.db").unlink()
    with closing(State(folder)):
        asyncio.run(made.save())
        assert saved(made)
        assert "mailstat_state_last_save_successful 0.0" in shown(made)
    assert saved(made) is None
    made.close()


def test_it_is_saved_though_the_clock_is_set_back(log: Path, folder: Path) -> None:
    clock = [NOW]
    made = Pipeline(Config(sources=(LogSource(file=log),)), folder, lambda: clock[0])

    async def play() -> None:
        running = asyncio.create_task(made.run())
        while not made.is_ready() or made._writing is None:
            await asyncio.sleep(0.01)
        clock[0] -= 86400.0
        first = made._writing
        with log.open("a") as file:
            file.write("something else\n")
        while made._writing is first:
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(asyncio.wait_for(play(), PATIENCE))
