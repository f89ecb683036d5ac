"""Accounts that send more than they should."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from parsers.account import ACCOUNTS, HOUR, NAME, Accounts, Limits, Quota, Quotas
from parsers.distinct import bit_of, count
from parsers.events import Delivery, Origin
from parsers.message import Message
from parsers.window import SLOTS, Window

ORIGIN = Origin("postfix", "mail", "postfix", "smtp")
NOBODY = {"volume": 0, "recipients": 0, "clients": 0, "bounces": 0}


def message(user: str = "kim@example.com", client: str = "203.0.113.9", recipients: int = 1) -> Message:
    return Message("A1", 0.0, sasl_user=user, client_ip=client, recipients=recipients)


def delivery(time: float, recipient: str = "lee@example.org", status: str = "sent") -> Delivery:
    return Delivery(time, ORIGIN, "A1", recipient, status, "outbound")


NOW = 3500.0


def sent(accounts: Accounts, number: int, *, start: float = 0.0, seconds: float = 3000.0, user: str = "kim") -> None:
    for at in range(number):
        accounts.arrive(start + at * seconds / number, message(user))


# --- different texts, and the hour ---


@pytest.mark.parametrize("number", [0, 1, 5, 50, 300, 1000, 2000])
def test_different_texts_are_counted_without_keeping_them(number: int) -> None:
    bits = 0
    for at in range(number):
        for _ in range(3):
            bits |= bit_of(f"kim{at}@example.com", 2048)
    assert count(bits, 2048) == pytest.approx(number, rel=0.06, abs=1)


def test_more_texts_than_can_be_counted_are_many() -> None:
    assert 256 * 5 < count((1 << 256) - 1, 256) < 256 * 8


def test_a_window_forgets_slot_by_slot() -> None:
    window: Window[list[float]] = Window(60.0, list)
    for time in range(0, 120, 5):
        window.at(float(time)).append(time)
        kept = sorted(it for slot in window.live(float(time)) for it in slot)
        assert kept[-1] == time
        assert kept[0] == max(0, time // 10 * 10 - 50)
    assert list(window.live(10_000.0)) == []
    assert len(window._slots) <= SLOTS


def test_what_comes_late_is_not_lost_and_brings_nothing_back() -> None:
    window: Window[list[float]] = Window(60.0, list)
    window.at(1000.0).append(1000.0)
    window.at(5.0).append(5.0)
    assert len(window._slots) == 2
    assert sorted(it for slot in window.live(1000.0) for it in slot) == [5.0, 1000.0]


# --- quotas ---

QUOTAS = Quotas(
    Quota(messages=10),
    {"example.org": Quota(messages=20), "news@example.org": Quota(1000, 5000), "free.example": Quota()},
)


@pytest.mark.parametrize(
    ("user", "may"),
    [("kim", 10), ("kim@example.com", 10), ("kim@example.org", 20), ("NEWS@Example.org", 1000)],
)
def test_an_account_is_over_its_own_quota_or_its_domains_or_the_default(user: str, may: int) -> None:
    accounts = Accounts(quotas=QUOTAS)
    sent(accounts, may, user=user)
    assert accounts.review(NOW)[1:] == (0, may)
    accounts.arrive(3000.0, message(user))
    assert accounts.review(NOW)[1:] == (1, may + 1)


def test_recipients_have_a_quota_too() -> None:
    accounts = Accounts(quotas=Quotas(Quota(recipients=100)))
    accounts.arrive(0.0, message(recipients=100))
    assert accounts.review(NOW).over_quota == 0
    accounts.arrive(1.0, message())
    assert accounts.review(NOW).over_quota == 1


def test_without_a_quota_nobody_is_over_it() -> None:
    accounts = Accounts()
    sent(accounts, 5000)
    assert accounts.review(NOW).over_quota == 0


def test_a_domain_may_be_without_limit() -> None:
    accounts = Accounts(quotas=QUOTAS)
    sent(accounts, 500, user="kim@free.example")
    assert accounts.review(NOW).over_quota == 0


def test_an_hour_later_it_is_over() -> None:
    accounts = Accounts(quotas=QUOTAS)
    sent(accounts, 50, seconds=60.0)
    assert accounts.review(NOW).over_quota == 1
    accounts.arrive(2 * HOUR, message("lee"))
    assert accounts.review(2 * HOUR)[1:] == (0, 1)


# --- suspicions ---


def _volume(accounts: Accounts, number: int) -> None:
    sent(accounts, number)


def _recipients(accounts: Accounts, number: int) -> None:
    for at in range(number):
        accounts.deliver(delivery(float(at), f"lee{at}@example.org"), message())


def _clients(accounts: Accounts, number: int) -> None:
    for at in range(number):
        accounts.arrive(float(at), message(client=f"203.0.113.{at}"))


def _bounces(accounts: Accounts, number: int) -> None:
    for at in range(number):
        accounts.deliver(delivery(float(at), status="bounced" if at % 3 == 0 else "sent"), message())


@pytest.mark.parametrize(
    ("why", "do", "few", "many"),
    [
        ("volume", _volume, 99, 100),
        ("recipients", _recipients, 270, 330),
        ("clients", _clients, 8, 12),
        ("bounces", _bounces, 19, 20),
    ],
)
def test_an_account_is_suspicious_from_a_limit_on(
    why: str, do: Callable[[Accounts, int], None], few: int, many: int
) -> None:
    told: list[tuple[str, str]] = []
    for number, expected in ((few, 0), (many, 1)):
        accounts = Accounts(on_told=lambda *it: told.append(it[:2]))
        do(accounts, number)
        assert accounts.review(NOW).suspicious == NOBODY | {why: expected}
        accounts.review(NOW)
        assert len(told) == expected
    assert [it[1] for it in told] == [why]


def test_what_is_usual_is_not_suspicious() -> None:
    accounts = Accounts()
    for hour in range(48):
        sent(accounts, 150, start=hour * HOUR)
        if hour == 0:
            assert accounts.review(NOW).suspicious["volume"] == 1
    assert accounts.review(48 * HOUR - 60).suspicious["volume"] == 0
    sent(accounts, 2000, start=48 * HOUR)
    assert accounts.review(49 * HOUR - 60).suspicious["volume"] == 1


def test_a_quota_of_its_own_says_what_is_usual() -> None:
    accounts = Accounts(quotas=QUOTAS)
    for at in range(900):
        accounts.arrive(at * 1.0, message("news@example.org"))
        accounts.deliver(delivery(at * 1.0, f"lee{at}@example.org"), message("news@example.org"))
    assert accounts.review(NOW).suspicious == NOBODY
    sent(accounts, 200, start=900.0, seconds=100.0, user="news@example.org")
    assert accounts.review(NOW).suspicious["volume"] == 1


def test_a_name_is_told_once_for_each_beginning() -> None:
    told: list[tuple[str, str, float]] = []
    accounts = Accounts(quotas=Quotas(Quota(messages=3)), on_told=lambda *it: told.append(it))
    sent(accounts, 50)
    for _ in range(3):
        accounts.review(NOW)
    assert told == [("kim", "quota", 10)]  # of its first ten minutes
    sent(accounts, 50, start=2900.0, seconds=7000.0)
    assert len(told) == 1
    sent(accounts, 50, start=20_000.0)
    assert [it[:2] for it in told] == [("kim", "quota")] * 2


def test_limits_can_be_others() -> None:
    accounts = Accounts(Limits(messages=5))
    sent(accounts, 5)
    assert accounts.review(NOW).suspicious["volume"] == 1


# --- memory ---


def test_a_heavy_account_stays_among_a_crowd_that_comes_and_goes() -> None:
    accounts, rng = Accounts(), Random(1)
    for at in range(5 * ACCOUNTS):
        accounts.arrive(at * 0.1, message(f"{rng.getrandbits(64):x}"))
        if at % 10 == 0:
            accounts.arrive(at * 0.1, message("kim"))
    assert len(accounts._accounts) <= ACCOUNTS
    assert accounts.review(0.5 * ACCOUNTS).most_messages == ACCOUNTS // 2


def test_a_name_is_of_bounded_length() -> None:
    accounts = Accounts()
    for at in range(3):
        accounts.arrive(1.0, message("k" * 10_000 + str(at)))
    assert [len(name) for name in accounts._accounts] == [NAME]
    assert accounts.review(1.0).most_messages == 3
