"""`mailstat queue`: what waits, as people and as programs read it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from exporter.queues import postfix_spool
from mailstat import cli
from mailstat.reports import queue as report

GREETING = b"protocol\0mail_queue_list_protocol\0\0"
ONE = (
    b"queue_name\0deferred\0queue_id\0A1\0time\x001795284947\0size\x002048\0sender\0ann@example.com\0"
    b"recipient\0bo@gmail.com\0reason\0host mx.google.com[192.0.2.9] said: 452 4.2.2 The recipient's inbox is out of"
    b" storage space\0\0"
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mailstat", "queue", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    for queue in postfix_spool.QUEUES:
        (tmp_path / "out" / queue).mkdir(parents=True)
    return tmp_path / "out"


@pytest.fixture
def config(tmp_path: Path, spool: Path) -> str:
    path = tmp_path / "mailstat.yml"
    path.write_text("queues: [{postfix: {spool: out}}]")
    return str(path)


@pytest.fixture
def showq(spool: Path):
    """A queue that has one message at first, and none from the second question on."""
    (spool / "public").mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(spool / "public/showq"))
    listener.listen()

    def serve() -> None:
        with suppress(OSError):  # it is shut down: not all tests ask twice
            for reply in (GREETING + ONE + ONE + b"\0", GREETING + ONE + b"\0"):
                peer, _ = listener.accept()
                with peer:
                    peer.sendall(reply)

    thread = Thread(target=serve)
    thread.start()
    yield
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


@pytest.mark.usefixtures("showq")
def test_people_see_queues_domains_and_reasons(config: str) -> None:
    done = run("--config", config)
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["out", "deferred", "2", "4", "KiB"] in [row[:5] for row in rows]
    assert ["gmail.com", "2"] in [row[:2] for row in rows]
    assert ["google", "mailbox_full", "2"] in rows


@pytest.mark.usefixtures("showq")
def test_a_second_look_tells_when_the_queue_is_empty(config: str) -> None:
    told = json.loads(run("--config", config, "--watch", "1", "--format", "json").stdout)
    (forecast,) = told["forecast"]
    assert (forecast["before"], forecast["messages"]) == (2, 1)
    assert forecast["an_hour"] < 0
    assert forecast["empty_in"] >= 1
    assert told["queues"][0]["is_complete"]
    assert told["causes"] == [{"provider": "google", "reason": "mailbox_full", "messages": 2}]


@pytest.mark.usefixtures("showq")
def test_after_an_interrupt_the_first_look_is_told(
    config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "sleep", lambda _: signal.raise_signal(signal.SIGINT))  # somebody has seen enough
    assert cli.main(["queue", "--config", config, "--watch", "3600"]) == 130
    out = capsys.readouterr().out
    assert "google" in out
    assert "Forecast" not in out


def test_an_empty_queue_is_zero(config: str) -> None:
    told = json.loads(run("--config", config, "--format", "json").stdout)
    assert {row["messages"] for row in told["queues"][0]["queues"]} == {0}


def test_what_may_not_be_read_is_said(config: str, spool: Path) -> None:
    spool.rename(spool.with_name("gone"))
    done = run("--config", config)
    assert done.returncode == 1
    assert str(spool) in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("wrong", ["0", "-5", "x", "999999"])
def test_a_wait_that_is_none_is_refused(wrong: str) -> None:
    done = run(f"--watch={wrong}")
    assert (done.returncode, "a number of seconds is needed" in done.stderr) == (2, True)
