"""What the SMTP server refuses: by its rulesets, by a Milter, for its own reasons (sendmail/srvrsmtp.c, milter.c).

A recipient that the rulesets find undeliverable is refused on a line of its own, without client and reply code. What
is refused after the data has a to= line as well, which ends the message (`delivery`).
"""

from __future__ import annotations

from parsers.events import Origin, Problem, Reject
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
SMTP_PHASES = {"HELO": "ehlo", "EHLO": "ehlo", "MAIL": "mail", "RCPT": "rcpt", "DATA": "data", "BDAT": "data"}
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


def no_milter(time: float, origin: Origin, queue_id: str, text: str) -> Problem:
    """A Milter that could not be asked, so that all the client's commands are refused."""
    return Problem(time, origin, "warning", f"Milter: {text.rstrip(', ')}", queue_id)


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


def bare_recipient_refusal(time: float, origin: Origin, queue_id: str, recipient: str, reply: str) -> Reject | None:
    """The same of one who was named without angle brackets; None for other words that dots follow."""
    return None if " " in recipient else recipient_refusal(time, origin, queue_id, recipient, reply)


def nameless_refusal(time: float, origin: Origin, queue_id: str, words: str, reply: str) -> Reject:
    """A recipient who cannot be one, so that nobody is named."""
    return rejected(time, origin, queue_id, "rcpt", words + reply)


def bad_helo(time: float, origin: Origin, queue_id: str, helo: str, client: str) -> Reject:
    event = rejected(time, origin, queue_id, "ehlo", "501 Invalid domain name")
    event.helo = helo
    event.client_name, event.client_ip = CLIENTS[client]
    return event


def out_of_step(time: float, origin: Origin, queue_id: str, command: str, client: str) -> Reject:
    """A client that does not wait for its answer (8.18)."""
    event = rejected(time, origin, queue_id, SMTP_PHASES.get(command.upper()), "554 5.5.0 SMTP protocol error")
    event.reason = "protocol_error"
    event.client_name, event.client_ip = CLIENTS[client]
    return event


def bare_line_end(time: float, origin: Origin, queue_id: str, client: str, sender: str, reply: str) -> Reject:
    """A message with line ends that are none, and could hide another message (8.18, `SMTP smuggling`)."""
    event = rejected(time, origin, queue_id, AFTER_DATA, f"421 4.5.0 {reply}")
    event.client_name, event.client_ip = CLIENTS[client]
    event.sender, event.reason = read_address(sender), "protocol_error"
    return event


def headers_too_large(time: float, origin: Origin, queue_id: str, words: str, client: str) -> Reject:
    event = rejected(time, origin, queue_id, AFTER_DATA, f"552 5.6.0 {words}")
    event.client_name, event.client_ip = CLIENTS[client]
    event.reason = "malformed_message"
    return event


def overlong_command(time: float, origin: Origin, queue_id: str, client: str) -> Reject:
    event = rejected(time, origin, queue_id, None, "421 4.7.0 Command too long, possible attack")
    event.client_name, event.client_ip = CLIENTS[client]
    event.reason = "protocol_error"
    return event


def wrapped_out(time: float, origin: Origin, queue_id: str, name: str, address: str) -> Reject:
    """A client that /etc/hosts.deny names."""
    return Reject(
        time, origin, queue_id, "connect", name or None, read_ip(address.strip("[]")), reason="policy_rejected"
    )


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
    # Of what we do as a client, since 8.17: the delivery tells.
    shape(
        "{queue_id}: ruleset={_}, status={_}",
        "5ALA00aB004711: ruleset=try_tls, arg1=mx.example.org, relay=mx.example.org, status=4.7.0 no",
        general=True,
    ),
    shape(
        "ruleset={_}, status={_}",
        "ruleset=try_tls, arg1=mx.example.org, relay=mx.example.org, status=4.7.0 no",
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
    shape(
        "{queue_id}: {recipient}... {reply}",
        "5ALA00aB004711: nobody... User unknown",
        bare_recipient_refusal,
        unkeyed=True,
        general=True,
    ),
    shape(
        "{queue_id}: {words:only one RCPT domain|Missing recipient|Address too long|8-bit character in mailbox"
        "|Syntax error in mailbox|Unbalanced |Illegal character |prescan: |Cannot mail directly|non-ASCII recipient}"
        "{reply}",
        '5ALA00aB004711: Syntax error in mailbox address "kim lee" (non-printable character)',
        nameless_refusal,
    ),
    shape("{queue_id}: Too many recipients", "5ALA00aB004711: Too many recipients", too_many_recipients),
    shape(
        "{queue_id}: rejecting commands from {client} due to {reply}",
        "5ALA00aB004711: rejecting commands from mx [203.0.113.7] due to pre-greeting traffic after 0 seconds",
        too_early,
    ),
    shape(
        "{queue_id}: rejecting {command: } from {client} due to traffic before response",
        "5ALA00aB004711: rejecting EHLO from client.example.net [203.0.113.7] due to traffic before response",
        out_of_step,
        general=True,
    ),
    shape(
        "{queue_id}: collect: relay={client}, from={sender}, info={reply}, where={_}, status=tempfail",
        "5ALA00aB004711: collect: relay=client.example.net, from=<kim@example.net>, info=Bare linefeed (LF) not"
        " allowed,"
        " where=body, status=tempfail",
        bare_line_end,
    ),
    shape(
        "{queue_id}: {words:header overflow|headers too large }[({_})]{_: from |from }{client} during message"
        " collect",
        "5ALA00aB004711: headers too large (32768 max) from client.example.net during message collect",
        headers_too_large,
    ),
    shape(
        "{queue_id}: {client}: SMTP violation, {_}",
        "5ALA00aB004711: client.example.net [203.0.113.7]: SMTP violation, input too long: 4711",
        overlong_command,
        unkeyed=True,
    ),
    shape(
        "{queue_id}: invalid domain name ({helo}) from {client}",
        "5ALA00aB004711: invalid domain name (a_b) from client.example.net [203.0.113.7]",
        bad_helo,
    ),
    shape(
        "{queue_id}: tcpwrappers ({name}, {address}) rejection",
        "5ALA00aB004711: tcpwrappers (client.example.net, 203.0.113.7) rejection",
        wrapped_out,
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
        " {reply:rejecting commands|temp failing commands|shutdown|reject}[={_}]",
        "5ALA00aB004711: Milter: connect: host=mx.example.org, addr=192.0.2.25, rejecting commands",
        milter_client_refusal,
    ),
    shape(
        "{queue_id}: Milter: {text:initialization failed, }{_}",
        "5ALA00aB004711: Milter: initialization failed, temp failing commands",
        no_milter,
    ),
    shape("{queue_id}: Milter: {_}", "5ALA00aB004711: Milter: no active filter", general=True),
)
