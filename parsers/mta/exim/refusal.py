"""What Exim refuses: clients, commands, recipients, messages (src/smtp_in.c, src/acl.c, src/receive.c).

A refusal has no reply code of its own in the log, unless its text begins with one. The reject log has the same lines,
with the headers of the message behind them.
"""

from __future__ import annotations

import re

from parsers.events import Origin, Reject
from parsers.mta.exim.field import CLIENTS, read_codes, read_fields
from parsers.reason import reason_of
from parsers.shape import shape

# What the client was at, in the words behind `rejected `; a message is refused as a whole after its last line.
PHASES = (
    ("RCPT", "rcpt"),
    ("MAIL", "mail"),
    ("connection", "connect"),
    ("EHLO", "ehlo"),
    ("HELO", "ehlo"),
    ("after ", "end_of_data"),
    ("DATA", "data"),
    ("BDAT", "data"),
    ("AUTH", "auth"),
    ("STARTTLS", "starttls"),
    ("by ", "end_of_data"),
    ("during ", "end_of_data"),
    ("PRDR", "end_of_data"),
)
_ADDRESS = re.compile(r"(?:RCPT|MAIL|VRFY|EXPN)(?: FROM:)? <?(?P<address>.{0,600}?)>?(?=: |:?\Z)", re.DOTALL).match
_CODED = re.compile(r"[1-9][0-9]{2}[ -]").match


def recipient_refused(
    time: float, origin: Origin, client: str, sender: str, recipient: str, reply: str | None
) -> Reject:
    """A recipient whom the client named, in the order of fields that Exim writes by default."""
    name, ip, helo = CLIENTS[client]
    code, dsn = read_codes(reply) if reply else (None, None)
    reason = reason_of(reply or "", code, dsn, "rcpt")
    return Reject(time, origin, None, "rcpt", name, ip, sender, recipient, None, helo, code, dsn, reply, reason)


def refused(time: float, origin: Origin, key: str, fields: str, what: str) -> Reject:
    """Any refusal to a client whose message has no id yet."""
    return message_refused(time, origin, None, key, fields, what)


def message_refused(time: float, origin: Origin, queue_id: str | None, key: str, fields: str, what: str) -> Reject:
    """Any refusal: `fields` tell of the client and the envelope, `what` of the command, with a text after a colon."""
    return refusal(time, origin, queue_id, f"{key}{fields}", *_read_what(what))


def plain_refused(time: float, origin: Origin, what: str) -> Reject:
    """A refusal with neither client nor envelope: of the local user's message, or by its size."""
    return refusal(time, origin, None, "", *_read_what(what))


def _read_what(what: str) -> tuple[str | None, str | None, str | None]:
    """Phase, address and text."""
    phase = next((phase for words, phase in PHASES if what.startswith(words)), None)
    found = _ADDRESS(what)
    rest = what[found.end() :] if found else what
    return phase, found["address"] if found else None, rest.partition(": ")[2] or None


def refusal(
    time: float,
    origin: Origin,
    queue_id: str | None,
    client: str,
    phase: str | None,
    address: str | None,
    reply: str | None,
    sender: str | None = None,
) -> Reject:
    """The event of a refusal. `client` are fields, or a client without its key."""
    fields, end = read_fields(f" {client}", 0)
    name, ip, helo = CLIENTS[fields.get("H") or (client if not end else None)]
    code, dsn = read_codes(reply) if reply else (None, None)
    method, _, user = fields.get("A", "").partition(":")
    envelope = address if phase == "mail" else sender if sender is not None else fields.get("F")
    return Reject(
        time,
        origin,
        queue_id,
        phase,
        name,
        ip,
        envelope[1:-1] if envelope and envelope[0] == "<" else envelope,
        address if phase == "rcpt" else None,
        fields.get("P"),
        helo,
        code,
        dsn,
        reply,
        reason_of(reply or "", code, dsn, phase),
        method or None,
        user or None,
    )


def command_refused(time: float, origin: Origin, command: str, client: str, reply: str | None) -> Reject:
    """A command out of order, or with an argument that cannot be."""
    phase = next((phase for words, phase in PHASES if command.startswith(words)), None)
    return refusal(time, origin, None, client, phase, None, reply)


def oversized(time: float, origin: Origin, sender: str, client: str, reply: str) -> Reject:
    """A message that is too large, as the client itself says."""
    return refusal(time, origin, None, client, "mail", sender, reply)


def found_oversized(time: float, origin: Origin, queue_id: str, sender: str, client: str, reply: str) -> Reject:
    """A message that turned out to be too large."""
    return refusal(time, origin, queue_id, client.strip(), "end_of_data", None, reply, sender)


def message_refused_early(time: float, origin: Origin, sender: str, client: str, reply: str) -> Reject:
    """A message that is refused for its headers, before it has an id."""
    return refusal(time, origin, None, client.strip(), "end_of_data", None, reply, sender)


def quoted_command_refused(time: float, origin: Origin, command: str, client: str) -> Reject:
    """A greeting that is not the client's own name (`helo_verify_hosts`), or a command that the client may not give,
    which may hold a password."""
    is_greeting = command.startswith(("EHLO ", "HELO "))
    return command_refused(
        time, origin, command, client, "argument does not match calling host" if is_greeting else None
    )


def not_connected(time: float, origin: Origin, client: str, reply: str) -> Reject:
    """A client that is sent away before anything else."""
    return refusal(time, origin, None, client, "connect", None, reply.strip(" ():"))


def out_of_step(time: float, origin: Origin, why: str, command: str, client: str) -> Reject:
    """A client that does not wait for its turn. What it sent is of no use, and may hold passwords."""
    phase = next((phase for words, phase in PHASES if command.upper().startswith(words)), None)
    return refusal(time, origin, None, client, phase, None, f"SMTP protocol synchronization error ({why})")


def early(time: float, origin: Origin, why: str, client: str) -> Reject:
    """A client that begins before it was greeted."""
    event = out_of_step(time, origin, why, "", f"H={client}")
    event.phase = "connect"
    return event


def too_many(time: float, origin: Origin, sender: str, client: str) -> Reject:
    """Recipients beyond `recipients_max`: one line for all of them."""
    return refusal(time, origin, None, client, "rcpt", None, "too many recipients", sender)


def unqualified(time: float, origin: Origin, role: str, address: str, client: str) -> Reject:
    """An address without a domain, from a client that may not leave it out."""
    phase = "mail" if role == "sender" else "rcpt"
    return refusal(time, origin, None, client, phase, address, f"unqualified {role}")


def overlong(time: float, origin: Origin, words: str, client: str, reply: str) -> Reject:
    """A header that no message can have."""
    return refusal(time, origin, None, client, "end_of_data", None, f"{words} (more than {reply}")


def recipient_dropped(time: float, origin: Origin, queue_id: str, address: str, reply: str) -> Reject | None:
    """One recipient's word on a whole message (PRDR); None where the message is taken."""
    if reply == "acceptance" or reply[:1] == "2":
        return None
    event = refusal(time, origin, queue_id, "", "end_of_data", None, reply)
    event.recipient = address.removeprefix("R=").strip("<>")
    return event


def unverified(time: float, origin: Origin, client: str) -> Reject:
    """A client that asked whether an address is there."""
    return refusal(time, origin, None, client, None, None, None)


_MANNER = "{_: temporarily rejected | rejected }"

SHAPES = (
    shape(
        "H={client} F=<{sender}>{_: temporarily rejected RCPT | rejected RCPT }<{recipient}>[: {reply}]",
        "H=client.example.net (client) [203.0.113.7] F=<kim@example.net> rejected RCPT <lee@example.org>: relay not"
        " permitted",
        recipient_refused,
    ),
    shape(
        "{key:H=|U=|F=}{fields}" + _MANNER + "{what}",
        'H=(client) [203.0.113.7]:40499 I=[192.0.2.25]:25 U=kim rejected connection in "connect" ACL: go away',
        refused,
        general=True,
    ),
    shape(
        "{queue_id} {key:H=|U=|F=}{fields}" + _MANNER + "{what}",
        "1tXk2a-00000000ABc-0dEf H=(client) [203.0.113.7] F=<kim@example.net> rejected after DATA: no adverts",
        message_refused,
    ),
    # With `log_selector = +dnssec`, the mark that stands before a client has no blank behind it.
    shape(
        "{_: DS}{key:H=|U=}{fields}" + _MANNER + "{what}",
        " DSH=client.example.net [203.0.113.7] F=<kim@example.net> rejected RCPT <lee@example.org>: relay not"
        " permitted",
        refused,
        general=True,
    ),
    shape(
        "{queue_id} {_: DS}{key:H=|U=}{fields}" + _MANNER + "{what}",
        "1tXk2a-00000000ABc-0dEf  DSH=client.example.net [203.0.113.7] F=<kim@example.net> rejected after DATA: spam",
        message_refused,
    ),
    shape(
        "unqualified {role:sender|recipient} rejected: <{address}> {client}",
        "unqualified sender rejected: <kim> H=(client) [203.0.113.7]",
        unqualified,
    ),
    shape(
        "{words:ridiculously long message header|overlong message header line} received from {client} (more than"
        " {reply}",
        "overlong message header line received from (client) [203.0.113.7] (more than 1048576 characters): message"
        " abandoned",
        overlong,
    ),
    shape(
        "{queue_id} PRDR {address} {reply}",
        "1tXk2a-00000000ABc-0dEf PRDR R=<lee@example.org> refusal",
        recipient_dropped,
    ),
    # One line tells why, the next that the recipient was refused.
    shape(
        "{_} {_:H=|U=}{_} sender verify {_:fail|defer} for {_}",
        "1tXk2a-00000000ABc-0dEf H=(client) [203.0.113.7] sender verify fail for <kim@example.net>: Unrouteable"
        " address",
    ),
    shape(
        "{_:H=|U=}{_} sender verify {_:fail|defer} for {_}",
        "H=(client) [203.0.113.7] sender verify fail for <kim@example.net>: Unrouteable address",
    ),
    shape(
        "{_:temporarily rejected|rejected} {command:EHLO|HELO|MAIL|RCPT|DATA|BDAT|AUTH|XCLIENT|VRFY|EXPN|STARTTLS}"
        " {_:from |command }{client}: {reply}",
        "rejected EHLO from (a_b) [203.0.113.7]: syntactically invalid argument(s): a_b",
        command_refused,
    ),
    shape(
        "{_:temporarily rejected|rejected} MAIL FROM:<{sender}> {client}: {reply}",
        "rejected MAIL FROM:<kim@example.net> H=(client) [203.0.113.7]: message too big: size=270000 max=204800",
        oversized,
    ),
    shape(
        "{_:temporarily rejected|rejected} {what}",
        "rejected by non-SMTP ACL: no adverts",
        plain_refused,
        general=True,
    ),
    shape(
        '{_:temporarily rejected|rejected} "{command}" from {client}',
        'rejected "AUTH PLAIN" from H=(client) [203.0.113.7]',
        quoted_command_refused,
    ),
    shape(
        "rejected from <{sender}>{client}: {reply}",
        'rejected from <kim@example.net>H=(client) [203.0.113.7]: Too many "Received" headers',
        message_refused_early,
    ),
    shape(
        "{queue_id} rejected from <{sender}>{client}: {reply}",
        "1tXk2a-00000000ABc-0dEf rejected from <kim@example.net> H=(client) [203.0.113.7]: message too big:"
        " read=264529"
        " max=204800",
        found_oversized,
    ),
    shape(
        "refused connection from {client}{reply: (host_reject_connection)| (tcp wrappers)}",
        "refused connection from [203.0.113.7] (host_reject_connection)",
        not_connected,
    ),
    shape(
        "temporarily refused connection from {client}{reply: (tcp wrappers|: not in reserve list}{_}",
        "temporarily refused connection from [203.0.113.7]:40499: not in reserve list: connected=19 max=20 reserve=5",
        not_connected,
    ),
    shape(
        "connection from {client} refused ({reply})",
        "connection from [203.0.113.7] refused (IP options)",
        not_connected,
    ),
    shape(
        "Connection from {client} refused: {reply}",
        "Connection from [203.0.113.7]:40499 refused: too many connections from that IP address",
        not_connected,
    ),
    shape(
        "{_: DSH=|H=}{client} dropped by 'connect' ACL: {reply}",
        "H=[203.0.113.7]:40499 dropped by 'connect' ACL: too many of you",
        not_connected,
    ),
    shape(
        "SMTP protocol synchronization error ({why}): rejected connection from H={client}{_: input=| next input=}{_}",
        "SMTP protocol synchronization error (input sent without waiting for greeting): rejected connection from"
        ' H=[203.0.113.7] input="GET / HTTP/1.1\\r\\n"',
        early,
    ),
    shape(
        'SMTP protocol synchronization error ({why}): rejected "{command}" {client}[ next input={_}]',
        "SMTP protocol synchronization error (next input sent too soon: pipelining was not advertised): rejected"
        ' "RSET" H=(client) [203.0.113.7] next input="QUIT\\r\\n"',
        out_of_step,
    ),
    shape(
        "too many recipients: {_:excess temporarily|message} rejected: sender=<{sender}> {client}",
        "too many recipients: excess temporarily rejected: sender=<kim@example.net> H=(client) [203.0.113.7]",
        too_many,
    ),
    shape(
        "{_:VRFY|EXPN} failed for {_} H={client}",
        "VRFY failed for <kim@example.org> H=(client) [203.0.113.7]",
        unverified,
    ),
)
