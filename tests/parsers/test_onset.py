"""Providers that turn from accepting to refusing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from random import Random

import pytest

from parsers.events import Delivery, Event, Origin
from parsers.onset import MESSAGES, STANDINGS, Block, Onset, Rule
from parsers.tracker import Tracker

ORIGIN = Origin("postfix", "mail", "postfix", "smtp")
REPLIES = {
    "blocked_ip": "550 5.7.1 Our system has blocked your address",
    "rate_limited": "421 4.7.28 unusual rate of mail",
    "user_unknown": "550 5.1.1 no such user",
    "system_error": "451 Try again later",
}
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


def attempt(
    time: float, number: int, reason: str | None = None, provider: str = "google", status: str = "deferred"
) -> Delivery:
    """The message of this number, sent where there is no reason against it."""
    made = Delivery(time, ORIGIN, f"Q{number}", f"kim{number}@example.com", "sent", "outbound", provider=provider)
    made.relay_host = "mx.example.com"
    if reason:
        made.status, made.reason, made.reply, made.phase = status, reason, REPLIES.get(reason, "no"), "rcpt"
        made.reply_code = int(made.reply[:3]) if made.reply[0].isdecimal() else None
    return made


def sent(start: float, numbers: Iterable[int], every: float = MINUTE) -> Iterator[Delivery]:
    return (attempt(start + at * every, number) for at, number in enumerate(numbers))


def refused(start: float, numbers: Iterable[int], reason: str, every: float = MINUTE) -> Iterator[Delivery]:
    return (attempt(start + at * every, number, reason) for at, number in enumerate(numbers))


def watched(*events: Iterable[Event], rule: Rule | None = None, block: int = 0) -> tuple[Onset, list[Block]]:
    """What is known after events that came in blocks of this size."""
    tracker, onset = Tracker(), Onset(rule)
    every = list(chain(*events))
    size = block or len(every)
    for start in range(0, len(every), size):
        tracker.follow(every[start : start + size])
        for event in every[start : start + size]:
            assert isinstance(event, Delivery)
            onset.observe(event)
    return onset, list(onset.blocks(max(event.time for event in every)))


def blocks(*events: Iterable[Event], rule: Rule | None = None) -> list[Block]:
    return watched(*events, rule=rule)[1]


BEFORE = list(sent(0.0, range(100)))
ONSET = list(refused(7200.0, range(100, 120), "blocked_ip"))
AFTER = list(sent(9000.0, range(120, 125)))


def test_a_provider_that_turns_to_refusing_blocks_us_since_its_first_refusal() -> None:
    assert blocks(BEFORE, ONSET) == [Block("postfix", "google", "blocked_ip", 7200.0, is_over=False)]


def test_it_does_not_before_so_many_messages_are_refused() -> None:
    assert blocks(BEFORE, ONSET[:9]) == []
    assert len(blocks(BEFORE, ONSET[:10])) == 1


def test_a_short_burst_of_refusals_is_no_block() -> None:
    burst = list(refused(7200.0, range(100, 200), "spam_content", every=1.0))
    assert blocks(BEFORE, burst) == []
    assert blocks(BEFORE, burst, sent(7300.0, range(200, 300), every=1.0)) == []
    assert len(blocks(BEFORE, burst, refused(7600.0, [100], "spam_content"))) == 1


def test_it_is_over_when_enough_is_accepted_again() -> None:
    assert [it.is_over for it in blocks(BEFORE, ONSET, AFTER[:4])] == [False]
    assert [it.is_over for it in blocks(BEFORE, ONSET, AFTER)] == [True]


def test_a_few_acceptances_between_refusals_are_no_recovery() -> None:
    mixed = [attempt(9000.0 + at, 200 + at, None if at % 2 else "blocked_ip") for at in range(400)]
    assert [it.is_over for it in blocks(BEFORE, ONSET, mixed)] == [False]


def test_some_refusals_between_acceptances_are_no_block() -> None:
    rng = Random(1)
    mixed = [attempt(at * 10.0, at, "spam_content" if rng.random() < 0.25 else None) for at in range(20_000)]
    assert blocks(mixed) == []


def test_it_is_over_when_nothing_was_tried_for_a_day() -> None:
    elsewhere = attempt(ONSET[-1].time + DAY + 1, 900, provider="yahoo")
    assert [it.is_over for it in blocks(ONSET, [elsewhere])] == [True]


def test_low_traffic_is_a_block_when_all_of_it_is_refused() -> None:
    assert len(blocks(refused(0.0, range(10), "blocked_ip", every=12 * HOUR))) == 1
    assert blocks(refused(0.0, range(10), "blocked_ip", every=25 * HOUR)) == []


def test_one_message_that_is_tried_and_tried_is_no_block() -> None:
    assert blocks(refused(0.0, [1] * 200, "rate_limited", every=10 * MINUTE)) == []


def test_the_recipients_of_one_message_count_once() -> None:
    many = [attempt(600.0 * at, 1, "blocked_ip") for at in range(50)]
    assert blocks(many) == []
    accepted = [attempt(9000.0, 500) for _ in range(50)]
    assert [it.is_over for it in blocks(ONSET, accepted)] == [False]


def test_a_provider_that_only_greylists_is_no_block() -> None:
    first = refused(0.0, range(100), "system_error", every=10.0)
    vague = [attempt(at * 10.0, 200 + at, "rate_limited") for at in range(100)]
    for event in vague:
        event.reply, event.reply_code = "451 Try again later", 451
    assert blocks(first, vague, sent(2000.0, range(100)), sent(2000.0, range(200, 300))) == []
    assert (
        len(blocks(vague, (attempt(2000.0 + it.time, 200 + at, "rate_limited") for at, it in enumerate(vague)))) == 1
    )


@pytest.mark.parametrize("reason", ["user_unknown", "connection_failed", "mailbox_full", "greylisted"])
def test_what_fails_for_other_reasons_says_nothing(reason: str) -> None:
    assert blocks(refused(0.0, range(100), reason)) == []


def test_local_deliveries_and_unknown_providers_are_not_watched() -> None:
    local = list(refused(0.0, range(100), "policy_rejected"))
    for event in local:
        event.direction = "local"
    nobody = list(refused(0.0, range(100), "policy_rejected"))
    for event in nobody:
        event.provider = None
    assert blocks(local, nobody) == []


def test_the_reason_is_that_of_most_messages_and_stays() -> None:
    mixed = [*refused(0.0, range(4), "rate_limited"), *refused(300.0, range(10, 20), "blocked_ip")]
    assert [it.reason for it in blocks(mixed, refused(2000.0, range(30, 90), "rate_limited"))] == ["blocked_ip"]


def test_a_second_block_has_its_own_beginning() -> None:
    again = refused(DAY, range(300, 320), "blocked_ip")
    assert [(it.since, it.is_over) for it in blocks(ONSET, AFTER, again)] == [(DAY, False)]


def test_servers_and_providers_are_apart() -> None:
    other = list(refused(0.0, range(20), "blocked_ip"))
    for event in other:
        event.origin = Origin("exim", "mail", "exim", "exim")
    assert [(it.mta, it.provider) for it in blocks(ONSET, other)] == [("exim", "google"), ("postfix", "google")]


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_the_same_events_give_the_same_answer_whatever_the_blocks(block: int) -> None:
    def log() -> list[Delivery]:
        rng = Random(3)
        reasons = [None, None, "blocked_ip", "rate_limited", "user_unknown", "system_error"]
        hours = {hour: rng.choices(reasons, [rng.random() for _ in reasons], k=60) for hour in range(48)}
        return [
            attempt(hour * HOUR + at * MINUTE, hour * 60 + rng.randrange(60), reason, rng.choice(["google", "yahoo"]))
            for hour, row in hours.items()
            for at, reason in enumerate(row)
        ]

    expected = watched(log())[1]
    assert len({it.provider for it in expected}) == 2
    assert watched(log(), block=block)[1] == expected


def test_what_is_kept_is_bounded() -> None:
    many = (attempt(float(at), at, "blocked_ip", provider=f"p{at}") for at in range(3 * STANDINGS))
    onset, _ = watched(many, refused(0.0, range(10 * MESSAGES), "blocked_ip"))
    assert len(onset._standings) <= STANDINGS
    assert len(onset._known) <= STANDINGS
    assert all(len(it.seen) <= MESSAGES for it in onset._standings.values())
