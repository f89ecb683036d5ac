"""What YAML is read by: libyaml, where PyYAML was built with it, and otherwise PyYAML itself, some ten times slower.

Both tell the same events of the same text, and refuse the same: not every host has a PyYAML with libyaml in it.
"""

from __future__ import annotations

from typing import Any

from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.scanner import Scanner, ScannerError


class PlainParser(Reader, Scanner, Parser):
    """PyYAML's own, put together as its loaders are, without the ways in which it fails and libyaml does not."""

    def __init__(self, stream: str | bytes) -> None:
        Reader.__init__(self, stream)
        Scanner.__init__(self)
        Parser.__init__(self)

    def check_printable(self, data: str) -> None:
        """As Reader does, with a position in bytes."""
        found = self.NON_PRINTABLE.search(data)
        if found:
            place = len(data[: found.start()].encode())
            raise ReaderError(self.name, place, ord(found[0]), "unicode", "control characters are not allowed")

    def fetch_more_tokens(self) -> Any:
        """As Scanner does, with an error of its own for a number that is none of a character, or of a version."""
        try:
            return super().fetch_more_tokens()
        except (ValueError, OverflowError):
            raise ScannerError(None, None, "found an impossible number", self.get_mark()) from None

    def scan_flow_scalar_non_spaces(self, double: Any, start_mark: Any) -> list[str]:
        """As Scanner does, without halves of characters."""
        chunks: list[str] = super().scan_flow_scalar_non_spaces(double, start_mark)
        if any("\ud800" <= it <= "\udfff" for it in chunks):  # an escaped character is a chunk of its own
            raise ScannerError(None, None, "found invalid Unicode character escape code", self.get_mark())
        return chunks


try:
    from yaml.cyaml import CParser  # type: ignore[attr-defined]  # what libyaml is called there
except ImportError:
    CParser = PlainParser  # type: ignore[misc, assignment]


class YamlParser(CParser):
    """The one that there is."""
