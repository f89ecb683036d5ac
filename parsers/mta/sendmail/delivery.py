"""What became of recipients: one line for those of a message that had one fate (logdelivery() in sendmail/deliver.c).

`dsn=` and `mailer=` come before `relay=` and all that another server says, `stat=` comes last. Of a recipient there
is a line for each host that was tried. No line tells the phase of a session: only where our own words or codes tell
it, it is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from parsers.events import Delivery, Event, Origin, QueueAction, Queued
from parsers.mta.sendmail.field import INTERVALS, read_addresses, read_fields
from parsers.mta.sendmail.host import RELAYS
from parsers.provider import provider_of_domain
from parsers.reason import reason_of
from parsers.reply import read_reply, valid_dsn
from parsers.shape import shape

# Mailers of cf/mailer that deliver on this host, and what an alias can name.
LOCAL_MAILERS = frozenset(
    "local prog procmail cyrus cyrusv2 cyrusbb lmtp discard usenet *file* *include* *discard* *error* error".split()
)
SMTP_MAILERS = frozenset({"esmtp", "smtp", "smtp8", "dsmtp", "relay"})
# How a reply that another server did not give begins, though it has a code (sendmail/usersmtp.c, deliver.c).
OURS = tuple(
    f"{code} {dsn} {words} "
    for code in (421, 451)
    for dsn in ("4.4.1", "4.4.2")
    for words in ("Connection reset by", "reply: read error from", "timeout writing message to", "open timeout on")
)
# What we were doing, by our own words; the first that the text holds decides.
PHASES = (
    ("Connection refused", "connect"),
    ("Connection timed out", "connect"),
    ("Operation timed out", "connect"),
    ("No route to host", "connect"),
    ("Network is unreachable", "connect"),
    ("Host is down", "connect"),
    ("Host unknown", "dns"),
    ("Name server", "dns"),
    ("Local configuration error", "dns"),
)
# What the rulesets tls_server and tls_rcpt say of a server (cf/m4/proto.m4); the last ends with numbers of bits.
TLS_WORDS = (
    "4.7.0 TLS handshake failed.",
    "4.7.0 TLS handshake failed",
    "4.7.0 authentication failed",
    "4.7.0 authentication required",
    "less than 112",
)
WORST = 400  # what a reply's code must be to tell of a failure
LOST = "4.4.2"  # the session ended: a reply that stands beside it is an earlier one
GREETING = frozenset({"4.5.0", "5.5.0"})  # smtpinit()'s for a server that does not want us, whatever its reply says
LONGEST_DSN = len("5.123.123")  # what stands behind it are fields of 8.18 and of trial builds: ntries, stage, STS
_ID = re.compile(r"[0-9A-Za-z-]{5,40}+").match
OUR_WORDS, EXIM_WORDS, POSTFIX_WORDS = " Message accepted for delivery", "OK id=", "queued as "
OUR_HOP = f"{OUR_WORDS})"
# Nothing was tried, or it was not for want of a host: by what stat= says, what was done with the message.
NOT_TRIED = {"queued": None, "quarantined": "hold", "discarded": "discard"}
_INTERVAL_ALONE = re.compile(r", (?=\d[\d+]{0,6}:\d\d:\d\d$)")  # a delay whose key was lost


class Fate(NamedTuple):
    """What a line tells of a delivery that was not done."""

    status: str
    reply: str
    reply_code: int | None
    phase: str | None
    reason: str | None


def delivery(
    time: float,
    origin: Origin,
    queue_id: str,
    to: str,
    waited: str | None,
    xdelay: str | None,
    transport: str,
    relay: str | None,
    dsn: str,
    reply: str | None,
    stat: str,
) -> list[Event]:
    """One event for each recipient. Raises ValueError where a number is none, or the line is cut."""
    host, ip, provider, is_ours = RELAYS[relay]
    new_id: str | None = None
    if len(dsn) > LONGEST_DSN:
        dsn = dsn.partition(", ")[0]
    if stat[:4] == "Sent" and dsn[:1] in ("2", ""):
        if is_ours and stat.endswith(OUR_HOP):
            return handed_over(time, origin, queue_id, to, stat)
        status, said, code, phase, reason = "sent", stat[6:-1] or None, None, None, None
        new_id = next_id(said) if said else None
    elif stat in NOT_TRIED:
        return not_tried(time, origin, queue_id, stat)
    else:
        status, said, code, phase, reason = fate(stat, reply, dsn, provider)
    delay, transmit = INTERVALS[waited], INTERVALS[xdelay]
    in_queue = max(delay - transmit, 0.0) if delay is not None and transmit is not None else None
    is_local = is_ours or transport in LOCAL_MAILERS or (ip is None and transport not in SMTP_MAILERS)
    direction = "local" if is_local else "outbound"
    recipients = [to[1:-1]] if "," not in to and to[:1] == "<" and to[-1] == ">" else read_addresses(to)
    # By position: this is the line that a relay writes most, and keywords cost as much as all the rest.
    event = Delivery(
        time,
        origin,
        queue_id,
        recipients[0],
        status,
        direction,
        None,
        host,
        ip,
        None,
        transport,
        delay,
        None,
        in_queue,
        None,
        transmit,
        dsn or None,
        code,
        said,
        phase,
        None if is_local else provider,
        reason,
        new_id,
    )
    if host is None and not is_local:
        event.provider = provider_of_domain(recipients[0].rpartition("@")[2])
    return [event] if len(recipients) == 1 else [event, *others(event, recipients[1:])]


def others(event: Delivery, recipients: list[str]) -> Iterator[Delivery]:
    """The same for the recipients that had the same fate."""
    prototype: Any = event  # whose own method costs less than copy()
    for recipient in recipients:
        other: Delivery = prototype.__copy__()
        other.recipient = recipient
        yield other


@lru_cache(maxsize=4096)
def fate(stat: str, reply: str | None, dsn: str, provider: str | None) -> Fate:
    """What was not sent: the status, whose words tell why, and what they mean. Retries repeat them.

    The enhanced status code can be of the other class than the status: `stat=Deferred` with `dsn=5.5.1`. `reply=` is
    the last reply of the session, which may have been about another recipient: what stands after `stat=Deferred:`
    is about this one.
    """
    if not stat:
        raise ValueError("no status")
    status = "deferred" if stat.startswith("Deferred") or dsn[:1] == "4" else "sent" if dsn[:1] == "2" else "bounced"
    said = stat.removeprefix("Deferred").removeprefix(": ") if status == "deferred" else ""
    text = said or reply or stat
    code, own_dsn = read_reply(text[:20])
    if text.startswith(OURS):
        code = None
    elif dsn == LOST and own_dsn not in (None, LOST):
        text, code, own_dsn = "Deferred", None, None
    elif text == reply and (code or 0) < WORST:
        text, code, own_dsn = stat, None, None
    if text.endswith(TLS_WORDS):
        return Fate(status, text, None, "starttls", "tls_failure")
    phase = "banner" if dsn in GREETING and code and own_dsn != dsn else phase_of(text, dsn) if not code else None
    reason = reason_of(text, code, own_dsn or dsn, phase, provider) if status != "sent" else None
    return Fate(status, text, code, phase, reason)


def phase_of(text: str, dsn: str) -> str | None:
    """The phase of a session that our own words name; what they say of connecting they say of a session as well."""
    phase = next((phase for words, phase in PHASES if words in text), None)
    return None if phase == "connect" and dsn == LOST else phase


def next_id(reply: str) -> str | None:
    """The queue id that the next hop says it gave: Sendmail, Exim, Postfix."""
    if reply.endswith(OUR_WORDS):
        text = reply
    elif reply.startswith(EXIM_WORDS):
        text = reply.removeprefix(EXIM_WORDS)
    elif POSTFIX_WORDS in reply:
        text = reply.partition(POSTFIX_WORDS)[2]
    else:
        return None
    found = _ID(text)
    return found[0] if found else None


def handed_over(time: float, origin: Origin, queue_id: str, recipients: str, stat: str) -> list[Event]:
    """The submission agent gave a message to the MTA of this host, which tells what becomes of it."""
    new_id = next_id(stat[6:-1])
    return [
        QueueAction(time, origin, queue_id, "handover", new_id, recipient=recipient)
        for recipient in read_addresses(recipients)
    ]


def not_tried(time: float, origin: Origin, queue_id: str, stat: str, reply: str | None = None) -> list[Event]:
    """A message that only waits, that an operator or a rule holds back, or that nobody gets."""
    action = NOT_TRIED[stat]
    return [QueueAction(time, origin, queue_id, action, reply=reply) if action else Queued(time, origin, queue_id)]


def in_any_order(time: float, origin: Origin, queue_id: str, text: str) -> list[Event]:
    """The same with keys that are missing, lost their comma, or stand in another order.

    Where nothing chose a mailer, the message was refused after its data. Raises ValueError where it is cut.
    """
    fields = dict(reversed(read_fields(f"to={text}")))  # the first of two: the last can be another server's words
    stat, recipients = fields.get("stat"), fields["to"]
    if not stat or not recipients:
        raise ValueError("cut off")
    if stat in NOT_TRIED:
        return not_tried(time, origin, queue_id, stat, fields.get("quarantine"))
    if "mailer" not in fields and "dsn" not in fields and not stat.startswith(("Sent", "Deferred")):
        return [QueueAction(time, origin, queue_id, "cancel", reply=stat)]
    recipients, *lost = _INTERVAL_ALONE.split(recipients)
    return delivery(
        time,
        origin,
        queue_id,
        recipients,
        fields.get("delay") or (lost[0] if lost else None),
        fields.get("xdelay"),
        fields.get("mailer", ""),
        fields.get("relay"),
        valid_dsn(fields.get("dsn")) or "",
        fields.get("reply"),
        stat,
    )


SHAPES = (
    shape(
        "{queue_id}: to={to}[, ctladdr={_}], delay={waited}[, xdelay={xdelay}], mailer={transport}, pri={_}"
        "[, relay={relay}], dsn={dsn}[, quarantine={_}][, reply={reply}], stat={stat}",
        "5ALA00aB004711: to=<kim@example.org>,<lee@example.org>, ctladdr=<news@example.com> (1000/1000),"
        " delay=00:00:02, xdelay=00:00:01, mailer=esmtp, pri=61733, relay=mx.example.org. [192.0.2.25], dsn=2.0.0,"
        " stat=Sent (Ok: queued as 4dHvRr2ZXRz2pQ1)",
        delivery,
        several=True,
    ),
    shape(
        "{queue_id}: to={text}",
        "5ALA00aB004711: to=<kim@example.org>, delay=00:00:00, pri=30529, stat=Message content rejected",
        in_any_order,
        general=True,
        several=True,
    ),
)
