"""The service from outside: a process that is started, followed, reloaded and ended as operators do it."""

from __future__ import annotations

import logging
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from random import Random
from signal import SIGINT
from typing import NamedTuple

import bcrypt
import pytest

from exporter.cli import main
from exporter.demo import PostfixTraffic
from parsers import __version__
from tests.service import COMMAND, PATIENCE, ROOT, Exporter, Scrape, following, ran, running, wait_for, write_config

START = 1_790_000_000.0
LINES = "mailstat_log_lines_total"
BIG = 4000  # lines: several blocks


class Traffic:
    """Lines to write, and what they add up to."""

    def __init__(self, seed: int = 1) -> None:
        self._source = PostfixTraffic(Random(seed), rate=5.0, start=START, rfc3339=True)

    def take(self, lines: int) -> str:
        return "".join(f"{line}\n" for _, line in islice(self._source, lines))

    def counts(self) -> dict[str, int]:
        """Of all that was taken."""
        tally: Counter[str] = Counter()
        for (kind, detail), count in self._source.tally.items():
            tally[detail if kind == "delivery" else kind] += count
        return {name: tally[name] for name in ("sent", "deferred", "bounced", "removed", "reject", "connect")} | {
            "lines": tally.total()
        }


def read(scrape: Scrape) -> float:
    """Lines, without the empty ones."""
    return scrape.total(LINES, mta="postfix")


def counts(scrape: Scrape) -> dict[str, float]:
    """The same of a scrape."""
    statuses = {it: scrape.total("mail_deliveries_total", status=it) for it in ("sent", "deferred", "bounced")}
    return statuses | {
        "removed": scrape.total("mail_messages_removed_total"),
        "reject": scrape.total("mail_rejects_total"),
        "connect": scrape.total("mail_connections_total"),
        "lines": read(scrape),
    }


def until_lines(exporter: Exporter, log: Path, lines: int) -> Scrape:
    """The numbers when so many lines were read, and an empty one: by then a line that is read twice would be."""
    before = exporter.until(lambda it: read(it) >= lines, LINES)
    append(log, "\n")
    exporter.until(lambda it: it.lines() - read(it) > before.lines() - read(before), LINES)
    return exporter.scrape()


def append(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


class Done(NamedTuple):
    """What a command that ended by itself returned and said."""

    status: int
    out: str
    err: str


@pytest.fixture
def do(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """The command, in this process: for what ends before it serves anything."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    def run(*arguments: str | Path) -> Done:
        try:
            status = main([*map(str, arguments)])
        except SystemExit as stop:
            status = int(stop.code or 0)
        return Done(status, *capsys.readouterr())

    return run


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    folder.mkdir()
    return folder / "mail.log"


# --- files that come, grow, and go ---


def test_a_log_that_is_not_there_yet_is_waited_for(tmp_path: Path, log: Path) -> None:
    traffic = Traffic()
    with following(tmp_path, log) as exporter:
        first = exporter.until_ready()
        assert first.lines() == 0
        assert first.total("mailstat_log_source_up", source=str(log)) == 0
        append(log, traffic.take(500))
        assert counts(until_lines(exporter, log, 500)) == traffic.counts()
        assert exporter.scrape().total("mailstat_log_source_up", source=str(log)) == 1


def test_what_is_appended_is_read_once_a_line_is_whole(tmp_path: Path, log: Path) -> None:
    traffic = Traffic()
    append(log, traffic.take(300))
    with following(tmp_path, log) as exporter:
        assert counts(exporter.until_ready())["lines"] == 300
        more = traffic.take(300)
        append(log, more[:-30])
        assert read(exporter.until(lambda it: read(it) > 598)) == 599
        append(log, more[-30:])
        assert counts(until_lines(exporter, log, 600)) == traffic.counts()


@pytest.mark.parametrize("is_copied", [False, True], ids=["renamed", "copytruncate"])
def test_a_rotation_neither_loses_nor_repeats_a_line(tmp_path: Path, log: Path, is_copied: bool) -> None:
    traffic = Traffic()
    append(log, traffic.take(BIG))
    older = log.with_name("mail.log.1")
    with following(tmp_path, log) as exporter:
        exporter.until_ready()
        append(log, traffic.take(300))  # not read yet when the log is rotated
        if is_copied:
            shutil.copy2(log, older)
            os.truncate(log, 0)
        else:
            log.rename(older)
        append(log, traffic.take(300))
        assert counts(until_lines(exporter, log, BIG + 600)) == traffic.counts()
        kind = "truncations" if is_copied else "rotations"
        assert exporter.scrape().total(f"mailstat_log_{kind}_total", source=str(log)) == 1
        assert exporter.scrape().total("mailstat_log_skipped_bytes_total") == 0


@pytest.mark.parametrize("is_rotated", [False, True])
def test_after_a_restart_it_goes_on_where_it_stopped(tmp_path: Path, log: Path, is_rotated: bool) -> None:
    traffic = Traffic()
    append(log, traffic.take(BIG))
    with following(tmp_path, log) as exporter:
        assert exporter.until_ready().lines() == BIG
    append(log, traffic.take(100))
    if is_rotated:
        log.rename(log.with_name("mail.log.1"))
    append(log, traffic.take(100))
    with following(tmp_path, log) as exporter:
        exporter.until_ready()
        assert read(until_lines(exporter, log, BIG + 200)) == BIG + 200


def test_what_a_scrape_has_shown_outlives_a_kill(tmp_path: Path, log: Path) -> None:
    traffic = Traffic()
    append(log, traffic.take(BIG))
    with following(tmp_path, log) as exporter:
        shown = exporter.scrape()
        exporter.process.kill()
        exporter.process.wait()
        exporter.stop = lambda: None  # type: ignore[method-assign]  # it ended already
    append(log, traffic.take(50))
    log.rename(log.with_name("mail.log.1"))
    append(log, traffic.take(50))
    with following(tmp_path, log) as exporter:
        assert exporter.scrape().lines() >= shown.lines()
        assert counts(until_lines(exporter, log, BIG + 100)) == traffic.counts()


def test_a_state_is_used_by_one_process_at_a_time(tmp_path: Path, log: Path) -> None:
    with following(tmp_path, log) as exporter:
        exporter.until_ready()
        config = str(next(tmp_path.glob("*.yml")))
        second = ran(
            "--config.file", config, "--state.dir", tmp_path / "state", "--web.listen-address", "127.0.0.1:0"
        )
    assert (second.returncode, second.stderr.splitlines()[-1]) == (
        1,
        f"mailstat_exporter: {tmp_path}/state/state.db: another process uses it",
    )


def test_it_is_ready_when_what_there_was_is_read(tmp_path: Path, log: Path) -> None:
    traffic = Traffic()
    append(log, traffic.take(30_000))
    with following(tmp_path, log) as exporter:
        status, text = exporter.ask("/-/ready")
        while status != 200:
            assert (status, text) == (503, "mailstat is reading the existing logs.\n")
            status, text = exporter.ask("/-/ready")
        assert counts(exporter.scrape()) == traffic.counts()


# --- several logs ---


def instance(text: str, name: str) -> str:
    return text.replace(" postfix/", f" {name}/")


def test_two_instances_in_two_logs(tmp_path: Path, log: Path) -> None:
    other, inbound, outbound = log.with_name("out.log"), Traffic(1), Traffic(2)
    append(log, instance(inbound.take(BIG), "postfix-in"))
    append(other, instance(outbound.take(BIG // 2), "postfix-out"))
    with following(tmp_path, log, other) as exporter:
        scrape = exporter.until_ready()
    for service, path, traffic in (("postfix-in", log, inbound), ("postfix-out", other, outbound)):
        told = traffic.counts()
        sent = scrape.total("mail_deliveries_total", service=service, status="sent", mta="postfix")
        assert sent == told["sent"] > 0
        assert scrape.total("mail_connections_total", service=service) == told["connect"]
        assert scrape.total("mailstat_log_lines_total", source=str(path)) == told["lines"]
        assert scrape.total("mailstat_log_read_bytes_total", source=str(path)) == path.stat().st_size


def test_a_service_that_was_seen_has_its_zeros(tmp_path: Path, log: Path) -> None:
    append(log, "2026-01-05T10:00:00+00:00 mail postfix/smtpd[7]: connect from mx.example.com[192.0.2.1]\n")
    with following(tmp_path, log) as exporter:
        scrape = exporter.until_ready()
    service = {"mta": "postfix", "service": "postfix"}
    for status in ("sent", "deferred", "bounced", "expired"):
        (sample,) = scrape.of("mail_deliveries_total", status=status, **service)
        assert sample.value == 0
    for via in ("smtp", "submission", "local", "notification"):
        (sample,) = scrape.of("mail_messages_received_total", via=via, **service)
        assert sample.value == 0
    assert [it.value for it in scrape.of("mail_messages_removed_total", **service)] == [0]
    assert {it.labels["type"] for it in scrape.of("mail_notifications_total")} == {"bounce", "delay", "success"}
    assert [it.value for it in scrape.of("mailstat_messages_dropped_total")] == [0]
    for name in ("rotations", "truncations", "skipped_bytes"):
        assert [it.value for it in scrape.of(f"mailstat_log_{name}_total", source=str(log))] == [0]
    assert scrape.has("mailstat_series_dropped_total", metric="mail_deliveries_total")


# --- what must not be shown, and how much may ---


def test_one_provider_has_a_label_and_the_rest_is_other(tmp_path: Path, log: Path) -> None:
    traffic = Traffic()
    append(log, traffic.take(BIG))
    with following(tmp_path, log, more="labels: {providers: 1}\n") as exporter:
        scrape = exporter.until_ready()
    providers = {it.labels["provider"] for it in scrape.of("mail_deliveries_total", direction="outbound")}
    assert len(providers) == 2
    assert "other" in providers
    assert scrape.total("mail_deliveries_total", status="sent") == traffic.counts()["sent"]
    assert scrape.total("mailstat_series_dropped_total", metric="mail_deliveries_total") > 0


def private(text: str) -> Iterator[str]:
    """What a log names that is nobody's business."""
    for line in text.splitlines():
        message = line.partition("]: ")[2]
        yield from re.findall(r"[\w.+-]+@[\w.-]+", message)
        yield from re.findall(r"\[([\da-fA-F.:]{6,})\]", message)
        yield from re.findall(r"(?:from|to|client=|helo=<)([\w-]+\.[\w.-]+)", message)
        yield from re.findall(r"(?:relay=|sasl_username=|message-id=<)([^\s,\[>]+)", message)
        yield from re.findall(r"^([0-9A-F]{8,}): ", message)


def test_nothing_that_the_log_names_is_shown(tmp_path: Path, log: Path) -> None:
    text = Traffic().take(BIG)
    append(
        log, text.replace("Z mail ", "Z relay7.example.com ").replace("+00:00 mail ", "+00:00 relay7.example.com ")
    )
    with following(tmp_path, log) as exporter:
        exporter.until_ready()
        shown = "".join(exporter.ask(path)[1] for path in ("/metrics", "/", "/-/ready", "/-/healthy", "/nothing"))
        said = exporter.log
    names = {name for name in private(text) if len(name) > 5 and name not in {"local", "none"}} | {"relay7"}
    assert len(names) > 2000
    assert [name for name in names if name in shown or name in said] == []


# --- reloading ---


def test_reload_follows_the_file_and_a_bad_one_changes_nothing(tmp_path: Path, log: Path) -> None:
    other, traffic, more = log.with_name("out.log"), Traffic(1), Traffic(2)
    append(log, traffic.take(400))
    append(other, more.take(200))

    def success(scrape: Scrape) -> float:
        return scrape.total("mailstat_config_last_reload_successful")

    with following(tmp_path, log) as exporter:
        assert success(exporter.until_ready()) == 1
        config = tmp_path / "mailstat.yml"
        config.write_text("sources:\n  - fil: x\nlabels: {providers: none}\n")
        status, text = exporter.ask("/-/reload", "POST")
        assert (status, len(text.splitlines())) == (500, 2), text
        assert 'did you mean "file"' in text
        scrape = exporter.scrape()
        assert (success(scrape), read(scrape)) == (0, 400)
        append(log, traffic.take(100))
        assert read(until_lines(exporter, log, 500)) == 500

        write_config(tmp_path, log, other)
        exporter.hang_up()
        scrape = until_lines(exporter, other, 700)
        assert (success(scrape), read(scrape)) == (1, 700)

        config.unlink()
        exporter.hang_up()
        exporter.until(lambda it: success(it) == 0)

        write_config(tmp_path, other)
        assert exporter.ask("/-/reload", "POST")[0] == 200
        scrape = exporter.scrape()
        assert success(scrape) == 1
        assert {it.labels["source"] for it in scrape.of("mailstat_log_source_up")} == {str(other)}
        assert read(scrape) == 200
        assert scrape.total("mail_messages_removed_total") == traffic.counts()["removed"] + more.counts()["removed"]


def test_a_reload_changes_the_series_budget(tmp_path: Path, log: Path) -> None:
    def providers() -> int:
        found = {it.labels["provider"] for it in exporter.scrape().of("mail_deliveries_total", direction="outbound")}
        return len(found)

    traffic = Traffic()
    append(log, traffic.take(2000))
    with following(tmp_path, log, more="labels: {providers: 1}\n") as exporter:
        exporter.until_ready()
        assert providers() == 2
        write_config(tmp_path, log, more="labels: {providers: 9}\n")
        assert exporter.ask("/-/reload", "POST")[0] == 200
        append(log, traffic.take(2000))
        until_lines(exporter, log, 4000)
        assert providers() > 2


@pytest.mark.parametrize("has_state", [True, False])
def test_a_reload_changes_the_zone_of_a_log_that_is_followed(tmp_path: Path, log: Path, has_state: bool) -> None:
    line = "Jan  5 10:00:0{} mail postfix/qmgr[7]: 4F2A31C{}: removed\n"
    append(log, line.format(0, 0))
    state = tmp_path / "state" if has_state else log / "state"
    config = write_config(tmp_path, log)
    with running(tmp_path, "--config.file", config, "--state.dir", state) as exporter:
        utc = exporter.until_ready().total("mailstat_log_last_event_timestamp_seconds")
        config.write_text(f"sources: [{{file: {log}}}]\ntimezone: America/New_York\n")
        assert exporter.ask("/-/reload", "POST")[0] == 200
        append(log, line.format(0, 1))
        scrape = until_lines(exporter, log, 2)
        assert scrape.total("mailstat_log_last_event_timestamp_seconds") == utc + 5 * 3600
        assert scrape.total("mail_messages_removed_total") == read(scrape) == 2


# --- how it starts and ends ---


def test_config_check_says_that_a_file_is_good(tmp_path: Path, log: Path, do: Callable[..., Done]) -> None:
    config = write_config(tmp_path, log)
    assert do("--config.file", config, "--config.check") == (0, f"{config}: good\n", "")


def test_config_check_names_all_that_is_wrong(tmp_path: Path, do: Callable[..., Done]) -> None:
    config = tmp_path / "mailstat.yml"
    config.write_text("sources:\n  - file: a\n    mta: postfx\n  - fil: b\nlables: {}\ntimezone: Europe/Pragu\n")
    done = do("--config.file", config, "--config.check")
    assert (done.status, done.out) == (1, "")
    errors = done.err.splitlines()
    assert all(line.startswith(f"{config}: ") for line in errors)
    for words in ("sources[0].mta", "sources[1].fil", "lables", "timezone"):
        assert any(words in line for line in errors), done.err
    assert do("--config.file", config) == (1, "", done.err)


EXTRAS = """
probes:
  - name: one
    send: {server: smtp.example.com, from: a@example.com, to: b@example.net,
           dkim: {domain: example.com, selector: s, key_file: key.pem}}
    arrive: {sink: "smtp://127.0.0.1:2525"}
posture: [{name: two, domain: example.com}]
"""


def test_config_check_names_what_needs_an_extra(
    tmp_path: Path, do: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "mailstat.yml"
    config.write_text(EXTRAS)
    (tmp_path / "key.pem").touch()
    for module in ("aiosmtpd", "dkim"):
        monkeypatch.setitem(sys.modules, module, None)  # what Python keeps of what it could not import
    done = do("--config.file", config, "--config.check")
    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines() == [
        f"{config}: {place}: not without the extra: pip install 'mailstat[{extra}]'"
        for place, extra in (
            ("posture", "posture"),
            ("probes[0].send.dkim", "dkim"),
            ("probes[0].arrive.sink", "sink"),
        )
    ]


def test_a_missing_config_file_is_named(tmp_path: Path, do: Callable[..., Done]) -> None:
    done = do("--config.file", tmp_path / "none.yml")
    assert (done.status, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert f"{tmp_path}/none.yml" in done.err


def test_version(do: Callable[..., Done]) -> None:
    assert do("--version") == (0, f"mailstat_exporter {__version__}\n", "")


@pytest.mark.parametrize("argument", ["--config.chek", "--demo=maybe", "--log.level=loud"])
def test_wrong_usage(argument: str, do: Callable[..., Done]) -> None:
    done = do(argument)
    assert done.status == 2
    assert done.err.startswith("usage: mailstat_exporter ")


def test_who_names_a_log_is_told_where_it_stands(do: Callable[..., Done]) -> None:
    done = do("/var/log/mail.log")
    assert done.status == 2
    assert "the file of --config.file, as: sources: [{file: /var/log/mail.log}]" in done.err


def test_a_taken_port_is_told_in_one_line(tmp_path: Path, log: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = write_config(tmp_path, log)
        done = ran("--config.file", config, "--state.dir", tmp_path, "--web.listen-address", address)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"mailstat_exporter: cannot listen on {address}: Address already in use\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--web.listen-address", "nowhere"), "cannot listen on nowhere: expected host:port"),
        (("--web.telemetry-path", "metrics"), "telemetry path: expected a path such as /metrics"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(
    tmp_path: Path, log: Path, arguments: tuple[str, ...], words: str, do: Callable[..., Done]
) -> None:
    done = do("--config.file", write_config(tmp_path, log), "--state.dir", tmp_path, *arguments)
    assert (done.status, done.out, len(done.err.splitlines())) == (1, "", 1), done.err
    assert words in done.err


def test_standard_input_that_is_closed_is_at_its_end(tmp_path: Path) -> None:
    told = tmp_path / "stderr.txt"
    closing = ("sh", "-c", 'exec "$@" <&-', "sh")
    options = ("--web.listen-address=127.0.0.1:0", "--state.dir", tmp_path / "state", "-")
    with (
        told.open("w") as stderr,
        subprocess.Popen([*closing, *COMMAND, *options], stderr=stderr, cwd=ROOT) as process,
    ):
        try:
            wait_for(lambda: "standard input has ended" in told.read_text(), told.read_text)
        finally:
            process.terminate()


def test_where_descriptors_are_few_a_scrape_comes_through_and_the_log_stays_short(tmp_path: Path, log: Path) -> None:
    append(log, Traffic().take(100))
    with following(tmp_path, log) as exporter:
        exporter.until_ready()
        pid = exporter.process.pid
        few = len(list(Path(f"/proc/{pid}/fd").iterdir())) + 5
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, few))
        began = time.monotonic()
        silent = [socket.create_connection(("127.0.0.1", exporter.port)) for _ in range(50)]
        assert read(exporter.scrape()) == 100
        for client in silent:
            client.close()
    seconds = time.monotonic() - began
    assert 1 <= exporter.log.count("connections cannot be accepted") <= 1 + seconds / 60, exporter.log


def test_a_reload_that_is_asked_for_while_it_starts_is_done_once_it_runs(tmp_path: Path, log: Path) -> None:
    config = tmp_path / "mailstat.yml"
    os.mkfifo(config)  # whoever reads it waits for who writes it
    exporter = Exporter(tmp_path, "--config.file", config, "--state.dir", tmp_path / "state")
    try:
        with config.open("w") as file:
            exporter.hang_up()
            file.write(f"sources: [{{file: {log}}}]\nlabels: {{providers: 1}}\n")
        exporter.wait()
        with config.open("w") as file:
            file.write(f"sources: [{{file: {log}}}]\nlabels: {{providers: 2}}\n")
        wait_for(lambda: "configuration reloaded" in exporter.log, lambda: exporter.log)
        exporter.stop()
    finally:
        exporter.process.kill()
        exporter.process.wait()


def test_who_interrupts_it_while_it_starts_sees_no_traceback(tmp_path: Path) -> None:
    config = tmp_path / "mailstat.yml"
    os.mkfifo(config)
    exporter = Exporter(tmp_path, "--config.file", config, "--state.dir", tmp_path / "state")
    try:
        with config.open("w"):
            exporter.process.send_signal(SIGINT)
            assert exporter.process.wait(PATIENCE) == 130
    finally:
        exporter.process.kill()
        exporter.process.wait()
    assert "Traceback" not in exporter.log


def test_it_ends_on_request_while_somebody_is_connected(tmp_path: Path, log: Path) -> None:
    append(log, Traffic().take(100))
    with following(tmp_path, log) as exporter:
        exporter.until_ready()
        connection = HTTPConnection("127.0.0.1", exporter.port)
        connection.request("GET", "/metrics")
        connection.getresponse().read()
        exporter.process.send_signal(SIGINT)
        exporter.stop()
        connection.close()
    assert "ended on request" in exporter.log


@pytest.mark.parametrize(("reason", "warnings"), [("a file is in its place", 1), ("it goes away", 0)])
def test_without_a_place_for_its_state_it_works_and_says_so_once(
    tmp_path: Path, log: Path, reason: str, warnings: int
) -> None:
    traffic = Traffic()
    append(log, traffic.take(100))
    state = tmp_path / "state"
    if reason == "a file is in its place":
        state.write_text("")
    config = write_config(tmp_path, log)
    with running(tmp_path, "--config.file", config, "--state.dir", state) as exporter:
        exporter.until_ready()
        shutil.rmtree(state, ignore_errors=True)
        for number in range(2, 5):
            append(log, traffic.take(100))
            scrape = until_lines(exporter, log, 100 * number)
        assert counts(scrape) == traffic.counts()
    assert exporter.log.count("level=warn") == warnings, exporter.log
    assert (state / "state.db").exists() == (reason == "it goes away")


def test_the_demo_grows_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with running(tmp_path, "--demo", TMPDIR=str(tmp_path)) as exporter:
        first = exporter.until(lambda it: it.total("mail_deliveries_total", status="sent") > 100)
        then = exporter.until(lambda it: it.lines() > first.lines())
        assert then.lines("unknown") == then.lines("malformed") == 0
        assert "made-up log" in exporter.log
        assert "level=warn" not in exporter.log
    assert [it.name for it in tmp_path.iterdir()] == ["stderr.txt"]


def test_the_demo_goes_on_after_a_reload(tmp_path: Path, log: Path) -> None:
    config = write_config(tmp_path, log)
    with running(tmp_path, "--demo", "--config.file", config, TMPDIR=str(tmp_path)) as exporter:
        first = exporter.until(lambda it: it.lines() > 1000)
        assert exporter.ask("/-/reload", "POST")[0] == 200
        exporter.until(lambda it: it.lines() > first.lines())
        assert not exporter.scrape().has("mailstat_log_source_up", source=str(log))


def test_demo_auto_gives_way_to_a_log(tmp_path: Path, log: Path) -> None:
    append(log, Traffic().take(100))
    config = write_config(tmp_path, log)
    with running(tmp_path, "--demo=auto", "--config.file", config, "--state.dir", tmp_path / "state") as exporter:
        exporter.until_ready()
        assert {it.labels["source"] for it in exporter.scrape().of("mailstat_log_source_up")} == {str(log)}


def test_telemetry_path_and_several_addresses(tmp_path: Path, log: Path) -> None:
    more = ("--web.listen-address", "[::1]:0") if socket.has_ipv6 and has_ipv6() else ()
    config = write_config(tmp_path, log)
    arguments = ("--config.file", config, "--state.dir", tmp_path / "state", "--web.telemetry-path", "/numbers")
    with running(tmp_path, *arguments, *more) as exporter:
        assert exporter.ask("/numbers")[0] == 200
        assert exporter.ask("/metrics")[0] == 404
        assert not more or "[::1]:" in exporter.log


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


# --- the door ---


def test_the_web_configuration_is_checked_with_the_other(do: Callable[..., Done], tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("basic_auth_users: {alice: secret}\n")
    done = do("--config.check", "--web.config.file", path)
    assert done == (1, "", f'{path}: basic_auth_users["alice"]: expected a bcrypt hash, as of htpasswd -nBC 10\n')
    path.write_text("http_server_config: {http2: true}\n")
    assert do("--config.check", "--web.config.file", path).out.endswith(f"{path}: good\n")


def test_a_service_behind_a_password_and_at_a_socket(tmp_path: Path, log: Path) -> None:
    path, at = tmp_path / "web.yml", tmp_path / "scrape.sock"
    hashed = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
    path.write_text(f"basic_auth_users: {{ali: {hashed}}}\n")
    append(log, Traffic().take(10))
    more = ("--web.config.file", path, "--web.listen-address", f"unix:{at}")
    with running(tmp_path, *more) as exporter:
        login = b64encode(b"ali:open sesame").decode()
        assert exporter.ask("/-/healthy")[0] == 401
        assert exporter.ask("/-/healthy", Authorization=f"Basic {login}")[0] == 200
        path.write_text("basic_auth_users: {ali: sesame}\n")
        name = "mailstat_config_last_reload_successful"
        assert f"{name} 0.0" in exporter.ask(f"/metrics?name[]={name}", Authorization=f"Basic {login}")[1]
        path.write_text("{}\n")
        assert f"{name} 1.0" in exporter.ask(f"/metrics?name[]={name}")[1]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(at))
            client.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.0 200 OK")
    assert not at.exists()


@pytest.mark.parametrize("count", ["0", "-1", "x", "1e3", "9999999"])
def test_a_number_of_connections_that_is_none(do: Callable[..., Done], count: str) -> None:
    done = do(f"--web.max-connections={count}")
    assert done.status == 2
    assert "expected a whole number from 1 on" in done.err
