"""Failures to authenticate that are no slips of the finger."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest

from parsers.attack import BLOCKS, HOUR, USERS, Attacks, Limits, State, read_block
from parsers.events import Auth, Origin

ORIGIN = Origin("postfix", "mail", "postfix", "smtpd")


def failure(time: float, client: str, user: str | None = "kim", attempts: int = 1) -> Auth:
    return Auth(time, ORIGIN, "failure", None, client, "LOGIN", user, attempts=attempts)


def seen(events: Iterable[Auth]) -> Attacks:
    attacks = Attacks()
    for event in events:
        attacks.fail(event)
    return attacks


def kinds(events: list[Auth]) -> dict[str, str]:
    now = max(event.time for event in events)
    return {name: state.kind for name, state in seen(events).states(now)}


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("unknown", ""),
        ("", ""),
        ("192.0.2.300", ""),
        ("1" * 10_000, ""),
    ],
)
def test_addresses_of_one_network_are_one_block(address: str, block: str) -> None:
    assert read_block(address) == block


def test_a_block_that_fails_often_is_a_hammer() -> None:
    events = [failure(at, f"192.0.2.{at % 4}") for at in range(20)]
    assert kinds(events[:19]) == {"192.0.2.0/24": ""}
    assert dict(seen(events).states(60.0)) == {"192.0.2.0/24": State("hammer", 20, 1, 4)}


def test_a_line_may_stand_for_many_attempts() -> None:
    assert kinds([failure(1.0, "192.0.2.1", attempts=20)]) == {"192.0.2.0/24": "hammer"}


def test_a_block_that_tries_many_users_is_a_spray() -> None:
    events = [failure(at, "192.0.2.1", f"user{at}") for at in range(12)]
    assert kinds(events[:8]) == {"192.0.2.0/24": ""}
    assert kinds(events) == {"192.0.2.0/24": "spray"}


def test_many_blocks_that_share_a_list_are_a_spray_though_each_tries_little() -> None:
    users = ["info", "sales", "kim"]
    events = [failure(at, f"198.51.{at}.7", users[at % 3]) for at in range(60)]
    found = kinds([*events, failure(60.0, "203.0.113.5", "lee")])
    assert found.pop("203.0.113.0/24") == ""
    assert set(found.values()) == {"spray"}
    assert len(found) == 60


def test_a_slow_guess_over_days_is_not_told_from_a_forgotten_password() -> None:
    assert set(kinds([failure(at * 600.0, "192.0.2.1") for at in range(500)]).values()) == {""}


def test_an_attack_is_over_an_hour_after_its_last_failure() -> None:
    events = [failure(at, "192.0.2.1") for at in range(50)]
    assert kinds([*events, failure(2 * HOUR, "203.0.113.5")]) == {"203.0.113.0/24": ""}


def test_an_attack_is_over_though_nobody_fails_any_more() -> None:
    attacks = seen([failure(at, "192.0.2.1") for at in range(50)])
    assert attacks.state("192.0.2.0/24", HOUR / 2).kind == "hammer"
    assert list(attacks.states(2 * HOUR)) == []


def test_without_a_user_or_an_address_nothing_breaks() -> None:
    attacks = seen([failure(1.0, "192.0.2.1", None), failure(1.0, "unknown"), Auth(1.0, ORIGIN, "failure")])
    assert dict(attacks.states(60.0)) == {"192.0.2.0/24": State("", 1, 0, 1)}


def test_limits_can_be_others() -> None:
    attacks, now = Attacks(Limits(failures=2)), 1.0
    attacks.fail(failure(1.0, "192.0.2.1"))
    attacks.fail(failure(1.0, "192.0.2.1"))
    assert attacks.state("192.0.2.0/24", now).kind == "hammer"


def test_a_hammer_stays_among_a_crowd_that_comes_and_goes() -> None:
    attacks, rng, now = Attacks(), Random(1), 0.5 * BLOCKS
    for at in range(5 * BLOCKS):
        attacks.fail(failure(at * 0.1, f"10.{rng.randrange(256)}.{rng.randrange(256)}.1", f"u{rng.getrandbits(60)}"))
        if at % 20 == 0:
            attacks.fail(failure(at * 0.1, "192.0.2.1"))
    assert len(attacks._blocks) == BLOCKS
    assert len(attacks._users) == USERS
    assert attacks.state("192.0.2.0/24", now).kind == "hammer"
