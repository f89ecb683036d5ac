"""What `mailstat top` watches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from exporter import lore
from mailstat.cli import build_parser, parse, settle
from mailstat.live.watch import Watch
from mailstat.report import ReportError
from mailstat.reports.top import feed_of
from tests.journal import JournalWriter, needs_journal


def feed(root: Path, *files: Path, config: str = "", words: Sequence[str] = ()) -> Watch:
    path = root / "mailstat.yml" if config else None
    if path:
        path.write_text(config)
    named = ["--config", str(path)] if path else []
    parser = build_parser("top")
    options = parse(parser, [*named, *words, *map(str, files)])
    settle(options, parser, 0.0)
    found = feed_of(options, root)
    assert isinstance(found, Watch)
    found.close()
    return found


def test_a_file_that_is_named_is_watched_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mail[1].log"
    path.touch()
    assert feed(tmp_path, path).source == str(path)


def test_without_a_name_the_logs_of_the_host_are(tmp_path: Path) -> None:
    log = tmp_path / "var/log/mail.log"
    log.parent.mkdir(parents=True)
    log.touch()
    assert feed(tmp_path).source == str(log)


@needs_journal
def test_a_host_without_logs_has_its_journal(tmp_path: Path) -> None:
    folder = tmp_path / "var/log/journal"
    folder.mkdir(parents=True)
    JournalWriter(folder).write("system.journal", "connect from mx.example.net[192.0.2.1]")
    assert feed(tmp_path).source == "journal"


def test_a_host_without_both_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="nor mail in its journal"):
        feed(tmp_path)


def test_the_sources_of_a_configuration_are_watched(tmp_path: Path) -> None:
    config = "sources:\n  - journal: {unit: postfix@-}\n  - file: mail.log\n  - syslog: {listen: 'udp://:5514'}\n"
    assert feed(tmp_path, config=config).source == f"journal:postfix@-, {tmp_path}/mail.log"


def test_what_only_the_exporter_is_sent_is_to_be_asked_of_it(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="--url"):
        feed(tmp_path, config="sources:\n  - syslog: {listen: 'udp://:5514'}\n")


def test_what_is_wrong_with_a_configuration_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="sourcs"):
        feed(tmp_path, config="sourcs: []\n")


@pytest.mark.parametrize(
    ("config", "zone"),
    [
        ("timezone: Asia/Tokyo\nsources: [{{file: {file}}}]", "Asia/Tokyo"),
        ("timezone: Asia/Tokyo\nsources: [{{file: {file}, timezone: America/Lima}}]", "America/Lima"),
        ("timezone: Asia/Tokyo\nsources: [{{file: {folder}/*.log, timezone: America/Lima}}]", "America/Lima"),
        ("timezone: Asia/Tokyo\nsources: [{{directory: {folder}}}]", "Asia/Tokyo"),
    ],
)
def test_times_without_a_zone_are_of_the_configurations(tmp_path: Path, config: str, zone: str) -> None:
    assert is_in_zone(tmp_path, config, zone)


@pytest.mark.parametrize(
    "config",
    [
        "sources: [{{file: {file}}}]",
        "timezone: Asia/Tokyo\nsources: [{{file: {file}}}]",
        "timezone: Asia/Tokyo\nsources: [{{file: {file}, timezone: Asia/Tokyo}}]",
        "sources: [{{file: {folder}/*.log, timezone: Asia/Tokyo}}]",
        "sources: [{{directory: {folder}, timezone: Asia/Tokyo}}]",
    ],
)
def test_the_zone_of_the_command_line_is_that_of_all_logs(tmp_path: Path, config: str) -> None:
    assert is_in_zone(tmp_path, config, "America/Lima", "--timezone", "America/Lima")


def is_in_zone(root: Path, config: str, zone: str, *words: str) -> bool:
    """Whether a line that was written just now, in a zone that it does not name, is taken for one."""
    now = datetime.now(ZoneInfo(zone)).replace(microsecond=0)
    log = root / "logs/mail.log"
    log.parent.mkdir()
    log.write_text(f"{now:%b %e %H:%M:%S} mail postfix/smtpd[1]: connect from mx.example.net[192.0.2.1]\n")
    watch = feed(root, config=config.format(file=log, folder=log.parent), words=words)
    asyncio.run(watch.poll())
    return watch.pulse.newest == now.timestamp()


def test_the_server_of_the_command_line_is_that_of_all_logs(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_text(
        "2026-01-05T10:00:00+00:00 mail postfix/smtpd[1]: connect from mx.example.net[192.0.2.1]\n"
        "2026-01-05T10:00:01+00:00 mail sm-mta[2]: 6058G0AB000001: to=<a@example.org>, delay=00:00:01, mailer=esmtp,"
        " relay=mx.example.org. [192.0.2.2], dsn=2.0.0, stat=Sent (ok)\n"
    )
    config = f"sources: [{{file: {log}, mta: postfix}}]"
    watch = feed(tmp_path, config=config, words=["--mta", "sendmail"])
    asyncio.run(watch.poll())
    rates = watch.pulse.rates(watch.pulse.newest, 60)
    assert (rates["connections"], rates["sent"]) == (0.0, 1.0)


@pytest.fixture
def own_rules(tmp_path: Path) -> Iterator[Path]:
    """A file of rules for what the log of the next test has, which are out of force after it."""
    rule = '{{id: ours, class: {}, phrases: [round and round], sample: "550 round and round"}}'
    for name in ("loop", "blocked_ip"):
        (tmp_path / f"{name}.yml").write_text(f"rules: [{rule.format(name)}]")
    yield tmp_path
    lore.install(None, None)


@pytest.mark.parametrize(("words", "reason"), [([], "loop"), (["--reasons", "blocked_ip.yml"], "blocked_ip")])
def test_the_rules_are_those_of_the_command_line_or_the_configuration(
    own_rules: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], reason: str
) -> None:
    monkeypatch.chdir(own_rules)
    log = own_rules / "mail.log"
    log.write_text(
        "2026-01-05T10:00:01+00:00 mail postfix/smtp[2]: A1: to=<a@example.org>, relay=mx.example.org[192.0.2.2]:25,"
        " delay=1, delays=0/0/0/1, dsn=5.0.0, status=bounced (host mx.example.org[192.0.2.2] said: 550 round"
        " and round)\n"
    )
    watch = feed(own_rules, config=f"reasons: loop.yml\nsources: [{{file: {log}}}]", words=words)
    asyncio.run(watch.poll())
    assert [name for name, _ in watch.pulse.rows("reasons", watch.pulse.newest, 60)] == [reason]


@pytest.mark.parametrize("words", [["mail.log"], ["--where", "status = deferred"], ["--mta", "exim"]])
def test_what_is_of_logs_does_not_go_with_an_exporters_metrics(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(ReportError, match="--url"):
        feed(tmp_path, words=["--url", "http://127.0.0.1:9587/metrics", *words])
