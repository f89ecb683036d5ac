"""Why a delivery failed or a client was refused: the classes of the taxonomy.

What is known stands in `parsers/reasons/*.yaml`. The first of these that knows a text decides:

0. the operator's own rules, where there are some (`use_rules`);
1. the files of our own servers' words (`postfix.yaml`, …), in the order of their names;
2. `providers.yaml`, what providers and filters word in a way of their own;
3. `languages.yaml`, what servers answer in other languages than English;
4. `replies.yaml`, what other servers answer in English;
5. the enhanced status codes of `codes.yaml` that mean something else where this provider says them;
6. the enhanced status codes of `codes.yaml` that name a cause;
7. `vague.yaml`, words that many causes share;
8. the enhanced status codes and the reply codes of `codes.yaml` that many causes share;
9. the SMTP phase, where nobody answered.

Within a file, the first rule decides. Words are looked for in the folded text (see `fold`).
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files
from itertools import product
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import normalize

import msgspec

from parsers import knowledge

if TYPE_CHECKING:
    from collections.abc import Iterator

REASONS = (
    "user_unknown",
    "mailbox_disabled",
    "mailbox_full",
    "recipient_restricted",
    "domain_not_found",
    "no_mx",
    "dns_failure",
    "connection_failed",
    "tls_failure",
    "expired",
    "loop",
    "blocked_ip",
    "blocked_domain",
    "rate_limited",
    "greylisted",
    "spam_content",
    "prohibited_content",
    "malformed_message",
    "message_too_large",
    "policy_rejected",
    "auth_spf",
    "auth_dkim",
    "auth_dmarc",
    "auth_other",
    "rdns_helo",
    "sender_rejected",
    "relay_denied",
    "smtp_auth",
    "system_error",
    "protocol_error",
    "unclassified",
)
LIMIT = 1000
STEM = 3
GAP = " … "
NEAR = 40  # characters between an object and its predicate
FIRST_UNSPACED = "\u2e80"  # CJK, from the radicals on
ID_LENGTH = 10
TOKENS = 20_000
SHORT = 12
ADVICE = " for more information"
CAUSE = 3  # words that have to stand before the advice
CODE = 2  # tokens that may stand after it

OF_AN_ADDRESS = frozenset({"user_unknown", "domain_not_found", "no_mx"})
REPLIES = ["providers.yaml", "languages.yaml", "replies.yaml"]
SHARED = (*REPLIES, "vague.yaml", "codes.yaml")

# A name of a host, perhaps with a port or a path; a capital after the dot begins a sentence.
_HOST = re.compile(r"(?=[0-9.-]*+[A-Za-z_])[A-Za-z0-9_-]++\.[a-z0-9_.-]++(?:[/:\[]|$)")
_NUMBER = re.compile(r"[][0-9.,:/#+-]*+|(?:[Ii][Pp][Vv]6:)?[0-9a-fA-F.%]*+:[0-9a-fA-F.%]*+:[0-9a-fA-F.%:/]*+")
# What Postfix puts around a server's reply, also around one that another server quotes.
_SERVER_SAID = re.compile(r"host \S{1,600}+ (?:said|refused to talk to me): ")
_COMMAND = " (in reply to "
_NEXT_LINE = re.compile(r"^[2-5][0-9]{2}-")
_NOT_A_WORD = re.compile(r"[^\w'-]|-(?![0-9])")
_MARKS = re.compile("[\u0300-\u036f]")
_LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "\u0131": "i", "đ": "d", "ß": "ss", "æ": "ae", "œ": "oe", "\u2019": "'"}
)
# French and Italian: "l'adresse", "n'existe", "dell'utente".
_ELISION = re.compile(r"\b(?:[cdjlnst]|qu|un|all|dell|nell|sull)'(?=[^\W\d]{2})", re.IGNORECASE)
_EDGES = "\"'`()[]{}<>*#,;:.!?=-_|"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"reason": "class"}):
    """Words that tell a reason.

    A phrase begins where a word begins and may end within one (`greylist` is in `greylisted`) unless a blank ends it;
    its parts around a gap stand in that order. In scripts without blanks it may stand anywhere. A phrase with one of
    `./=` is looked for in URLs and host names instead. An `objects` word and a `predicates` word that stand near to
    each other, in whichever order, are as good as a phrase.
    Where `dsn` is given, the reply has to have one of these enhanced status codes; where `providers` is, one of them
    has to have said it. `sample` is a text that
    this rule decides, `seen` names who words it so.
    """

    id: str
    reason: str
    sample: str
    seen: list[str] = []
    phrases: list[str] = []
    objects: list[str] = []
    predicates: list[str] = []
    dsn: list[str] = []
    providers: list[str] = []


class Meaning(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"reason": "class"}):
    """What a code or a phase tells. `X.1.1` stands for 4.1.1 and 5.1.1, `X.7.606-649` for a range."""

    code: str
    reason: str
    means: str


class OwnMeaning(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"reason": "class"}):
    """What a code tells where one of these providers says it, against its registered meaning."""

    code: str
    providers: list[str]
    reason: str
    means: str


class Codes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The sections of `codes.yaml`."""

    providers: list[OwnMeaning]
    telling: list[Meaning]
    vague: list[Meaning]
    replies: list[Meaning]
    phases: list[Meaning]


class Verdict(NamedTuple):
    """A reason, and the id of the rule or the code that told it ("" where nothing did)."""

    reason: str
    rule: str


NOTHING = Verdict("unclassified", "")


class Phrase(NamedTuple):
    """A phrase's parts, each with the blank before its first word, and the place of its rule."""

    rank: int
    begin: str
    parts: list[str]


class Phrasebook:
    """Rules in their order of precedence, with their phrases found by their first words."""

    def __init__(self, rules: list[Rule]) -> None:
        self.rules = rules
        self._by_start: dict[str, list[Phrase]] = {}
        self._objects: dict[str, list[Phrase]] = {}
        self._predicates: dict[str, list[Phrase]] = {}
        self._unspaced: list[Phrase] = []
        for rank, rule in enumerate(rules):
            for phrase in rule.phrases:
                self._add(self._by_start, rank, phrase)
            for phrase in rule.objects:
                self._add(self._objects, rank, phrase)
            for phrase in rule.predicates:
                self._add(self._predicates, rank, phrase)

    def _add(self, index: dict[str, list[Phrase]], rank: int, phrase: str) -> None:
        if phrase >= FIRST_UNSPACED:
            parts = phrase.split(GAP)
            self._unspaced.append(Phrase(rank, parts[0], parts))
            return
        parts = [f" {part}" for part in phrase.split(GAP)]
        word, more, _ = phrase.partition(" ")
        is_whole = more and not parts[0].endswith(word)
        index.setdefault(word if is_whole else word[:STEM], []).append(Phrase(rank, parts[0], parts))

    def links(self) -> Iterator[str]:
        """The phrases that are looked for in URLs and host names."""
        return (phrase for rule in self.rules for phrase in rule.phrases if is_link(phrase))

    def first(self, folded: str, dsn: str | None, provider: str | None = None) -> Rule | None:
        """The first rule that has a phrase in a folded text, and is for its code and for who said it."""
        best = len(self.rules)
        text = f"{folded} "
        words = set(folded.split())
        starts = words | {word[:STEM] for word in words}
        unspaced = [] if folded.isascii() else [self._unspaced]
        for phrases in (*unspaced, *found(self._by_start, starts)):
            # Each list is in the order of the rules: what comes later cannot be better.
            for rank, begin, parts in phrases:
                if rank >= best:
                    break
                if begin in text and in_order(parts, text) and self._is_for(rank, dsn, provider):
                    best = rank
        if self._objects:
            pairs = (rank for rank in self._pairs(text, starts, best) if self._is_for(rank, dsn, provider))
            best = min(pairs, default=best)
        return self.rules[best] if best < len(self.rules) else None

    def _pairs(self, text: str, starts: set[str], best: int) -> Iterator[int]:
        """The places of the rules of which an object and a predicate stand near each other."""
        objects = by_rank(found(self._objects, starts), text, best)
        predicates = by_rank(found(self._predicates, starts), text, best) if objects else {}
        for rank in objects.keys() & predicates.keys():
            if any(is_near(one, other, text) for one, other in product(objects[rank], predicates[rank])):
                yield rank

    def _is_for(self, rank: int, dsn: str | None, provider: str | None) -> bool:
        rule = self.rules[rank]
        return (not rule.dsn or dsn in rule.dsn) and (not rule.providers or provider in rule.providers)


class Book(NamedTuple):
    """All that the package knows: rules by how sure they are, and what codes and phases tell."""

    sure: Phrasebook
    vague: Phrasebook
    links: list[str]
    own: dict[str, dict[str, Verdict]]
    telling: dict[str, Verdict]
    fallback: dict[str, Verdict]
    phases: dict[str, Verdict]


def is_link(phrase: str) -> bool:
    """Whether a phrase is a part of a URL or a host name: it has what no folded word has, and no blank."""
    return " " not in phrase and any(mark in phrase for mark in "./=")


def found(index: dict[str, list[Phrase]], starts: set[str]) -> list[list[Phrase]]:
    """The phrases that may be in a text, by how its words begin."""
    return [index[start] for start in starts if start in index]


def by_rank(lists: list[list[Phrase]], text: str, end: int) -> dict[int, list[str]]:
    """What of these words is in a text, by the place of the rule, for the places before `end`."""
    held: dict[int, list[str]] = {}
    for phrases in lists:
        for rank, begin, _ in phrases:
            if rank < end and begin in text:
                held.setdefault(rank, []).append(begin)
    return held


def is_near(one: str, other: str, text: str) -> bool:
    """Whether two phrases stand in a text, in whichever order, without much between them."""
    return is_before(one, other, text) or is_before(other, one, text)


def is_before(one: str, other: str, text: str) -> bool:
    """Whether a phrase follows another one without much between them."""
    start = text.find(one)
    while start >= 0:
        end = start + len(one.rstrip())
        if text.find(other, end, end + NEAR + len(other)) >= 0:
            return True
        start = text.find(one, end)
    return False


def in_order(parts: list[str], text: str) -> bool:
    """Whether the text holds all parts, one after the other."""
    end = 0
    for part in parts:
        start = text.find(part, end)
        if start < 0:
            return False
        end = start + len(part.rstrip())
    return True


_read_rules = knowledge.reader("parsers.reasons", list[Rule])
_read_codes = knowledge.reader("parsers.reasons", Codes)


def read_rules(name: str) -> list[Rule]:
    """One file of rules. Raises msgspec.ValidationError where a rule is not as `Rule` says."""
    return _read_rules(name)


def rule_files() -> list[str]:
    """The files of sure rules, first those of one server each, in their order of precedence."""
    names = sorted(entry.name for entry in files("parsers.reasons").iterdir() if entry.name.endswith(".yaml"))
    return [*(name for name in names if name not in SHARED), *REPLIES]


def read_codes() -> Codes:
    """The file of codes. Raises msgspec.ValidationError where it is not as `Codes` says."""
    return _read_codes("codes.yaml")


def spread(code: str) -> list[str]:
    """The codes that a row of `codes.yaml` stands for."""
    head, dot, numbers = code.rpartition(".")
    first, dash, last = numbers.partition("-")
    return [f"{head}{dot}{n}" for n in range(int(first), int(last) + 1)] if dash else [code]


def own_verdicts(rows: list[OwnMeaning]) -> dict[str, dict[str, Verdict]]:
    """What each code tells, by the provider that says it."""
    found: dict[str, dict[str, Verdict]] = {}
    for row in rows:
        for provider in row.providers:
            own = Verdict(row.reason, f"{provider} {row.code}")
            found.setdefault(provider, {}).update((code, own) for code in spread(row.code))
    return found


def verdicts(rows: list[Meaning]) -> dict[str, Verdict]:
    """What each code tells."""
    return {code: Verdict(row.reason, row.code) for row in rows for code in spread(row.code)}


_own_rules: list[Rule] = []


def use_rules(rules: list[Rule]) -> list[Rule]:
    """Put the operator's rules, whose words are folded, before all others, and return those before."""
    before = _own_rules[:]
    _own_rules[:] = rules
    for cached in (book, fold, judge):
        cached.cache_clear()
    _tokens.clear()
    return before


@cache
def book() -> Book:
    """All that the package knows, read at first use: a command that needs no reason does not pay for it."""
    sure = Phrasebook([*_own_rules, *(rule for name in rule_files() for rule in read_rules(name))])
    vague = Phrasebook(read_rules("vague.yaml"))
    codes = read_codes()
    return Book(
        sure,
        vague,
        [*sure.links(), *vague.links()],
        own_verdicts(codes.providers),
        verdicts(codes.telling),
        verdicts(codes.vague) | verdicts(codes.replies),
        verdicts(codes.phases),
    )


def is_id(word: str) -> bool:
    """Whether a word is a number, or has digits and is too long for a name that a server gives to a cause."""
    return any("0" <= mark <= "9" for mark in word) and (len(word) > ID_LENGTH or not word.strip("0123456789-_"))


def without_accents(word: str) -> str:
    """The word with its letters' marks gone: some servers write them, some do not."""
    if word.isascii():
        return word
    return normalize("NFC", _MARKS.sub("", normalize("NFKD", word.lower()))).translate(_LETTERS)


class Tokens(dict[str, str]):
    """What is left of a token, by the token: replies have few words. A long one that leaves nothing is not kept: it
    is an id or an address, and does not come again."""

    def __missing__(self, token: str) -> str:
        if "@" in token or (len(token) > ID_LENGTH and token.isalnum() and not token.isalpha()):
            return ""
        folded = token.lower() if token.isalpha() and token.isascii() else fold_token(token).lower()
        if (folded or len(token) <= SHORT) and len(self) < TOKENS:
            self[token] = folded
        return folded


_tokens = Tokens()


def fold_token(token: str) -> str:
    """The words in a token that is not all letters: "" for addresses, numbers, ids, `<…>`.

    Of a URL or a host name only what some rule looks for is left: the words in it are not the server's.
    """
    bare = token.strip(_EDGES)
    if "@" in token or (token[0] == "<" and ">" in token) or _NUMBER.fullmatch(bare):
        return ""
    if "://" in bare or _HOST.match(bare.rpartition("=")[2]):
        link = bare.lower()
        return " ".join(phrase for phrase in book().links if phrase in link)
    plain = _ELISION.sub(" ", without_accents(_NEXT_LINE.sub("", bare)))
    words = _NOT_A_WORD.sub(" ", plain).split()
    return " ".join(word for word in words if not is_id(word))


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """The words of a text: lower case, one blank before each, without punctuation.

    Addresses, numbers, ids, codes (also those that begin each line of a long reply), URLs and host names are
    gone, so the texts that a server sends for one cause mostly fold to one.
    """
    said = _SERVER_SAID.sub("", text) if "host " in text else text
    said = said.partition(_COMMAND)[0]
    # Exim writes the end of a line as a backslash and an n.
    if "\\n" in said:
        said = said.replace("\\n", " ")
    words = [_tokens[token] for token in said.split()]
    folded = " " + " ".join(filter(None, words))
    return without_advice(folded) + last_code(said) if ADVICE in folded else folded


def without_advice(folded: str) -> str:
    """What stands before the advice that a reply ends with, and the links in it: its other words are about much."""
    cause, _, advice = folded.partition(ADVICE)
    links = [word for word in advice.split() if is_link(word)]
    return " ".join([cause, *links]) if len(cause.split()) >= CAUSE else folded


def last_code(said: str) -> str:
    """The words after the last sentence of a reply, where they are a code: "… for more information. AUP#1"."""
    tokens = said.rpartition(". ")[2].split(maxsplit=2)
    return "".join(f" {_tokens[token]}" for token in tokens if _tokens[token]) if len(tokens) <= CODE else ""


def fold_phrase(phrase: str) -> str:
    """A phrase as it is looked for: folded as replies are, but for what is looked for in URLs and host names."""
    if is_link(phrase):
        return phrase.lower()
    return GAP.join(fold(part).strip() for part in phrase.split(GAP.strip()))


def by_code(dsn: str, known: dict[str, Verdict]) -> Verdict | None:
    """What an enhanced status code tells: the code itself, else its class-less form."""
    return known.get(dsn) or known.get(f"X{dsn[1:]}")


def find(folded: str, reply_code: int | None, dsn: str | None, phase: str | None, provider: str | None) -> Verdict:
    """The first that knows a folded text and its codes, in the order that this module tells."""
    known = book()
    if rule := known.sure.first(folded, dsn, provider):
        return Verdict(rule.reason, rule.id)
    if dsn and (found := by_code(dsn, known.own.get(provider or "", {})) or by_code(dsn, known.telling)):
        return found
    if rule := known.vague.first(folded, dsn, provider):
        return Verdict(rule.reason, rule.id)
    if dsn and (found := by_code(dsn, known.fallback)):
        return found
    if reply_code:
        return known.fallback.get(str(reply_code), NOTHING)
    return known.phases.get(phase or "", NOTHING)


@lru_cache(maxsize=4096)
def judge(
    folded: str, reply_code: int | None, dsn: str | None, phase: str | None, provider: str | None = None
) -> Verdict:
    """The verdict on a folded text. What answers MAIL knows no recipient yet: it means the sender."""
    found = find(folded, reply_code, dsn, phase, provider)
    is_about_sender = phase == "mail" and found.reason in OF_AN_ADDRESS
    return Verdict("sender_rejected", found.rule) if is_about_sender else found


def verdict(
    text: str, reply_code: int | None, dsn: str | None, phase: str | None, provider: str | None = None
) -> Verdict:
    """The reason class of a reply or of our own server's words, and the rule or the code that told it.

    `phase` is the SMTP phase of the event record, `provider` who runs the host that answered; only the first 1000
    characters of the text are read.
    """
    return judge(fold(text[:LIMIT]), reply_code, dsn, phase, provider)


def reason_of(
    text: str, reply_code: int | None, dsn: str | None, phase: str | None, provider: str | None = None
) -> str:
    """The reason class of a reply or of our own server's words; `unclassified` where nothing tells."""
    return verdict(text, reply_code, dsn, phase, provider).reason
