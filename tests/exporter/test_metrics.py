"""Counting and bucketing by themselves: what a family says of events, and what bounds it."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from exporter.metrics import mail
from exporter.metrics.catalogue import METRICS
from exporter.metrics.mail import MailMetrics
from exporter.metrics.series import Budget, Histogram, family
from parsers.events import Auth, ConnectionFailure, Delivery, Event, Origin, Reject, Removed

NAME = "mail_delivery_stage_seconds"


def origin(service: str = "postfix") -> Origin:
    return Origin("postfix", "mail", service, "smtp")


def delivery(status: str = "sent", provider: str | None = "google", **more: object) -> Delivery:
    made = Delivery(1.0, origin(), "4F2A31C", "kim@example.com", status, "outbound")
    made.provider = provider
    for name, value in more.items():
        setattr(made, name, value)
    return made


def values(metrics: MailMetrics, name: str) -> dict[tuple[str, ...], float]:
    """What a scrape gives of a name, zeros left out."""
    samples = [sample for it in metrics.collect({}) for sample in it.samples if sample.name == name]
    return {tuple(it.labels.values()): it.value for it in samples if it.value}


def observed(*events: Event, providers: int = 32) -> MailMetrics:
    metrics = MailMetrics(providers=providers)
    metrics.observe(events)
    return metrics


def test_values_fall_into_the_bucket_that_they_do_not_exceed() -> None:
    histogram = Histogram(NAME)
    one_by_one = Histogram(NAME)
    rng = Random(1)
    some = [*histogram.bounds, *(rng.uniform(0, 100_000) for _ in range(1000)), 0.0]
    histogram.observe_all(("postfix", "connect"), some)
    for value in some:
        one_by_one.observe(("postfix", "connect"), value)
    for made in (histogram, one_by_one):
        samples = made.family().samples
        for sample in samples:
            if sample.name.endswith("_bucket"):
                assert sample.value == sum(value <= float(sample.labels["le"]) for value in some)
        assert samples[-1].value == pytest.approx(sum(some))
        assert {it.value for it in samples if it.name.endswith("_count")} == {len(some)}


def test_an_observation_may_stand_for_several() -> None:
    histogram = Histogram(NAME)
    histogram.observe(("postfix", "connect"), 2.0, 3)
    assert [it.value for it in histogram.family().samples[-2:]] == [3, 6.0]


def test_a_budget_gives_the_first_values_and_then_other() -> None:
    dropped: Counter[str] = Counter()
    budget = Budget("mail_deliveries_total", 2, dropped, "other")
    assert [budget[it] for it in ("a", "b", "c", "a", "other", "c")] == ["a", "b", "other", "a", "other", "other"]
    assert dropped == {"mail_deliveries_total": 2}


def test_what_finds_no_room_is_counted_once_for_each_observation() -> None:
    metrics = observed(*(delivery(provider=name) for name in ("a", "b", "b", "b", "c")), providers=1)
    for _ in range(2):
        values(metrics, "mail_deliveries_total")
        assert metrics.dropped["mail_deliveries_total"] == 4


HOSTILE = ("\udcc9", "a\nb", "caf\u00e9", "x" * 101, "\x7f")


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_plain_word_is_no_label(text: str) -> None:
    dropped: Counter[str] = Counter()
    budget = Budget[str]("it", 5, dropped, "other")
    assert (budget[text], budget["postfix-out"], dropped) == ("other", "postfix-out", {"it": 1})


@pytest.mark.parametrize("method", [*HOSTILE, "KIM@EXAMPLE.ORG", "PLAIN PLAIN"])
def test_a_mechanism_that_can_be_none_is_of_other(method: str) -> None:
    metrics, origin = MailMetrics(), Origin("postfix", "mail", "postfix", "smtpd")
    metrics.observe([Auth(1.0, origin, "failure", sasl_method=it) for it in (method, "login")])
    samples = [it for made in metrics.collect({}) for it in made.samples if it.name == "mail_auth_attempts_total"]
    assert {it.labels["method"]: it.value for it in samples} == {"other": 1.0, "LOGIN": 1.0}


def test_a_budget_can_grow_but_takes_no_label_back() -> None:
    budget = Budget("mail_deliveries_total", 1, Counter(), "other")
    assert [budget["a"], budget["b"]] == ["a", "other"]
    budget.most = 2
    assert [budget["b"], budget["c"]] == ["b", "other"]
    budget.most = 1
    assert [budget["a"], budget["b"], budget["d"]] == ["a", "b", "other"]


def test_deliveries_without_a_provider_are_of_other_and_local_ones_of_none() -> None:
    metrics = observed(delivery(), delivery(provider=None), delivery(direction="local", provider="google"))
    assert values(metrics, "mail_deliveries_total") == {
        ("postfix", "postfix", "outbound", "google", "sent"): 1,
        ("postfix", "postfix", "outbound", "other", "sent"): 1,
        ("postfix", "postfix", "local", "", "sent"): 1,
    }


def test_failures_have_a_reason_and_valid_codes_only() -> None:
    metrics = observed(
        delivery("bounced", reason="user_unknown", reply_code=550, dsn="5.1.1"),
        delivery("deferred", reason=None, dsn="9.9.9"),
        delivery("sent", reply_code=250),
    )
    assert values(metrics, "mail_delivery_failures_total") == {
        ("postfix", "postfix", "google", "bounced", "user_unknown"): 1,
        ("postfix", "postfix", "google", "deferred", "unclassified"): 1,
    }
    assert values(metrics, "mail_delivery_replies_total") == {
        ("postfix", "bounced", "550", "5.1.1"): 1,
        ("postfix", "sent", "250", ""): 1,
    }


def test_delays_are_of_what_was_sent_and_of_stages_that_the_line_has() -> None:
    stages: dict[str, Any] = {
        "delay_before_queue": 1.0,
        "delay_in_queue": 2.0,
        "delay_connect": 3.0,
        "delay_transmit": 4.0,
    }
    metrics = observed(
        delivery(delay=10.0, **stages),
        delivery("deferred", delay=100.0, **stages),
        delivery(delay=0.5),  # Postfix before 2.3 has no stages
        delivery(delay_transmit=0.5),
    )
    assert values(metrics, "mail_delivery_seconds_sum") == {("postfix", "google"): 10.5}
    assert values(metrics, f"{NAME}_sum") == {
        ("postfix", "before_queue"): 1.0,
        ("postfix", "in_queue"): 2.0,
        ("postfix", "connect"): 3.0,
        ("postfix", "transmit"): 4.5,
    }


def test_a_stage_that_no_line_has_is_absent() -> None:
    metrics = observed(delivery(delay_transmit=0.5))
    assert values(metrics, f"{NAME}_sum") == {("postfix", "transmit"): 0.5}


def test_nothing_is_lost_when_raw_values_are_folded_before_a_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "RAW", 7)
    metrics = MailMetrics()
    for _ in range(10):
        metrics.observe([delivery(delay=1.0), Removed(1.0, origin(), "4F2A31C"), delivery("deferred")])
    for _ in range(2):  # a scrape changes nothing
        assert values(metrics, "mail_messages_removed_total") == {("postfix", "postfix"): 10}
        assert values(metrics, "mail_delivery_seconds_sum") == {("postfix", "google"): 10.0}
        assert sum(values(metrics, "mail_deliveries_total").values()) == 20


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("mail_messages_removed_total", [Removed(1.0, origin(f"postfix-{it}"), "4F2A31C") for it in range(500)]),
        ("mail_deliveries_total", [delivery(provider=f"p{it}") for it in range(500)]),
        ("mail_delivery_failures_total", [delivery("bounced", reason=f"r{it}") for it in range(500)]),
        ("mail_delivery_replies_total", [delivery("bounced", dsn=f"5.7.{it}") for it in range(900)]),
        ("mail_rejects_total", [Reject(1.0, origin(), reason=f"r{it}") for it in range(500)]),
        (
            "mail_connection_errors_total",
            [ConnectionFailure(1.0, origin(), "lost", relay_host="x", provider=f"p{it}") for it in range(500)],
        ),
    ],
)
def test_no_label_has_more_values_than_its_budget(name: str, events: list[Event]) -> None:
    metrics = observed(*events)
    found = values(metrics, name)
    assert sum(found.values()) == len(events)
    assert len(found) <= mail.REPLIES + 1 < len(events)
    assert sum(metrics.dropped.values()) > 0


@pytest.mark.parametrize("name", METRICS)
def test_the_catalogue_keeps_prometheus_rules(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    assert name.startswith(("mail_", "mailstat_"))
    assert (metric.type == "counter") == name.endswith("_total")
    assert metric.help.endswith(".")
    assert list(metric.bounds) == sorted(set(metric.bounds))
    assert bool(metric.bounds) == (metric.type == "histogram")
    assert "quantile" not in metric.labels
    assert "le" not in metric.labels or name == "mail_queue_age_seconds"  # a gauge in the shape of a histogram


def test_a_family_has_its_help_and_is_in_order() -> None:
    made = family("mail_messages_removed_total", {("postfix", "b"): 2, ("postfix", "a"): 1})
    assert made.documentation == METRICS["mail_messages_removed_total"].help
    assert [(it.labels["service"], it.value) for it in made.samples] == [("a", 1), ("b", 2)]
