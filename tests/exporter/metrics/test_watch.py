"""What is watched, as a scrape shows it."""

from __future__ import annotations

import logging

import pytest

from exporter.config import Accounts, Attacks, Blocks, Config, OwnQuota, Quota
from exporter.metrics.mail import MailMetrics
from exporter.metrics.watch import Memory
from exporter.schema import Text
from exporter.state import decode, encode
from parsers.events import Auth, Delivery, Event, Origin, Received
from parsers.message import Message

ORIGIN = Origin("postfix", "mail", "postfix", "smtp")
BLOCKED = "mail_provider_blocked"
SINCE = "mail_provider_blocked_since_timestamp_seconds"


def values(metrics: MailMetrics, name: str) -> dict[tuple[str, ...], float]:
    samples = [sample for it in metrics.collect({}) for sample in it.samples if sample.name == name]
    return {tuple(it.labels.values()): it.value for it in samples}


def delivery(time: float, reason: str | None) -> Delivery:
    made = Delivery(time, ORIGIN, f"Q{time}", "kim@example.com", "bounced" if reason else "sent", "outbound")
    made.provider, made.reason = "google", reason
    return made


def observed(*events: Event, config: Config | None = None) -> MailMetrics:
    metrics = MailMetrics()
    if config:
        metrics.watch.configure(config)
    metrics.observe(events)
    return metrics


def test_a_block_is_a_gauge_with_its_beginning_and_zero_when_it_is_over() -> None:
    refused = [delivery(60.0 * at, "blocked_ip") for at in range(1, 12)]
    metrics = observed(*refused)
    labels = ("postfix", "google", "blocked_ip")
    assert values(metrics, BLOCKED) == {labels: 1.0}
    assert values(metrics, SINCE) == {labels: 60.0}
    metrics.observe([delivery(900.0 + at, None) for at in range(5)])
    assert values(metrics, BLOCKED) == {labels: 0.0}
    assert values(metrics, SINCE) == {}


def test_the_configuration_says_what_a_block_is() -> None:
    refused = [delivery(60.0 * at, "blocked_ip") for at in range(1, 4)]
    assert values(observed(*refused), BLOCKED) == {}
    config = Config(blocks=Blocks(messages=3, minutes=1))
    assert len(values(observed(*refused, config=config), BLOCKED)) == 1


def test_what_is_watched_goes_on_in_another_process() -> None:
    events: list[Event] = [delivery(60.0 * at, "blocked_ip") for at in range(1, 12)]
    events += arrivals("kim", 150) + arrivals("lee", 20)
    events += [
        Auth(700.0 + at, ORIGIN, "failure", client_ip=f"198.51.100.{at}", sasl_user=f"user{at}") for at in range(15)
    ]
    whole, first, second = observed(*events), observed(*events[: len(events) // 2]), MailMetrics()
    second.watch.restore(decode(encode(first.watch.memory()), Memory, "watch"))
    second.observe(events[len(events) // 2 :])
    names = [it.name for it in whole.watch.collect()]
    assert [values(second, name) for name in names] == [values(whole, name) for name in names]
    assert values(whole, BLOCKED)
    assert values(whole, "mail_accounts_suspicious")["volume",] == 1
    assert values(whole, "mail_auth_attackers")["spray",] == 15


# --- accounts ---


def arrivals(user: str, number: int) -> list[Event]:
    message = Message("A1", 0.0, via="submission", sasl_user=user, client_ip="203.0.113.9", recipients=2)
    row = [Received(float(at), ORIGIN, "A1", size=1, recipients=2, message=message) for at in range(number)]
    for event in row:
        event.is_arrival = True
    return [*row]


QUOTAS = Config(
    accounts=Accounts(quota=Quota(messages=10), quotas=(OwnQuota(of=Text("News@example.com"), messages=50),))
)


def test_accounts_are_numbers_and_their_names_are_in_the_log_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        metrics = observed(*arrivals("kim@example.com", 20), *arrivals("news@example.com", 40), config=QUOTAS)
        assert values(metrics, "mail_account_max_messages_per_hour") == {(): 40.0}
        assert values(metrics, "mail_accounts_over_quota") == {(): 1.0}
    assert [(it.getMessage(), vars(it)["account"], vars(it)["messages"]) for it in caplog.records] == [
        ("an account is over its quota", "kim@example.com", 20)
    ]


def test_nobody_is_suspicious_at_first_and_some_are_later(caplog: pytest.LogCaptureFixture) -> None:
    names = ("volume", "recipients", "clients", "bounces")
    assert values(observed(), "mail_accounts_suspicious") == {(why,): 0.0 for why in names}
    with caplog.at_level(logging.WARNING):
        metrics = observed(*arrivals("kim@example.com", 120))
        values(metrics, "mail_accounts_suspicious")
    assert values(metrics, "mail_accounts_suspicious") == {(why,): float(why == "volume") for why in names}
    assert [(vars(it)["account"], vars(it)["why"]) for it in caplog.records] == [("kim@example.com", "volume")]


def test_who_does_not_authenticate_is_no_account() -> None:
    assert values(observed(*arrivals("", 500)), "mail_account_max_messages_per_hour") == {(): 0.0}


def test_no_name_of_an_account_is_in_a_scrape() -> None:
    metrics = observed(*arrivals("kim@example.com", 500))
    assert not any("kim" in str(sample) for it in metrics.collect({}) for sample in it.samples)


# --- guessers ---


def failures(number: int, user: str = "kim") -> list[Event]:
    return [Auth(1.0, ORIGIN, "failure", None, f"192.0.2.{at % 3}", "LOGIN", user) for at in range(number)]


def test_attackers_are_counted_by_kind_and_be_they_none() -> None:
    assert values(observed(), "mail_auth_attackers") == {("hammer",): 0.0, ("spray",): 0.0}
    metrics = observed(*failures(20))
    assert values(metrics, "mail_auth_attackers") == {("hammer",): 3.0, ("spray",): 0.0}
    assert values(metrics, "mail_auth_attacker_blocks") == {("hammer",): 1.0, ("spray",): 0.0}


def test_who_logs_in_attacks_nobody() -> None:
    logins = [Auth(1.0, ORIGIN, "success", None, "192.0.2.1", "LOGIN", f"user{at}") for at in range(500)]
    assert values(observed(*logins), "mail_auth_attackers") == {("hammer",): 0.0, ("spray",): 0.0}


def test_the_configuration_says_who_attacks() -> None:
    config = Config(attacks=Attacks(failures=2))
    assert values(observed(*failures(2), config=config), "mail_auth_attacker_blocks")[("hammer",)] == 1.0
