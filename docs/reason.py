"""The page of reasons and providers, from the rules in `parsers/reasons` and `parsers/providers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docs.markdown import code, codes, page, table
from parsers.provider import read_providers
from parsers.reason import REASONS, read_codes, read_rules, rule_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parsers.provider import Provider
    from parsers.reason import Rule

INTRODUCTION = """\
Why a delivery failed or a client was refused, made from the rules in `parsers/reasons`: words of the reply first,
then its enhanced status code, then its reply code, then the SMTP phase where nobody answered. What no rule knows is
`unclassified`."""

PROVIDERS = """\
Who runs a destination, from `parsers/providers/providers.yaml`: by the name of the mail exchanger that was tried, or,
where none was, by the recipient's domain."""


def text() -> str:
    """The page."""
    return page(
        "Reasons and providers",
        INTRODUCTION,
        "## Reasons",
        table(["reason", "rules", "codes", "a reply of this kind"], _reasons()),
        "## Providers",
        PROVIDERS,
        table(["provider", "mail exchangers", "domains", "evidence"], map(_provider, read_providers())),
    )


def _reasons() -> Iterator[list[str]]:
    rules = [rule for name in [*rule_files(), "vague.yaml"] for rule in read_rules(name)]
    codes_of = read_codes()
    meanings = [*codes_of.telling, *codes_of.vague, *codes_of.replies]
    for reason in REASONS:
        own = [rule for rule in rules if rule.reason == reason]
        known = [row.code for row in meanings if row.reason == reason]
        yield [code(reason), str(len(own)), codes(known), _sample(own)]


def _sample(rules: list[Rule]) -> str:
    return code(rules[0].sample) if rules else ""


def _provider(provider: Provider) -> list[str]:
    return [code(provider.name), codes(provider.relays), codes(provider.domains), provider.evidence]
