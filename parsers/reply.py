"""SMTP replies and enhanced status codes, wherever they stand in a text (RFC 5321 4.2, RFC 3463, RFC 2034)."""

from __future__ import annotations

import re
from typing import NamedTuple


class Reply(NamedTuple):
    """What a text says that a server answered: None where it does not say so, or says what cannot be."""

    code: int | None
    dsn: str | None


# A code begins the text, or follows the words that our own server puts before what the other one said.
_REPLY = re.compile(
    r"(?:^|said: |refused to talk to me: |SMTP error[^:]{0,80}: )"
    r"(?:(?P<code>[2-5][0-9]{2})(?:[ -]|$))?"
    r"(?:(?P<dsn>[245]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.]))?"
)
_DSN = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
NOTHING = Reply(None, None)


def read_reply(text: str) -> Reply:
    """The reply code and the enhanced status code of a text; the last one where servers quote each other."""
    found = NOTHING
    for match in _REPLY.finditer(text, 0, 2000):
        if match["code"] or match["dsn"]:
            found = Reply(int(match["code"]) if match["code"] else None, match["dsn"])
    return found


def valid_dsn(text: str | None) -> str | None:
    """The text where it is an enhanced status code (RFC 3463 2), else None."""
    return text if text and _DSN.fullmatch(text) else None
