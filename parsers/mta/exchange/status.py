"""The column recipient-status: what was answered for each recipient.

Up to Exchange 2010 it is a reply (`550 5.1.1 RESOLVER.ADR.RecipNotFound; not found`); later ones wrap a failure, as
Get-Queue shows it: `[{LED=450 4.4.316 Connection refused [Message=…]};{MSG=};{FQDN=mx.example.org};{IP=192.0.2.25};
{LRT=…}]`, the last error with the host that was tried. Statuses of several recipients have a `;` between them, and
have one within them as well.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from parsers.memo import Memo
from parsers.provider import provider_of_relay
from parsers.reason import reason_of
from parsers.reply import NOTHING, Reply, read_reply

CLASSES = frozenset({"2", "4", "5", ""})  # what a reply begins with, if there is one
# Where the status of the next recipient begins.
_NEXT = re.compile(r";(?= ?(?:[245]\d\d[ -]|\{LED=|;|$))")
_NEXT_IN_BRACKETS = re.compile(r";(?= ?(?:[245]\d\d[ -]|\[\{|;|$))")
# What the other server said stands within what ours makes of it.
_SAID = re.compile(r'(?:-> |responded with: "|address: "|\[Message=|failed on Frontend with \')(?=[245]\d\d[ -])')
_EXPIRED = re.compile(r"QUEUE\.Expired|[Mm]essage expired|[245]\.4\.7\b|5\.4\.300\b").search
# What Exchange was doing when it got no reply, in its words; the first that the text holds decides.
_PHASES = (
    ("DNS", "dns"),
    ("NonExistentDomain", "dns"),
    ("Failed to connect", "connect"),
    ("Cannot connect", "connect"),
    ("Connection refused", "connect"),
    ("Winsock error", "connect"),
    ("TLS", "starttls"),
    ("ertificate", "starttls"),
)


class Failure(NamedTuple):
    """Why a recipient did not get a message. `host` and `ip` are those that were tried."""

    reply: str | None
    code: int | None
    dsn: str | None
    phase: str | None
    reason: str | None
    host: str | None
    ip: str | None
    is_expired: bool


UNKNOWN = Failure(None, None, None, None, None, None, None, is_expired=False)
REPLIES: Memo[str, Reply] = Memo(read_reply)


def statuses(text: str, recipients: int) -> list[str]:
    """The status of each of so many recipients; one status is that of all, and "" where there is none."""
    if recipients == 1 or not text:
        return [text] * recipients
    found = text.split(";")
    if len(found) == recipients and CLASSES.issuperset([part[:1] for part in found]):
        return found
    found = [part.strip() for part in (_NEXT_IN_BRACKETS if "[{" in text else _NEXT).split(text)]
    if len(found) == 1:
        return found * recipients
    return (found + [""] * recipients)[:recipients]


@lru_cache(maxsize=4096)
def read_failure(text: str) -> Failure:
    """What a status tells of a failure."""
    if not text:
        return UNKNOWN
    reply = _field(text, "LED") or text
    said = _SAID.split(reply)[-1] if _SAID.search(reply) else ""
    own, other = read_reply(reply), read_reply(said) if said else NOTHING
    code, dsn = other if other.code else own
    phase = None if other.code else next((phase for words, phase in _PHASES if words in reply), None)
    host = _field(text, "FQDN") or None
    return Failure(
        reply,
        code,
        dsn,
        phase,
        _reason(reply, own, said, other, phase, provider_of_relay(host) if host else None),
        host,
        _field(text, "IP") or None,
        bool(_EXPIRED(reply)),
    )


def _reason(reply: str, own: Reply, said: str, other: Reply, phase: str | None, provider: str | None) -> str:
    """What the other server said decides, unless it tells nothing."""
    reason = reason_of(said, *other, None, provider) if said else "unclassified"
    return reason if reason != "unclassified" else reason_of(reply, *own, phase, provider)


def _field(text: str, name: str) -> str:
    """The value of `{NAME=value}`, which may hold braces itself; "" where there is none."""
    _, found, rest = text.partition("{" + name + "=")
    if not found:
        return ""
    ends = [end for mark in ("};{", "}]", "};") if (end := rest.find(mark)) >= 0]
    return rest[: min(ends)] if ends else rest.rstrip("}]")
