"""The SMTP server: who connects, logs in, is refused, and what it accepts (smtpd/smtp_session.c).

Three generations of words: `smtp-in: … session S` (5.x), `S smtp event=…`, for a while with address and host of the
client on each line (6.0 to 6.3), and `S smtp …` (since 6.4). What a client sent stands in quotes that it can close
itself: our answer is the last of the line. It may hold a password, so no event has it.
"""

from __future__ import annotations

import re

from parsers.events import Origin
from parsers.memo import Memo
from parsers.mta.opensmtpd.session import Accepted, Addressed, Closed, LoggedIn, Opened, Refused, Secured
from parsers.reason import reason_of
from parsers.reply import read_reply
from parsers.shape import shape

# The command that was refused, by its first four letters; none was sent where the client itself is refused.
PHASES = {
    "": "connect",
    "HELO": "ehlo",
    "EHLO": "ehlo",
    "LHLO": "ehlo",
    "STAR": "starttls",
    "AUTH": "auth",
    "MAIL": "mail",
    "RCPT": "rcpt",
    "DATA": "data",
}
METHODS = frozenset("PLAIN LOGIN CRAM-MD5 DIGEST-MD5 NTLM GSSAPI XOAUTH2 OAUTHBEARER EXTERNAL ANONYMOUS".split())
RESULTS = {"ok": "success", "Accepted authentication": "success"}
ANSWER, OLD_ANSWER = '" result="', '" => '  # what follows a command
_PATH = re.compile(r"<([^<>]*+)>").search
# How the queue words what it says when it returns a message (bounce.c); all others write no blank there.
OWN = ("MAIL FROM: <", "RCPT TO: <")
NAMELESS = frozenset({"", "<unknown>", "unknown"})


def read_address(text: str) -> str | None:
    """`203.0.113.7`, `[2001:db8::7]`, `IPv6:2001:db8::7`; None for `local`."""
    address = text.strip("[]").removeprefix("IPv6:")
    return address if address not in ("local", "") else None


def read_ciphers(text: str) -> tuple[str, str | None]:
    """Protocol and cipher: `TLSv1.3:TLS_AES_256_GCM_SHA384:256` or `version=TLSv1.2, cipher=…, bits=256`."""
    bare = text.strip('"')
    is_old = bare.startswith("version=")
    parts = [part.partition("=")[2] for part in bare.split(", ")] if is_old else bare.split(":")
    return parts[0], parts[1] if len(parts) > 1 else None


ADDRESSES: Memo[str, str | None] = Memo(read_address)
CIPHERS: Memo[str, tuple[str, str | None]] = Memo(read_ciphers)


def opened(time: float, origin: Origin, queue_id: str, address: str, host: str) -> Opened:
    ip = ADDRESSES[address]
    return Opened(time, origin, queue_id, host if ip and host not in NAMELESS else None, ip, ip is None)


def opened_then(time: float, origin: Origin, queue_id: str, host: str, address: str) -> Opened:
    """The order of 5.x."""
    return opened(time, origin, queue_id, address, host)


def secured(time: float, origin: Origin, queue_id: str, ciphers: str) -> Secured:
    return Secured(time, origin, queue_id, *CIPHERS[ciphers], is_outbound=False)


def logged_in(time: float, origin: Origin, queue_id: str, user: str, result: str) -> LoggedIn:
    return LoggedIn(time, origin, queue_id, RESULTS.get(result, "failure"), user)


def logged_in_then(time: float, origin: Origin, result: str, user: str, queue_id: str) -> LoggedIn:
    """The order of 5.x."""
    return logged_in(time, origin, queue_id, user, result)


# --- the end of a session ---

ENDINGS: dict[str, tuple[str | None, str | None]] = {
    "quit": (None, None),
    "filter-reject": (None, None),
    "timeout": ("timeout", None),
    "disconnect": ("lost", None),
    "tls-accept-failed": ("tls", "starttls"),
    "ca-failure": ("tls", "starttls"),
    "no-client-cert": ("tls", "starttls"),
    "cert-check-failed": ("tls", "starttls"),
}


def closed(time: float, origin: Origin, queue_id: str, reason: str) -> Closed:
    """`reason` is one of ENDINGS, or what the library that reads and writes says."""
    known = ENDINGS.get(reason)
    if known:
        return Closed(time, origin, queue_id, *known)
    text = reason.strip('"').removeprefix("io-error: ").removeprefix("IO error: ")
    # A client that hangs up in the midst of TLS has done with it; one that does not get there has not.
    is_tls = "handshake" in text or "certificate" in text or text == "CA failure"
    return Closed(time, origin, queue_id, "tls" if is_tls else "lost", "starttls" if is_tls else None, text)


def closed_well(time: float, origin: Origin, queue_id: str) -> Closed:
    return Closed(time, origin, queue_id, None)


def hung_up(time: float, origin: Origin, queue_id: str) -> Closed:
    return Closed(time, origin, queue_id, "lost")


# --- what is refused ---


def method_of(command: str) -> str | None:
    """The mechanism of an AUTH command: `AUTH LOGIN (password)`, `AUTH PLAIN …`."""
    words = command.split(" ", 2)
    method = words[1].upper() if len(words) > 1 else ""
    return method if method in METHODS else None


def phase_of(command: str, code: int | None) -> str | None:
    """The phase of a refused command, None where it is of none. After DATA, it is mostly the whole message's."""
    phase = PHASES.get(command[:4].upper())
    return "end_of_data" if phase == "data" and code != 503 else phase


def refused(time: float, origin: Origin, queue_id: str, command: str, reply: str) -> Refused | None:
    """A command that was answered with 4yz or 5yz; what is no command of a mail transaction is of no use."""
    answer = reply.rpartition(ANSWER)[2].rpartition(OLD_ANSWER)[2]
    code, dsn = read_reply(answer[:16])
    phase = phase_of(command, code)
    if phase is None:
        return None
    if phase == "auth":
        answer = answer.partition(' "')[0]  # the method that is not supported is what the client sent
    event = Refused(time, origin, queue_id, phase, code, dsn, answer, reason_of(answer, code, dsn, phase))
    if phase == "auth":
        event.sasl_method = method_of(command)
    elif phase in ("mail", "rcpt"):
        path = _PATH(command[:1000])
        address = path[1] if path else None
        event.sender, event.recipient = (address, None) if phase == "mail" else (None, address)
        event.is_own = command.startswith(OWN)
    return event


def cut_short(time: float, origin: Origin, queue_id: str) -> Refused:  # noqa: ARG001 - a shape's fields
    """A refusal without its answer. Always raises ValueError."""
    raise ValueError("cut off")


def bad_input(time: float, origin: Origin, queue_id: str, reply: str) -> Refused:
    """A client that does not talk SMTP: pipelining, lines that are too long."""
    code, dsn = read_reply(reply[:16])
    return Refused(time, origin, queue_id, None, code, dsn, reply, reason_of(reply, code, dsn, None))


# --- messages ---


def accepted(
    time: float, origin: Origin, queue_id: str, message: str, size: str, recipients: str, protocol: str
) -> Accepted:
    """Raises ValueError where a number is none."""
    return Accepted(time, origin, queue_id, message, int(size), int(recipients), protocol)


def accepted_for(
    time: float,
    origin: Origin,
    queue_id: str,
    message: str,
    sender: str,
    recipient: str,
    size: str,
    recipients: str,
    protocol: str,
) -> Accepted:
    """6.0 to 6.3: one line for each recipient, with the number of those that it stands for."""
    return Accepted(time, origin, queue_id, message, int(size), int(recipients), protocol, sender, recipient)


def accepted_then(
    time: float,
    origin: Origin,
    message: str,
    queue_id: str,
    sender: str,
    recipient: str | None,
    size: str,
    recipients: str,
    protocol: str,
) -> Accepted:
    """The order of 5.x; the oldest have one line for a message."""
    return Accepted(time, origin, queue_id, message, int(size), int(recipients), protocol, sender, recipient)


def addressed(time: float, origin: Origin, queue_id: str, evpid: str, sender: str, recipient: str) -> Addressed:
    return Addressed(time, origin, queue_id, evpid[:8], sender, recipient)


_CLIENT = "[ address={_} host={_}]"

SHAPES = (
    shape(
        "{queue_id} smtp envelope evpid={evpid} from=<{sender}> to=<{recipient}>",
        "0123456789abcdef smtp envelope evpid=fedcba9876543210 from=<kim@example.com> to=<lee@example.org>",
        addressed,
    ),
    shape(
        "{queue_id} smtp message msgid={message} size={size} nrcpt={recipients} proto={protocol}",
        "0123456789abcdef smtp message msgid=fedcba98 size=4711 nrcpt=2 proto=ESMTP",
        accepted,
    ),
    shape(
        "{queue_id} smtp [event=]connected address={address} host={host}",
        "0123456789abcdef smtp connected address=203.0.113.7 host=client.example.net",
        opened,
        repeats=True,
    ),
    shape(
        "{queue_id} smtp {_:disconnected|disconnected |event=closed}" + _CLIENT + " reason={reason}",
        "0123456789abcdef smtp disconnected reason=quit",
        closed,
        repeats=True,
    ),
    shape(
        "{queue_id} smtp {_:tls|event=starttls}" + _CLIENT + " ciphers={ciphers}",
        "0123456789abcdef smtp tls ciphers=TLSv1.3:TLS_AES_256_GCM_SHA384:256",
        secured,
        repeats=True,
    ),
    shape(
        "{queue_id} smtp [event=]authentication user={user}" + _CLIENT + " result={result:ok|permfail|tempfail}",
        "0123456789abcdef smtp authentication user=kim result=ok",
        logged_in,
        repeats=True,
    ),
    shape(
        "{queue_id} smtp [event=]failed-command" + _CLIENT + ' command="{command}" result="{reply}"',
        '0123456789abcdef smtp failed-command command="RCPT TO:<lee@example.org>"'
        ' result="550 Invalid recipient: <lee@example.org>"',
        refused,
    ),
    shape(
        "{queue_id} smtp [event=]failed-command{_}",
        '0123456789abcdef smtp failed-command command="RCPT TO:<lee@exa',
        cut_short,
        general=True,
    ),
    shape(
        "{queue_id} smtp [event=]bad-input" + _CLIENT + ' result="{reply}"',
        '0123456789abcdef smtp bad-input result="500 5.5.1 Invalid command: Pipelining not supported"',
        bad_input,
    ),
    shape(
        "{queue_id} smtp event=message"
        + _CLIENT
        + " msgid={message} from=<{sender}> to=<{recipient}> size={size} ndest={recipients} proto={protocol}",
        "0123456789abcdef smtp event=message address=203.0.113.7 host=client.example.net msgid=fedcba98"
        " from=<kim@example.com> to=<lee@example.org> size=4711 ndest=1 proto=ESMTP",
        accepted_for,
    ),
    shape(
        "{_} smtp {_:cert-check|client-cert-check|event=client-cert-check|event=proxy|event=bad-cert}{_}",
        '0123456789abcdef smtp cert-check result="verified" fingerprint="SHA256:0123456789abcdef"',
    ),
    # --- 5.x ---
    shape(
        "smtp-in: New session {queue_id} from host {host} [[{address}]]",
        "smtp-in: New session 0123456789abcdef from host client.example.net [203.0.113.7]",
        opened_then,
    ),
    shape(
        "smtp-in: Started TLS on session {queue_id}: {ciphers}",
        "smtp-in: Started TLS on session 0123456789abcdef: version=TLSv1.2, cipher=ECDHE-RSA-AES256-GCM-SHA384,"
        " bits=256",
        secured,
    ),
    shape(
        "smtp-in: Accepted message {message} on session {queue_id}: from=<{sender}>,[ to=<{recipient}>,] size={size},"
        " {_:ndest|nrcpts}={recipients}, proto={protocol}",
        "smtp-in: Accepted message fedcba98 on session 0123456789abcdef: from=<kim@example.com>,"
        " to=<lee@example.org>, size=4711, ndest=1, proto=ESMTP",
        accepted_then,
    ),
    shape(
        "smtp-in: {result:Accepted authentication|Authentication failed|Authentication temporarily failed} for user"
        " {user} on session {queue_id}",
        "smtp-in: Authentication failed for user kim on session 0123456789abcdef",
        logged_in_then,
    ),
    shape(
        'smtp-in: Failed command on session {queue_id}: "{command}" => {reply}',
        'smtp-in: Failed command on session 0123456789abcdef: "RCPT TO:<lee@example.org>" => 550 Invalid recipient',
        refused,
    ),
    shape(
        "smtp-in: Failed command on session {queue_id}: {_}",
        'smtp-in: Failed command on session 0123456789abcdef: "RCPT TO:<lee@exa',
        cut_short,
        general=True,
    ),
    shape(
        "smtp-in: Bad input on session {queue_id}: {reply}",
        "smtp-in: Bad input on session 0123456789abcdef: 500 5.5.1 Invalid command: Pipelining not supported",
        bad_input,
    ),
    shape(
        "smtp-in: Closing session {queue_id}",
        "smtp-in: Closing session 0123456789abcdef",
        closed_well,
    ),
    shape(
        "smtp-in: Received disconnect from session {queue_id}",
        "smtp-in: Received disconnect from session 0123456789abcdef",
        hung_up,
    ),
    shape(
        "smtp-in: Disconnecting session {queue_id}: {reason}",
        "smtp-in: Disconnecting session 0123456789abcdef: IO error: Connection reset by peer",
        closed,
    ),
    shape(
        "smtp-in: Client certificate verification {_}",
        "smtp-in: Client certificate verification succeeded on session 0123456789abcdef",
    ),
)
