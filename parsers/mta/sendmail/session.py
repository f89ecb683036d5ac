"""Sessions of the SMTP server and the SMTP client: who comes, who authenticates, TLS, and what breaks off.

Wordings are those of sendmail/srvrsmtp.c, usersmtp.c, tls.c, sfsasl.c and util.c. Below log level 11 nothing tells
that a client connects.
"""

from __future__ import annotations

from parsers.events import Auth, Connect, ConnectionFailure, Disconnect, Origin, Problem, Tls
from parsers.mta.sendmail.host import CLIENTS, RELAYS
from parsers.shape import shape

# Where a session was (sfgets() says so), in the words of the server and of the client.
PHASES = {
    "startup": "connect",
    "helo": "ehlo",
    "ehlo": "ehlo",
    "starttls": "starttls",
    "auth": "auth",
    "mail": "mail",
    "rcpt": "rcpt",
    "data": "data",
    "bdat": "data",
    "message collect": "data",
    "client greeting": "banner",
    "client EHLO": "ehlo",
    "client HELO": "ehlo",
    "client STARTTLS": "starttls",
    "client AUTH": "auth",
    "client MAIL": "mail",
    "client RCPT": "rcpt",
    "client DATA 354": "data",
    "client DATA status": "end_of_data",
}
# Whether a certificate was shown, checked, and found good (tls_get_info() in sendmail/tls.c).
TRUSTS = {
    "OK": "trusted",
    "TRUSTED": "verified",  # by DANE
    "NO": "anonymous",
    "NOT": "anonymous",
    "NONE": "anonymous",
    "FAIL": "untrusted",
    "TEMP": "untrusted",
    "DANE_FAIL": "untrusted",
}
ERRORS = (
    ("Connection refused", "refused"),
    ("timed out", "timeout"),
    ("unreachable", "unreachable"),
    ("No route to host", "unreachable"),
    ("Host is down", "unreachable"),
)


def connect(time: float, origin: Origin, client: str) -> Connect:
    return Connect(time, origin, *CLIENTS[client])


def idle(time: float, origin: Origin, queue_id: str, client: str) -> Disconnect:  # noqa: ARG001 - no message has it
    """The end of a session in which no message was offered."""
    return Disconnect(time, origin, *CLIENTS[client])


def lost(time: float, origin: Origin, queue_id: str, client: str, command: str) -> ConnectionFailure:
    name, ip = CLIENTS[client]
    phase = PHASES.get(command)
    return ConnectionFailure(time, origin, "lost", queue_id, client_name=name, client_ip=ip, phase=phase)


def timed_out(time: float, origin: Origin, queue_id: str, peer: str, where: str) -> ConnectionFailure:
    """Either side's: the client's own doings are named `client …`."""
    event = ConnectionFailure(time, origin, "timeout", queue_id, phase=PHASES.get(where))
    if where.startswith("client "):
        event.relay_host, event.relay_ip, event.provider, _ = RELAYS[peer]
    else:
        event.client_name, event.client_ip = CLIENTS[peer]
    return event


def no_connection(
    time: float, origin: Origin, queue_id: str, host: str, address: str, port: str, reply: str
) -> ConnectionFailure:
    """One host of a destination that could not be reached (log level 14); its recipients' lines follow."""
    error = next((error for words, error in ERRORS if words in reply), "lost")
    event = ConnectionFailure(time, origin, error, queue_id, phase="connect", reply=reply)
    event.relay_host, event.relay_ip, event.provider, _ = RELAYS[f"{host} [{address}]"]
    event.relay_port = int(port)
    return event


# --- who authenticates ---


def login(time: float, origin: Origin, client: str, sasl_user: str, sasl_method: str) -> Auth:
    return Auth(time, origin, "success", *CLIENTS[client], sasl_method.upper(), sasl_user or None)


def failed_login(
    time: float,
    origin: Origin,
    queue_id: str,  # noqa: ARG001 - no message has it
    sasl_method: str,
    reply: str,
    client: str,
) -> Auth:
    """One attempt. What the client called itself may hold anything, so the client is what stands last."""
    words, _, client = f"{reply}, relay={client}".rpartition(", relay=")
    words, _, user = words.partition(", user=")
    return Auth(time, origin, "failure", *CLIENTS[client], sasl_method.upper(), user or None, words)


# --- TLS ---


def tls_in(time: float, origin: Origin, client: str, tls_protocol: str | None, verify: str, tls_cipher: str) -> Tls:
    name, ip = CLIENTS[client]
    return Tls(time, origin, name, ip, None, None, None, tls_protocol, tls_cipher, TRUSTS.get(verify))


def tls_out(time: float, origin: Origin, relay: str, tls_protocol: str | None, verify: str, tls_cipher: str) -> Tls:
    host, ip, _, _ = RELAYS[relay]
    return Tls(time, origin, None, None, host, ip, None, tls_protocol, tls_cipher, TRUSTS.get(verify))


def no_tls_in(time: float, origin: Origin, reply: str, client: str | None) -> ConnectionFailure:
    name, ip = CLIENTS[client] if client else (None, None)
    return ConnectionFailure(time, origin, "tls", client_name=name, client_ip=ip, phase="starttls", reply=reply)


def no_dane(time: float, origin: Origin, relay: str, reply: str) -> ConnectionFailure:
    """A host that has to speak TLS, as the DNS says, and does not."""
    host, ip, provider, _ = RELAYS[relay]
    failure = ConnectionFailure(time, origin, "tls", None, host, ip, phase="starttls", reply=reply)
    failure.provider = provider
    return failure


def login_refused(time: float, origin: Origin, relay: str, text: str) -> Problem:
    """Our own password, which another server does not take, or which we could not use."""
    return Problem(time, origin, "warning", f"AUTH=client, relay={relay}, {text}")


_TLS = " relay={relay}[, version={tls_protocol}], verify={verify}, cipher={tls_cipher}, bits={_}"

SHAPES = (
    shape(
        "{_}: connect from {client}",
        "NOQUEUE: connect from client.example.net [203.0.113.7] (may be forged)",
        connect,
    ),
    shape(
        "{queue_id}: {client} did not issue MAIL/EXPN/VRFY/ETRN during connection to {_}",
        "5ALA00aB004711: client.example.net [203.0.113.7] did not issue MAIL/EXPN/VRFY/ETRN during connection to MTA",
        idle,
        unkeyed=True,
    ),
    shape(
        "{queue_id}: lost input channel from {client} to {_} after {command}",
        "5ALA00aB004711: lost input channel from client.example.net [203.0.113.7] to MTA-v4 after rcpt",
        lost,
    ),
    shape(
        "{queue_id}: timeout waiting for input from {peer} during {where}",
        "5ALA00aB004711: timeout waiting for input from client.example.net during server cmd read",
        timed_out,
    ),
    shape(
        "{queue_id}: makeconnection ({host} [[{address}]].{port} ({_})) failed: {reply}",
        "5ALA00aB004711: makeconnection (mx.example.org. [192.0.2.25].25 (2)) failed: Connection refused by"
        " mx.example.org.",
        no_connection,
    ),
    # --- who authenticates ---
    shape(
        "AUTH=server, relay={client}, authid={sasl_user}, mech={sasl_method}, bits={_}",
        "AUTH=server, relay=pc.example.net [203.0.113.9], authid=kim, mech=PLAIN, bits=0",
        login,
        repeats=True,
    ),
    shape(
        "{queue_id}: AUTH failure ({sasl_method}): {reply}, relay={client}",
        "5ALA00aB004711: AUTH failure (LOGIN): authentication failure (-13) SASL(-13): authentication failure:"
        " checkpass failed, user=admin, relay=client.example.net [203.0.113.7] (may be forged)",
        failed_login,
    ),
    # Beside each of the failures that are too many.
    shape(
        "{queue_id}: {_}: possible SMTP attack: command={_}, count={_}",
        "5ALA00aB004711: [203.0.113.7]: possible SMTP attack: command=AUTH, count=5",
        unkeyed=True,
    ),
    shape(
        "{queue_id}: {_}: probable open proxy: command={_}",
        "5ALA00aB004711: [203.0.113.7]: probable open proxy: command=GET / HTTP/1.0",
        unkeyed=True,
    ),
    shape("AUTH: {_}", "AUTH: available mech=CRAM-MD5 LOGIN PLAIN, allowed mech=CRAM-MD5 LOGIN PLAIN"),
    shape("AUTH={_:client}, {_}", "AUTH=client, relay=mx.example.org., mech=PLAIN, bits=0", general=True),
    shape(
        "AUTH=client, relay={relay}, {text:temporary failure|authinfo }{_}",
        "AUTH=client, relay=mx.example.org., temporary failure, connection abort",
        login_refused,
    ),
    shape(
        "AUTH {_:warning|auth_ssf|authid|username|continue|flags|encode64|decode64}{_}", "AUTH warning: no mechanisms"
    ),
    # --- TLS ---
    shape(
        "STARTTLS=server," + _TLS.replace("relay}", "client}"),
        "STARTTLS=server, relay=pc.example.net [203.0.113.9], version=TLSv1.3, verify=NO,"
        " cipher=TLS_AES_256_GCM_SHA384, bits=256/256",
        tls_in,
        repeats=True,
    ),
    shape(
        "STARTTLS=client," + _TLS,
        "STARTTLS=client, relay=mx.example.org., version=TLSv1.3, verify=OK, cipher=TLS_AES_256_GCM_SHA384,"
        " bits=256/256",
        tls_out,
        repeats=True,
    ),
    shape(
        "STARTTLS=server, error: accept failed={reply}[, relay={client}]",
        "STARTTLS=server, error: accept failed=-1, reason=wrong version number, SSL_error=1, errno=0, retry=-1,"
        " relay=[203.0.113.7]",
        no_tls_in,
    ),
    shape(
        "STARTTLS=client, error: connect failed={reply}",
        "STARTTLS=client, error: connect failed=-1, reason=wrong version number, SSL_error=1, errno=0, retry=-1",
        ConnectionFailure,
        error="tls",
        phase="starttls",
    ),
    shape(
        "STARTTLS=client, relay={relay}, warning=DANE configured in DNS but {reply}",
        "STARTTLS=client, relay=mx.example.org., warning=DANE configured in DNS but STARTTLS not offered",
        no_dane,
    ),
    shape("STARTTLS={_}", "STARTTLS=client, SSL_shutdown failed: -1", general=True),
    # What goes wrong within a session of TLS is told otherwise, if it matters.
    shape("STARTTLS: {_}", "STARTTLS: read error=timeout", general=True),
    shape(
        "{_:tls_clt_features|tls_srv_features|srv_features|clt_features|engine|TLSA}={_}",
        "tls_srv_features=empty, relay=mx [192.0.2.25]",
        general=True,
    ),
    shape("{queue_id}: SMTP outgoing connect on {_}", "5ALA00aB004711: SMTP outgoing connect on mail.example.com"),
    shape("{queue_id}: --- {_}", "5ALA00aB004711: --- 250 2.0.0 mail.example.com ESMTP hello"),
    shape("{queue_id}: <-- {_}", "5ALA00aB004711: <-- EHLO client.example.net"),
    shape("{queue_id}: >>> {_}", "5ALA00aB004711: >>> 250 ok"),
)
