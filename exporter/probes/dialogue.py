"""What was said in a dialogue, for people: bounded, and without any secret."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

_LINES = 400
_LINE = 400  # characters of a line
MASK = "****"


class Dialogue:
    """The lines of a dialogue with the seconds since its start; what is secret is masked in all of them.

    `clock` gives seconds; `C:` is what we said, `S:` what the server said, `--` what we think of it.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._start = clock()
        self._lines: list[str] = []
        self._secrets: list[str] = []

    def hide(self, *secrets: bytes) -> None:
        """Never show these, nor what they are in base64."""
        for secret in filter(None, secrets):
            self._secrets += [secret.decode("utf-8", "replace"), b64encode(secret).decode()]
        self._secrets.sort(key=len, reverse=True)

    def mask(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def said(self, who: str, text: str) -> None:
        """Write a line down, as long as there is room."""
        if len(self._lines) < _LINES:
            shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in self.mask(text)[:_LINE])
            self._lines.append(f"{self._clock() - self._start:8.3f} {who} {shown}")
        elif len(self._lines) == _LINES:
            self._lines.append("... and more")

    def text(self) -> str:
        """All of it."""
        return "".join(f"{line}\n" for line in self._lines)
