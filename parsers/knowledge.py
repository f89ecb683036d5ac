"""What we know, as it stands in YAML beside the code."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any, TypeVar

import msgspec
import yaml

from parsers.yamlparser import YamlParser

Kind = TypeVar("Kind")


def read(package: str, name: str, kind: type[Kind]) -> Kind:
    """A file of a package. Raises msgspec.ValidationError where it is not as `kind` says."""
    return msgspec.convert(plain(files(package).joinpath(name).read_bytes()), kind)


def reader(package: str, kind: type[Kind]) -> Callable[[str], Kind]:
    """Reads files of a package by their names, as `read` does. To be made when a module is imported: what a type is
    msgspec finds out when it first meets it, and two threads that do so at once crash the process."""
    msgspec.json.Decoder(kind)
    return lambda name: read(package, name, kind)


def plain(text: bytes) -> Any:
    """Lists, mappings and texts; nothing that stands there is anything else, so nothing is asked what it may be:
    that, and nodes in between, take PyYAML more than twice as long. Raises ValueError where there is an alias."""
    parser = YamlParser(text)
    try:
        parser.get_event()  # of the stream
        parser.get_event()  # of the document
        return _value(parser, parser.get_event())
    finally:
        parser.dispose()


def _value(parser: YamlParser, event: yaml.Event | None) -> Any:
    if isinstance(event, yaml.ScalarEvent):
        return event.value
    if isinstance(event, yaml.SequenceStartEvent):
        return list(_values(parser, yaml.SequenceEndEvent))
    if isinstance(event, yaml.MappingStartEvent):
        values = _values(parser, yaml.MappingEndEvent)
        return dict(zip(values, values, strict=True))
    raise ValueError(f"only lists, mappings and texts are read, not {event}")


def _values(parser: YamlParser, end: type[yaml.Event]) -> Any:
    while not isinstance(event := parser.get_event(), end):
        yield _value(parser, event)
