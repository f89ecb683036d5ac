"""What is watched, as a scrape shows it."""

from __future__ import annotations

from exporter.config import Blocks, Config
from exporter.metrics.mail import MailMetrics
from parsers.events import Delivery, Event, Origin

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
