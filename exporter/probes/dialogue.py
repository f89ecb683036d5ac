"""What was said in a dialogue, for people: bounded, and without any secret."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator

LINES = 400
_LINE = 400  # characters of a line
_SHORTEST = 4  # bytes of a secret that is looked for within other text
MASK = "****"


class Dialogue:
    """The lines of a dialogue, at most so many, with the seconds since its start; what is secret is masked in them.

    `clock` gives seconds; `C:` is what we said, `S:` what the server said, `--` what we think of it. Each line is
    shown to `listener`, too.
    """

    def __init__(
        self, clock: Callable[[], float], lines: int = LINES, listener: Callable[[str], object] | None = None
    ) -> None:
        self._clock = clock
        self._start = clock()
        self._most = lines
        self._listener = listener
        self._lines: list[str] = []
        self._secrets: list[str] = []  # the longest first

    def hide(self, *secrets: bytes) -> None:
        """Never show these, in whatever case, nor what they are in base64, be it within more."""
        known = set(self._secrets)
        for secret in filter(None, secrets):
            known |= {_folded(secret.decode("utf-8", "replace")), *map(_folded, _in_base64(secret))}
        self._secrets = sorted(known, key=len, reverse=True)

    def mask(self, text: str) -> str:
        """The text without secrets. (A pattern of them takes longer to compile than a dialogue takes, and stays in
        memory.)"""
        folded = _folded(text)
        for secret in self._secrets:
            if secret in folded:
                text = MASK.join(_between(text, folded, secret))
                folded = _folded(text)
        return text

    def said(self, who: str, text: str) -> None:
        """Write a line down, as long as there is room."""
        if len(self._lines) < self._most:
            shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in self.mask(text)[:_LINE])
            self._add(f"{self._clock() - self._start:8.3f} {who} {shown}")
        elif self._most and len(self._lines) == self._most:
            self._add("... and more")

    def text(self) -> str:
        """All of it."""
        return "".join(f"{line}\n" for line in self._lines)

    def _add(self, line: str) -> None:
        self._lines.append(line)
        if self._listener:
            self._listener(line)


def _folded(text: str) -> str:
    """The text without a difference of case, in which each letter keeps its place."""
    if text.isascii():
        return text.lower()
    return "".join(folded if len(folded := letter.casefold()) == 1 else letter for letter in text)


def _between(text: str, folded: str, secret: str) -> Iterator[str]:
    """What of a text stands before, between and after a secret."""
    begin = 0
    for part in folded.split(secret):
        yield text[begin : begin + len(part)]
        begin += len(part) + len(secret)


def _in_base64(secret: bytes) -> Iterator[str]:
    """What is the same whatever stands before and after it: of three bytes that are coded together, it may begin with
    any. A text of a few letters has nothing of that."""
    yield b64encode(secret).decode().rstrip("=")
    for before in range(3) if len(secret) >= _SHORTEST else ():
        coded = b64encode(bytes(before) + secret).decode()
        yield coded[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
