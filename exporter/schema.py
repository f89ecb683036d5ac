"""Sections of the configuration as frozen dataclasses: their types say what a key accepts.

From the types come the checks, the words of the errors and those of the documentation. A key may be a
section, a `tuple` of sections or texts, a `Mapping` from names, `Annotated[int, Between(...)]`, `Path`, `ZoneInfo`,
`Mta`, `Text`, `Line`, `Secret`, `Duration`, `bool`, a `Literal` of texts, or any of these and None. A field whose
name would be a word of Python has an underscore at its end, which its key has not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, TypeVar, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo, available_timezones

from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError, IterableValidationError
from cattrs.gen import make_dict_structure_fn, override

from parsers.mta import SERVERS

_MOST = 100  # problems that are told at once: looking for what was meant takes time
_SHOWN = 60  # characters of a refused value, or of an unknown key, that a message repeats
_NOT_IN_PATH = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

Mta = NewType("Mta", str)
"""The name of a mail server whose log lines we read: the name of its file in `parsers/mta`."""

Text = NewType("Text", str)
"""A name that the operator gives, of one to 255 characters."""

Line = NewType("Line", str)
"""What fits a header of HTTP: up to 2,000 printable ASCII characters."""

Secret = NewType("Secret", str)
"""What no error may repeat: a text."""

Duration = NewType("Duration", float)
"""Seconds, written with a unit: `500ms`, `30s`, `5m`, `1h30m`."""

_DURATION = re.compile(r"(?:\d{1,6}(?:ms|s|m|h|d))+", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

Section = TypeVar("Section")
Hook = Callable[[Any, Any], Any]


class InvalidError(Exception):
    """An input is refused; `errors` has one line for each thing that is wrong with it."""

    def __init__(self, errors: Iterable[str]) -> None:
        self.errors = list(errors)
        super().__init__("\n".join(self.errors))


@dataclass(frozen=True)
class Between:
    """The least and the greatest value of a whole number."""

    low: int
    high: int


def doc(text: str) -> Mapping[str, str]:
    """The metadata of a key: what it is for, in one line of Markdown."""
    return {"doc": text}


def structure(content: object, section: type[Section], directory: Path) -> Section:
    """This section from plain lists, mappings and values; a relative path starts at `directory`.

    Raises InvalidError with all that is wrong. The value of a key that is not ours never stands in an error.
    """
    try:
        return _converter(directory).structure(content, section)
    except (ClassValidationError, ValueError) as error:
        raise InvalidError(islice(_problems(error, ""), _MOST)) from None


def expected(kind: Any) -> str:
    """What a key of this type accepts, in words for errors and documentation alike."""
    if is_dataclass(kind):
        return f"a mapping of {', '.join(keys(kind))}"
    if _is_list(kind):
        return "a list of one or more"
    if _is_table(kind):
        return f"a mapping, from names to {expected(get_args(kind)[1])} each"
    if _is_whole_number(kind):
        limits = get_args(kind)[1]
        return f"a whole number from {limits.low} to {limits.high}"
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    words = {
        bool: "true or false",
        Duration: "a duration such as 30s or 5m",
        Path: "a path",
        ZoneInfo: "a time zone such as Europe/Prague",
        Mta: f"one of {', '.join(_mtas())}",
        Text: "a text",
        Line: "a line of text",
        Secret: "a text in quotes",
    }
    return words[kind]


def keys(section: Any) -> list[str]:
    """The keys of a section, as they stand in the file."""
    return [key_of(field.name) for field in fields(section)]


def key_of(name: str) -> str:
    """The key of a field of this name."""
    return name.removesuffix("_")


def shown(value: object) -> str:
    """A value as an error may repeat it: short, on one line, unable to steer a terminal."""
    if isinstance(value, str):
        short = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
        return json.dumps(short, ensure_ascii=not short.isprintable())
    if isinstance(value, bool | float) or (isinstance(value, int) and value.bit_length() <= 64):
        return json.dumps(value)
    words = {type(None): "nothing", int: "a huge number", list: "a list", dict: "a mapping"}
    return "an empty list" if value == [] else words.get(type(value), f"a {type(value).__name__}")


def _converter(directory: Path) -> Converter:
    converter = Converter(detailed_validation=True)
    converter.register_structure_hook_factory(is_dataclass)(_mapping)
    converter.register_structure_hook_factory(_is_list)(_list)
    converter.register_structure_hook_factory(_is_table)(_table)
    converter.register_structure_hook_factory(_is_whole_number)(_whole_number)
    converter.register_structure_hook_factory(_is_choice)(_choice)
    converter.register_structure_hook(bool, _truth)
    converter.register_structure_hook(Duration, _value(Duration, _duration))
    converter.register_structure_hook(Path, _value(Path, lambda text: directory / _path(text)))
    converter.register_structure_hook(ZoneInfo, _value(ZoneInfo, ZoneInfo))
    converter.register_structure_hook(Text, _value(Text, _text))
    converter.register_structure_hook(Line, _value(Line, _line))
    converter.register_structure_hook(Secret, _secret)
    converter.register_structure_hook(Mta, _value(Mta, _mta))
    return converter


def _mapping(kind: Any, converter: Converter) -> Hook:
    # cattrs by itself reads annotations that are text without what Annotated adds.
    kinds = get_type_hints(kind, include_extras=True)
    hooks: dict[str, Any] = {
        name: override(struct_hook=converter.get_structure_hook(of), rename=key_of(name))
        for name, of in kinds.items()
    }
    structured: Hook = make_dict_structure_fn(kind, converter, _cattrs_forbid_extra_keys=True, **hooks)

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, dict):
            raise _unexpected(kind, value)
        return structured(value, kind)

    return hook


def _list(kind: Any, converter: Converter) -> Hook:
    items: Any = list[get_args(kind)[0]]  # type: ignore[misc]
    structured = converter.get_structure_hook(items)

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, list) or not value:
            raise _unexpected(kind, value)
        return tuple(structured(value, items))

    return hook


def _is_list(kind: Any) -> bool:
    origin: object = get_origin(kind)
    return origin is tuple


def _is_table(kind: Any) -> bool:
    origin: object = get_origin(kind)
    return origin is Mapping


def _table(kind: Any, converter: Converter) -> Hook:
    table: Any = dict[str, get_args(kind)[1]]  # type: ignore[misc]
    structured = converter.get_structure_hook(table)

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, dict) or not all(isinstance(name, str) and name for name in value):
            raise _unexpected(kind, value)
        return structured(value, table)

    return hook


def _is_whole_number(kind: Any) -> bool:
    return get_origin(kind) is Annotated and isinstance(get_args(kind)[1], Between)


def _whole_number(kind: Any, _: Converter) -> Hook:
    limits = get_args(kind)[1]

    def hook(value: Any, _: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and limits.low <= value <= limits.high:
            return value
        raise _unexpected(kind, value)

    return hook


def _is_choice(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _choice(kind: Any, _: Converter) -> Hook:
    def hook(value: Any, _: Any) -> Any:
        if isinstance(value, str) and value in get_args(kind):
            return value
        raise _unexpected(kind, value)

    return hook


def _truth(value: Any, _: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _unexpected(bool, value)


def _duration(text: str) -> Duration:
    if not _DURATION.fullmatch(text):
        raise ValueError
    return Duration(sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([a-z]+)", text)))


def _value(kind: Any, read: Callable[[str], Any]) -> Hook:
    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, str):
            raise _unexpected(kind, value)
        try:
            return read(value)
        except (ValueError, LookupError, OSError):
            raise _unexpected(kind, value) from None

    return hook


def _path(text: str) -> Path:
    if not text or _NOT_IN_PATH.search(text):
        raise ValueError
    return Path(text)


def _text(text: str) -> Text:
    if not 0 < len(text) <= 255 or _NOT_IN_PATH.search(text):
        raise ValueError
    return Text(text)


def _line(text: str) -> Line:
    if len(text) > 2000 or not text.isascii() or not text.isprintable():
        raise ValueError
    return Line(text)


def _secret(value: Any, _: Any) -> Secret:
    """The value is not shown: it may be the secret itself, in a wrong form."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected {expected(Secret)}")
    return Secret(value)


def _mta(text: str) -> Mta:
    if text not in _mtas():
        raise ValueError
    return Mta(text)


def _mtas() -> list[str]:
    return list(SERVERS)


def _problems(error: Exception, path: str) -> Iterator[str]:
    """Each thing that is wrong below a path, in the words of the operator."""
    match error:
        case ClassValidationError():
            yield from _problems_of_keys(error, path)
        case IterableValidationError():
            for inner, note in error.group_exceptions()[0]:
                name = note.index if isinstance(note.index, int) else shown(note.index)
                yield from _problems(inner, f"{path}[{name}]")
        case _:
            yield f"{path}: {error}" if path else str(error)


def _problems_of_keys(error: ClassValidationError, path: str) -> Iterator[str]:
    known = keys(error.cl)
    with_key, others = error.group_exceptions()
    unknown = sorted((key for inner in others for key in getattr(inner, "extra_fields", ())), key=str)[:_MOST]
    meant = {key: _nearest(key, known) for key in unknown}
    for inner, note in with_key:
        if not isinstance(inner, KeyError):
            yield from _problems(inner, _join(path, key_of(note.name)))
        elif key_of(note.name) not in meant.values():  # a key that is only misspelt is not missing, too
            yield f"{_join(path, key_of(note.name))}: missing"
    for key in unknown:
        near = f'did you mean "{meant[key]}"?' if meant[key] else f"expected one of {', '.join(known)}"
        yield f"{_join(path, key)}: unknown key, {near}"
    for inner in others:
        if not isinstance(inner, ForbiddenExtraKeysError):
            yield from _problems(inner, path)


def _join(path: str, key: object) -> str:
    name = key if isinstance(key, str) and re.fullmatch(r"[\w-]{1,60}", key, re.ASCII) else shown(key)
    return f"{path}.{name}" if path else name


def _unexpected(kind: Any, value: object) -> ValueError:
    near = _nearest(value, _choices(kind))
    hint = f', did you mean "{near}"?' if near else ""
    return ValueError(f"expected {expected(kind)}, got {shown(value)}{hint}")


def _nearest(value: object, choices: Iterable[str]) -> str | None:
    matches = get_close_matches(value[:_SHOWN], choices, n=1) if isinstance(value, str) else []
    return matches[0] if matches else None


def _choices(kind: Any) -> Iterable[str]:
    if kind is Mta:
        return _mtas()
    if _is_choice(kind):
        return get_args(kind)
    return sorted(available_timezones()) if kind is ZoneInfo else ()
