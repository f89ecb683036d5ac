"""What an operator knows beside what we know: rules and classes of reasons, and providers, in files of their own.

Both are YAML, checked strictly: an unknown key, a class that nobody knows, a sample that its own rule does not decide
is refused, and each error names the file and the place in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

import msgspec

from exporter import yamlfile
from exporter.schema import InvalidError, shown
from parsers.explanation import Kind, kinds, use_kinds
from parsers.provider import LONGEST_NAME, Provider, use_providers
from parsers.reason import REASONS, Rule, fold_phrase, use_rules, verdict
from parsers.reply import read_reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MOST_CLASSES = 40
MOST_RULES = 1000
MOST_PROVIDERS = 1000

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_SUFFIX = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_PLACE = re.compile(r" - at `\$(.*)`$")

Content = TypeVar("Content")


class Reasons(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of reasons: classes that are new, and rules, which come before all of ours."""

    classes: list[Kind] = []
    rules: list[Rule] = []


def load_reasons(path: Path) -> Reasons:
    """The classes and rules in a file, with the words of the rules as replies are folded.

    Raises InvalidError with all that is wrong with them.
    """
    content = _load(path, Reasons)
    folded = Reasons(content.classes, [_folded(rule) for rule in content.rules])
    _refuse(path, _errors_of_reasons(folded))
    return folded


def load_providers(path: Path) -> list[Provider]:
    """The providers in a file. Raises InvalidError with all that is wrong with them."""
    rows = _load(path, list[Provider])
    _refuse(path, _errors_of_providers(rows))
    return rows


def install(reasons: Path | None, providers: Path | None) -> None:
    """Put these files into force, from the next reply on, in place of those before; None takes them out.

    Raises InvalidError, and changes nothing, where one is bad. A host that was seen before keeps its provider until
    the process ends.
    """
    own = load_reasons(reasons) if reasons else Reasons()
    rows = load_providers(providers) if providers else []
    use_rules(own.rules)
    use_kinds(own.classes)
    use_providers(rows)


def _load(path: Path, kind: type[Content]) -> Content:
    try:
        content = yamlfile.load(path)
    except InvalidError as invalid:
        raise InvalidError(f"{path}: {error}" for error in invalid.errors) from None
    try:
        return msgspec.convert([] if content is None and kind is not Reasons else content or {}, kind)
    except msgspec.ValidationError as error:
        raise InvalidError([f"{path}: {_in_our_words(str(error))}"]) from None


def _in_our_words(text: str) -> str:
    """`Expected `str`, got `int` - at `$.rules[0].id`` as `rules[0].id: expected …`."""
    place = _PLACE.search(text)
    problem = text[: place.start()] if place else text
    problem = problem[:1].lower() + problem[1:].replace("`", '"')
    where = place[1].removeprefix(".") if place else ""
    return f"{where}: {problem}" if where else problem


def _refuse(path: Path, errors: Iterator[str]) -> None:
    found = [f"{path}: {error}" for error in errors]
    if found:
        raise InvalidError(found)


# --- reasons ---


def _folded(rule: Rule) -> Rule:
    return msgspec.structs.replace(
        rule,
        phrases=[fold_phrase(text) for text in rule.phrases],
        objects=[fold_phrase(text) for text in rule.objects],
        predicates=[fold_phrase(text) for text in rule.predicates],
    )


def _errors_of_reasons(own: Reasons) -> Iterator[str]:
    if len(own.classes) > MOST_CLASSES:
        yield f"classes: at most {MOST_CLASSES}"
    if len(own.rules) > MOST_RULES:
        yield f"rules: at most {MOST_RULES}"
    known = set(REASONS)
    for place, kind in enumerate(own.classes):
        yield from (f"classes[{place}].{error}" for error in _errors_of_class(kind, known))
        known.add(kind.reason)
    ids: set[str] = set()
    for place, rule in enumerate(own.rules):
        yield from (f"rules[{place}].{error}" for error in _errors_of_rule(rule, known, ids))
        ids.add(rule.id)
    if not any(_errors_of_words(rule) for rule in own.rules):
        yield from _errors_of_samples(own.rules)


def _errors_of_class(kind: Kind, known: set[str]) -> Iterator[str]:
    if not _NAME.fullmatch(kind.reason):
        yield f"class: {shown(kind.reason)} is no name: small letters, digits and _, at most 40"
    if kind.reason in known:
        yield f"class: there is a class {shown(kind.reason)} already"
    faults = sorted({kind.fault for kind in kinds().values()})
    if kind.fault not in faults:
        yield f"fault: {shown(kind.fault)} is none of {', '.join(faults)}"
    if not kind.advice:
        yield "advice: at least one sentence"


def _errors_of_rule(rule: Rule, known: set[str], ids: set[str]) -> Iterator[str]:
    if rule.id in ids:
        yield f"id: {shown(rule.id)} is the id of an earlier rule"
    if rule.reason not in known:
        yield f"class: {shown(rule.reason)} is neither one of ours nor in classes"
    yield from _errors_of_words(rule)


def _errors_of_words(rule: Rule) -> list[str]:
    """What is wrong with the words themselves: then no sample can tell."""
    errors = []
    if not rule.phrases and not (rule.objects and rule.predicates):
        errors.append("phrases: at least one, or objects and predicates")
    for name in ("phrases", "objects", "predicates"):
        places = (place for place, text in enumerate(getattr(rule, name)) if not text.strip(" …"))
        errors += [f"{name}[{place}]: numbers and addresses are not looked at, no word is left" for place in places]
    return errors


def _errors_of_samples(rules: list[Rule]) -> Iterator[str]:
    before = use_rules(rules)
    try:
        for place, rule in enumerate(rules):
            code, dsn = read_reply(rule.sample)
            provider = rule.providers[0] if rule.providers else None
            found = verdict(rule.sample, code, rule.dsn[0] if rule.dsn else dsn, None, provider)
            if found.rule != rule.id:
                yield f"rules[{place}].sample: is decided by {shown(found.rule or 'no rule')}"
    finally:
        use_rules(before)


# --- providers ---


def _errors_of_providers(rows: Sequence[Provider]) -> Iterator[str]:
    if len(rows) > MOST_PROVIDERS:
        yield f"at most {MOST_PROVIDERS}"
    first: dict[tuple[str, str], str] = {}
    for place, row in enumerate(rows):
        if not _NAME.fullmatch(row.name):
            yield f"[{place}].name: {shown(row.name)} is no name: small letters, digits and _, at most 40"
        if not (row.relays or row.domains):
            yield f"[{place}]: relays or domains have to be there"
        for key in ("relays", "domains", "customers"):
            for at, suffix in enumerate(getattr(row, key)):
                yield from (f"[{place}].{key}[{at}]: {error}" for error in _errors_of_suffix(suffix))
                if first.setdefault((key, suffix), row.name) != row.name:
                    yield f"[{place}].{key}[{at}]: {shown(suffix)} is of {first[key, suffix]}"


def _errors_of_suffix(suffix: str) -> Iterator[str]:
    if len(suffix) > LONGEST_NAME or not _SUFFIX.fullmatch(suffix):
        yield f"{shown(suffix)} is no suffix of host names: labels in small letters, with dots between them"
