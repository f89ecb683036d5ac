"""A YAML file that people write: bounded, plain types only, and no key twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from exporter.schema import InvalidError, shown
from parsers.yamlparser import YamlParser

if TYPE_CHECKING:
    from pathlib import Path

SIZE_LIMIT = 256 * 1024
"""Bytes of the largest file that is read."""

_MERGE = "tag:yaml.org,2002:merge"


def load(path: Path) -> Any:
    """The one document in this file, None where it is empty. Raises InvalidError, with line and column."""
    text = _read(path)
    try:
        loader = _Loader(text)
        content = loader.get_single_data()
    except yaml.reader.ReaderError as error:
        line = text.encode().count(b"\n", 0, error.position) + 1
        raise InvalidError([f"line {line}: a control character"]) from None
    except yaml.MarkedYAMLError as error:
        raise InvalidError([_place(error.problem_mark, error.problem or "")]) from None
    except RecursionError:
        raise InvalidError(["nested too deeply"]) from None
    if loader.repeated:
        raise InvalidError(loader.repeated)
    return content


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise InvalidError([f"cannot be read: {error.strerror}"]) from None
    if len(content) > SIZE_LIMIT:
        raise InvalidError([f"larger than {SIZE_LIMIT // 1024} KiB"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidError([f"line {content.count(10, 0, error.start) + 1}: not UTF-8 text"]) from None


class _Loader(Composer, YamlParser, SafeConstructor, Resolver):
    """Notes a key that a mapping has twice, where the library lets the last one win.

    libyaml tells what the text has, some ten times sooner than PyYAML does; nodes are made of that in Python, where
    what is nested too deeply is an error and no end of the process.
    """

    def __init__(self, text: str) -> None:
        YamlParser.__init__(self, text)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)
        self.repeated: list[str] = []

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError, TypeError):
            # The library's own constructors fail with these on `2024-99-99` and `!!int x`.
            kind = shown(node.tag.rpartition(":")[2])
            raise yaml.constructor.ConstructorError(
                None, None, f"impossible value of type {kind}", node.start_mark
            ) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if isinstance(node, yaml.MappingNode):  # `!!map x` brings others here, and the library refuses them
            self._check_keys([key for key, _ in node.value])
        return super().construct_mapping(node, deep=deep)

    def _check_keys(self, keys: list[yaml.Node]) -> None:
        seen: set[str] = set()
        for key in keys:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                # Merge keys can grow a few lines into gigabytes, and no section needs them.
                raise yaml.constructor.ConstructorError(None, None, "expected a plain key", key.start_mark)
            if key.value in seen:
                self.repeated.append(_place(key.start_mark, f"the key {shown(key.value)} is there twice"))
            seen.add(key.value)


def _place(mark: yaml.Mark | None, problem: str) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem
