"""The `key=value, key=value` lists of Sendmail's lines: what a key holds, and lists that are in another order."""

from __future__ import annotations

import re

from parsers.memo import Memo

LONGEST_NUMBER = 15  # digits

# Of all keys that a from= or to= line can have (sendmail/deliver.c, envelope.c), so that a value's own commas and
# equals signs do not end it. Commas are sometimes lost on the way to the file.
_NEXT = re.compile(
    r",? (?=(?:from|to|size|class|pri|nrcpts|msgid|bodytype|proto|daemon|relay|ctladdr|delay|xdelay|mailer|dsn"
    r"|quarantine|reply|stat|ntries|auth|tls_verify|tls_version|cipher|stage|status|STS|envid)=)"
)
_ADDRESS = re.compile(r'(?:"[^"]*+"|<[^>]*>|[^,"<])+')
_INTERVAL = re.compile(r"(?:(\d{1,5})\+)?(\d{1,3}):(\d\d):(\d\d)").fullmatch
MORE = ", [more]"  # the rest of the recipients follows on a line of its own


def read_fields(text: str) -> list[tuple[str, str]]:
    """The pairs of a list, in their order."""
    pairs = (part.partition("=") for part in _NEXT.split(text))
    return [(key, value) for key, equals, value in pairs if equals]


def read_count(text: str) -> int:
    """A size or a number of recipients. Raises ValueError for what is none, or cannot be."""
    if not text.isdecimal() or len(text) > LONGEST_NUMBER:
        raise ValueError(f"no number: {text[:40]}")
    return int(text)


def read_interval(text: str | None) -> float | None:
    """`00:00:01`, `2+07:52:17` (days before the plus) in seconds. Raises ValueError."""
    if text is None:
        return None
    found = _INTERVAL(text)
    if not found:
        raise ValueError(f"no time: {text[:40]}")
    days, hours, minutes, seconds = found.groups()
    return 86400.0 * int(days or 0) + 3600.0 * int(hours) + 60.0 * int(minutes) + int(seconds)


def read_address(text: str) -> str:
    """An address without what stands around it: `<a@b>`, `Kim <a@b>`, `a@b`; a program or a file as it is."""
    begin = text.rfind("<")
    if begin >= 0 and text.endswith(">"):
        return text[begin + 1 : -1]
    return text.strip(' "')


def read_addresses(text: str) -> list[str]:
    """`<a@b>,<c@d>`, with or without `, [more]`. Raises ValueError where there is none."""
    whole = text.removesuffix(MORE)
    parts = _ADDRESS.findall(whole) if "," in whole else [whole]
    if not any(parts):
        raise ValueError("no recipient")
    return [read_address(part) for part in parts]


COUNTS: Memo[str, int] = Memo(read_count)
INTERVALS: Memo[str | None, float | None] = Memo(read_interval)
