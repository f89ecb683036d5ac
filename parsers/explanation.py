"""What a reply means for people: its reason, whose fault it is, and what to do.

The advice stands in `parsers/advice`: `classes.yaml` has an entry for each reason, `providers.yaml` for providers
that have a procedure of their own, `lists.yaml` for the lists of bad addresses and domains that replies name.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

import msgspec

from parsers import knowledge
from parsers.provider import provider_of_domain, provider_of_relay
from parsers.reason import LIMIT, verdict
from parsers.reply import read_reply, valid_dsn

OF_LISTS = frozenset({"blocked_ip", "blocked_domain"})
Nature = Literal["permanent", "transient"]


class Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"reason": "class"}):
    """An entry of `classes.yaml`: what a reason is, what to do. `nature` is `code` where the reply code tells it."""

    reason: str
    nature: Literal["permanent", "transient", "code"]
    fault: str
    means: str
    advice: list[str]


class Procedure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of `providers.yaml`: a provider's own way for some reasons, and its page about it."""

    provider: str
    classes: list[str]
    advice: list[str]
    page: str | None = None


class Blocklist(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"name": "list"}):
    """An entry of `lists.yaml`: words, in small letters, by which a reply names a list; what to do, and its page."""

    name: str
    words: list[str]
    advice: list[str]
    page: str | None = None


class Item(msgspec.Struct, frozen=True):
    """What is to be explained; a reply's text alone is enough. Keys that are not known are passed over."""

    reply: str = ""
    reply_code: int | None = None
    dsn: str | None = None
    phase: str | None = None
    relay_host: str | None = None
    recipient: str | None = None
    mta: str | None = None
    provider: str | None = None


class Explanation(NamedTuple):
    """The answer, in the fields of the contract; `advice` is one sentence a line, `page` where to ask."""

    reply_code: int | None
    dsn: str | None
    phase: str | None
    reason: str
    nature: Nature
    fault: str
    provider: str | None
    rule: str | None
    means: str
    advice: list[str]
    page: str | None


_read_kinds = knowledge.reader("parsers.advice", list[Kind])
_read_procedures = knowledge.reader("parsers.advice", list[Procedure])
_read_lists = knowledge.reader("parsers.advice", list[Blocklist])


@cache
def kinds() -> dict[str, Kind]:
    """The entry of each reason. Raises msgspec.ValidationError where one is not as `Kind` says."""
    return {kind.reason: kind for kind in _read_kinds("classes.yaml")}


def use_kinds(own: list[Kind]) -> None:
    """Know the operator's classes beside ours, in place of those given before."""
    kinds.cache_clear()
    kinds().update({kind.reason: kind for kind in own})


@cache
def procedures() -> dict[tuple[str, str], Procedure]:
    """The entries of providers, by provider and reason. Raises msgspec.ValidationError."""
    rows = _read_procedures("providers.yaml")
    return {(row.provider, reason): row for row in rows for reason in row.classes}


@cache
def blocklists() -> list[Blocklist]:
    """The entries of lists, in their order. Raises msgspec.ValidationError."""
    return _read_lists("lists.yaml")


def named_list(text: str, reason: str) -> Blocklist | None:
    """The list that a reply names, where it tells of a block."""
    if reason not in OF_LISTS:
        return None
    folded = text.lower()
    return next((row for row in blocklists() if any(word in folded for word in row.words)), None)


def explain(item: Item) -> Explanation:
    """What an item means. What it does not tell by itself (codes, the provider) is looked for in its reply."""
    text = item.reply[:LIMIT]
    said = read_reply(text)
    code = item.reply_code if item.reply_code is not None else said.code
    dsn = valid_dsn(item.dsn) or said.dsn
    provider = item.provider or provider_of(item)
    found = verdict(text, code, dsn, item.phase, provider)
    kind = kinds()[found.reason]
    own = named_list(text, found.reason) or procedures().get((provider or "", found.reason))
    return Explanation(
        reply_code=code,
        dsn=dsn,
        phase=item.phase,
        reason=found.reason,
        nature=nature_of(kind, code, dsn),
        fault=kind.fault,
        provider=provider,
        rule=found.rule or None,
        means=kind.means,
        advice=[*(own.advice if own else ()), *kind.advice],
        page=own.page if own else None,
    )


def provider_of(item: Item) -> str | None:
    """Who runs the relay; where none is named, who runs the recipient's domain."""
    if item.relay_host:
        return provider_of_relay(item.relay_host)
    return provider_of_domain(item.recipient.rpartition("@")[2]) if item.recipient else None


def nature_of(kind: Kind, code: int | None, dsn: str | None) -> Nature:
    """Whether trying again can help: a matter of the reason; for some, of the first digit of the answer."""
    if kind.nature != "code":
        return kind.nature
    digit = str(code)[0] if code else (dsn or "5")[0]
    return "transient" if digit == "4" else "permanent"
