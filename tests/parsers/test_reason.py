"""Every rule decides its own sample, and the order of precedence is the one that the module tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parsers.reason import (
    GAP,
    LIMIT,
    REASONS,
    Meaning,
    Rule,
    book,
    fold,
    is_link,
    judge,
    read_codes,
    reason_of,
    rule_files,
    verdict,
)
from parsers.reply import read_reply

TAXONOMY = Path(__file__).parents[3] / "shared" / "corpus" / "bounces" / "taxonomy.json"
RULES = [*book().sure.rules, *book().vague.rules]
CODES = read_codes()
MEANINGS = [*CODES.telling, *CODES.vague, *CODES.replies, *CODES.phases]
GOOGLE_RATE = (
    "host mx.example.com[192.0.2.25] said: 421-4.7.28 Gmail has detected an unusual 421-4.7.28 rate of mail."
    " 421 4.7.28 https://support.example.com/blocked x1-20020a170902f54 - gsmtp (in reply to DATA command)"
)
PROBED = "undeliverable address: host mx.example.org[192.0.2.1] said: 550 User unknown"
NO_HOST = "Host or domain name not found. Name service error for name=example.org type=MX: Host not found"
SUSPENDED = "delivery temporarily suspended"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_sample_is_decided_by_its_own_rule(rule: Rule) -> None:
    code, dsn = read_reply(rule.sample)
    provider = rule.providers[0] if rule.providers else None
    assert verdict(rule.sample, code, dsn, None, provider) == (rule.reason, rule.id)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_no_phrase_is_shadowed_by_another_rule(rule: Rule) -> None:
    dsn = rule.dsn[0] if rule.dsn else None
    provider = rule.providers[0] if rule.providers else None
    for phrase in rule.phrases:
        text = " " + phrase.replace(GAP, " ")
        found = book().sure.first(text, dsn, provider) or book().vague.first(text, dsn, provider)
        assert found == rule, phrase


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_phrase_is_as_folded_text_is(rule: Rule) -> None:
    for phrase in (*rule.phrases, *rule.objects, *rule.predicates):
        if not is_link(phrase):
            assert fold(phrase.replace(GAP, " ")) == " " + phrase.replace(GAP, " ").rstrip()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_says_where_its_words_are_met_and_names_a_reason(rule: Rule) -> None:
    assert rule.seen
    assert rule.reason in REASONS
    assert len(set(rule.phrases)) == len(rule.phrases)


def test_ids_are_of_one_rule_each() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("row", MEANINGS, ids=lambda row: row.code)
def test_a_code_names_a_reason(row: Meaning) -> None:
    assert row.reason in REASONS


def test_no_code_is_told_twice() -> None:
    codes = [row.code for row in MEANINGS]
    assert len(set(codes)) == len(codes)


@pytest.mark.corpus
@pytest.mark.skipif(not TAXONOMY.exists(), reason="the shared corpus is not here")
def test_the_reasons_are_those_of_the_taxonomy() -> None:
    categories = json.loads(TAXONOMY.read_text())["categories"]
    assert [row["category"] for row in categories] == list(REASONS)


def test_our_own_words_come_before_those_of_other_servers() -> None:
    assert rule_files()[-1] == "replies.yaml"
    assert "postfix.yaml" in rule_files()
    assert not {"codes.yaml", "vague.yaml"} & set(rule_files())


@pytest.mark.parametrize(
    ("text", "code", "dsn", "reason"),
    [
        # Words beat the code that contradicts them.
        ("452 4.1.1 <kim@example.org> user is over quota", 452, "4.1.1", "mailbox_full"),
        ("550 5.1.1 unauthorized sender", 550, "5.1.1", "sender_rejected"),
        ("550 5.2.1 Mailbox unavailable. Your IP is blacklisted", 550, "5.2.1", "blocked_ip"),
        # A telling code beats vague words, and vague words a vague code.
        ("550 5.1.1 rejected by administrator", 550, "5.1.1", "user_unknown"),
        ("550 5.7.1 rejected as junk email", 550, "5.7.1", "spam_content"),
        # A vague code beats the reply code, and the reply code is better than nothing.
        ("550 5.7.1 no", 550, "5.7.1", "policy_rejected"),
        ("503 5.0.0 no", 503, "5.0.0", "protocol_error"),
        ("503 no", 503, None, "protocol_error"),
        ("550 no", 550, "5.0.0", "unclassified"),
        # An exact code beats the one for any class.
        ("5.7.12 no", None, "5.7.12", "recipient_restricted"),
        ("4.7.12 no", None, "4.7.12", "smtp_auth"),
        ("5.7.612 no", None, "5.7.612", "blocked_ip"),
        ("4.7.612 no", None, "4.7.612", "rate_limited"),
        # The same words mean something else with Exchange's code for a directory that has no such recipient.
        ("550 5.4.1 Recipient address rejected: Access denied", 550, "5.4.1", "user_unknown"),
        ("550 5.7.1 Recipient address rejected: Access denied", 550, "5.7.1", "policy_rejected"),
        # Of two causes in one text, the more specific one.
        (f"554 Sender address rejected: {PROBED}", 554, None, "sender_rejected"),
        (f"550 Recipient address rejected: {PROBED}", 550, None, "user_unknown"),
        ("554 5.7.1 Relaying denied - Your IP identified as spammer", 554, "5.7.1", "blocked_ip"),
        ("550 5.1.1 User unknown in relay recipient table", 550, "5.1.1", "user_unknown"),
        ("host mx[::1] said: 550 5.7.1 Unsolicited mail has been blocked", 550, "5.7.1", "spam_content"),
        (NO_HOST, None, "5.4.4", "domain_not_found"),
        (f"{NO_HOST}, try again", None, "4.4.3", "dns_failure"),
        (f"{SUSPENDED}: connect to [192.0.2.1]:25: Connection refused", None, "4.4.1", "connection_failed"),
        (f"{SUSPENDED}: host mx[::1] refused to talk to me: 421 Too many", None, "4.0.0", "rate_limited"),
    ],
)  # fmt: skip
def test_precedence(text: str, code: int | None, dsn: str | None, reason: str) -> None:
    assert reason_of(text, code, dsn, None) == reason


@pytest.mark.parametrize(
    ("text", "dsn", "provider", "reason"),
    [
        # A provider's own meaning of a code beats the registered one; words beat both.
        ("550 5.7.27 no", "5.7.27", "google", "auth_spf"),
        ("550 5.7.27 no", "5.7.27", None, "sender_rejected"),
        ("550 5.7.29 no", "5.7.29", "google", "tls_failure"),
        ("550 5.7.29 no", "5.7.29", "yahoo", "auth_other"),
        ("550 5.7.30 no", "5.7.30", "google", "auth_dkim"),
        ("550 5.7.30 no", "5.7.30", None, "tls_failure"),
        ("550 5.7.30 mailbox full", "5.7.30", "google", "mailbox_full"),
        ("550 5.1.10 no", "5.1.10", "microsoft", "user_unknown"),
        ("550 5.1.10 no", "5.1.10", None, "no_mx"),
        ("550 5.4.1 no", "5.4.1", "microsoft", "user_unknown"),
        ("550 5.4.1 no", "5.4.1", "google", "connection_failed"),
        # A rule that is for one provider is not for others.
        ("421 4.7.0 Try again later, closing connection.", "4.7.0", "google", "rate_limited"),
        ("421 4.7.0 Try again later, closing connection.", "4.7.0", "example", "connection_failed"),
    ],
)
def test_who_says_it_counts(text: str, dsn: str, provider: str | None, reason: str) -> None:
    assert reason_of(text, int(text[:3]), dsn, None, provider) == reason


def test_an_object_and_its_predicate_have_to_be_near() -> None:
    between = "but then we would have to say so much more about this and also about that"
    for text in ("the maildrop has overflown", "an overflow, it seems, of the maildrop"):
        assert reason_of(f"550 {text}", 550, None, None) == "mailbox_full"
    assert reason_of(f"550 the maildrop {between} overflow", 550, None, None) == "unclassified"


def test_accents_and_scripts_without_blanks_are_read() -> None:
    assert reason_of("550 Empf\u00e4nger unbekannt", 550, None, None) == "user_unknown"
    assert reason_of("550 Empfa\u0308nger unbekannt", 550, None, None) == "user_unknown"
    assert reason_of("550 \u90ae\u7bb1\u5df2\u6ee1\u3002", 550, None, None) == "mailbox_full"


def test_the_phase_decides_only_where_nobody_answered() -> None:
    assert reason_of("something new", None, None, "starttls") == "tls_failure"
    assert reason_of("something new", 599, None, "starttls") == "unclassified"
    assert reason_of("something new", None, None, None) == "unclassified"


def test_an_unknown_address_in_reply_to_mail_is_the_senders() -> None:
    assert reason_of("550 5.1.1 User unknown", 550, "5.1.1", "rcpt") == "user_unknown"
    assert reason_of("550 5.1.1 User unknown", 550, "5.1.1", "mail") == "sender_rejected"
    assert reason_of("452 4.2.2 Mailbox full", 452, "4.2.2", "mail") == "mailbox_full"


def test_a_long_reply_is_read_across_its_lines() -> None:
    assert reason_of(GOOGLE_RATE, 421, "4.7.28", "end_of_data") == "rate_limited"
    assert reason_of(GOOGLE_RATE.replace(" 421-", "\\n421-"), 421, "4.7.28", "end_of_data") == "rate_limited"


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("550-5.1.1 no such 550-5.1.1 user", " no such user"),
        ("550-Requested action 550 aborted", " requested action aborted"),
        ("<kim@example.org>: User unknown", " user unknown"),
        ("<spam.example.org>: Helo command rejected", " helo command rejected"),
        ("see https://example.org/spam/blocked?user=unknown for why", " see for why"),
        ("domain spam.example.org does not exist", " domain does not exist"),
        ("client [192.0.2.1]:25 and [2001:db8::1] refused", " client and refused"),
        ("user unknown.See below", " user unknown see below"),
        ("[TSS04] over-quota, e-mail (S3150) dy-001", " tss04 over quota e mail s3150 dy-001"),
        ("try d2e1a7b1c3f4e5 - 12345", " try"),
        ("host spam[192.0.2.1] said: 550 user unknown (in reply to RCPT TO command)", " user unknown"),
        ("Name service error for name=spam.example.org type=MX", " name service error for type mx"),
        ("see https://www.surbl.org/a?b=c", " see surbl.org"),
        ("mail was blocked here. Read on for more information. AUP#CXBL", " mail was blocked here read on aup cxbl"),
        ("mail blocked here for more information about spam read our other pages", " mail blocked here"),
        ("L'adresse n\u2019existe pas, dell'utente", " adresse existe pas utente"),
        ("Gr\u00f6\u00dfe pe\u0142na \u0130\u0131", " grosse pelna ii"),
    ],
)  # fmt: skip
def test_fold(text: str, folded: str) -> None:
    assert sorted(fold(text).split()) == sorted(folded.split())


def test_words_in_addresses_urls_and_host_names_decide_nothing() -> None:
    text = "550 <virus@spam.example.org> https://blocked.example/mailbox/full host greylisting.example.net"
    assert reason_of(text, 550, None, None) == "unclassified"


def test_the_list_is_read_from_a_url() -> None:
    assert reason_of("554 See https://www.spamhaus.org/query/ip/192.0.2.1", 554, None, None) == "blocked_ip"
    assert (
        reason_of("554 See https://www.spamhaus.org/query/dbl?domain=example.org", 554, None, None)
        == "blocked_domain"
    )


@pytest.mark.parametrize(
    "text",
    [
        *(unit * 999_999 for unit in ("x", "\0", "\ud800", "<", "a.", "a:", "\\n", "550-", "box ", " ")),
        *("", "@", "<", "://"),
    ],
    ids=lambda text: f"{text[:4]!r}",
)  # fmt: skip
def test_hostile_text_is_bounded_and_has_a_reason(text: str) -> None:
    assert reason_of(text, None, None, None) == "unclassified"
    assert len(fold(text[:LIMIT])) <= LIMIT + 1


def test_what_stands_beyond_the_limit_is_not_read() -> None:
    assert reason_of("x " * LIMIT + "user unknown", None, None, None) == "unclassified"


def test_texts_that_differ_in_names_and_ids_are_judged_once() -> None:
    judge.cache_clear()
    for n in range(100):
        text = f"host mx{n}.example.org[192.0.2.{n}] said: 550 <u{n}@example.org> User unknown {n:04}B12345678"
        assert reason_of(text, 550, "5.1.1", "rcpt") == "user_unknown"
    assert judge.cache_info().misses == 1
