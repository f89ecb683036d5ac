"""Files that come and go: globs, directories, container logs, as they are rotated, renamed, linked and removed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import pytest

from exporter.config import Config, LogSource
from exporter.group import QUIET_LOOKS, Group
from exporter.pipeline import Pipeline
from parsers.events import Event
from parsers.reader import LogReader

NOW = 1_795_284_304.0
LINE = "2026-11-21T10:00:00+00:00 mail postfix/smtpd[7]: connect from c{}.example.net[203.0.113.7]\n"


NUMBERS = count()  # no two lines are the same, as times see to it in a log


class Exporter:
    """A pipeline with one source, which can be begun anew from its state."""

    def __init__(self, source: LogSource, state: Path) -> None:
        self.source, self.state, self.now = source, state, NOW
        state.mkdir(exist_ok=True)
        self._begin()

    def _begin(self) -> None:
        self.pipeline = Pipeline(Config(sources=(self.source,)), self.state, lambda: self.now)

    def restart(self) -> None:
        self.pipeline.close()
        self._begin()

    def lines(self) -> int:
        """All that were counted, after a look at what there is."""
        self.now += 3
        while self.pipeline.step():
            pass
        return self.pipeline.sources()[0].lines

    @property
    def group(self) -> Group:
        (group,) = self.pipeline._sources
        assert isinstance(group, Group)
        return group

    @property
    def files(self) -> set[str]:
        return {path.name for path in self.group.paths()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path / "log"


@pytest.fixture(params=["running", "restarted"])
def exporter(folder: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Exporter]:
    made = Exporter(LogSource(file=folder / "*.log"), tmp_path / "state")
    if request.param == "restarted":
        lines = made.lines

        def restarted() -> int:
            made.restart()
            return lines()

        made.lines = restarted  # type: ignore[method-assign]
    yield made
    made.pipeline.close()


def write(path: Path, lines: int = 1) -> None:
    with path.open("a") as file:
        file.writelines(LINE.format(number) for number in islice(NUMBERS, lines))


def test_files_of_a_name_are_one_source(folder: Path, exporter: Exporter) -> None:
    write(folder / "a.log", 2)
    write(folder / "b.log", 3)
    write(folder / "c.txt", 5)
    assert exporter.lines() == 5
    write(folder / "b.log")
    assert exporter.lines() == 6
    (view,) = exporter.pipeline.sources()
    assert (view.name, view.is_up, view.error, view.mtas) == (str(folder / "*.log"), True, None, ("postfix",))
    names = {
        it.labels["source"]
        for family in exporter.pipeline.collect()
        for it in family.samples
        if "source" in it.labels
    }
    assert names == {str(folder / "*.log")}


def test_a_file_that_appears_and_one_that_goes(folder: Path, exporter: Exporter) -> None:
    assert exporter.lines() == 0
    assert (exporter.pipeline.sources()[0].is_up, exporter.pipeline.sources()[0].error) == (False, "no such file")
    write(folder / "a.log", 2)
    assert exporter.lines() == 2
    (folder / "a.log").unlink()
    assert exporter.lines() == 2
    write(folder / "a.log", 4)
    assert exporter.lines() == 6


def test_a_rotated_file_is_no_log_of_its_own(folder: Path, exporter: Exporter) -> None:
    exporter.source = LogSource(file=folder / "mail*")
    exporter.restart()
    log = folder / "mail.log"
    write(log, 2)
    assert exporter.lines() == 2
    write(log)
    log.rename(folder / "mail.log.1")
    write(log, 4)
    write(folder / "mail.log.2.gz", 10)
    write(folder / "mail-20261120.log", 10)
    assert exporter.lines() == 7
    (folder / "mail.log.1").rename(folder / "mail.log.2")
    log.rename(folder / "mail.log.1")
    write(log)
    assert exporter.lines() == 8


def test_a_file_with_a_new_name_goes_on(folder: Path, exporter: Exporter) -> None:
    log = folder / "mail.log"
    write(log, 3)
    assert exporter.lines() == 3
    write(log, 2)
    log.rename(folder / "old-mail.log")
    assert exporter.lines() == 5
    write(log, 1)
    write(folder / "old-mail.log", 1)
    assert exporter.lines() == 7
    (folder / "old-mail.log").rename(folder / "older-mail.log")
    log.rename(folder / "old-mail.log")
    write(log)
    assert exporter.lines() == 8


def test_two_names_of_one_file_are_one(folder: Path, exporter: Exporter) -> None:
    write(folder / "a.log", 3)
    (folder / "b.log").symlink_to("a.log")
    os.link(folder / "a.log", folder / "c.log")
    (folder / "d.log").symlink_to("nowhere")
    (folder / "e.log").symlink_to("e.log")
    (folder / "f.log").mkdir()
    os.mkfifo(folder / "g.log")
    assert exporter.lines() == 3
    write(folder / "c.log")
    assert exporter.lines() == 4


def test_a_link_that_is_turned_to_another_file(folder: Path, tmp_path: Path, exporter: Exporter) -> None:
    for number in range(3):
        write(tmp_path / f"{number}", number + 1)
        (folder / "now.log").unlink(missing_ok=True)
        (folder / "now.log").symlink_to(tmp_path / f"{number}")
        exporter.lines()
    assert exporter.lines() == 6


def test_the_newest_files_are_followed_and_the_rest_is_told(folder: Path, tmp_path: Path) -> None:
    for number in range(10):
        write(folder / f"{number}.log", 1)
        os.utime(folder / f"{number}.log", (NOW + number, NOW + number))
    exporter = Exporter(LogSource(file=folder / "*.log", files=4), tmp_path / "state")
    assert exporter.lines() == 4
    assert exporter.files == {"6.log", "7.log", "8.log", "9.log"}
    assert exporter.pipeline.sources()[0].error == "6 files more than are followed"
    assert exporter.pipeline.sources()[0].is_up
    exporter.pipeline.close()


def test_a_quiet_file_is_closed_until_it_changes(folder: Path, tmp_path: Path) -> None:
    exporter = Exporter(LogSource(directory=folder), tmp_path / "state")
    for name in ("a", "b"):
        write(folder / name, 3)
    assert exporter.lines() == 6
    for _ in range(QUIET_LOOKS + 1):
        write(folder / "a")
        exporter.lines()
    assert exporter.files == {"a"}
    before = exporter.lines()
    write(folder / "b", 2)
    assert exporter.lines() == before + 2
    assert exporter.files == {"a", "b"}
    exporter.restart()
    assert exporter.lines() == before + 2
    exporter.pipeline.close()


def test_thousands_of_files_come_and_go_in_bounded_memory(folder: Path, tmp_path: Path) -> None:
    exporter = Exporter(LogSource(directory=folder, files=20), tmp_path / "state")
    for number in range(100):
        write(folder / f"{number}")
        if number % 10 == 9:
            exporter.lines()
            for path in folder.iterdir():
                path.unlink()
    for _ in range(QUIET_LOOKS + 2):
        assert exporter.lines() == 100
    assert not exporter.files
    assert len(exporter.group._asleep) <= 20
    exporter.pipeline.close()


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_read(folder: Path, exporter: Exporter) -> None:
    write(folder / "a.log", 3)
    write(folder / "b.log", 3)
    exporter.lines()
    (folder / "c.log").write_text("x")
    (folder / "c.log").unlink()
    assert exporter.lines() == 6
    if os.geteuid() == 0:
        return
    write(folder / "d.log")
    (folder / "d.log").chmod(0)
    assert exporter.lines() == 6
    assert "Permission denied" in str(exporter.pipeline.sources()[0].error)


def test_one_file_that_cannot_be_understood_rests_and_the_others_go_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = LogReader.read

    def fail(reader: LogReader, block: str) -> list[Event]:
        if "poison" in block:
            raise RuntimeError("nobody thought of that")
        return read(reader, block)

    monkeypatch.setattr(LogReader, "read", fail)
    exporter = Exporter(LogSource(directory=folder), tmp_path / "state")
    for name in ("a", "b", "c"):
        write(folder / name)
    exporter.lines()
    with (folder / "b").open("a") as file:
        file.write("poison\n")
    write(folder / "c")
    exporter.lines()
    assert exporter.lines() == 4
    assert exporter.group.restarts == 1
    assert "b" in exporter.files
    write(folder / "b")
    for _ in range(3):
        lines = exporter.lines()
    assert (lines, exporter.group.restarts) == (5, 1)
    exporter.pipeline.close()


# --- Exchange: a new file each day or hour, with a header

FIELDS = (
    "date-time,client-ip,client-hostname,server-ip,server-hostname,source-context,connector-id,source,event-id,"
    "internal-message-id,message-id,network-message-id,recipient-address,recipient-status,total-bytes,recipient-count,"
    "related-recipient-address,reference,message-subject,sender-address,return-path,message-info,directionality,"
    "tenant-id,original-client-ip,original-server-ip,custom-data"
)
HEADER = (
    "#Software: Microsoft Exchange Server\r\n#Version: 15.01.2507.006\r\n#Log-type: Message Tracking Log\r\n"
    f"#Date: 2026-11-21T00:00:00.000Z\r\n#Fields: {FIELDS}\r\n"
)


def row(number: int, hour: int) -> str:
    return (
        f"2026-11-21T{hour:02}:00:00.{number:03}Z,203.0.113.7,client.example.net,192.0.2.25,MX1,,MX1\\Default,SMTP,"
        f"RECEIVE,{1000 * hour + number},<{hour}.{number}@example.net>,,kim@example.com,,1234,1,,,subject,"
        f"lee@example.net,lee@example.net,,Incoming,,203.0.113.7,192.0.2.25,\r\n"
    )


def test_the_files_of_an_exchange_server(folder: Path, tmp_path: Path) -> None:
    exporter = Exporter(LogSource(directory=folder, mta="exchange"), tmp_path / "state")  # type: ignore[arg-type]
    for hour in range(24):
        path = folder / f"MSGTRK20261121{hour:02}-1.LOG"
        with path.open("w") as file:
            file.write(HEADER)
            for number in range(20):
                file.write(row(number, hour))
                if number == 10:
                    file.flush()
                    exporter.lines()
        if hour % 5 == 0:
            exporter.restart()
    exporter.lines()
    (view,) = exporter.pipeline.sources()
    assert (view.mtas, view.lines, view.error) == (("exchange",), 24 * 25, None)
    found = {it.name: it for it in exporter.pipeline.collect()}["mail_messages_received"]
    assert sum(sample.value for sample in found.samples if sample.name.endswith("_total")) == 480
    exporter.pipeline.close()


# --- containers

SYSLOG = "Nov 21 10:00:00 mail postfix/smtpd[7]: connect from c{}.example.net[203.0.113.7]"


def cri(number: int, tag: str = "F") -> str:
    return f"2026-11-21T10:00:00.{number:09}Z stdout {tag} {SYSLOG.format(number)}\n"


def test_pods_as_kubelet_keeps_them(tmp_path: Path) -> None:
    """It renames with the time, packs all but the newest of what it renamed, and starts 1.log after a crash."""
    pods = tmp_path / "pods"
    pod = pods / "mail_postfix-0_0b7e" / "postfix"
    pod.mkdir(parents=True)
    exporter = Exporter(LogSource(container=pods / "*/*/*.log"), tmp_path / "state")
    log, written = pod / "0.log", 0

    def write(lines: int) -> None:
        nonlocal written
        with log.open("a") as file:
            file.writelines(cri(written + number) for number in range(lines))
        written += lines

    old: Path | None = None
    write(1)
    assert exporter.lines() == 1
    for rotation in range(6):
        write(50)
        if rotation % 2:
            assert exporter.lines() == written
        write(7)
        new = log.with_name(f"0.log.20261121-10000{rotation}")
        log.rename(new)
        if old:
            import gzip  # noqa: PLC0415

            packed = old.with_name(f"{old.name}.gz")
            packed.write_bytes(gzip.compress(old.read_bytes()))
            shutil.copystat(old, packed)
            old.unlink()
        old = new
        write(3)
        if rotation == 3:
            exporter.restart()
    assert exporter.lines() == written
    log = pod / "1.log"
    write(5)
    assert exporter.lines() == written
    shutil.rmtree(pod)
    assert exporter.lines() == written
    (view,) = exporter.pipeline.sources()
    assert (view.name, view.mtas) == (str(pods / "*/*/*.log"), ("postfix",))
    exporter.pipeline.close()


@pytest.mark.parametrize("restarts", [False, True])
def test_a_line_in_parts_is_one_line(tmp_path: Path, restarts: bool) -> None:
    log = tmp_path / "0.log"
    exporter = Exporter(LogSource(container=tmp_path / "*.log"), tmp_path / "state")
    whole = SYSLOG.format(1)
    for part, tag in ((whole[:20], "P"), (whole[20:50], "P"), (whole[50:], "F")):
        with log.open("a") as file:
            file.write(f"2026-11-21T10:00:00Z stdout {tag} {part}\n")
        exporter.lines()
        if restarts:
            exporter.restart()
    assert exporter.lines() == 1
    assert exporter.pipeline.sources()[0].mtas == ("postfix",)
    exporter.pipeline.close()


def test_dockers_files_as_kubernetes_links_to_them(tmp_path: Path) -> None:
    """/var/log/pods/…/0.log is a link to Docker's own file, which Docker rotates by numbers."""
    own, pods = tmp_path / "docker", tmp_path / "pods"
    own.mkdir()
    pods.mkdir()
    log = own / "0a1b-json.log"

    def write(numbers: range) -> None:
        with log.open("a") as file:
            for number in numbers:
                time = f"2026-11-21T10:00:00.{number:09}Z"
                file.write(json.dumps({"log": SYSLOG.format(number) + "\n", "stream": "stdout", "time": time}) + "\n")

    write(range(5))
    (pods / "0.log").symlink_to(log)
    exporter = Exporter(LogSource(container=pods / "*.log"), tmp_path / "state")
    assert exporter.lines() == 5
    write(range(5, 8))
    log.rename(own / "0a1b-json.log.1")
    write(range(8, 20))
    assert exporter.lines() == 20
    exporter.pipeline.close()
