"""Greylisting that shows only at the next attempt."""

from __future__ import annotations

import pytest

from exporter.metrics.mail import MailMetrics
from mailstat.figures import Summary
from parsers.events import Delivery, Event, Origin
from parsers.reason import reason_of
from parsers.tracker import Tracker

ORIGINS = [
    Origin("postfix", "mail", "postfix", "smtp"),
    Origin("exim", "mail", "exim", "exim"),
    Origin("sendmail", "mail", "sendmail", "sm-mta"),
]
BARE = "451 Try again later"


def deferral(time: float, reply: str = BARE, host: str = "mx1.example.org", phase: str | None = "rcpt") -> Delivery:
    made = Delivery(time, ORIGINS[0], "A1", "kim@example.org", "deferred", "outbound", relay_host=host, reply=reply)
    made.reply_code, made.phase, made.relay_ip = int(reply[:3]), phase, "192.0.2.25"
    made.reason = reason_of(reply, made.reply_code, None, phase)
    return made


def sent(time: float, host: str = "mx1.example.org", ip: str = "192.0.2.25") -> Delivery:
    return Delivery(
        time, ORIGINS[0], "A1", "kim@example.org", "sent", "outbound", relay_host=host, relay_ip=ip, reply="250 ok"
    )


def greylisted(*events: Delivery, origin: Origin = ORIGINS[0]) -> bool:
    for event in events:
        event.origin = origin
    Tracker().follow(events)
    return any(event.greylisted is not None for event in events)


@pytest.mark.parametrize("origin", ORIGINS, ids=lambda it: it.mta)
def test_a_bare_deferral_that_the_same_host_takes_back_was_greylisting(origin: Origin) -> None:
    assert greylisted(deferral(1.0), sent(400.0), origin=origin)


@pytest.mark.parametrize("phase", ["rcpt", "data", "end_of_data", None])
def test_it_may_be_answered_to_the_recipient_or_to_the_data(phase: str | None) -> None:
    assert greylisted(deferral(1.0, phase=phase), sent(400.0))


@pytest.mark.parametrize("phase", ["connect", "ehlo", "mail", "starttls"])
def test_what_is_answered_earlier_is_about_us(phase: str) -> None:
    assert not greylisted(deferral(1.0, phase=phase), sent(400.0))


@pytest.mark.parametrize(
    "reply",
    ["452 4.2.2 mailbox full", "421 4.7.28 unusual rate of unsolicited mail", "450 4.1.1 user unknown", "550 no"],
)
def test_a_reply_that_names_its_cause_keeps_it(reply: str) -> None:
    assert not greylisted(deferral(1.0, reply), sent(400.0))


def test_another_host_takes_nothing_back() -> None:
    assert not greylisted(deferral(1.0), sent(400.0, "mx2.example.org", "192.0.2.26"))
    assert greylisted(deferral(1.0), sent(400.0, "mx2.example.org"))  # the same address under another name


def test_only_the_next_attempt_takes_it_back() -> None:
    assert not greylisted(deferral(1.0), deferral(400.0), sent(800.0))


def test_what_bounces_was_no_greylisting() -> None:
    bounced = deferral(400.0, "550 no")
    bounced.status = "bounced"
    assert not greylisted(deferral(1.0), bounced)


def followed() -> list[Event]:
    events: list[Event] = [deferral(1.0), sent(400.0)]
    Tracker().follow(events)
    return events


def samples(metrics: MailMetrics, name: str) -> list[tuple[list[str], float]]:
    found = [it for family in metrics.collect({}) for it in family.samples if it.name == name]
    return [(list(it.labels.values()), it.value) for it in found]


def test_a_counter_counts_it_at_once_and_what_it_was_afterwards() -> None:
    metrics = MailMetrics()
    first, second = followed()
    metrics.observe([first])
    failures = [(["postfix", "postfix", "other", "deferred", "system_error"], 1.0)]
    assert samples(metrics, "mail_delivery_failures_total") == failures
    assert samples(metrics, "mail_delivery_greylisted_total") == []
    metrics.observe([second])
    assert samples(metrics, "mail_delivery_failures_total") == failures
    assert samples(metrics, "mail_delivery_greylisted_total") == [
        (["postfix", "postfix", "other", "system_error"], 1.0)
    ]


def reasons(*batches: list[Event]) -> list[tuple[str, int, str]]:
    summary = Summary()
    for batch in batches:
        summary.add(batch, range(len(batch)))
        summary.settle()
    return [(row["reason"], row["count"], row["example"]) for row in summary.reasons()]


def test_a_report_counts_it_as_what_it_was() -> None:
    first, second = followed()
    assert reasons([first, second]) == reasons([first], [second]) == [("greylisted", 1, BARE)]


def test_a_deferral_that_is_not_of_the_report_is_not_taken_back() -> None:
    first, second = followed()
    assert reasons([second]) == []
    assert reasons([first]) == [("system_error", 1, BARE)]
    early: list[Event] = [deferral(300.0), sent(450.0)]
    assert reasons([*early, second]) == [("system_error", 1, BARE)]


@pytest.mark.parametrize("origin", ORIGINS, ids=lambda it: it.mta)
def test_what_expires_has_the_reason_of_its_last_deferral(origin: Origin) -> None:
    row = [deferral(1.0), deferral(400.0, "452 4.2.2 mailbox full")]
    expired = Delivery(900.0, origin, "A1", None, "expired", "outbound")
    for event in row:
        event.origin, event.provider = origin, "google"
    Tracker().follow([*row, expired])
    assert (expired.reason, expired.provider) == ("mailbox_full", "google")
