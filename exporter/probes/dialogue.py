"""What was said in a dialogue, for people: bounded, and without any secret."""

from __future__ import annotations

import re
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
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def hide(self, *secrets: bytes) -> None:
        """Never show these, in whatever case, nor what they are in base64, be it within more."""
        for secret in filter(None, secrets):
            self._secrets |= {secret.decode("utf-8", "replace"), *_in_base64(secret)}
        words = sorted(self._secrets, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, words)), re.IGNORECASE) if words else None

    def mask(self, text: str) -> str:
        """The text without secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text

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


def _in_base64(secret: bytes) -> Iterator[str]:
    """What is the same whatever stands before and after it: of three bytes that are coded together, it may begin with
    any. A text of a few letters has nothing of that."""
    yield b64encode(secret).decode().rstrip("=")
    for before in range(3) if len(secret) >= _SHORTEST else ():
        coded = b64encode(bytes(before) + secret).decode()
        yield coded[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
