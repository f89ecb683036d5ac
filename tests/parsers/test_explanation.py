"""What a reply means for people: an entry for every reason, and who knows it better."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parsers.explanation import Item, blocklists, explain, kinds, procedures
from parsers.provider import read_providers
from parsers.reason import REASONS

TAXONOMY = Path(__file__).parents[2] / "../shared/corpus/bounces/taxonomy.json"
RATE = "421-4.7.28 Our system has detected an unusual rate of unsolicited mail originating from your IP address"


def test_every_reason_is_explained_once() -> None:
    assert list(kinds()) == list(REASONS)


@pytest.mark.corpus
@pytest.mark.skipif(not TAXONOMY.exists(), reason="the shared corpus is not here")
def test_the_fault_is_that_of_the_taxonomy() -> None:
    faults = {row["category"]: row["fault"] for row in json.loads(TAXONOMY.read_text())["categories"]}
    assert {reason: kind.fault for reason, kind in kinds().items()} == faults


@pytest.mark.parametrize("reason", REASONS)
def test_there_is_something_to_do(reason: str) -> None:
    kind = kinds()[reason]
    assert all(text.endswith(".") for text in (kind.means, *kind.advice))
    assert kind.advice


def test_procedures_are_of_known_providers_and_reasons() -> None:
    names = {provider.name for provider in read_providers()}
    assert all(provider in names and reason in REASONS for provider, reason in procedures())
    assert all((row.page or "https://").startswith("https://") for row in procedures().values())


def test_a_list_that_a_reply_names_is_where_to_ask() -> None:
    reply = "554 5.7.1 Client host [203.0.113.7] blocked using zen.spamhaus.org"
    found = explain(Item(reply=reply, relay_host="mx00.emig.gmx.net"))
    assert found.reason == "blocked_ip"
    assert found.page == next(row.page for row in blocklists() if row.name == "Spamhaus")
    assert explain(Item(reply="451 4.7.1 Greylisted, says abusix")).page is None


def test_lists_are_named_by_words_of_their_own() -> None:
    words = [word for row in blocklists() for word in row.words]
    assert all(word == word.lower() for word in words)
    assert len(set(words)) == len(words)
    assert all(row.advice and (row.page or "https://").startswith("https://") for row in blocklists())


def test_a_provider_s_own_procedure_comes_before_the_general_advice() -> None:
    found = explain(Item(reply=RATE, relay_host="gmail-smtp-in.l.google.com"))
    assert (found.reply_code, found.dsn, found.reason, found.provider) == (421, "4.7.28", "rate_limited", "google")
    assert found.advice[-1] == kinds()["rate_limited"].advice[-1]
    assert len(found.advice) > len(explain(Item(reply=RATE)).advice)
    assert found.page
    assert found.rule


@pytest.mark.parametrize(
    ("reply", "nature"),
    [
        ("452 4.2.2 mailbox full", "transient"),
        ("552 5.2.2 mailbox full", "transient"),  # the reason decides, not the code
        ("450 4.2.1 The mailbox is disabled", "transient"),
        ("550 5.2.1 The mailbox is disabled", "permanent"),
        ("550 5.1.1 No such user", "permanent"),
        ("what", "permanent"),
    ],
)
def test_whether_trying_again_can_help(reply: str, nature: str) -> None:
    assert explain(Item(reply=reply)).nature == nature


def test_who_runs_the_destination_is_told_by_the_relay_then_by_the_recipient() -> None:
    assert explain(Item(relay_host="mx1.example.org", recipient="kim@gmail.com")).provider is None
    assert explain(Item(recipient="kim@gmail.com")).provider == "google"


def test_given_codes_are_taken_at_their_word() -> None:
    assert explain(Item(reply="no", reply_code=451, dsn="x")).dsn is None
    assert explain(Item(reply="550 no", reply_code=451)).reply_code == 451
