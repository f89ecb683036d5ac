"""What a source tells of itself: that its log cannot be read, or cannot be understood."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from exporter.config import Config, LogSource
from exporter.pipeline import Pipeline
from exporter.source import ENOUGH_LINES
from parsers.events import Event
from parsers.reader import LogReader

NOW = 1_795_284_304.0
CRON = "Nov 21 10:00:00 mail CRON[4711]: (root) CMD (true)\n"
RSPAMD = "2026-11-21 10:00:00 #4711(rspamd_proxy) <7aa6f9>; proxy; proxy_milter_finish_handler: finished\n"
POSTFIX = "2026-11-21T10:00:00+00:00 mail postfix/smtpd[7]: connect from client.example.net[203.0.113.7]\n"


def pipeline(log: Path) -> Pipeline:
    return Pipeline(Config(sources=(LogSource(file=log),)), None, lambda: NOW)


def test_a_log_of_no_mail_server_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = tmp_path / "syslog"
    log.write_text(CRON * ENOUGH_LINES)
    exporter = pipeline(log)
    for _ in range(2):
        exporter.step()
        exporter.step()
        log.write_text(log.read_text() + CRON)
    told = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [vars(record)["error"] for record in told] == ["no line of it is of a mail server"]
    (source,) = exporter.sources()
    assert (source.state, source.error) == ("not understood", "no line of it is of a mail server")
    assert (source.is_up, source.lines) == (True, ENOUGH_LINES + 1)
    log.write_text(log.read_text() + POSTFIX)
    exporter.step()
    assert exporter.sources()[0].error is None


def test_a_log_of_who_signs_is_one_that_somebody_wants(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = tmp_path / "rspamd.log"
    log.write_text(RSPAMD * ENOUGH_LINES)
    exporter = pipeline(log)
    for _ in range(2):
        exporter.step()
    assert caplog.records == []
    (source,) = exporter.sources()
    assert (source.state, source.error, source.lines) == ("following", None, ENOUGH_LINES)


def test_a_source_that_rests_goes_on_though_the_clock_is_set_back(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_text(POSTFIX)
    clock = [NOW]
    exporter = Pipeline(Config(sources=(LogSource(file=log),)), None, lambda: clock[0])
    (source,) = exporter._sources
    source.restart("of a test")
    assert not exporter.step()
    clock[0] -= 86400.0
    assert exporter.step()
    exporter.close()


def test_a_log_that_is_missing_is_told_and_that_it_has_come(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = tmp_path / "mail.log"
    exporter = pipeline(log)
    exporter.step()
    exporter.step()
    (source,) = exporter.sources()
    assert (source.state, source.is_up, source.lag_bytes) == ("waiting", False, None)
    log.write_text(POSTFIX)
    for _ in range(3):
        exporter.step()
    assert exporter.sources()[0].error is None
    told = [(record.levelname, record.msg, vars(record)["source"]) for record in caplog.records]
    assert told == [
        ("WARNING", "a log cannot be read", str(log)),
        ("INFO", "a log can be read again", str(log)),
    ]


def test_a_log_with_lines_that_are_known_is_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = tmp_path / "mail.log"
    log.write_text(CRON * 5 + POSTFIX)
    exporter = pipeline(log)
    exporter.step()
    exporter.step()
    (source,) = exporter.sources()
    assert (source.state, source.error) == ("following", None)
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]


def test_a_source_that_dies_is_restarted_behind_what_it_died_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log, other = tmp_path / "mail.log", tmp_path / "other.log"
    times = [NOW]
    read = LogReader.read

    def fail(reader: LogReader, block: str) -> list[Event]:
        if "poison" in block:
            raise RuntimeError("nobody thought of that")
        return read(reader, block)

    monkeypatch.setattr(LogReader, "read", fail)
    exporter = Pipeline(Config(sources=(LogSource(file=log), LogSource(file=other))), None, lambda: times[0])
    for text in (POSTFIX, "poison\n"):
        log.write_text(log.read_text() + text if log.exists() else text)
        other.write_text(log.read_text().replace("poison\n", POSTFIX))
        exporter.step()
    log.write_text(log.read_text() + POSTFIX * 2)
    exporter.step()
    assert [source.lines for source in exporter.sources()] == [1, 2]
    times[0] += 2.0
    exporter.step()
    assert [source.lines for source in exporter.sources()] == [3, 2]
    samples = {(it.name, it.labels.get("source")): it.value for family in exporter.collect() for it in family.samples}
    assert samples["mailstat_log_source_restarts_total", str(log)] == 1
    assert samples["mailstat_log_source_restarts_total", str(other)] == 0
    assert samples["mailstat_log_skipped_bytes_total", str(log)] == len("poison\n")
    assert [it.message for it in caplog.records if it.levelno >= logging.ERROR] == ["a source died: it is restarted"]


def test_the_pauses_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(reader: LogReader, block: str) -> list[Event]:
        raise RuntimeError("nobody thought of that")

    monkeypatch.setattr(LogReader, "read", fail)
    log, times, pauses = tmp_path / "mail.log", [NOW], []
    log.write_text("")
    exporter = Pipeline(Config(sources=(LogSource(file=log),)), None, lambda: times[0])
    (source,) = exporter._sources
    for _ in range(8):
        with log.open("a") as file:
            file.write(POSTFIX)
        exporter.step()
        begin = times[0]
        while source.is_resting:
            times[0] += 1.0
        pauses.append(times[0] - begin)
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
