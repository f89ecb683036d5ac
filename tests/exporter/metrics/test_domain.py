"""Domains as a label: who gets one, who leaves, and what the numbers do then."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import pytest

from exporter.metrics.domain import CANDIDATES, REMEMBERED, domain_of
from exporter.metrics.mail import MailMetrics
from parsers.events import Delivery, Event, Origin

ORIGIN = Origin("postfix", "mail", "postfix", "smtp")
SENT = "mail_deliveries_total"
FAILED = "mail_delivery_failures_total"
HOUR = 3600.0


def metrics(domains: int = 2) -> MailMetrics:
    made = MailMetrics()
    made.limit(providers=32, domains=domains, idle_seconds=HOUR)
    return made


def mail(domain: str, number: int = 1, time: float = 1.0, reason: str | None = None) -> list[Event]:
    row = [
        Delivery(time, ORIGIN, "A1", f"kim@{domain}", "bounced" if reason else "sent", "outbound", reason=reason)
        for _ in range(number)
    ]
    return [*row]


def by_domain(made: MailMetrics, name: str = SENT) -> dict[str, float]:
    samples = [it for family in made.collect({}) for it in family.samples if it.name == name]
    counts: dict[str, float] = defaultdict(float)
    for it in samples:
        counts[it.labels["domain"]] += it.value
    return dict(counts)


@pytest.mark.parametrize(
    ("recipient", "domain"),
    [("kim@Example.COM.", "example.com"), ("kim", ""), ("", ""), (None, ""), ("k@" + "x" * 300, ""), ("a@b@c", "c")],
)
def test_a_domain_is_what_follows_the_last_at(recipient: str | None, domain: str) -> None:
    assert domain_of(recipient) == domain


def test_without_a_budget_there_is_no_label() -> None:
    made = MailMetrics()
    made.observe(mail("example.com"))
    assert all("domain" not in it.labels for family in made.collect({}) for it in family.samples)


def test_the_busiest_get_a_label_and_the_others_are_other() -> None:
    made = metrics()
    made.observe([*mail("c.example"), *mail("a.example", 5), *mail("b.example", 3)])
    assert by_domain(made) == {"other": 9}  # nobody had a seat when they were counted
    made.observe([*mail("c.example"), *mail("a.example", 5), *mail("b.example", 3)])
    assert by_domain(made) == {"a.example": 5, "b.example": 3, "other": 10}
    assert made.dropped[SENT] == 1


def test_failures_have_the_label_too() -> None:
    made = metrics()
    for _ in range(2):
        made.observe(mail("a.example", 2, reason="user_unknown"))
        found = by_domain(made, FAILED)
    assert found == {"a.example": 2, "other": 2}


def test_a_local_delivery_has_no_domain() -> None:
    made = metrics()
    row = mail("a.example", 3)
    for event in row:
        assert isinstance(event, Delivery)
        event.direction = "local"
    made.observe(row)
    assert by_domain(made) == {"": 3, "other": 0}


def test_an_idle_domain_leaves_and_goes_on_from_where_it_was() -> None:
    made = metrics()
    for _ in range(2):
        made.observe(mail("a.example", 4))
        by_domain(made)
    made.observe(mail("b.example", 1, time=3 * HOUR))
    assert by_domain(made) == {"other": 5}
    made.observe(mail("a.example", 1, time=3 * HOUR))
    by_domain(made)
    made.observe(mail("a.example", 1, time=3 * HOUR))
    assert by_domain(made)["a.example"] == 5


def test_a_far_busier_one_takes_the_seat() -> None:
    made = metrics(1)
    for domain, number in (("a.example", 10), ("b.example", 4), ("b.example", 100), ("b.example", 100)):
        made.observe(mail(domain, number))
        found = by_domain(made)
    assert set(found) == {"b.example", "other"}


def test_no_series_ever_goes_backwards_and_the_budget_holds() -> None:
    made, rng, seen = metrics(5), Random(1), dict[str, float]()
    total = 0
    for at in range(300):
        busy = [f"d{rng.randrange(at // 20 + 8)}.example" for _ in range(60)]
        made.observe([event for domain in busy for event in mail(domain, time=at * 300.0)])
        total += 60
        found = by_domain(made)
        assert len(found) <= 6
        assert all(count >= seen.get(domain, 0) for domain, count in found.items())
        assert sum(found.values()) <= total
        seen |= found


def test_a_crowd_of_domains_is_bounded() -> None:
    made = metrics(5)
    for at in range(5000):
        made.observe(mail(f"d{at}.example", time=at * 100.0))
        if at % 50 == 0:
            by_domain(made)
    domains = made._domains
    assert len(domains._candidates) <= CANDIDATES * 5
    assert len(domains._gone) <= REMEMBERED * 5
    assert len(by_domain(made)) <= 6
