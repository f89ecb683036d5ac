"""The page of the event record: its fields, kind by kind."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from docs.markdown import code, page, summary, table
from parsers import events, tracker
from parsers.events import CONTEXT, KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parsers.events import Event

INTRODUCTION = """\
What one line of a log says: `mailstat events --format json` prints one record a line, as a JSON object, and
`--where` asks for its fields. Made from `parsers/events.py`. A field that is not known is absent. A line makes at
most one event, but where a syslog daemon wrote that a line was repeated."""

EVERY = {
    "time": ("text", "when: RFC 3339 with offset, as precise as the log"),
    "mta": ("text", "the mail server: `postfix`"),
    "host": ("text", "the host that logged it"),
    "service": ("text", "syslog name of the instance: `postfix`, `postfix-out`"),
    "program": ("text", "the daemon: `smtp`, `smtpd`, `qmgr` …"),
    "pid": ("integer", "its process"),
    "kind": ("text", "which of the kinds below"),
}
FIELDS = {
    "action": "what was done: `hold` `release` `requeue` `expire` `discard` `filter` `redirect` `quarantine`",
    "attempts": "of `delivery`: how many it took to the final status, this one included; of `auth`: how many one line"
    " stands for",
    "client_ip": "address of the peer that gave us the message or tried to",
    "client_name": "its name in the DNS",
    "commands": "commands of the session, as the log counts them: `rcpt=0/1 auth=1`",
    "delay": "seconds from arrival to this attempt's end",
    "delay_before_queue": "seconds from arrival to the active queue",
    "delay_connect": "seconds to connect, with DNS, EHLO and TLS",
    "delay_in_queue": "seconds in the active queue",
    "delay_transmit": "seconds to transmit the message",
    "direction": "`outbound`: SMTP to another host; `local`: local, virtual, pipe, lmtp on this host",
    "dsn": "enhanced status code, RFC 3463: `4.2.1`",
    "error": "`timeout` `refused` `unreachable` `lost` `tls` `dns`",
    "helo": "what the peer called itself in HELO or EHLO",
    "message_id": "without angle brackets",
    "new_queue_id": "the id that the next hop or our own re-injection gave, or the notification's own id",
    "original_queue_id": "the id before a content filter gave the message back",
    "original_recipient": "before aliases and rewriting",
    "phase": "SMTP phase that the failure belongs to: `connect` `banner` `ehlo` `starttls` `auth` `mail` `rcpt`"
    " `data` `end_of_data` `dns`",
    "protocol": "`ESMTP`, `SMTP`",
    "provider": "who runs the destination: see [reasons.md](reasons.md#providers)",
    "queue_id": "the message, as the server names it; it may be used again for another one",
    "reason": "reason class: see [reasons.md](reasons.md)",
    "recipient": "envelope address without angle brackets",
    "recipients": "number of recipients",
    "relay_host": "where the recipient was delivered or tried",
    "relay_ip": "its address",
    "relay_port": "its port",
    "reply": "the text that the remote server, or our own, gave",
    "reply_code": "SMTP reply code: `450`",
    "result": "`success` or `failure`",
    "sasl_method": "SASL mechanism: `PLAIN`, `LOGIN`",
    "sasl_user": "the user that authenticated, or tried to",
    "sender": 'envelope address without angle brackets; the null reverse-path is `""`',
    "severity": "`warning` `error` `fatal` `panic`",
    "size": "bytes",
    "status": "`sent` `deferred` `bounced` `expired`",
    "text": "the complaint itself",
    "tls_cipher": "name of the cipher",
    "tls_protocol": "`TLSv1.3`",
    "tls_trust": "`anonymous` `untrusted` `trusted` `verified`",
    "transport": "the service that delivered: `smtp`, `relay`, `local`, `virtual` …",
    "type": "`bounce` `delay` `success`",
}
WORDS = {str: "text", int: "integer", float: "number"}


def text() -> str:
    """The page."""
    every = ([code(name), kind, meaning] for name, (kind, meaning) in EVERY.items())
    kinds = [part for kind in KINDS for part in _kind(kind)]
    return page("The event record", INTRODUCTION, "## Every event", _fields(every), *kinds)


def fields(kind: type[Event]) -> dict[str, str]:
    """The fields that a kind has besides those of every event, each with its type in words."""
    hints = get_type_hints(kind, localns={**vars(tracker), **vars(events)})
    own = [name for name in kind.__struct_fields__[2:] if name not in CONTEXT]
    return {name: _type(hints[name]) for name in own}


def _kind(kind: type[Event]) -> Iterator[str]:
    yield f"## {kind.kind}"
    yield summary(kind.__doc__)
    rows = [[code(name), words, FIELDS[name]] for name, words in fields(kind).items()]
    if rows:
        yield _fields(rows)


def _fields(rows: Any) -> str:
    return table(["field", "type", "meaning"], rows)


def _type(hint: Any) -> str:
    kinds = set(get_args(hint) or (hint,)) - {NoneType}
    return WORDS[kinds.pop()]
