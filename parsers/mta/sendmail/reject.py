"""What the SMTP server refuses: by its rulesets, by a Milter, for its own reasons (sendmail/srvrsmtp.c, milter.c).

A recipient that the rulesets find undeliverable is refused on a line of its own, without client and reply code. What
is refused after the data has a to= line as well, which ends the message (`delivery`).
"""

from __future__ import annotations

from parsers.events import Origin, Reject
from parsers.mta.sendmail.field import read_address
from parsers.mta.sendmail.host import CLIENTS, read_ip
from parsers.reason import reason_of
from parsers.reply import read_reply
from parsers.shape import shape

AFTER_DATA = "end_of_data"
# By the ruleset that refused; those of any other name check a header's field.
PHASES: dict[str, str | None] = {
    "check_relay": "connect",
    "check_helo": "ehlo",
    "check_mail": "mail",
    "check_rcpt": "rcpt",
    "check_compat": "rcpt",
    "check_data": "data",
    "check_vrfy": None,
    "check_expn": None,
    "check_etrn": None,
    "trust_auth": "mail",
    "tls_client": "mail",
}
OUTBOUND = frozenset({"tls_server", "tls_rcpt", "try_tls", "authinfo"})  # of us as a client: the delivery tells
MILTER_PHASES = {"to": "rcpt", "from": "mail", "helo": "ehlo"}


def refusal(
    time: float,
    origin: Origin,
    queue_id: str | None,
    ruleset: str,
    argument: str | None,
    client: str | None,
    reply: str,
) -> Reject | None:
    """A ruleset's verdict; `argument` is the address that it is about, or what a header holds."""
    if ruleset in OUTBOUND:
        return None
    phase = PHASES.get(ruleset, AFTER_DATA)
    address = read_address(argument or "")
    event = rejected(time, origin, queue_id, phase, reply)
    event.client_name, event.client_ip = CLIENTS[client] if client else (None, None)
    event.sender = address if phase == "mail" else None
    event.recipient = address if phase == "rcpt" else None
    return event


def early_refusal(
    time: float, origin: Origin, ruleset: str, argument: str | None, client: str | None, reply: str
) -> Reject | None:
    """The same before there is an id."""
    return refusal(time, origin, None, ruleset, argument, client, reply)


def cut(time: float, origin: Origin, queue_id: str, text: str) -> Reject:  # noqa: ARG001 - a shape's fields
    """A line that some limit on its length left without what matters. Always raises ValueError."""
    raise ValueError("cut off")


def milter_refusal(time: float, origin: Origin, queue_id: str, about: str, argument: str, reply: str) -> Reject:
    """A Milter's verdict on one command."""
    event = rejected(time, origin, queue_id, MILTER_PHASES[about], reply)
    event.sender = read_address(argument) if about == "from" else None
    event.recipient = read_address(argument) if about == "to" else None
    event.helo = argument if about == "helo" else None
    return event


def milter_data_refusal(time: float, origin: Origin, queue_id: str, about: str, reply: str) -> Reject:
    """A Milter's verdict on a whole message, or (8.14 and later) on the command that begins it."""
    return rejected(time, origin, queue_id, AFTER_DATA if about == "data" else "data", reply)


def milter_client_refusal(time: float, origin: Origin, queue_id: str, name: str, address: str, reply: str) -> Reject:
    """A Milter's verdict on a client."""
    event = rejected(time, origin, queue_id, "connect", reply)
    event.client_name, event.client_ip = name or None, read_ip(address.strip("[]"))
    return event


def recipient_refusal(time: float, origin: Origin, queue_id: str, recipient: str, reply: str) -> Reject:
    event = rejected(time, origin, queue_id, "rcpt", reply)
    event.recipient = recipient
    return event


def too_many_recipients(time: float, origin: Origin, queue_id: str) -> Reject:
    """One recipient above `MaxRecipientsPerMessage`."""
    return rejected(time, origin, queue_id, "rcpt", "452 4.5.3 Too many recipients")


def too_early(time: float, origin: Origin, queue_id: str, client: str, reply: str) -> Reject:
    """A client that talks before it is greeted (FEATURE(greet_pause)) is answered 554 and nothing more."""
    name, ip = CLIENTS[client]
    return Reject(
        time,
        origin,
        queue_id,
        "banner",
        name,
        ip,
        reply_code=554,
        reply=reply,
        reason="protocol_error",
    )


def command_refusal(time: float, origin: Origin, queue_id: str, client: str, reply: str) -> Reject:
    """EXPN, VRFY or ETRN, which the operator does not allow."""
    name, ip = CLIENTS[client]
    return Reject(time, origin, queue_id, None, name, ip, reply=reply, reason="policy_rejected")


def rejected(time: float, origin: Origin, queue_id: str | None, phase: str | None, reply: str) -> Reject:
    """A refusal by what we answered."""
    code, dsn = read_reply(reply[:16])
    reason = reason_of(reply, code, dsn, phase)
    return Reject(time, origin, queue_id, phase, reply_code=code, dsn=dsn, reply=reply, reason=reason)


_RULESET = "ruleset={ruleset}[, arg1={argument}][, arg2={_}][, relay={client}], reject={reply}"

SHAPES = (
    shape(
        "{queue_id}: " + _RULESET,
        "5ALA00aB004711: ruleset=check_rcpt, arg1=<kim@example.net>, relay=client.example.net [203.0.113.7]"
        " (may be forged), reject=550 5.7.1 <kim@example.net>... Relaying denied",
        refusal,
    ),
    shape(
        _RULESET,
        "ruleset=check_relay, arg1=[203.0.113.7], arg2=203.0.113.7, relay=[203.0.113.7], reject=421 4.3.2 Connection"
        " rate limit exceeded.",
        early_refusal,
    ),
    # Commas are sometimes lost on the way to the file.
    shape(
        "{queue_id}: ruleset={ruleset}, arg1={argument}, relay={client} reject={reply}",
        "5ALA00aB004711: ruleset=check_mail, arg1=<kim@example.net>, relay=mx reject=451 4.1.8 No such domain",
        refusal,
        general=True,
    ),
    # What becomes of the message stands on its to= line.
    shape(
        "{queue_id}: ruleset={_}, quarantine={_}",
        "5ALA00aB004711: ruleset=CheckSubject, arg1= offer, relay=mx [192.0.2.25], quarantine=suspicious",
        general=True,
    ),
    shape(
        "{queue_id}: ruleset={_}, discard",
        "5ALA00aB004711: ruleset=check_rcpt, arg1=<kim@example.com>, relay=mx [192.0.2.25], discard",
        general=True,
    ),
    shape(
        "{queue_id}: ruleset={text}", "5ALA00aB004711: ruleset=check_mail, arg1=<a@example.com>,", cut, general=True
    ),
    shape(
        "{queue_id}: <{recipient}>... {reply}",
        "5ALA00aB004711: <nobody@example.com>... User unknown",
        recipient_refusal,
        unkeyed=True,
    ),
    shape("{queue_id}: Too many recipients", "5ALA00aB004711: Too many recipients", too_many_recipients),
    shape(
        "{queue_id}: rejecting commands from {client} due to {reply}",
        "5ALA00aB004711: rejecting commands from mx [203.0.113.7] due to pre-greeting traffic after 0 seconds",
        too_early,
    ),
    shape("{queue_id}: rejecting commands{text}", "5ALA00aB004711: rejecting commands fr", cut, general=True),
    shape(
        "{queue_id}: {client}: {reply} [[rejected]]",
        "5ALA00aB004711: client.example.net [203.0.113.7]: EXPN root [rejected]",
        command_refusal,
        unkeyed=True,
    ),
    # --- Milters ---
    shape(
        "{queue_id}: Milter: {about:to|from|helo}={argument}, reject={reply}",
        "5ALA00aB004711: Milter: to=<kim@example.org>, reject=550 5.7.1 Listed",
        milter_refusal,
    ),
    shape(
        "{queue_id}: Milter: {about:data|cmd=data}, reject={reply}",
        "5ALA00aB004711: Milter: data, reject=554 5.7.1 Virus found",
        milter_data_refusal,
    ),
    shape(
        "{queue_id}: Milter: connect: host={name}, addr={address},"
        " {reply:rejecting commands|temp failing commands|shutdown}",
        "5ALA00aB004711: Milter: connect: host=mx.example.org, addr=192.0.2.25, rejecting commands",
        milter_client_refusal,
    ),
    shape("{queue_id}: Milter: {_}", "5ALA00aB004711: Milter: no active filter", general=True),
)
