"""A line shape is data: a template, a sample, and what it means. This module compiles templates and nothing else.

The template language:

    text            stands for itself
    {name}          a field: the text up to the next literal of the template, never given back
                    (one that begins the line is an id or a client: up to the first ": ", without blanks)
    {name:a|b}      a field that holds one of these words
    {name: }        a field without blanks that does not begin with a double quote
    {name:"}        a field without double quotes
    {name> S=}      a field that ends with the last ` S=`, and holds it: what its text mostly is has been read before,
                    so it is only found, which costs least this way; no field of any text can follow
    {_}             text that must be there and that nobody wants
    [text]          may be missing
    {...}           any ` key=value,` pairs not named here, so that a new release's new field breaks nothing
    [[ ]] {{ }}     a bracket or a brace of the text itself

A field before the last literal takes everything up to the *last* place that literal can stand, for a reply in
brackets holds brackets. Nothing is ever tried in more than one way that matters, so that matching a line is linear
in its length whatever it holds. (The regular expressions use possessive quantifiers over single characters only:
over groups they are wrong in Python 3.11.2.)
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, cached_property, partial
from typing import Any, NamedTuple

from parsers.events import Event, Origin

Meaning = Callable[..., Event | list[Event] | None]
Match = Callable[..., "re.Match[str] | None"]  # of a text, and where to begin in it
Build = Callable[..., Any]  # what a meaning gives

END = "\n"  # no line holds it
KEY = 3  # characters of a template's first literal that find the candidates of a line
PRINTABLE = tuple(map(chr, range(0x20, 0x7F)))  # what can stand after a literal that is one character too short
INTEGERS = frozenset({"size", "recipients", "relay_port", "reply_code", "attempts"})
NUMBERS = frozenset({"delay", "delay_before_queue", "delay_in_queue", "delay_connect", "delay_transmit"})


class Shape(NamedTuple):
    """One form a line can have.

    `meaning` is a kind of event, whose fields then have the template's names; or a function of
    (time, origin, *fields) that returns an event, None for a line that is of no use, or raises ValueError where a
    field holds what it cannot; or None, where no line of this shape is of use to anybody. `constants` are fields of
    the event that the shape itself tells. A `general` shape also fits lines of more special ones, and is tried
    after them. An `unkeyed` one has, after its id, no characters of its own to be found by: it is tried for lines
    that no other fits, at more cost. Where lines of a shape `repeat` to the letter (but for their queue id), as those
    that name a client or a relay do, an event is a copy of the one that the same words gave before. Where one line
    tells of `several` things (the recipients of one delivery), the meaning returns a list.
    """

    template: str
    sample: str
    meaning: type[Event] | Meaning | None
    constants: dict[str, Any]
    general: bool
    repeats: bool
    several: bool
    unkeyed: bool = False


def shape(
    template: str,
    sample: str,
    meaning: type[Event] | Meaning | None = None,
    *,
    general: bool = False,
    repeats: bool = False,
    several: bool = False,
    unkeyed: bool = False,
    **constants: Any,
) -> Shape:
    """A row of a grammar's table; without a meaning its lines are known and of no use to anybody."""
    return Shape(template, sample, meaning, constants, general, repeats, several, unkeyed)


# --- the template's parts ---


class Literal(NamedTuple):
    text: str


class Field(NamedTuple):
    name: str
    words: tuple[str, ...] = ()
    is_word: bool = False
    is_unquoted: bool = False
    end: str = ""


class Optional(NamedTuple):
    parts: tuple[Part, ...]


class Extras(NamedTuple):
    """`{...}`"""


Part = Literal | Field | Optional | Extras

_FIELD = re.compile("([:>])")
_TOKEN = re.compile(r"\[\[|\]\]|\{\{|\}\}|\{(?P<field>[^{}]*)\}|\[|\]|[^\[\]{}]+")


def parse(template: str) -> tuple[Part, ...]:
    """The parts of a template. Raises ValueError where brackets do not match."""
    tokens = _TOKEN.finditer(template)
    return tuple(_sequence(tokens, inner=False))


def _sequence(tokens: Iterator[re.Match[str]], *, inner: bool) -> Iterator[Part]:
    text = ""
    for token in tokens:
        piece = token[0]
        if piece in ("[[", "]]", "{{", "}}"):
            text += piece[0]
        elif token["field"] is None and piece not in "[]":
            text += piece
        else:
            if text:
                yield Literal(text)
                text = ""
            if piece == "]":
                if not inner:
                    raise ValueError("']' without '['")
                return
            yield Optional(tuple(_sequence(tokens, inner=True))) if piece == "[" else _field(token["field"])
    if inner:
        raise ValueError("'[' without ']'")
    if text:
        yield Literal(text)


def _field(text: str) -> Part:
    if text == "...":
        return Extras()
    name, mark, words = _FIELD.split(text, 1) if _FIELD.search(text) else (text, "", "")
    if mark == ">":
        return Field(name, end=words)
    if words in (" ", '"'):
        return Field(name, is_word=words == " ", is_unquoted=words == '"')
    return Field(name, tuple(words.split("|")) if words else ())


def field_names(parts: Iterable[Part]) -> Iterator[str]:
    """The names of the fields that are kept, in order."""
    for part in parts:
        if isinstance(part, Field) and part.name != "_":
            yield part.name
        elif isinstance(part, Optional):
            yield from field_names(part.parts)


# --- from parts to a regular expression ---


def pattern(parts: tuple[Part, ...]) -> str:
    """The regular expression of a template, for `fullmatch`; one group for each field that is kept."""
    return _pattern(parts, after=())


def _pattern(parts: tuple[Part, ...], after: tuple[Part, ...]) -> str:
    out = []
    for index, part in enumerate(parts):
        rest = parts[index + 1 :] + after
        match part:
            case Literal(text):
                out.append(re.escape(text))
            case Optional(inner):
                out.append(f"(?:{_pattern(inner, rest)}|)")  # cheaper than "?", which is a loop to `re`
            case Extras():
                out.append(f"(?>(?:{_none_of(_follow(rest))} [A-Za-z_]++=[^,]*+,)*)")
            case Field(name=name):
                body = _field_pattern(part, rest)
                out.append(f"(?:{body})" if name == "_" else f"({body})")
    return "".join(out)


def _field_pattern(field: Field, rest: tuple[Part, ...]) -> str:
    if field.end:
        if not all(map(_is_plain, rest)):
            raise ValueError(f"a field of any text behind {field.end!r}")
        return f".*{re.escape(field.end)}"  # with the literal in its own group, `re` skips to where it can stand
    if field.is_word:
        return '[^" ][^ ]*+'
    if field.is_unquoted:
        return '[^"]*+'
    if field.words:
        return "|".join(map(re.escape, field.words))
    return _until(rest, is_number=field.name in INTEGERS | NUMBERS)


def _is_plain(part: Part) -> bool:
    """Whether a part takes its text without going on behind what ends it."""
    match part:
        case Optional(inner):
            return all(map(_is_plain, inner))
        case Field(name, words, is_word, is_unquoted):
            return bool(words) or is_word or is_unquoted or name in INTEGERS | NUMBERS
    return isinstance(part, Literal)


def _follow(parts: tuple[Part, ...]) -> list[str]:
    """The literals that can come next, END where the line can end there.

    What may be missing after a literal belongs to it: in `to=<{recipient}>,[ orig_to=…,] relay=` the recipient does
    not end at any ">,", but at ">, orig_to=" or ">, relay=". (Literals of one character are taken at their word.)
    """
    literals: list[str] = []
    for index, part in enumerate(parts):
        match part:
            case Literal(text):
                rest = parts[index + 1 :]
                whole = len(text) > 1 and rest and isinstance(rest[0], Optional)
                return [*literals, *((text + more for more in _follow(rest)) if whole else [text])]
            case Optional(inner):
                literals += [text for text in _follow(inner) if text != END]
            case Field(words=words):
                return [*literals, *(words or [""])]
            case Extras():
                continue
    return [*literals, END]


def _until(rest: tuple[Part, ...], *, is_number: bool) -> str:
    """Text up to the first of the literals that can follow; to the last place of a literal that ends the line.

    A number ends where a literal's first character stands, for it has none of these.
    """
    if not rest or (len(rest) == 1 and isinstance(rest[0], Literal)):
        return ".*"
    literals = [text for text in _follow(rest) if text != END]
    if "" in literals:
        raise ValueError("two fields without a literal between them")
    firsts = "".join(sorted({re.escape(text[0]) for text in literals}))
    if is_number or all(len(text) == 1 for text in literals):
        return f"[^{firsts}]*+"
    return f"[^{firsts}]*+(?:{_none_of(literals)}[{firsts}][^{firsts}]*+)*"


def _none_of(literals: list[str]) -> str:
    choices = [re.escape(text.removesuffix(END)) + r"\Z" * text.endswith(END) for text in sorted(set(literals))]
    return f"(?!{'|'.join(choices)})"


# --- from a shape to code ---


# What is to be done with what a shape builds: nothing more, keep a copy, or take it for a list.
PLAIN, REPEATS, SEVERAL = range(3)
# A shape ready for use: match, build, one of these, the shape. `build(time, origin, *match(text).groups())` gives the
# event; without a build the line is of no use. A shape that begins with an id matches what follows the id
# and its lead, and takes the id as its first field. (Tuples without names: the hot loop takes them apart.)
Compiled = tuple[Match, Build | None, int, Shape]
# Whether one of the shapes repeats, and the shapes that a message with certain first characters can have.
Choice = tuple[bool, tuple[Compiled, ...]]
NO_CANDIDATES: Choice = (False, ())


class Latent:
    """A choice that no line had to make yet. Taken apart, it is compiled, and stands for itself in the index from
    then on: most programs meet few lines of one server, and to compile all takes them longer than all else."""

    def __init__(self, index: dict[str, Candidates], key: str) -> None:
        self.rows: list[Callable[[], Compiled]] = []
        self._index = index
        self._key = key

    def __iter__(self) -> Iterator[Any]:
        compiled = tuple(compile_row() for compile_row in self.rows)
        choice = self._index[self._key] = (any(result == REPEATS for _, _, result, _ in compiled), compiled)
        return iter(choice)


Candidates = Choice | Latent


def begins_with_id(row: Shape) -> bool:
    """Whether the line begins with a field of any text: an id, or a client."""
    first = parse(row.template)[0]
    return isinstance(first, Field) and not first.words


def compile_shape(row: Shape, lead: str) -> Compiled:
    """Raises ValueError or TypeError where the template and the meaning do not fit together."""
    parts = parse(row.template)
    names = list(field_names(parts))
    if row.meaning is None:
        build = None
    elif isinstance(row.meaning, type):
        build = _constructor(row.meaning, names, row.constants)
    else:
        build = _checked(row.meaning, names, row.constants)
    if begins_with_id(row):
        first, literal, *rest = parts
        if not isinstance(literal, Literal) or not literal.text.startswith(lead):
            raise ValueError(f"what begins the line must end at {lead!r}")
        text = literal.text.removeprefix(lead)
        parts = (Literal(text), *rest) if text else tuple(rest)
        if build and first == Field("_"):
            build = _without_id(build)
    result = SEVERAL if row.several else REPEATS if row.repeats else PLAIN
    return re.compile(pattern(parts), re.DOTALL).fullmatch, build, result, row


def _without_id(build: Build) -> Build:
    return lambda time, origin, _, *fields: build(time, origin, *fields)


def _checked(meaning: Meaning, names: list[str], constants: dict[str, Any]) -> Build:
    """`meaning` itself: the names of its parameters must be the template's, so that no field can be shifted."""
    wanted = ["time", "origin", *names]
    have = [p.name for p in inspect.signature(meaning).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    if have != wanted:
        raise TypeError(f"{getattr(meaning, '__name__', meaning)} takes {have}, the template gives {wanted}")
    if not constants:
        return meaning

    def build(time: float, origin: Origin, *fields: str | None) -> Event | list[Event] | None:
        return meaning(time, origin, *fields, **constants)

    return build


def _constructor(kind: type[Event], names: list[str], constants: dict[str, Any]) -> Build:
    """A function that puts the fields in the places where `kind` has them: by name here, by position at run time."""
    fields = kind.__struct_fields__
    unknown = {*names, *constants} - set(fields)
    if unknown:
        raise TypeError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    if tuple(names) == fields[2 : 2 + len(names)] and not constants and not {*names} & (INTEGERS | NUMBERS):
        return kind
    last = max(fields.index(name) for name in (*names, *constants, "origin"))
    known = _defaults(kind) | constants
    values = [_value(name, names, known.get(name)) for name in fields[2 : last + 1]]
    source = f"lambda time, origin{''.join(', ' + name for name in names)}: kind(time, origin, {', '.join(values)})"
    build: Build = eval(source, {"kind": kind})  # noqa: S307 - made of names and literals of ours, at import
    return build


def _value(name: str, names: list[str], known: object) -> str:
    if name not in names:
        return repr(known)
    number = "int" if name in INTEGERS else "float" if name in NUMBERS else ""
    return f"None if {name} is None else {number}({name})" if number else name


def _defaults(kind: type[Event]) -> dict[str, Any]:
    fields = kind.__struct_fields__
    return dict(zip(fields[len(fields) - len(kind.__struct_defaults__) :], kind.__struct_defaults__, strict=True))


# --- a grammar ---


class Grammar:
    """The shapes of one MTA, found by the first characters of what they say.

    `lead` is what separates a leading `{queue_id}` from the rest: a shape that begins with one is found by what
    comes after it, by `key` characters of that where the first few are mostly the same. Shapes are compiled when a
    line first may have them; that raises ValueError or TypeError where one is wrong.
    """

    def __init__(self, mta: str, shapes: Iterable[Shape], *, lead: str, key: int = KEY) -> None:
        self.mta = mta
        self.lead = lead
        self.key = slice(key)
        self.shapes = tuple(sorted(shapes, key=lambda row: row.general))

    @cached_property
    def by_start(self) -> dict[str, Candidates]:
        """The shapes that do not begin with an id."""
        return self._index(leads=False)

    @cached_property
    def by_lead(self) -> dict[str, Candidates]:
        """The shapes that do, by what comes after it."""
        return self._index(leads=True)

    @cached_property
    def unkeyed(self) -> list[Compiled]:
        """The shapes that nothing tells but trying."""
        rows = [row for row in self.shapes if row.unkeyed]
        if not all(map(begins_with_id, rows)):
            raise ValueError("only what follows an id can be unkeyed")
        return [compile_shape(row, self.lead) for row in rows]

    def _index(self, *, leads: bool) -> dict[str, Candidates]:
        index: dict[str, Candidates] = {}
        latent: dict[str, Latent] = {}
        after, length = (self.lead, self.key.stop) if leads else ("", KEY)
        for row in self.shapes:
            if row.unkeyed or begins_with_id(row) != leads:
                continue
            parts, compile_row = parse(row.template), cache(partial(compile_shape, row, self.lead))
            for key in _keys(parts[1:] if leads else parts, after, length):
                latent.setdefault(key, Latent(index, key)).rows.append(compile_row)
        index.update(latent)
        return index

    def matches(self, message: str) -> Iterator[tuple[Shape, Build | None, tuple[str | None, ...]]]:
        """All the shapes that a message has, with its fields; the first is what it means."""
        _, shapes = self.by_start.get(message[:KEY], NO_CANDIDATES)
        for match, build, _, row in shapes:
            found = match(message)
            if found:
                yield row, build, found.groups()
        first, lead, rest = message.partition(self.lead)
        if lead and " " not in first:
            _, shapes = self.by_lead.get(rest[self.key], NO_CANDIDATES)
            for match, build, _, row in (*shapes, *self.unkeyed):
                found = match(rest)
                if found:
                    yield row, build, (first, *found.groups())


def _keys(parts: tuple[Part, ...], lead: str, length: int) -> set[str]:
    """The first so many characters that a line of these parts can begin with, after the lead."""
    first, *rest = parts
    starts = list(first.words) if isinstance(first, Field) else _follow(parts)
    if lead:
        starts = [start.removeprefix(lead) for start in starts if start.startswith(lead)]
    following = (
        _follow(tuple(rest)) if rest and isinstance(first, Literal) and min(map(len, starts)) < length else [""]
    )
    keys = {(start + more)[:length] for start in starts for more in following}
    if not keys or any(len(key) < length - 1 for key in keys):
        raise ValueError(f"a template must begin with {length} characters of its own: {starts}")
    return {key + mark for key in keys for mark in (PRINTABLE if len(key) < length else ("",))}
