"""The language of `--where`: which events a report is about.

    status = deferred and provider = google and delay > 5m
    to = *@example.com and not reply ~ "try again"
    client_ip in 192.0.2.0/24 or reason in (blocked_ip, rate_limited)
    time > 2h ago and message_id is absent

A field is one of the event record. Text is compared without regard to case (queue ids with it), `=` and `!=` take `*`
for any text, `~` looks for a text within a text. A field that the event does not have fits nothing but `is absent`
and `!=`. An expression becomes a small tree of conditions, and that one function from event to bool. Nothing in an
expression is a regular expression, so none can be slow.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import tzinfo
from difflib import get_close_matches
from functools import cache, lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

import pyparsing as pp

from mailstat.cell import visible
from mailstat.period import UNITS, read_time
from parsers.events import CONTEXT, KINDS, Event, Origin

LONGEST = 4096  # characters of an expression
DEEPEST = 32  # brackets within each other: each takes some twenty of the thousand calls that Python allows
ORIGIN = ("mta", "host", "service", "program", "pid")
ALIASES = {
    "to": "recipient",
    "from": "sender",
    "client": "client_ip",
    "relay": "relay_host",
    "user": "sasl_user",
    "id": "queue_id",
    "code": "reply_code",
}
CHOICES = {
    "kind": tuple(kind.kind for kind in KINDS),
    "status": ("sent", "deferred", "bounced", "expired"),
    "direction": ("outbound", "local"),
}
IDS = frozenset({"queue_id", "new_queue_id", "original_queue_id"})  # Exim's tell upper case from lower
SIZES: dict[str, float] = {
    "": 1,
    "b": 1,
    "k": 1 << 10,
    "m": 1 << 20,
    "g": 1 << 30,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
}
SIZES |= {"kb": 10**3, "mb": 10**6, "gb": 10**9}
DURATIONS = UNITS | {"": 1.0, "ms": 0.001}

Network = IPv4Network | IPv6Network
Value = str | float | Network
Test = Callable[[Event], bool]


class FilterError(ValueError):
    """An expression that says nothing; the text shows it, the place, and what was expected there."""


# --- the tree ---


@dataclass(frozen=True)
class Compare:
    """`field operator value`; the operator is one of = != < <= > >= ~ and the value a number for a field that is."""

    field: str
    operator: str
    value: str | float


@dataclass(frozen=True)
class Among:
    """The field equals one of the values, or is an address within one of the networks."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Presence:
    """Whether the event has the field."""

    field: str
    is_present: bool


@dataclass(frozen=True)
class Not:
    """The contrary."""

    condition: Condition


@dataclass(frozen=True)
class Every:
    """All of the conditions (`and`)."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Some:
    """One of the conditions at least (`or`)."""

    conditions: tuple[Condition, ...]


Condition = Compare | Among | Presence | Not | Every | Some


@dataclass(frozen=True)
class Filter:
    """An expression that was understood: its tree, and what the tree says of an event."""

    condition: Condition
    matches: Test


def parse(text: str, *, now: float, zone: tzinfo) -> Filter:
    """The filter that an expression is; `now` and `zone` are for the times in it. Raises FilterError."""
    if len(text) > LONGEST:
        raise FilterError(f"an expression has {LONGEST} characters at most, this one has {len(text)}")
    _check_depth(text)
    condition = _Reader(text, now, zone).read()
    return Filter(condition, compiled(condition))


# --- fields ---


class Field(NamedTuple):
    """A field of the event record; `unit` is text, number, seconds, bytes or time."""

    name: str
    unit: str


@cache
def fields() -> dict[str, Field]:
    """The fields of all kinds of event, by name."""
    found = {"time": Field("time", "time"), "kind": Field("kind", "text")}
    for cls in (Origin, *KINDS):
        for name, annotation in cls.__annotations__.items():
            if name not in CONTEXT and (cls is not Origin or name in ORIGIN):
                found[name] = Field(name, _unit(name, str(annotation)))
    return found


def _unit(name: str, annotation: str) -> str:
    if annotation.startswith("float"):
        return "seconds"
    if annotation.startswith("int"):
        return "bytes" if name == "size" else "number"
    return "text"


# --- from tree to function ---


def compiled(condition: Condition) -> Test:
    """What the condition says of an event, as one function."""
    match condition:
        case Not(inner):
            test = compiled(inner)
            return lambda event: not test(event)
        case Every(conditions):
            return _all(tuple(map(compiled, conditions)))
        case Some(conditions):
            return _any(tuple(map(compiled, conditions)))
        case Presence(field, is_present):
            get = _getter(field)
            return lambda event: (get(event) is not None) is is_present
        case Among(field, values):
            return _test(field, _among(field, values), of_absent=False)
        case Compare(field, sign, value):
            return _test(field, _comparison(field, sign, value), of_absent=sign == "!=")


def lowered(text: str) -> str:
    """The text without regard to case, each character by itself: as the database has it."""
    return text.lower() if text.isascii() else "".join("i" if char == "\u0130" else char.lower() for char in text)


def glob(pattern: str) -> Callable[[str], bool]:
    """Whether a text is of the pattern, where `*` stands for any text; in linear time."""
    first, *middle = pattern.split("*")
    if not middle:
        return pattern.__eq__
    last = middle.pop()
    least = len(first) + len(last)

    def matches(text: str) -> bool:
        if len(text) < least or not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return matches


def _all(tests: tuple[Test, ...]) -> Test:
    def every(event: Event) -> bool:
        for test in tests:  # noqa: SIM110 - a generator for each event would cost more than the tests
            if not test(event):
                return False
        return True

    return every


def _any(tests: tuple[Test, ...]) -> Test:
    def some(event: Event) -> bool:
        for test in tests:  # noqa: SIM110 - the same
            if test(event):
                return True
        return False

    return some


def _getter(field: str) -> Callable[[Event], Any]:
    if field in ORIGIN:
        return operator.attrgetter(f"origin.{field}")
    return lambda event: getattr(event, field, None)


def _test(field: str, accepts: Callable[[Any], bool], *, of_absent: bool) -> Test:
    get = _getter(field)

    def test(event: Event) -> bool:
        value = get(event)
        return of_absent if value is None else accepts(value)

    return test


_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _comparison(field: str, sign: str, value: str | float) -> Callable[[Any], bool]:
    if not isinstance(value, str):
        compare = _SIGNS[sign]
        return lambda number: compare(number, value)
    if sign == "~":
        part = lowered(value)
        return lambda text: part in lowered(text)
    equals = _equality(field, value)
    return equals if sign == "=" else lambda text: not equals(text)


def _equality(field: str, value: str) -> Callable[[str], bool]:
    if field in IDS:
        return glob(value)
    matches = glob(lowered(value))
    return lambda text: matches(lowered(text))


def _among(field: str, values: tuple[Value, ...]) -> Callable[[Any], bool]:
    networks = [value for value in values if isinstance(value, (IPv4Network, IPv6Network))]
    if networks:
        return lambda text: _is_within(text, networks)
    numbers = frozenset(value for value in values if isinstance(value, (int, float)))
    if numbers:
        return numbers.__contains__
    tests = tuple(_equality(field, value) for value in values if isinstance(value, str))
    return lambda text: any(test(text) for test in tests)


def _is_within(text: str, networks: Iterable[Network]) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in networks)


@lru_cache(maxsize=8192)
def _address(text: str) -> Any:
    try:
        return ip_address(text)
    except ValueError:
        return None


# --- from text to tree ---

_TOKEN = re.compile(r"""("[^"]*"|'[^']*')|([()])""")
_NUMBER = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([a-z]{0,3})").fullmatch
_ORDER = ("<", "<=", ">", ">=")
_RESERVED = ("and", "or", "not", "in", "is")
_CASTS: dict[str, tuple[str, dict[str, float]]] = {
    "number": ("a whole number", {"": 1.0}),
    "bytes": ("a size as in 500, 10k or 2MiB", SIZES),
    "seconds": ("a duration as in 90s, 5m or 2h", DURATIONS),
}


class Term(NamedTuple):
    """A word of the expression and where it stands."""

    text: str
    at: int


class Clause(NamedTuple):
    """A condition as it was written: `field operator values`, with `is` and `in` for operators too."""

    field: Term
    operator: Term
    values: tuple[Term, ...]


class Group(NamedTuple):
    """`parts` joined by `and`, by `or`, or one part under `not`."""

    word: str
    parts: tuple[Any, ...]


class _Reader:
    """Gives meaning to what one expression says."""

    def __init__(self, text: str, now: float, zone: tzinfo) -> None:
        self.text = text
        self.now = now
        self.zone = zone

    def read(self) -> Condition:
        try:
            (written,) = _grammar().parse_string(self.text)
        except pp.ParseBaseException as error:
            raise self._error(error.loc, error.msg[:1].lower() + error.msg[1:]) from None
        return self._condition(written)

    def _error(self, at: int, problem: str) -> FilterError:
        return _error(self.text, at, problem)

    def _condition(self, written: Clause | Group) -> Condition:
        if isinstance(written, Clause):
            return self._clause(written)
        conditions = tuple(map(self._condition, written.parts))
        if written.word == "not":
            return Not(conditions[0])
        return Every(conditions) if written.word == "and" else Some(conditions)

    def _clause(self, clause: Clause) -> Condition:
        field = self._field(clause.field)
        if clause.operator.text == "is":
            return Presence(field.name, clause.values[0].text.lower() == "present")
        if clause.operator.text == "in" and field.name.endswith("_ip"):
            return Among(field.name, tuple(map(self._network, clause.values)))
        self._check_operator(field, clause.operator)
        values = [self._value(field, clause.operator.text, value) for value in clause.values]
        if clause.operator.text == "in":
            return Among(field.name, tuple(values))
        return Compare(field.name, clause.operator.text, values[0])

    def _field(self, term: Term) -> Field:
        known = fields()
        name = term.text.lower()
        name = ALIASES.get(name, name)
        if name not in known:
            near = _suggestion(name, [*known, *ALIASES])
            raise self._error(term.at, f'unknown field "{visible(name[:40])}"{near}')
        return known[name]

    def _check_operator(self, field: Field, sign: Term) -> None:
        if field.unit == "text" and sign.text in _ORDER:
            raise self._error(sign.at, f"{field.name} is a text and has no order: use =, !=, ~ or in")
        if field.unit == "time" and sign.text not in _ORDER:
            raise self._error(sign.at, f"{field.name} is a moment: use <, <=, > or >=")
        if field.unit != "text" and sign.text == "~":
            raise self._error(sign.at, f"{field.name} is a number: use =, !=, <, <=, >, >= or in")

    def _value(self, field: Field, sign: str, term: Term) -> str | float:
        if field.unit == "text":
            return self._choice(field.name, sign, term)
        if field.unit == "time":
            try:
                return read_time(term.text, now=self.now, zone=self.zone)
            except ValueError as error:
                raise self._error(term.at, str(error)) from None
        wanted, units = _CASTS[field.unit]
        found = _NUMBER(term.text.lower())
        if not found or found[2] not in units or (field.unit == "number" and "." in found[1]):
            raise self._error(term.at, f"{field.name} is compared with {wanted}")
        return float(found[1]) * units[found[2]]

    def _choice(self, field: str, sign: str, term: Term) -> str:
        """A text; one that no event has is a slip."""
        choices = CHOICES.get(field, ())
        if choices and sign != "~" and "*" not in term.text and term.text.lower() not in choices:
            near = _suggestion(term.text, choices) or f": it is one of {', '.join(choices)}"
            raise self._error(term.at, f'{field} is never "{visible(term.text[:40])}"{near}')
        return term.text

    def _network(self, term: Term) -> Network:
        try:
            return ip_network(term.text, strict=False)
        except ValueError:
            raise self._error(term.at, "no address or network, as in 192.0.2.0/24 or 2001:db8::/32") from None


@cache
def _grammar() -> pp.ParserElement:
    """The grammar; no alternative begins like another, so that nothing is read twice."""
    either, both, negation, among, presence = (pp.CaselessKeyword(word) for word in ("or", "and", "not", "in", "is"))
    reserved = pp.MatchFirst([pp.CaselessKeyword(word) for word in _RESERVED])
    field = (~reserved + _term(r"[A-Za-z_][A-Za-z0-9_]*")).set_name("a field")
    sign = _term(r"!=|<=|>=|==?|<|>|~")
    quoted = _term(r"\"[^\"]*\"|'[^']*'|<[^<>\s]*>", lambda text: text[1:-1])
    age = _term(r"(?i:[0-9]{1,7} ?[a-z]{1,7} +ago\b)")
    word = ~reserved + _term(r"[^\s()\"',=<>!~]+")
    value = pp.MatchFirst([form.set_name("a value") for form in (quoted, age, word)]).set_name("a value")
    values = pp.Suppress("(") - pp.DelimitedList(value) - pp.Suppress(")") | value
    state = pp.CaselessKeyword("absent") | pp.CaselessKeyword("present")
    rest = (
        sign - value
        | _placed(among) - values.set_name("a value, or a list in brackets")
        | _placed(presence) - _placed(state).set_name('"absent" or "present"')
    ).set_name("an operator: = != < <= > >= ~ in is")
    clause = (field - rest).set_parse_action(lambda found: Clause(found[0], _sign(found[1]), tuple(found[2:])))
    whole = pp.Forward()
    atom = (pp.Suppress("(") - whole - pp.Suppress(")") | clause).set_name("a field, not or a bracket")
    denied = (negation[...] + atom).set_parse_action(_denied)
    every = (denied + (pp.Suppress(both) - denied)[...]).set_parse_action(_joined("and"))
    whole <<= (every + (pp.Suppress(either) - every)[...]).set_parse_action(_joined("or"))
    end = pp.StringEnd().set_name('"and", "or" or the end')
    return (whole - end).parse_with_tabs()


def _term(pattern: str, strip: Callable[[str], str] = str) -> pp.ParserElement:
    return _placed(pp.Regex(pattern), strip)


def _placed(element: pp.ParserElement, strip: Callable[[str], str] = str) -> pp.ParserElement:
    return element.copy().add_parse_action(lambda _, at, found: Term(strip(found[0]), at))


def _sign(term: Term) -> Term:
    return Term("=" if term.text == "==" else term.text.lower(), term.at)


def _denied(found: pp.ParseResults) -> Any:
    """Each second `not` takes the one before it back."""
    return found[-1] if len(found) % 2 else Group("not", (found[-1],))


def _joined(word: str) -> Callable[[pp.ParseResults], Any]:
    return lambda found: found[0] if len(found) == 1 else Group(word, tuple(found))


def _check_depth(text: str) -> None:
    """Refuse what nests too deep before anything descends into it."""
    depth = 0
    for found in _TOKEN.finditer(text):
        if found[2]:
            depth += 1 if found[2] == "(" else -1
        if depth > DEEPEST:
            raise _error(text, found.start(), f"more than {DEEPEST} brackets within each other")


def _error(text: str, at: int, problem: str) -> FilterError:
    """The expression on a line, a caret under the place, what is wrong. Only a window of a long one is shown."""
    begin = max(0, at - 60)
    before, after = visible(text[begin:at]), visible(text[at : begin + 120])
    return FilterError(f"{before}{after}\n{' ' * len(before)}^ {problem}")


def _suggestion(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word[:40].lower(), list(known), n=1)
    return f': did you mean "{near[0]}"?' if near else ""
