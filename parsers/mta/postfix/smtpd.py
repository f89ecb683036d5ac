"""The SMTP server: who connects, what it is refused, who authenticates, and the messages that begin here.

Wordings are those of Postfix' src/smtpd (smtpd.c, smtpd_check.c, smtpd_peer.c, smtpd_sasl_glue.c), src/tls
(tls_server.c, tls_misc.c) and src/xsasl, 2.10 to 3.12, with those of older releases that still stand in logs.

A client is `name[address]`, with `:port` where smtpd_client_port_logging is on. smtpd warns of what clients do wrong
as it warns of its own troubles: only the second are problems of this server. The first are of no use, unless they
tell that something was refused.
"""

from __future__ import annotations

from typing import NamedTuple

from parsers.events import (
    Auth,
    Connect,
    ConnectionFailure,
    Disconnect,
    Event,
    Origin,
    Problem,
    QueueAction,
    Received,
    Reject,
    Tls,
)
from parsers.memo import Memo
from parsers.reason import reason_of
from parsers.reply import read_reply
from parsers.shape import shape

# The command that the client was at (smtpd.h), and the phase of a session that it belongs to.
PHASES = {
    "CONNECT": "connect",
    "HELO": "ehlo",
    "EHLO": "ehlo",
    "STARTTLS": "starttls",
    "AUTH": "auth",
    "MAIL": "mail",
    "RCPT": "rcpt",
    "DATA": "data",
    "DATA content": "data",
    "BDAT": "data",
    "BDAT content": "data",
    "END-OF-MESSAGE": "end_of_data",
    "END-OF-DATA": "end_of_data",
}
COMMANDS = "|".join((*PHASES, "ETRN", "HELP", "NOOP", "QUIT", "RSET", "UNKNOWN", "VRFY", "XCLIENT", "XFORWARD"))
ENDINGS = {"lost connection": "lost", "timeout": "timeout", "too many errors": "lost"}
# What anvil(8) counts: where the client is refused, and how (smtpd.c).
LIMITS = {
    "Connection concurrency": ("connect", 421, "4.7.0"),
    "Connection rate": ("connect", 421, "4.7.0"),
    "Message delivery request rate": ("mail", 450, "4.7.1"),
    "Recipient address rate": ("rcpt", 450, "4.7.1"),
    "New TLS session rate": ("starttls", 421, "4.7.0"),
    "AUTH command rate": ("auth", 450, "4.7.1"),
}
NO_QUEUE = "NOQUEUE"


class Client(NamedTuple):
    """`name` is "unknown" where the client's address has no name that leads back to it."""

    name: str | None
    ip: str | None


def read_client(text: str) -> Client:
    """`name[address]` or `[address]`, either with `:port` after it. Raises ValueError where the line is cut short."""
    name, _, rest = text.partition("[")
    address, end, _ = rest.partition("]")
    if not end:
        raise ValueError("a client without an address")
    return Client(name or None, address if address != "unknown" else None)


CLIENTS: Memo[str, Client] = Memo(read_client)


def queue_id_of(text: str) -> str | None:
    """The id of the message that a line is about; None where there is no message yet."""
    return text if text != NO_QUEUE else None


# --- sessions ---


def connect(time: float, origin: Origin, client: str) -> Connect:
    return Connect(time, origin, *CLIENTS[client])


def disconnect(time: float, origin: Origin, client: str, commands: str | None) -> Disconnect:
    return Disconnect(time, origin, *CLIENTS[client], commands)


def broken_off(time: float, origin: Origin, ending: str, command: str, client: str) -> ConnectionFailure:
    """A session that ended in the midst; `ending` is one of ENDINGS."""
    name, ip = CLIENTS[client]
    phase = PHASES.get(command)
    return ConnectionFailure(time, origin, ENDINGS[ending], client_name=name, client_ip=ip, phase=phase)


def message_broken_off(
    time: float, origin: Origin, queue_id: str, ending: str, command: str, client: str
) -> ConnectionFailure:
    """The same since 3.10."""
    event = broken_off(time, origin, ending, command, client)
    event.queue_id = queue_id_of(queue_id)
    return event


def stream_broken_off(time: float, origin: Origin, queue_id: str, client: str, ending: str) -> ConnectionFailure:
    """The same of QMQP, which knows no commands (src/qmqpd)."""
    name, ip = CLIENTS[client]
    error = "timeout" if "timeout" in ending else "lost"
    return ConnectionFailure(time, origin, error, queue_id_of(queue_id), client_name=name, client_ip=ip, reply=ending)


def tls(time: float, origin: Origin, tls_trust: str | None, client: str, tls_protocol: str, tls_cipher: str) -> Tls:
    name, ip = CLIENTS[client]
    trust = tls_trust.lower() if tls_trust else None
    return Tls(time, origin, name, ip, None, None, None, tls_protocol, tls_cipher, trust)


def plain_tls(time: float, origin: Origin, client: str, tls_protocol: str, tls_cipher: str) -> Tls:
    """Before Postfix 2.6 no line told the trust."""
    return tls(time, origin, None, client, tls_protocol, tls_cipher)


def tls_failure(time: float, origin: Origin, client: str, reply: str | None) -> ConnectionFailure:
    name, ip = CLIENTS[client]
    text = None if reply in ("0", "-1") else reply  # what SSL_accept returned says nothing
    return ConnectionFailure(time, origin, "tls", client_name=name, client_ip=ip, phase="starttls", reply=text)


# --- who authenticates ---


def auth_failure(
    time: float, origin: Origin, client: str, sasl_method: str, reply: str | None, sasl_user: str | None
) -> Auth:
    """One attempt, refused (535) or not decided for want of the authentication server (454)."""
    user = None if sasl_user == "(unavailable)" else sasl_user
    return Auth(
        time,
        origin,
        "failure",
        *CLIENTS[client],
        sasl_method.upper(),
        user or None,
        (reply or "").strip() or None,
    )


def sasl_library(time: float, origin: Origin, text: str) -> Problem | None:
    """What Cyrus SASL says beside the failure of an attempt; a problem where it blames saslauthd."""
    if "saslauthd" in text or text.startswith(("size read failed", "write failed")):
        return Problem(time, origin, "warning", f"SASL authentication failure: {text}")
    return None


# --- messages ---


def received(
    time: float,
    origin: Origin,
    queue_id: str,
    client: str,
    sasl_method: str | None,
    sasl_user: str | None,
    original_queue_id: str | None,
) -> Received:
    """A message begins."""
    name, ip = CLIENTS[client]
    event = Received(time, origin, queue_id, name, ip, sasl_method, sasl_user)
    event.original_queue_id = original_queue_id
    return event


def queue_action(
    time: float,
    origin: Origin,
    queue_id: str,
    action: str,
    client: str,
    reply: str,
    sender: str | None,
    recipient: str | None,
) -> QueueAction | None:
    """What an access table or a Milter did to a message, not to a client that has none yet."""
    if queue_id == NO_QUEUE:
        return None
    name, ip = CLIENTS[client]
    done = action.removeprefix("milter-")
    return QueueAction(
        time,
        origin,
        queue_id,
        done,
        client_name=name,
        client_ip=ip,
        sender=sender,
        recipient=recipient,
        reply=reply,
    )


# --- what is refused ---


def reject(
    time: float,
    origin: Origin,
    queue_id: str,
    command: str,
    client: str,
    reply: str,
    sender: str | None,
    recipient: str | None,
    protocol: str | None,
    helo: str | None,
) -> Reject:
    """One refusal by a restriction, an access table, a Milter or postscreen."""
    phase = PHASES.get(command)
    # Ours stands at the beginning: further on, a reply to an address probe may be quoted.
    code, dsn = read_reply(reply[:16])
    reason = reason_of(reply, code, dsn, phase)
    return Reject(
        time,
        origin,
        queue_id_of(queue_id),
        phase,
        *CLIENTS[client],
        sender,
        recipient,
        protocol,
        helo,
        code,
        dsn,
        reply,
        reason,
    )


def user_reject(
    time: float,
    origin: Origin,
    queue_id: str,
    command: str,
    client: str,
    reply: str,
    sender: str | None,
    recipient: str | None,
    protocol: str,
    helo: str,
    sasl_method: str,
    sasl_user: str | None,
) -> Reject:
    """The same since 3.10, of a client that has authenticated."""
    event = reject(time, origin, queue_id, command, client, reply, sender, recipient, protocol, helo)
    event.sasl_method = sasl_method
    event.sasl_user = sasl_user
    return event


def bare_reject(
    time: float,
    origin: Origin,
    queue_id: str,
    command: str,
    client: str,
    reply: str,
    sender: str | None,
    recipient: str | None,
) -> Reject:
    """A refusal with less about it: of old releases, or cut short."""
    return reject(time, origin, queue_id, command, client, reply, sender, recipient, None, None)


def idless_reject(
    time: float,
    origin: Origin,
    command: str,
    client: str,
    reply: str,
    sender: str | None,
    recipient: str | None,
) -> Reject:
    """The same before Postfix 2.0."""
    return bare_reject(time, origin, NO_QUEUE, command, client, reply, sender, recipient)


def proxy_reject(
    time: float, origin: Origin, reply: str, sender: str | None, recipient: str | None, protocol: str, helo: str
) -> Reject:
    """What a filter before the queue refused; the line does not name the client."""
    code, dsn = read_reply(reply[:16])
    return Reject(
        time,
        origin,
        None,
        "end_of_data",
        sender=sender,
        recipient=recipient,
        protocol=protocol,
        helo=helo,
        reply_code=code,
        dsn=dsn,
        reply=reply or None,
        reason=reason_of(reply, code, dsn, "end_of_data"),
    )


def unworded_reject(
    time: float, origin: Origin, client: Client, phase: str | None, code: int | None, dsn: str | None, text: str
) -> Reject:
    """A refusal whose answer the log does not have: its codes are known from smtpd.c."""
    reason = reason_of(text, code, dsn, phase)
    return Reject(time, origin, None, phase, *client, reply_code=code, dsn=dsn, reply=text, reason=reason)


def over_limit(time: float, origin: Origin, limit: str, client: str) -> Reject:
    """A client that asks too much in a time; `limit` is one of LIMITS."""
    return unworded_reject(time, origin, CLIENTS[client], *LIMITS[limit], f"{limit} limit exceeded")


def too_much_tls(time: float, origin: Origin, what: str, client: str) -> Reject:
    """A client over its rate of TLS sessions; with TLS from the start it gets no answer."""
    code, dsn = (454, "4.7.0") if what == "STARTTLS" else (None, None)
    return unworded_reject(time, origin, CLIENTS[client], "starttls", code, dsn, f"Refusing {what} request")


def bad_address(time: float, origin: Origin, client: str, command: str, address: str) -> Reject:
    if command == "MAIL":
        text, dsn = "Bad sender address syntax", "5.1.7"
    else:
        text, dsn = "Bad recipient address syntax", "5.1.3"
    event = unworded_reject(time, origin, CLIENTS[client], PHASES.get(command), 501, dsn, text)
    if command == "MAIL":
        event.sender = address
    else:
        event.recipient = address
    return event


def bare_newline(time: float, origin: Origin, command: str, client: str) -> Reject:
    """smtpd_forbid_bare_newline, as 3.8.4 worded it."""
    text = "bare <LF> received"
    return unworded_reject(time, origin, CLIENTS[client], PHASES.get(command), 521, "5.5.2", text)


def too_big(time: float, origin: Origin, queue_id: str) -> Event:
    """A message over message_size_limit: smtpd refuses it; for cleanup it is a local user's."""
    text = "queue file size limit exceeded"
    if origin.program not in ("smtpd", ""):
        return Problem(time, origin, "warning", f"{queue_id}: {text}", queue_id)
    event = unworded_reject(time, origin, Client(None, None), "end_of_data", 552, "5.3.4", text)
    event.queue_id = queue_id_of(queue_id)
    return event


def chunk_too_big(time: float, origin: Origin, queue_id: str, client: str) -> Reject:
    text = "Chunk exceeds message size limit"
    event = unworded_reject(time, origin, CLIENTS[client], "data", 552, "5.3.4", text)
    event.queue_id = queue_id_of(queue_id)
    return event


# --- the table ---

_COMMAND = "{command:" + COMMANDS + "}"
_ENDING = "{ending:" + "|".join(ENDINGS) + "} after {command}[ ({_} bytes)] from {client}"
_CONTEXT = "; [from=<{sender}> ][to=<{recipient}> ]proto={protocol}"
_OLD_CONTEXT = "[; from=<{sender}>[ to=<{recipient}>]{_}]"
_NO_REJECTS = "bcc|delay|hangup|info|permit|prepend|reject_warning|replace|warn|whitelisted"

SHAPES = (
    # --- sessions ---
    shape("connect from {client}", "connect from mx.example.org[192.0.2.25]", connect, repeats=True),
    shape(
        "disconnect from {client}[ {commands}]",
        "disconnect from mx.example.org[192.0.2.25] ehlo=2 starttls=1 mail=1 rcpt=0/1 quit=1 commands=5/6",
        disconnect,
        repeats=True,
    ),
    shape(
        _ENDING, "lost connection after DATA (5120 bytes) from mx.example.org[192.0.2.25]", broken_off, repeats=True
    ),
    shape(
        "{queue_id}: " + _ENDING,
        "NOQUEUE: too many errors after RCPT from unknown[2001:db8::66]",
        message_broken_off,
    ),
    shape(
        "{queue_id}: {client}: {ending:lost connection|read/write timeout|netstring format error|netstring length"
        " exceeds storage limit} while {_}",
        "NOQUEUE: list.example.org[192.0.2.25]: lost connection while receiving sender address",
        stream_broken_off,
        unkeyed=True,
    ),
    shape(
        "{tls_trust:Anonymous|Untrusted|Trusted|Verified} TLS connection {_:established|reused} from {client}"
        "[ to {_}]: {tls_protocol} with cipher {tls_cipher} ({_}",
        "Anonymous TLS connection established from mx.example.org[192.0.2.25] to mail.example.com: TLSv1.3 with"
        " cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS (4096 bits)",
        tls,
        repeats=True,
    ),
    shape(
        "TLS connection established from {client}: {tls_protocol} with cipher {tls_cipher} ({_}",
        "TLS connection established from mx.example.org[192.0.2.25]: TLSv1 with cipher AES256-SHA (256/256 bits)",
        plain_tls,
    ),
    shape(
        "SSL_accept error from {client}[: {reply}]",
        "SSL_accept error from unknown[198.51.100.66]: lost connection",
        tls_failure,
    ),
    shape(
        "NOQUEUE: abort: TLS from {client}: {reply}",
        "NOQUEUE: abort: TLS from unknown[198.51.100.66]: No client certificate presented",
        tls_failure,
    ),
    # --- who authenticates ---
    shape(
        "warning: {client}: SASL {sasl_method} authentication {_:failed|aborted}[:{reply}]"
        "[, sasl_username={sasl_user}]",
        "warning: unknown[198.51.100.66]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=kim",
        auth_failure,
        repeats=True,
    ),
    shape(
        "warning: SASL authentication failure: {text}",
        "warning: SASL authentication failure: no secret in database",
        sasl_library,
    ),
    # --- messages ---
    # The message that smtpd_proxy_filter will send back to us, with an id then.
    shape("NOQUEUE: client={_}", "NOQUEUE: client=mx.example.org[192.0.2.25]"),
    shape(
        "{queue_id}: client={client}[, sasl_method={sasl_method}][, sasl_username={sasl_user}][, sasl_sender={_}]"
        "[, orig_queue_id={original_queue_id}][, orig_client={_}]",
        "4dHvRq1ZTPz9sWk: client=dsl.example.net[203.0.113.9], sasl_method=PLAIN, sasl_username=kim@example.com",
        received,
        general=True,
        repeats=True,
    ),
    shape(
        "{queue_id}: {action:hold|discard|redirect|filter|milter-hold|milter-discard|milter-quarantine}: {_:"
        + COMMANDS
        + "} from {client}: {reply}; [from=<{sender}> ][to=<{recipient}> ]proto={_}",
        "4dHvRq1ZTPz9sWk: hold: RCPT from mx.example.org[192.0.2.25]: <lee@example.com>: Recipient address triggers"
        " HOLD action; from=<kim@example.org> to=<lee@example.com> proto=ESMTP helo=<mx.example.org>",
        queue_action,
    ),
    # --- what is refused ---
    shape(
        "{queue_id}: {_:reject|milter-reject}: "
        + _COMMAND
        + " from {client}: {reply}"
        + _CONTEXT
        + "[ helo=<{helo}>]",
        "NOQUEUE: reject: RCPT from unknown[198.51.100.66]:48123: 554 5.7.1 Service unavailable; Client host"
        " [198.51.100.66] blocked using dnsbl.example.net; from=<kim@example.org> to=<lee@example.com> proto=ESMTP"
        " helo=<localhost>",
        reject,
    ),
    shape(
        "{queue_id}: {_:reject|milter-reject}: "
        + _COMMAND
        + " from {client}: {reply}"
        + _CONTEXT
        + " helo=<{helo}> sasl_method={sasl_method}[ sasl_username={sasl_user}][ sasl_sender={_}]",
        "NOQUEUE: reject: RCPT from dsl.example.net[203.0.113.9]: 550 5.1.1 <lee@example.com>: Recipient address"
        " rejected: User unknown in local recipient table; from=<kim@example.com> to=<lee@example.com> proto=ESMTP"
        " helo=<laptop> sasl_method=PLAIN sasl_username=kim",
        user_reject,
    ),
    shape(
        "{queue_id}: {_:reject|milter-reject}: " + _COMMAND + " from {client}: {reply}" + _OLD_CONTEXT,
        "NOQUEUE: reject: RCPT from unknown[198.51.100.66]: 452 Insufficient system storage; from=<kim@example.org>",
        bare_reject,
        general=True,
    ),
    shape(
        "reject: " + _COMMAND + " from {client}: {reply}" + _OLD_CONTEXT,
        "reject: RCPT from mx.example.org[192.0.2.25]: 554 <lee@example.net>: Relay access denied;"
        " from=<kim@example.org> to=<lee@example.net>",
        idless_reject,
    ),
    shape(
        "proxy-reject: {_}: {reply}" + _CONTEXT + " helo=<{helo}>",
        "proxy-reject: END-OF-MESSAGE: 554 5.7.0 Reject, id=04711-02 - spam; from=<kim@example.org>"
        " to=<lee@example.com> proto=ESMTP helo=<mx.example.org>",
        proxy_reject,
    ),
    shape(
        "warning: {limit:" + "|".join(LIMITS) + "} limit exceeded: {_} from {client} for service {_}",
        "warning: Connection rate limit exceeded: 31 from unknown[198.51.100.66] for service smtp",
        over_limit,
    ),
    shape(
        "warning: Refusing {what:STARTTLS|TLS service} request from {client} for service {_}",
        "warning: Refusing STARTTLS request from unknown[198.51.100.66] for service smtp",
        too_much_tls,
    ),
    shape(
        "warning: Illegal address syntax from {client} in {command} command: {address}",
        "warning: Illegal address syntax from app.example.com[192.0.2.80] in RCPT command: <lee@@example.com>",
        bad_address,
    ),
    shape(
        "bare <LF> received after {command} from {client}",
        "bare <LF> received after DATA from mx.example.org[192.0.2.25]",
        bare_newline,
    ),
    shape(
        "warning: {queue_id}: queue file size limit exceeded",
        "warning: 4dHvRq1ZTPz9sWk: queue file size limit exceeded",
        too_big,
    ),
    shape(
        "warning: {queue_id}: BDAT request from {client} exceeds message size limit",
        "warning: 4dHvRq1ZTPz9sWk: BDAT request from mx.example.org[192.0.2.25] exceeds message size limit",
        chunk_too_big,
    ),
    # --- access tables' actions that refuse nobody ---
    shape(
        "{queue_id}: {_:" + _NO_REJECTS + "}: {_:" + COMMANDS + "} from {_}",
        "NOQUEUE: reject_warning: RCPT from unknown[198.51.100.66]: 450 4.7.25 Client host rejected: cannot find your"
        " hostname, [198.51.100.66]; from=<kim@example.org> to=<lee@example.com> proto=ESMTP helo=<localhost>",
    ),
    shape(
        "reject_warning: {_}",
        "reject_warning: RCPT from mx.example.org[192.0.2.25]: 554 <lee@example.net>: Relay access denied;"
        " from=<kim@example.org> to=<lee@example.net>",
    ),
    shape(
        "proxy-accept: {_}",
        "proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: queued as 4dHvRr2ZXRz2pQ1; from=<kim@example.org>"
        " to=<lee@example.com> proto=ESMTP helo=<mx.example.org>",
    ),
    # --- what clients do wrong ---
    shape(
        "warning: hostname {_} does not resolve to address {_}",
        "warning: hostname dsl.example.net does not resolve to address 203.0.113.9: Name or service not known",
    ),
    shape(
        "warning: {_}: hostname {_} verification failed{_}",
        "warning: 203.0.113.9: hostname dsl.example.net verification failed: Name or service not known",
    ),
    shape(
        "warning: {_}: address not listed for hostname {_}",
        "warning: 203.0.113.9: address not listed for hostname dsl.example.net",
    ),
    shape(
        "warning: Unable to look up {_} host {_}",
        "warning: Unable to look up MX host mx.example.net for Sender address kim@example.net: Name or service not"
        " known",
    ),
    shape(
        "warning: {_:numeric hostname|valid_hostname|valid_ipv4_hostaddr|valid_ipv6_hostaddr}: {_}",
        "warning: numeric hostname: 198.51.100.66",
    ),
    shape(
        "warning: {_:numeric|malformed} domain name in resource data of {_}",
        "warning: numeric domain name in resource data of MX record for example.net: 192.0.2.25",
    ),
    shape(
        "warning: non-SMTP command from {_}",
        "warning: non-SMTP command from unknown[198.51.100.66]: GET / HTTP/1.1",
    ),
    shape(
        "warning: {_} sent {_:message header|non-SMTP command} instead of SMTP command: {_}",
        "warning: unknown[198.51.100.66] sent message header instead of SMTP command: Subject: hello",
    ),
    shape(
        "warning: TLS SNI {_:from|changed from} {_}",
        "warning: TLS SNI from unknown[198.51.100.66] is invalid: mail_example",
    ),
    shape(
        "warning: {_}: request longer than {_}",
        "warning: unknown[198.51.100.66]: request longer than 2048: AUTH PLAIN...",
    ),
    shape(
        "warning: {_}: {_:malformed BDAT command syntax|null BDAT request} from {_}",
        "warning: NOQUEUE: null BDAT request from unknown[198.51.100.66]",
    ),
    shape(
        "warning: {_}: too much BDAT content -- disabling further input from {_}",
        "warning: 4dHvRq1ZTPz9sWk: too much BDAT content -- disabling further input from unknown[198.51.100.66]",
    ),
    shape(
        "warning: {_:bad|reject:} ETRN {_}",
        "warning: bad ETRN example.net... from unknown[198.51.100.66]",
    ),
    shape(
        "improper command pipelining after {_} from {_}",
        "improper command pipelining after HELO from unknown[198.51.100.66]: MAIL FROM:<kim@example.org>\\r\\n",
    ),
    # --- how the server goes about its work ---
    shape("{_}: replacing command {_}", 'mx.example.org[192.0.2.25]: replacing command "HELO x" with "EHLO x"'),
    shape("discarding EHLO keywords: {_}", "discarding EHLO keywords: CHUNKING"),
    shape("mapping DSN status {_}", "mapping DSN status 5.1.1 into Sender address status 5.1.0"),
    shape("[inet_addr_host: ]skipping address family {_}", "skipping address family 10 for host mx.example.org"),
    shape(
        "TLS SNI {_} from {_} not matched, using default chain",
        "TLS SNI mail.example.net from mx.example.org[192.0.2.25] not matched, using default chain",
    ),
    shape("SASL authentication {_:debug|info|pass|trace}: {_}", "SASL authentication info: DIGEST-MD5 server step 2"),
    # --- smtpd_tls_loglevel 2 and more ---
    shape("initializing the server-side TLS engine", "initializing the server-side TLS engine"),
    shape("setting up TLS connection from {_}", "setting up TLS connection from mx.example.org[192.0.2.25]"),
    shape("SSL_accept:{_}", "SSL_accept:SSLv3/TLS read client hello"),
    shape("SSL3 alert {_}", "SSL3 alert read:fatal:certificate unknown"),
    shape(
        "{_}: {_:Decrypting session ticket|Issuing session ticket|Reusing old session|TLS cipher list|depth=|"
        "looking up session|raw public key fingerprint=|re-using session with untrusted|reloaded session|"
        "remove session|save session|subject_CN=|Trusted: subject_CN=|Unverified: subject_CN=|Verified: subject_CN=|"
        "verify=}{_}",
        "mx.example.org[2001:db8::25]: Issuing session ticket, key expiration: 1795286271",
    ),
    shape("{_:read from|write to} {_} bytes => {_}", "read from 55D0C0A8 [55D0C1B3] (5 bytes => -1 (0xFFFFFFFF))"),
)
