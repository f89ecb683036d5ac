"""Delivery agents: smtp, lmtp, local, virtual, pipe, error, retry, discard.

They all report through one function of Postfix (src/global/log_adhoc.c), so their lines have one form: a recipient,
the next hop, the delay and its four stages, the enhanced status code, and the status with a text in brackets.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import inf

from parsers.events import Delivery, Origin
from parsers.memo import Memo
from parsers.provider import provider_of_domain, provider_of_relay
from parsers.reason import reason_of
from parsers.reply import read_reply
from parsers.shape import shape

LOCAL_PROGRAMS = frozenset({"local", "virtual", "pipe", "lmtp", "discard"})

# What a reply answered: "(in reply to RCPT TO command)" ends the text (src/smtp/smtp_proto.c).
COMMANDS = {
    "EHLO": "ehlo",
    "HELO": "ehlo",
    "LHLO": "ehlo",
    "XFORWARD": "ehlo",
    "STARTTLS": "starttls",
    "AUTH": "auth",
    "MAIL FROM": "mail",
    "RCPT TO": "rcpt",
    "DATA": "data",
    "BDAT": "data",
    "end of DATA": "end_of_data",
}
# What Postfix was doing when a delivery failed without a reply (src/smtp/smtp_proto.c, smtp_connect.c,
# smtp_trouble.c), in its words; the first that the text holds decides.
PHASES = (
    ("sending end of data", "end_of_data"),
    ("sending DATA", "data"),
    ("sending message body", "data"),
    ("sending RCPT", "rcpt"),
    ("sending MAIL", "mail"),
    ("exceeds size limit", "mail"),
    ("SMTPUTF8 is required", "mail"),
    ("SMTPUTF8 support is required", "mail"),
    ("SASL authentication failed", "auth"),
    ("SASL [CACHED] authentication failed", "auth"),
    ("STARTTLS", "starttls"),
    ("Cannot start TLS", "starttls"),
    ("TLS is required", "starttls"),
    ("TLS-Required", "starttls"),
    ("Server certificate not", "starttls"),
    ("TLSA", "starttls"),
    ("client TLS configuration problem", "starttls"),
    ("Sender requires verified TLS", "starttls"),
    ("non DNSSEC destination", "starttls"),
    ("MX RRset is insecure", "starttls"),
    ("LO handshake", "ehlo"),
    ("initial server greeting", "banner"),
    ("refused to talk to me", "banner"),
    ("connect to ", "connect"),
    ("unable to connect", "connect"),
    ("Host or domain name not found", "dns"),
    ("Host not found", "dns"),
    ("host not found", "dns"),
    ("no MX host for", "dns"),
    ("unable to find primary relay", "dns"),
    ("name service error", "dns"),
    ("does not accept mail (nullMX)", "dns"),
    ("mail for ", "dns"),
)
# What the next hop calls the message now, in the wordings of Postfix, Exim, and our own local(8).
_NEXT_ID = re.compile(r"(?:queued as |forwarded as |OK id=)([0-9A-Za-z-]{5,40})")
# A reply that begins the text: "250 2.0.0 Ok", "250-first line".
CODES = {f"{code}{mark}": code for code in range(200, 600) for mark in " -"}
# Whom Postfix speaks of when it was not connected in the end ("host H[I] refused …", "connect to H[I]:25: …").
_NAMED_HOST = re.compile(
    r"(?:^|: )(?:host|connect to|lost connection with|conversation with) ([^\s\[\]]{1,255})\["
).search
SUSPENDED = "delivery temporarily suspended"


def read_seconds(text: str | None) -> float | None:
    """A time of the log. Raises ValueError for what is no number, or no time (`nan`, a negative one)."""
    if text is None:
        return None
    number = float(text)
    if not 0 <= number < inf:
        raise ValueError(f"no time: {text}")
    return number


# A next hop: host (a name, or a pipe's service), address, port, provider, and whether it is another host.
Relay = tuple[str | None, str | None, int | None, str | None, bool]


def read_relay(text: str) -> Relay:
    """`H[I]:port`, `H[I]`, `H[path]`, a pipe's name, `local`, `none`. Raises ValueError for an impossible port."""
    if text == "none":
        return None, None, None, None, True
    host, bracket, rest = text.partition("[")
    if not bracket:
        return host, None, None, None, False
    address, _, port = rest.partition("]")
    ip = address if "/" not in address else None
    is_remote = ip is not None and not (ip.startswith("127.") or ip == "::1")
    return host, ip, int(port[1:]) if port else None, provider_of_relay(host) if is_remote else None, is_remote


# Postfix writes delays with two digits (delay_logging_resolution_limit), so few differ.
SECONDS: Memo[str | None, float | None] = Memo(read_seconds)
RELAYS: Memo[str, Relay] = Memo(read_relay)


def next_id(reply: str) -> str | None:
    """The queue id that the next hop says it gave."""
    found = _NEXT_ID.search(reply)
    return found[1] if found else None


def delivery(
    time: float,
    origin: Origin,
    queue_id: str,
    recipient: str,
    original_recipient: str | None,
    relay: str,
    delay: str,
    delay_before_queue: str | None,
    delay_in_queue: str | None,
    delay_connect: str | None,
    delay_transmit: str | None,
    dsn: str | None,
    status: str,
    reply: str,
) -> Delivery:
    """One status line. Raises ValueError where a number is none."""
    host, ip, port, provider, is_remote = RELAYS[relay]
    if origin.program in LOCAL_PROGRAMS:
        is_remote = False
    # By position: this is the line that a relay writes most, and keywords cost as much as all the rest.
    event = Delivery(
        time,
        origin,
        queue_id,
        recipient,
        status,
        "outbound" if is_remote else "local",
        original_recipient,
        host,
        ip,
        port,
        origin.entry or origin.program,
        SECONDS[delay],
        SECONDS[delay_before_queue],
        SECONDS[delay_in_queue],
        SECONDS[delay_connect],
        SECONDS[delay_transmit],
        dsn,
        CODES.get(reply[:4]),
        reply,
        None,
        provider,
    )
    if host is None and status == "sent":  # thrown away: nobody was asked
        event.direction = "local"
    elif host is None:
        event.provider = named_provider(reply) or provider_of_domain(recipient.rpartition("@")[2])
    if status == "sent":
        if "ed as" in reply or "OK id=" in reply:
            event.new_queue_id = next_id(reply)
    else:
        if status == "SOFTBOUNCE":  # soft_bounce keeps in the queue what would have been returned
            event.status = "deferred"
        explain_failure(event, reply)
    return event


def explain_failure(event: Delivery, text: str) -> None:
    """Fill in what the text of a failed delivery tells: the reply and its code, the phase, the reason."""
    words, in_reply, command = text.rpartition(" (in reply to ")
    if in_reply:
        event.phase = COMMANDS.get(command.removesuffix(" command)"))
    if text.startswith("host "):
        event.reply = said = (words or text).partition(": ")[2]
        event.reply_code = CODES.get(said[:4])
        event.phase = event.phase or phase_of(text)
        event.reason = reason_of(said, event.reply_code, event.dsn, event.phase, event.provider)
    else:
        event.phase = event.phase or phase_of(text)
        event.reply_code = reply_code_of(text)
        event.reason = reason_of(text, event.reply_code, event.dsn, event.phase, event.provider)


@lru_cache(maxsize=4096)
def named_provider(text: str) -> str | None:
    """Who runs the host that a text names, where the line has no relay: nothing was tried, or nobody answered."""
    found = _NAMED_HOST(text)
    return provider_of_relay(found[1]) if found else None


@lru_cache(maxsize=4096)
def phase_of(text: str) -> str | None:
    """The SMTP phase in which a delivery failed that no reply ended; these texts repeat."""
    return next((phase for words, phase in PHASES if words in text), None)


@lru_cache(maxsize=4096)
def reply_code_of(text: str) -> int | None:
    """The reply code in Postfix's own words; none where it did not even try ("delivery temporarily suspended")."""
    return None if text.startswith(SUSPENDED) else read_reply(text).code


def cut(time: float, origin: Origin, queue_id: str, text: str) -> Delivery | None:  # noqa: ARG001 - a shape's fields
    """A line that some limit on its length left without what matters: raises ValueError. What begins with the name of
    a function instead of an id is a daemon's trace of its own steps."""
    if "_" in queue_id:
        return None
    raise ValueError("cut off")


_REST = (
    " relay={relay},{...} delay={delay},"
    "[ delays={delay_before_queue}/{delay_in_queue}/{delay_connect}/{delay_transmit},]{...}[ dsn={dsn},]{...}"
    " status={status:sent|deferred|bounced|SOFTBOUNCE} ({reply}"
)
_BRACKETS = "{queue_id}: to=<{recipient}>,[ orig_to=<{original_recipient}>,]"
_BARE = "{queue_id}: to={recipient},[ orig_to={original_recipient},]"

SHAPES = (
    shape(
        _BRACKETS + _REST + ")",
        "4dHvRq1ZTPz9sWk: to=<kim@example.org>, relay=mx.example.org[192.0.2.25]:25, delay=0.61,"
        " delays=0.04/0.01/0.3/0.26, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4dHvRr2ZXRz2pQ1)",
        delivery,
    ),
    # Cut off within the reply.
    shape(
        _BRACKETS + _REST,
        "1A2B3C4D5E: to=<kim@example.org>, relay=mx.example.org[192.0.2.25]:25, delay=2.1, delays=0.1/0/0.9/1.1,"
        " dsn=4.2.2, status=deferred (host mx.example.org[192.0.2.25] said: 452 4.2.2 The mailbox is fu",
        delivery,
        general=True,
    ),
    # Addresses without brackets: before Postfix 2.0, or through a program that rewrites logs.
    shape(
        _BARE + _REST + ")",
        "1A2B3C4D5E: to=kim@example.org, relay=mx.example.org[192.0.2.25], delay=3, status=sent (250 Ok)",
        delivery,
        general=True,
    ),
    shape(
        _BARE + _REST,
        "1A2B3C4D5E: to=kim@example.org, relay=mx.example.org[192.0.2.25], delay=3, status=sent (250 Ok",
        delivery,
        general=True,
    ),
    # What `sendmail -bv` and verify(8) ask: nothing was delivered.
    shape(
        "{queue_id}: to={_} status={_:deliverable|undeliverable}{_}",
        "1A2B3C4D5E: to=<kim@example.org>, relay=mx.example.org[192.0.2.25]:25, delay=0.4, delays=0.1/0/0.2/0.1,"
        " dsn=2.1.5, status=deliverable (250 2.1.5 Ok)",
    ),
    # Postfix 3.6: another agent's line tells what became of it.
    shape(
        "{queue_id}: passing <{_}> to transport={_}",
        "4dHvRq1ZTPz9sWk: passing <kim@example.com> to transport=lmtp",
    ),
    shape("{queue_id}: to={text}", "1A2B3C4D5E: to=<kim@example.org>, relay=mx.exam", cut, general=True),
)
