"""Accounts and senders of a log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mailstat.cli import main

LINES = """\
mail postfix/submission/smtpd[1]: A{n}: client=pc[203.0.113.{client}], sasl_method=PLAIN, sasl_username={user}
mail postfix/cleanup[3]: A{n}: message-id=<a{n}@example.com>
mail postfix/qmgr[4]: A{n}: from=<{sender}>, size=1000, nrcpt=2 (queue active)
mail postfix/smtp[5]: A{n}: to=<lee@example.org>, relay=mx.example.org[192.0.2.25]:25, delay=1, delays=0/0/0/1, \
dsn=2.0.0, status=sent (250 2.0.0 Ok)
mail postfix/smtp[5]: A{n}: to=<pat{n}@example.org>, relay=mx.example.org[192.0.2.25]:25, delay=1, delays=0/0/0/1, \
dsn=5.1.1, status=bounced (host mx.example.org[192.0.2.25] said: 550 5.1.1 Unknown user)
mail postfix/qmgr[4]: A{n}: removed
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Twelve messages of Kim within a minute, two of Lee from one place, an hour apart."""
    path = tmp_path / "mail.log"
    blocks = [(f"10:00:{n:02}", n, n % 3, "Kim@example.com", "kim@example.com") for n in range(10, 22)]
    blocks += [(f"1{hour}:30:00", 50 + hour, 9, "lee", "lee@example.net") for hour in (0, 1)]
    path.write_text(
        "".join(
            f"2026-01-05T{time}+00:00 {line}\n"
            for time, n, client, user, sender in blocks
            for line in LINES.format(n=n, client=client, user=user, sender=sender).splitlines()
        )
    )
    return path


def rows(capsys: pytest.CaptureFixture[str], log: Path, *arguments: str) -> dict[tuple[str, str], dict[str, object]]:
    assert main(["senders", "--format", "json", "--timezone", "UTC", *arguments, str(log)]) == 0
    return {(row["kind"], row["name"]): row for row in json.loads(capsys.readouterr().out)["rows"]}


def test_accounts_come_first_and_senders_are_apart(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys, log)
    assert list(found) == [
        ("account", "kim@example.com"),
        ("account", "lee"),
        ("sender", "kim@example.com"),
        ("sender", "lee@example.net"),
    ]
    assert found["account", "kim@example.com"] == {
        "kind": "account",
        "name": "kim@example.com",
        "messages": 12,
        "bytes": 12_000,
        "recipients": 24,
        "distinct_recipients": 13,
        "distinct_clients": 3,
        "bounced": 0.5,
        "busiest_hour": 12,
        "over_quota": "no",
        "suspicious": "bounces",
        "first": "2026-01-05T10:00:10+00:00",
        "last": "2026-01-05T10:00:21+00:00",
    }
    assert (found["account", "lee"]["messages"], found["account", "lee"]["busiest_hour"]) == (2, 1)


def over(found: dict[tuple[str, str], dict[str, object]]) -> list[str]:
    return [name for (_, name), row in found.items() if row["over_quota"] == "yes"]


def test_a_quota_says_who_is_over_it(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert over(rows(capsys, log, "--quota", "11")) == ["kim@example.com"]
    assert over(rows(capsys, log, "--quota", "12")) == []
    config = tmp_path / "mailstat.yml"
    config.write_text("accounts: {quota: {messages: 1}, quotas: [{of: example.com, messages: 11}]}")
    assert over(rows(capsys, log, "--config", str(config))) == ["kim@example.com"]
    assert over(rows(capsys, log, "--config", str(config), "--quota", "5")) == ["kim@example.com"]


def test_the_quota_of_the_command_line_leaves_what_it_does_not_name(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "mailstat.yml"
    config.write_text("accounts: {quota: {messages: 1, recipients: 20}}")
    assert over(rows(capsys, log, "--config", str(config), "--quota", "50")) == ["kim@example.com"]


@pytest.mark.parametrize("quota", ["-1", "0", "many", "1e3", "9" * 5000])
def test_a_quota_is_a_whole_number(quota: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["senders", f"--quota={quota}", "-"]) == 2
    assert "argument --quota: a whole number from 1 on is needed" in capsys.readouterr().err


def test_a_bad_configuration_is_said(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "mailstat.yml"
    config.write_text("acounts: {}")
    assert main(["senders", "--config", str(config), str(log)]) == 1
    assert "acounts: unknown key" in capsys.readouterr().err


def test_the_events_that_are_asked_for_count(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys, log, "--since", "2026-01-05T11:00:00+00:00")
    assert [(name, row["messages"]) for (_, name), row in found.items()] == [("lee", 1), ("lee@example.net", 1)]
