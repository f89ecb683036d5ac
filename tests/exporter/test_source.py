"""What a source tells of itself: that its log cannot be read, or cannot be understood."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from exporter.config import Config, FileSource
from exporter.pipeline import Pipeline

NOW = 1_795_284_304.0
EXIM = "2026-11-21 10:00:00 1tXk2b-000aBc-0D Completed\n"
POSTFIX = "2026-11-21T10:00:00+00:00 mail postfix/smtpd[7]: connect from client.example.net[203.0.113.7]\n"


def pipeline(log: Path) -> Pipeline:
    return Pipeline(Config(sources=(FileSource(file=log),)), None, lambda: NOW)


def test_a_log_of_a_server_that_is_not_known_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = tmp_path / "mainlog"
    log.write_text(EXIM)
    exporter = pipeline(log)
    for _ in range(2):
        exporter.step()
        exporter.step()
        log.write_text(log.read_text() + EXIM)
    told = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [vars(record)["error"] for record in told] == ["an Exim log: this release reads Exchange and Postfix"]
    (source,) = exporter.sources()
    assert (source.state, source.error) == ("not understood", "an Exim log: this release reads Exchange and Postfix")
    assert (source.is_up, source.lines) == (True, 2)


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
    log.write_text(EXIM * 5 + POSTFIX)
    exporter = pipeline(log)
    exporter.step()
    exporter.step()
    (source,) = exporter.sources()
    assert (source.state, source.error) == ("following", None)
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]
