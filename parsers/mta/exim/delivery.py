"""What becomes of recipients: `=>`, `->`, `>>`, `*>`, `**` and `==`, and of the message as a whole: `Completed`.

Wordings are those of delivery_log(), post_process_one() and deferral logging in src/deliver.c, and of the transports
(src/transports/smtp.c). A recipient that goes with the one before it, in one copy of the message, has `->`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from parsers.events import Delivery, Origin, Removed
from parsers.memo import Memo
from parsers.mta.exim.field import (
    HEAD,
    NOWHERE,
    RELAYS,
    SECONDS,
    joined_tls,
    read_codes,
    read_fields,
    read_recipient,
    unescape,
)
from parsers.provider import provider_of_domain
from parsers.reason import reason_of
from parsers.shape import shape

# What Exim was at when the other side failed; `pipelined` stands before a command that did not wait for its answer.
PHASES = (
    ("initial connection", "banner"),
    ("EHLO", "ehlo"),
    ("HELO", "ehlo"),
    ("LHLO", "ehlo"),
    ("STARTTLS", "starttls"),
    ("AUTH", "auth"),
    ("MAIL FROM", "mail"),
    ("RCPT TO", "rcpt"),
    ("DATA", "data"),
    ("BDAT", "data"),
    ("sending data block", "data"),
    ("end of data", "end_of_data"),
    ("end-of-data", "end_of_data"),
)
# What failed where no server answered; the first words that the text holds decide.
TROUBLES = (
    ("retry time not reached", None),  # nobody was asked
    ("retry timeout exceeded", None),
    ("have been failing for a long time", None),
    ("authentication", "auth"),
    ("TLS", "starttls"),
    ("DANE", "starttls"),
    ("certificate", "starttls"),
    ("host lookup did not complete", "dns"),
    ("Unrouteable address", "dns"),
    ("MX record", "dns"),
    ("host is unable", "dns"),
    ("Connection refused", "connect"),
    ("Connection timed out", "connect"),
    ("No route to host", "connect"),
    ("Network is unreachable", "connect"),
    ("Network Error", "connect"),
)
# Before 4.83 the host stood in the text; a host's name has no blanks.
_SAID = re.compile(
    r"(?:SMTP|LMTP) error from remote mail(?:er| server) after (?P<doing>[^:]*+(?::(?! )[^:]*+)*): ?"
    r"(?:host (?P<relay>[^ ]++ \[[^\]]++\](?::\d++)?): )?"
).match
_DOING = re.compile(
    r"(?:in response to|timeout after|timed out after|error after|after) (?P<doing>(?:pipelined )?[^:]{1,40})"
).search
_ELAPSED = re.compile(r"(?P<text>.*?)(?: QT=(?P<queue>[\d.wdhms]++))?(?: DT=(?P<delivery>[\d.wdhms]++))?").fullmatch
_DEFERRED = re.compile(
    r"(?: routing)?(?P<fields>.*?) defer(?: \((?P<error>[^)]{1,80})\)|(?=:? |\Z))(?P<rest>.*)", re.DOTALL
).fullmatch
# strerror(3) of the operating system's own error; the host stands behind it.
_STRERROR = re.compile(r": (?P<error>[A-Z][^:=]{2,80}?)(?P<more> [HDI]=.*|: .*|)", re.DOTALL).fullmatch
_QUEUED = re.compile(r"queued as ([0-9A-Za-z-]{5,40})").search
_ACCEPTED = re.compile(r"OK id=([0-9A-Za-z-]{5,40})").search
ADMINISTRATOR = "delivery cancelled by administrator"
EXPIRED = "retry timeout exceeded"
FURTHER = "->"  # in the same copy as the recipient before: the session was told there
REPLY = ' C="'
NOWHERE_YET = Origin("exim", "", "exim", "exim")
NOBODY = frozenset({":blackhole:", "discarded", "blackhole"})
# Names of transports to mailboxes, files and programs in the configurations of Exim itself, Debian, cPanel, Plesk.
LOCAL_TRANSPORTS = frozenset(
    "local_delivery address_file address_pipe address_directory address_reply mail_spool maildir_home maildrop_pipe"
    " procmail_pipe procmail userforward_file dovecot_delivery dovecot_lda dovecot_lmtp dovecot_virtual_delivery"
    " virtual_delivery virtual_localdelivery virtual_userdelivery virtual_address_pipe cyrus_delivery"
    " lmtp_delivery".split()
)


def next_id(reply: str) -> str | None:
    """The queue id that the next hop says it gave."""
    found = _QUEUED(reply) if "ed as" in reply else _ACCEPTED(reply) if "OK id=" in reply else None
    return found[1] if found else None


# --- delivered ---


def read_way(text: str) -> Delivery:
    """A delivery of nobody yet, by the fields from the router on, up to the reply. Raises ValueError."""
    text = f" R={text.removesuffix(REPLY)}"
    fields, end = read_fields(text, 0)
    if end < len(text):
        raise ValueError("cut off")
    return way_of(fields)


def way_of(fields: dict[str, str]) -> Delivery:
    """The same where the fields are taken apart. Raises ValueError where a time is none."""
    host, ip, port, provider, is_reused = RELAYS[fields.get("H")]
    protocol, cipher, is_verified = joined_tls(fields)
    return Delivery(
        0.0,
        NOWHERE_YET,
        None,
        None,
        "sent",
        "local" if ip is None else direction(ip),
        relay_host=host,
        relay_ip=ip,
        relay_port=port,
        transport=fields.get("T") or None,
        delay=SECONDS[fields.get("QT")],
        delay_before_queue=SECONDS[fields.get("RT")],
        delay_transmit=SECONDS[fields.get("DT")],
        provider=provider,
        tls_protocol=protocol,
        tls_cipher=cipher,
        tls_trust=None if protocol is None else "verified" if is_verified else "untrusted",
        tls_sessions=int(protocol is not None and not is_reused),
    )


# The messages to a host mostly go the same way: all but the recipient and the reply is copied.
WAYS: Memo[str, Any] = Memo(read_way)


def delivered(
    time: float, origin: Origin, queue_id: str, flag: str, first: str, top: str | None, way: str, reply: str | None
) -> Delivery | None:
    """One recipient who has the message; None for one whose message was thrown away."""
    if top is not None and first in NOBODY:
        return None
    event: Delivery = WAYS[way].__copy__()
    event.time, event.origin, event.queue_id = time, origin, queue_id
    _complete(event, flag, first, top, reply)
    return event


def silently_delivered(
    time: float, origin: Origin, queue_id: str, flag: str, first: str, top: str | None, way: str
) -> Delivery | None:
    """The same where nobody answered."""
    return delivered(time, origin, queue_id, flag, first, top, way, None)


def _complete(event: Delivery, flag: str, first: str, top: str | None, reply: str | None) -> None:
    """Add whom a delivery was for, and what the other side said, as it stood in quotes."""
    if top is None:
        event.recipient = recipient = first
    else:
        recipient, event.original_recipient = read_recipient(first, top)
        event.recipient = recipient
    if event.provider is None and event.relay_ip is not None:
        event.provider = provider_of_domain(recipient.rpartition("@")[2])
    if reply:
        event.reply = reply if "\\" not in reply else unescape(reply)
        event.reply_code, event.dsn = read_codes(reply)
        event.new_queue_id = next_id(reply)
    if flag == FURTHER:
        event.tls_sessions = 0


def any_delivered(time: float, origin: Origin, queue_id: str, flag: str, text: str) -> Delivery | None:
    """The same with its fields in any order, and with those that few configurations log. Raises ValueError."""
    head = HEAD(text)
    if not head:
        raise ValueError("no recipient")
    if head["first"] in NOBODY or text.startswith("blackhole "):
        return None
    fields, end = read_fields(text, head.end())
    if not fields or text[end : end + 2] not in ("", " "):
        raise ValueError("cut off")
    event = way_of(fields)
    event.time, event.origin, event.queue_id = time, origin, queue_id
    reply = fields.get("C", "")
    _complete(event, flag, head["first"], head["top"], reply[1:].removesuffix('"') if reply[:1] == '"' else reply)
    return event


def direction(ip: str | None) -> str:
    """Whether an address is another host's."""
    return "local" if ip is not None and (ip == "::1" or ip.startswith("127.")) else "outbound"


# --- not delivered ---


def failed(
    time: float,
    origin: Origin,
    queue_id: str,
    first: str,
    top: str | None,
    transport: str | None,
    relay: str | None,
    reply: str,
) -> Delivery:
    """A recipient that was given up."""
    if reply.endswith("s") and " DT=" in reply:
        reply, elapsed = without_elapsed(reply)
        event = unsent(time, origin, queue_id, "bounced", first, top, transport, relay, reply)
        event.delay_transmit = SECONDS[elapsed]
        return event
    return unsent(time, origin, queue_id, "bounced", first, top, transport, relay, reply)


def deferred(
    time: float,
    origin: Origin,
    queue_id: str,
    first: str,
    top: str | None,
    transport: str | None,
    relay: str | None,
    reply: str,
) -> Delivery:
    """A recipient that is to be tried again. Where its time had not come yet, nobody was asked."""
    event = unsent(time, origin, queue_id, "deferred", first, top, transport, relay, reply)
    if relay and " DT=" in relay:
        event.delay_transmit = SECONDS[relay.rpartition(" DT=")[2]]
    return event


def unsent(
    time: float,
    origin: Origin,
    queue_id: str,
    status: str,
    first: str,
    top: str | None,
    transport: str | None,
    relay: str | None,
    text: str,
) -> Delivery:
    """What the text of a failure tells: the reply, its codes, the phase, the reason."""
    said = _SAID(text)
    if said:
        reply = text[said.end() :]
        relay = relay or said["relay"]
        code, dsn = read_codes(reply)
        phase = phase_of(said["doing"])
    else:
        reply, code, dsn = text, None, None
        phase = trouble(text)
    recipient, original = read_recipient(first, top)
    host, ip, port, provider, _ = RELAYS[relay] if relay else NOWHERE
    is_remote = ip is not None or "@" in recipient
    provider = (provider or provider_of_domain(recipient.rpartition("@")[2])) if is_remote else None
    return Delivery(
        time,
        origin,
        queue_id,
        recipient,
        "expired" if text.startswith(EXPIRED) else status,
        direction(ip) if ip is not None else direction_of(first, transport),
        original,
        host,
        ip,
        port,
        transport,
        None,
        None,
        None,
        None,
        None,
        dsn,
        code,
        reply,
        phase,
        provider,
        # The recipient's own address is no word of the cause, and without it these texts repeat.
        reason_of(reply.replace(recipient, ""), code, dsn, phase, provider),
    )


def direction_of(first: str, transport: str | None) -> str:
    """Where a recipient would have gone who got as far as no host."""
    is_local = transport in LOCAL_TRANSPORTS or "@" not in first or first[0] in "|/>"
    return "local" if is_local else "outbound"


@lru_cache(maxsize=4096)
def phase_of(doing: str) -> str | None:
    """The phase of `RCPT TO:<…>`, `pipelined MAIL FROM:<…>`, `end of data`."""
    doing = doing.removeprefix("pipelined ")
    return next((phase for words, phase in PHASES if doing.startswith(words)), None)


@lru_cache(maxsize=4096)
def trouble(text: str) -> str | None:
    """The phase in which a delivery failed that no reply ended; these texts repeat."""
    found = _DOING(text)
    phase = phase_of(found["doing"]) if found else None
    return phase or next((phase for words, phase in TROUBLES if words in text), None)


def any_failed(time: float, origin: Origin, queue_id: str, text: str) -> Delivery:
    """The same with its fields in any order, and the texts that fields follow. Raises ValueError."""
    head = HEAD(text)
    if not head or not head["first"]:
        raise ValueError("no recipient")
    fields, end = read_fields(text, head.end())
    if end == head.end() == len(text):
        raise ValueError("cut off")
    event = failed(
        time, origin, queue_id, head["first"], head["top"], fields.get("T"), fields.get("H"), text[end:].lstrip(" :")
    )
    if "DT" in fields:
        event.delay_transmit = SECONDS[fields["DT"]]
    return event


def any_deferred(time: float, origin: Origin, queue_id: str, text: str) -> Delivery:
    """The same. Behind the error number stands what the operating system says, then the host, then Exim's words.

    Since 4.100 there are no numbers: what failed stands in their place, where there are no words.
    """
    head = HEAD(text)
    found = _DEFERRED(text[head.end() :]) if head else None
    if not head or not found or not head["first"]:
        raise ValueError("cut off")
    fields, _ = read_fields(found["fields"], 0)
    number = found["error"] or ""
    error = _STRERROR(found["rest"]) if number.isdecimal() else None
    more, end = read_fields(error["more"] if error else found["rest"], 0)
    words = (error["more"] if error else found["rest"])[end:].lstrip(" :")
    if error:
        words = f"{words}: {error['error']}" if words else error["error"]
    elif not words and not number.removeprefix("-").isdecimal():
        words = number
    words, elapsed = without_elapsed(words)
    fields |= more
    event = unsent(
        time,
        origin,
        queue_id,
        "deferred",
        head["first"],
        head["top"],
        fields.get("T"),
        fields.get("H"),
        words,
    )
    event.delay_transmit = SECONDS[fields.get("DT") or elapsed]
    return event


class Rest(NamedTuple):
    """The text of a failure, and the time that the attempt took, which may stand behind it."""

    text: str
    delivery: str | None


def without_elapsed(text: str) -> Rest:
    """Take the times off that `log_selector` adds behind a text."""
    found = _ELAPSED(text)
    return Rest(found["text"], found["delivery"]) if found else Rest(text, None)


_SENT = ' {first: }[ <{top}>] R={way> C="}{reply:"}"'
_SENT_SILENTLY = ' {first: }[ <{top}>] R={way:"}'
_WHOM = " {first: }[ <{top}>]"
_FAILED = '[ H={relay}][ X={_}][ DN="{_}"]: {reply}'

SHAPES = (
    # In the order in which Exim writes them, where it writes no more than by default.
    shape(
        "{queue_id} {flag:=>|->}" + _SENT,
        "1tXk2a-00000000ABc-0dEf => kim@example.org <list@example.com> R=dnslookup T=remote_smtp"
        " H=mx.example.org [192.0.2.25] X=TLS1.3:ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM:256 CV=yes"
        ' DN="CN=mx.example.org" L K C="250 2.0.0 Ok: queued as 4dHvRr2ZXRz2pQ1"',
        delivered,
    ),
    shape(
        "{queue_id} {flag:=>|->}" + _SENT_SILENTLY,
        "1tXk2a-00000000ABc-0dEf -> lee@example.org <staff@example.org> R=local_user T=maildir_home",
        silently_delivered,
    ),
    # `>>` is a delivery that was made while the client was still there; the message's arrival is logged after it.
    shape(
        "{queue_id} {flag:=>|->|>>} {text}",
        "1tXk2a-00000000ABc-0dEf => |/usr/bin/vacation kim (kim@example.com) <sales@example.com> F=<lee@example.org>"
        " P=<lee@example.org> R=userforward T=address_pipe S=4711 QT=0.2s DT=0.1s",
        any_delivered,
        general=True,
    ),
    shape("{queue_id} *> {_}", "1tXk2a-00000000ABc-0dEf *> kim@example.org R=dnslookup T=remote_smtp"),
    shape(
        "{queue_id} **" + _WHOM + "[ R={_: }][ T={transport: }]" + _FAILED,
        "1tXk2a-00000000ABc-0dEf ** kim@example.org R=dnslookup T=remote_smtp H=mx.example.org [192.0.2.25]"
        " X=TLS1.3:TLS_AES_256_GCM_SHA384:256 CV=yes: SMTP error from remote mail server after RCPT"
        " TO:<kim@example.org>:"
        " 550 5.1.1 <kim@example.org>: Recipient address rejected: User unknown",
        failed,
    ),
    shape(
        "{queue_id} ** {text}",
        "1tXk2a-00000000ABc-0dEf ** kim@example.org: retry timeout exceeded",
        any_failed,
        general=True,
    ),
    shape(
        "{queue_id} ==" + _WHOM + "[ routing][ R={_: }][ T={transport: }] defer[ (-{_})]" + _FAILED,
        "1tXk2a-00000000ABc-0dEf == kim@example.org R=dnslookup T=remote_smtp defer (-44) H=mx.example.org"
        " [192.0.2.25]:"
        " SMTP error from remote mail server after RCPT TO:<kim@example.org>: 451 4.7.1 Greylisted, try again later",
        deferred,
    ),
    shape(
        "{queue_id} == {text}",
        "1tXk2a-00000000ABc-0dEf == kim@example.org R=dnslookup T=remote_smtp defer (110): Connection timed out"
        " H=mx.example.org [192.0.2.25] DT=21s: SMTP timeout after initial connection",
        any_deferred,
        general=True,
    ),
    shape("{queue_id} Completed", "1tXk2a-00000000ABc-0dEf Completed", Removed, repeats=True),
    shape("{queue_id} Completed QT={_}", "1tXk2a-00000000ABc-0dEf Completed QT=3m45s", Removed),
)
