"""Greylisting that does not say so: a vague refusal for now (RFC 6647) that the same host takes back at the next
attempt.

What a deferral was is known only when the next attempt is made: nothing that was said before is changed, the
acceptance tells what the deferral before it was.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from parsers.message import Deferral
from parsers.reason import LIMIT, book, fold

if TYPE_CHECKING:
    from parsers.events import Delivery

# What words that many causes share are classed as.
VAGUE = frozenset({"unclassified", "system_error", "rate_limited", "policy_rejected"})
PHASES = frozenset({None, "rcpt", "data", "end_of_data"})  # None: the log does not tell the command
EXAMPLE = 200  # characters of the reply that are kept


def may_be_greylisting(event: Delivery) -> bool:
    """Whether a deferral is a bare one: a 4yz reply to RCPT or DATA whose words name no cause."""
    if event.reason not in VAGUE or event.phase not in PHASES or event.relay_host is None or not event.reply:
        return False
    is_transient = event.reply_code // 100 == 4 if event.reply_code else (event.dsn or "").startswith("4.")
    return is_transient and is_bare(fold(event.reply[:LIMIT]), event.dsn)


def deferral_of(event: Delivery) -> Deferral:
    """What is remembered of a deferral that may be greylisting."""
    where = (event.relay_host, event.relay_ip, event.provider, event.direction)
    return Deferral(event.time, *where, event.reason, (event.reply or "")[:EXAMPLE])


def is_taken_back(deferral: Deferral, event: Delivery) -> bool:
    """Whether the host that deferred a recipient is the one that accepts it now."""
    return event.relay_host == deferral.relay_host or (
        event.relay_ip is not None and event.relay_ip == deferral.relay_ip
    )


@lru_cache(maxsize=4096)
def is_bare(folded: str, dsn: str | None) -> bool:
    """Whether no rule that is sure of its cause knows a folded text."""
    return book().sure.first(folded, dsn) is None
