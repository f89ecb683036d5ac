"""What texts mean, by the text: logs repeat themselves, and a look-up costs a fraction of reading again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Text = TypeVar("Text", bound=str | None)
Value = TypeVar("Value")


class Memo(dict[Text, Value]):
    """`memo[text]` is `read(text)`, which raises what it raises. Bounded: a full one starts anew."""

    def __init__(self, read: Callable[[Text], Value], most: int = 8192) -> None:
        super().__init__()
        self._read = read
        self._most = most

    def __missing__(self, text: Text) -> Value:
        value = self._read(text)
        if len(self) >= self._most:
            self.clear()
        self[text] = value
        return value
