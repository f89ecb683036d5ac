"""Deliveries: to relays (smtpd/mta.c), to users of this host (smtpd/mda.c), and what the queue gives up (queue.c).

An envelope is one recipient; its id begins with the message's. What the relay's reply answered is not told.
"""

from __future__ import annotations

import re
from functools import lru_cache

from parsers.events import Delivery, Origin, QueueAction
from parsers.memo import Memo
from parsers.mta.opensmtpd.smtp import NAMELESS, read_address
from parsers.provider import provider_of_domain, provider_of_relay
from parsers.reason import reason_of
from parsers.reply import Reply, read_reply
from parsers.shape import shape

STATUSES = {
    "Ok": "sent",
    "TempFail": "deferred",
    "PermFail": "bounced",
    "LoopFail": "bounced",
    "Expire": "expired",
    "Expired": "expired",
}
# Where the client was when a delivery failed without a reply (mta.c); the first that the text holds decides.
PHASES = (
    ("MX found", "dns"),
    ("MX lookup", "dns"),
    ("Domain does not", "dns"),
    ("Invalid domain name", "dns"),
    ("Network error", "connect"),
    ("Address family", "connect"),
    ("route to", "connect"),
    ("All routes", "connect"),
)
NO_ORIGINAL = frozenset({"-", ""})
_DELAY = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,9})s)?").fullmatch
_RELAY = re.compile(r"(\S{1,80}) \((.{0,255})\)").fullmatch
# What the next hop calls the message now, in the words of Postfix, Exim, Sendmail, and our own.
_NEXT_ID = re.compile(
    r"(?:queued as |OK id=)([0-9A-Za-z-]{5,40})|(?<![0-9A-Za-z])([0-9A-Za-z]{8,16}) Message accepted for delivery"
).search
HEAD = 12  # characters of a reply that hold its codes

# The next hop: its name, its address, the provider, whether it is this host.
Relay = tuple[str | None, str | None, str | None, bool]


def read_delay(text: str) -> float:
    """Seconds of `1d2h3m4s`; what is 0 is left out. Raises ValueError."""
    found = _DELAY(text) if text else None
    if not found:
        raise ValueError(f"no time: {text}")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def read_relay(text: str) -> Relay:
    """`192.0.2.25 (mx.example.org)`; a name alone is a destination that nobody was reached at."""
    found = _RELAY(text)
    if not found:
        return None, None, None, False
    ip, name = read_address(found[1]), found[2]
    host = name if name not in NAMELESS and name != found[1] else None
    return host, ip, provider_of_relay(host) if host else None, ip is None or ip == "::1" or ip.startswith("127.")


DELAYS: Memo[str, float] = Memo(read_delay)
RELAYS: Memo[str, Relay] = Memo(read_relay)
CODES: Memo[str, Reply] = Memo(read_reply)  # by the head of a reply


def relayed(
    time: float,
    origin: Origin,
    evpid: str,
    sender: str,
    recipient: str,
    original_recipient: str | None,
    source: str,
    relay: str,
    delay: str,
    result: str,
    reply: str,
) -> Delivery:
    """One attempt to hand a message on. Raises ValueError for a result or a delay that is none."""
    status = STATUSES.get(result)
    if status is None:
        raise ValueError(f"no result: {result}")
    host, ip, provider, is_here = RELAYS[relay]
    code, dsn = CODES[reply[:HEAD]]
    if provider is None and host is None:
        provider = provider_of_domain(recipient.rpartition("@")[2])
    # By position: this is the line that counts, and keywords cost as much as all the rest.
    event = Delivery(
        time,
        origin,
        evpid[:8],
        recipient,
        status,
        # A mail exchanger that is ourselves: the message comes in again.
        "local" if is_here or relay.startswith(source + " (") else "outbound",
        original_recipient if original_recipient not in NO_ORIGINAL else None,
        host,
        ip,
        None,
        "mta",
        DELAYS[delay],
        None,
        None,
        None,
        None,
        dsn,
        code,
        reply,
        None,
        provider,
        None,
        None,
        sender,
    )
    if status == "sent":
        event.new_queue_id = next_id(reply)
    else:
        explain_failure(event, reply)
    return event


def next_id(reply: str) -> str | None:
    """The queue id that the next hop says it gave."""
    if "queued as " in reply or "accepted for" in reply or "OK id=" in reply:
        found = _NEXT_ID(reply[:500])
        return (found[1] or found[2]) if found else None
    return None


def explain_failure(event: Delivery, text: str) -> None:
    """Fill in what a text tells about a failure."""
    if event.reply_code is None:
        event.phase = phase_of(text)
    event.reason = reason_of(text, event.reply_code, event.dsn, event.phase, event.provider)


@lru_cache(maxsize=4096)
def phase_of(text: str) -> str | None:
    """Where our own words say that a delivery failed."""
    return next((phase for words, phase in PHASES if words in text), None)


def relayed_then(
    time: float,
    origin: Origin,
    result: str,
    evpid: str,
    sender: str,
    recipient: str,
    original_recipient: str | None,
    source: str | None,
    relay: str,
    delay: str,
    reply: str,
) -> Delivery:
    """The words of 5.x."""
    envelope = (evpid, sender, recipient, original_recipient)
    return relayed(time, origin, *envelope, source or "-", relay, delay, result, reply)


def delivered(
    time: float,
    origin: Origin,
    evpid: str,
    sender: str,
    recipient: str,
    original_recipient: str | None,
    method: str | None,
    delay: str,
    result: str,
    reply: str,
) -> Delivery:
    """One delivery to a user of this host. Raises ValueError for a result or a delay that is none."""
    status = STATUSES.get(result.strip('"'))
    if status is None:
        raise ValueError(f"no result: {result}")
    original = original_recipient if original_recipient not in NO_ORIGINAL else None
    event = Delivery(time, origin, evpid[:8], recipient, status, "local", original, sender=sender)
    event.transport, event.delay, event.reply = method or "mda", DELAYS[delay], reply.strip('"')
    if status != "sent":
        event.reply_code, event.dsn = CODES[reply[:HEAD]]
        explain_failure(event, reply)
    return event


def delivered_then(
    time: float,
    origin: Origin,
    result: str,
    evpid: str,
    sender: str,
    recipient: str,
    original_recipient: str | None,
    method: str,
    delay: str,
    reply: str,
) -> Delivery:
    """The words of 5.x."""
    return delivered(time, origin, evpid, sender, recipient, original_recipient, method, delay, result, reply)


def expired(
    time: float,
    origin: Origin,
    agent: str,
    evpid: str,
    sender: str,
    recipient: str,
    original_recipient: str,
    delay: str,
    reply: str,
) -> Delivery:
    """An envelope that was in the queue for too long."""
    original = original_recipient if original_recipient not in NO_ORIGINAL else None
    direction = "outbound" if agent == "relay" else "local"
    event = Delivery(time, origin, evpid[:8], recipient, "expired", direction, original, sender=sender)
    event.delay, event.reply, event.reason = DELAYS[delay], reply, reason_of(reply, None, None, None)
    if agent == "relay":
        event.provider = provider_of_domain(recipient.rpartition("@")[2])
    return event


def removed(time: float, origin: Origin, evpid: str, sender: str, recipient: str, reply: str) -> QueueAction:
    """An envelope that the operator took out of the queue (`smtpctl remove`)."""
    return QueueAction(time, origin, evpid[:8], "delete", sender=sender, recipient=recipient, reply=reply)


def cut(time: float, origin: Origin, evpid: str) -> Delivery:  # noqa: ARG001 - a shape's fields
    """A line that some limit on its length left without what matters. Always raises ValueError."""
    raise ValueError("cut off")


_QUEUE = "{evpid}: from=<{sender}>, to=<{recipient}>, rcpt=<{original_recipient}>, delay={delay}, stat={reply}"

SHAPES = (
    shape(
        "{_} mta [event=]delivery evpid={evpid} from=<{sender}> to=<{recipient}> rcpt=<{original_recipient}>"
        ' source="{source}" relay="{relay}" delay={delay} result="{result}" stat="{reply}"',
        "0123456789abcdef mta delivery evpid=fedcba9876543210 from=<kim@example.com> to=<lee@example.org> rcpt=<->"
        ' source="203.0.113.1" relay="192.0.2.25 (mx.example.org)" delay=1m4s result="Ok"'
        ' stat="250 2.0.0 Ok: queued as 4dHvRr2ZXRz2pQ1"',
        relayed,
    ),
    # Cut off within the reply.
    shape(
        "{_} mta [event=]delivery evpid={evpid} from=<{sender}> to=<{recipient}> rcpt=<{original_recipient}>"
        ' source="{source}" relay="{relay}" delay={delay} result="{result}" stat="{reply}',
        "0123456789abcdef mta delivery evpid=fedcba9876543210 from=<kim@example.com> to=<lee@example.org> rcpt=<->"
        ' source="203.0.113.1" relay="192.0.2.25 (mx.example.org)" delay=4s result="TempFail" stat="452 4.2.2 The',
        relayed,
        general=True,
    ),
    shape(
        "{_} mda [event=]delivery evpid={evpid} from=<{sender}> to=<{recipient}>[ rcpt=<{original_recipient}>]"
        " user={_}[ method={method}] delay={delay} result={result} stat={reply}",
        "0123456789abcdef mda delivery evpid=fedcba9876543210 from=<lee@example.org> to=<kim@example.com>"
        " rcpt=<staff@example.com> user=kim delay=0s result=Ok stat=Delivered",
        delivered,
    ),
    shape(
        "{_} mta [event=]delivery evpid={evpid}",
        "0123456789abcdef mta delivery evpid=fedcba9876543210 from=<kim@exam",
        cut,
        general=True,
    ),
    shape(
        "{_} mda [event=]delivery evpid={evpid}",
        "0123456789abcdef mda delivery evpid=fedcba9876543210 from=<kim@exam",
        cut,
        general=True,
    ),
    shape(
        "{agent:relay|delivery}: Expire for " + _QUEUE,
        "relay: Expire for fedcba9876543210: from=<kim@example.com>, to=<lee@example.org>, rcpt=<->, delay=4d,"
        " stat=Envelope expired",
        expired,
    ),
    shape(
        "{_:relay|delivery}: Remove for {evpid}: from=<{sender}>, to=<{recipient}>, rcpt=<{_}>, delay={_},"
        " stat={reply}",
        "relay: Remove for fedcba9876543210: from=<kim@example.com>, to=<lee@example.org>, rcpt=<->, delay=1h2m,"
        " stat=Removed by administrator",
        removed,
    ),
    # Of the envelope that a notification is made of, under the id of the message that failed.
    shape(
        "bounce: {_:Expire|Remove} for {_}",
        "bounce: Expire for fedcba9876543210: from=<>, to=<kim@example.com>, rcpt=<->, delay=7d,"
        " stat=Envelope expired",
    ),
    # --- 5.x ---
    shape(
        "relay: {result:Ok|TempFail|PermFail|LoopFail} for {evpid}:[ session={_},] from=<{sender}>, to=<{recipient}>,"
        "[ rcpt=<{original_recipient}>,][ source={source},] relay={relay}, delay={delay}, stat={reply}",
        "relay: Ok for fedcba9876543210: session=0123456789abcdef, from=<kim@example.com>, to=<lee@example.org>,"
        " rcpt=<->, source=203.0.113.1, relay=192.0.2.25 (mx.example.org), delay=2s, stat=250 2.0.0 Ok",
        relayed_then,
    ),
    shape(
        "delivery: {result:Ok|TempFail|PermFail|LoopFail} for {evpid}: from=<{sender}>, to=<{recipient}>,"
        "[ rcpt=<{original_recipient}>,] user={_}, method={method}, delay={delay}, stat={reply}",
        "delivery: Ok for fedcba9876543210: from=<lee@example.org>, to=<kim@example.com>, user=kim, method=maildir,"
        " delay=0s, stat=Delivered",
        delivered_then,
    ),
)
