"""Failures to authenticate, in a log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mailstat.campaign import Campaigns, told
from mailstat.cli import main
from parsers.events import Auth, Event, Origin

FAILED = (
    "2026-01-05T10:{minute:02}:{second:02}+00:00 mail postfix/smtpd[7]: warning: unknown[{client}]: SASL LOGIN"
    " authentication failed: UGFzc3dvcmQ6, sasl_username={user}\n"
)
LOGIN = (
    "2026-01-05T11:00:00+00:00 mail postfix/smtpd[9]: A1: client=pc[192.0.2.3], sasl_method=PLAIN,"
    " sasl_username=kim\n"
)
ORIGIN = Origin("postfix", "mail", "postfix", "smtpd")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """One block hammers Kim, eleven others try the same two users, and Lee mistypes."""
    tries = [(f"192.0.2.{at % 2 + 1}", "kim") for at in range(30)]
    tries += [(f"198.51.{block}.9", user) for block in range(11) for user in ("info", "Sales")]
    tries += [("203.0.113.7", "lee")] * 2
    lines = [
        FAILED.format(minute=at // 60, second=at % 60, client=client, user=user)
        for at, (client, user) in enumerate(tries)
    ]
    path = tmp_path / "mail.log"
    path.write_text("".join(lines) + LOGIN)
    return path


def rows(capsys: pytest.CaptureFixture[str], log: Path, *arguments: str) -> list[dict[str, Any]]:
    assert main(["auth", "--format", "json", "--timezone", "UTC", *arguments, str(log)]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["rows"]
    return found


def test_blocks_that_attack_come_first(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys, log)
    assert found[0] == {
        "block": "192.0.2.0/24",
        "kind": "hammer",
        "failures": 30,
        "addresses": 2,
        "users": 1,
        "logins": 1,
        "first": "2026-01-05T10:00:00+00:00",
        "last": "2026-01-05T10:00:29+00:00",
    }
    assert [row["kind"] for row in found].count("spray") > 0
    assert (found[-1]["block"], found[-1]["kind"]) == ("203.0.113.0/24", "")
    assert len(found) == 13


def test_users_are_listed_with_the_logins_they_had(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {row["user"]: row for row in rows(capsys, log, "--by", "users")}
    assert found.keys() == {"kim", "info", "sales", "lee"}
    assert (found["kim"]["failures"], found["kim"]["logins"], found["kim"]["addresses"]) == (30, 1, 2)
    assert (found["info"]["blocks"], found["info"]["logins"]) == (11, 0)


def test_failures_without_a_user_are_told_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mail.log"
    path.write_text(
        "2026-01-05T10:00:00+00:00 mail postfix/smtpd[9]: warning: mx.example.com[192.0.2.1]:"
        " SASL LOGIN authentication failed: UGFzc3dvcmQ6\n"
    )
    (found,) = rows(capsys, path, "--by", "users")
    assert (found["user"], found["failures"], found["blocks"]) == (None, 1, 1)


def test_blocks_that_share_a_list_of_users_are_one_campaign(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = rows(capsys, log, "--by", "lists")
    assert (found["users"], found["blocks"], found["failures"]) == ("info sales", 11, 22)


def test_addresses_stand_alone_on_their_lines(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["auth", "--addresses", str(log)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["192.0.2.1", "192.0.2.2"]
    assert "203.0.113.7" not in lines
    assert "192.0.2.3" not in lines
    assert main(["auth", "--addresses", "--limit", "1", str(log)]) == 0
    assert capsys.readouterr().out == "192.0.2.1\n"


def test_networks_stand_alone_on_their_lines(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["auth", "--networks", str(log)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "192.0.2.0/24"


def test_a_table_has_all_parts(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["auth", str(log)]) == 0
    out = capsys.readouterr().out
    assert out.index("Blocks") < out.index("Users") < out.index("Users that several blocks tried")


def add(campaigns: Campaigns, event: Event, times: int) -> None:
    item = told(event)
    assert item
    for _ in range(times):
        campaigns.add(item)


def test_an_address_from_which_more_logins_came_is_not_named() -> None:
    campaigns = Campaigns()
    add(campaigns, Auth(1.0, ORIGIN, "failure", None, "192.0.2.1", "LOGIN", "kim"), 25)
    assert campaigns.attackers() == ["192.0.2.1"]
    add(campaigns, Auth(2.0, ORIGIN, "success", None, "192.0.2.1", "LOGIN", "lee"), 25)
    assert campaigns.attackers() == campaigns.attacking_blocks() == []


def test_what_a_client_writes_in_place_of_an_address_is_never_printed() -> None:
    campaigns = Campaigns()
    add(campaigns, Auth(1.0, ORIGIN, "failure", None, "0.0.0.0/0 ; reboot", "LOGIN", "kim"), 50)
    add(campaigns, Auth(1.0, ORIGIN, "failure", None, "127.0.0.1", "LOGIN", "kim"), 50)
    assert campaigns.attackers() == campaigns.attacking_blocks() == []
    add(campaigns, Auth(1.0, ORIGIN, "failure", None, "fe80::1%; reboot", "LOGIN", "kim"), 50)
    assert campaigns.attackers() == ["fe80::1"]
    assert [name for name, _ in campaigns.failed_blocks() if "/" not in name] == [""]
