"""What a source tells of itself: that its log cannot be read, or cannot be understood."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from exporter.config import Config, FileSource
from exporter.pipeline import ENOUGH_LINES, Pipeline

NOW = 1_795_284_304.0
CRON = "Nov 21 10:00:00 mail CRON[4711]: (root) CMD (true)\n"
POSTFIX = "2026-11-21T10:00:00+00:00 mail postfix/smtpd[7]: connect from client.example.net[203.0.113.7]\n"


def pipeline(log: Path) -> Pipeline:
    return Pipeline(Config(sources=(FileSource(file=log),)), None, lambda: NOW)


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
