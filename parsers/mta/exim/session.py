"""Clients' sessions: connections, logins, TLS, how they end (src/daemon.c, src/smtp_in.c, src/tls-*.c).

Connections are only logged with `log_selector = +smtp_connection`. What clients do wrong is no problem of this
server.
"""

from __future__ import annotations

import re

from parsers.events import Auth, Connect, ConnectionFailure, Disconnect, Origin
from parsers.mta.exim.field import CLIENTS
from parsers.shape import shape


def connect(time: float, origin: Origin, client: str) -> Connect:
    name, ip, _ = CLIENTS[client]
    return Connect(time, origin, name, ip)


def disconnect(time: float, origin: Origin, client: str) -> Disconnect:
    name, ip, _ = CLIENTS[client]
    return Disconnect(time, origin, name, ip)


def gone(time: float, origin: Origin, client: str) -> ConnectionFailure:
    """A client that went away without a word."""
    return _broken(time, origin, "lost", client, None)


def gone_from_message(time: float, origin: Origin, client: str) -> ConnectionFailure:
    """The same while it sent a message."""
    return _broken(time, origin, "lost", client, "data")


def slow(time: float, origin: Origin, words: str, client: str) -> ConnectionFailure:
    """A client that did not go on in time."""
    return _broken(time, origin, "timeout", client, "data" if words == "data" else None)


# What the client called itself stands in brackets too.
_TLS_FAILURE = re.compile(
    r"(?P<client>.{0,700}?\][^ ]{0,100}+(?: [A-Z][a-z]?=[^ ]{1,100}+){0,4})"
    r" \((?P<doing>[^()]{1,300})\)(?:: (?P<reply>.*))?",
    re.DOTALL,
).fullmatch


def tls_failure(time: float, origin: Origin, text: str) -> ConnectionFailure | None:
    """A handshake that failed. A client that ends its session without telling its TLS library is of no interest."""
    found = _TLS_FAILURE(text)
    client, doing, reply = found.groups() if found else (text, "", None)
    if doing in ("recv", "send", "SSL_read", "SSL_write"):
        return None
    event = _broken(time, origin, "tls", client, "starttls")
    event.reply = f"{doing}: {reply}" if reply else doing or None
    return event


def _broken(time: float, origin: Origin, error: str, client: str, phase: str | None) -> ConnectionFailure:
    name, ip, _ = CLIENTS[client]
    return ConnectionFailure(time, origin, error, client_name=name, client_ip=ip, phase=phase)


# What a client calls itself may hold what ends it, where `helo_accept_junk_hosts` lets it.
_JUNK = re.compile(
    r"(?P<client>.{0,700}\](?::\d{1,5})?(?: [A-Z][a-z]?=[^ ]{1,80}?)*): (?P<reply>[^(:]*+)"
    r"(?:(?<= )\(set_id=(?P<user>[^)]*+))?",
    re.DOTALL,
).match


def auth_failure(
    time: float,
    origin: Origin,
    sasl_method: str,
    client: str,
    reply: str,
    sasl_user: str | None,
    more: str | None,
) -> Auth:
    """One attempt, refused (535) or not decided (435). The method is the authenticator's name, as configured."""
    name, ip, _ = CLIENTS[client]
    junk = _JUNK(f"{client}: {reply}: {more}") if ip is None else None
    if junk:
        name, ip, _ = CLIENTS[junk["client"]]
        reply, sasl_user = junk["reply"].strip(), junk["user"]
    return Auth(time, origin, "failure", name, ip, sasl_method, sasl_user or None, reply)


SHAPES = (
    shape(
        "{sasl_method} authenticator failed for {client}: {reply}[ (set_id={sasl_user})][: {more}]",
        "login authenticator failed for client.example.net (client) [203.0.113.7]: 535 Incorrect authentication data"
        " (set_id=kim)",
        auth_failure,
    ),
    shape(
        "SMTP connection from {client}[ (TCP/IP connection count = {_})]",
        "SMTP connection from [203.0.113.7]:40499 I=[192.0.2.25]:25 (TCP/IP connection count = 1)",
        connect,
        general=True,
    ),
    shape("SMTP connection Ci={_}", "SMTP connection Ci=4711 from kim D=0.1s closed by QUIT"),
    shape(
        "SMTP connection from {client} closed {_:by QUIT|by EOF|by DROP in ACL|by connect ACL|by non-SMTP ACL"
        "|after SIGTERM|SIGTERM|SIGINT}[ {_}]",
        "SMTP connection from client.example.net (client) [203.0.113.7]:40499 I=[192.0.2.25]:25 closed by QUIT",
        disconnect,
    ),
    shape(
        "{_} SMTP connection from {client} closed by {_:QUIT|EOF|DROP in ACL}[ {_}]",
        "1tXk2a-00000000ABc-0dEf SMTP connection from (client) [203.0.113.7] closed by DROP in ACL",
        disconnect,
    ),
    shape(
        "SMTP connection from {client} lost while reading message data{_}",
        "SMTP connection from client.example.net (client) [203.0.113.7] lost while reading message data (header)",
        gone_from_message,
    ),
    shape(
        "{_} SMTP connection from {client} lost while reading message data{_}",
        "1tXk2a-00000000ABc-0dEf SMTP connection from (client) [203.0.113.7] lost while reading message data",
        gone_from_message,
    ),
    shape(
        "SMTP connection from {client} lost[ (error: {_})][ D={_}]",
        "SMTP connection from (client) [203.0.113.7]:40499 I=[192.0.2.25]:25 lost D=0.047s",
        gone,
    ),
    shape(
        "{_} SMTP connection lost after final dot {client}",
        "1tXk2a-00000000ABc-0dEf SMTP connection lost after final dot H=(client) [203.0.113.7] P=esmtp",
        gone_from_message,
    ),
    shape(
        "unexpected {_:disconnection|EOF} while reading SMTP command from[ TFO][*] {client}[ (error: {_})][ D={_}]",
        "unexpected disconnection while reading SMTP command from (client) [203.0.113.7] D=0s",
        gone,
    ),
    shape(
        "SMTP call from {client} dropped: {_}",
        'SMTP call from (client) [203.0.113.7] dropped: too many syntax or protocol errors (last command was "123")',
        gone,
    ),
    shape(
        "SMTP {words:command|data} timeout[ (message abandoned)] on[ TLS] connection from {client}[ D={_}]",
        "SMTP command timeout on connection from (client) [203.0.113.7]:40499 I=[192.0.2.25]:25 D=5m",
        slow,
    ),
    shape(
        "{_} SMTP {words:data} timeout[ (message abandoned)] on[ TLS] connection from {client}[ D={_}]",
        "1tXk2a-00000000ABc-0dEf SMTP data timeout (message abandoned) on connection from (client) [203.0.113.7]"
        " F=<kim@example.net> D=5m",
        slow,
    ),
    shape(
        "TLS error on connection from {text}",
        "TLS error on connection from (client) [203.0.113.7] (gnutls_handshake): An unexpected TLS packet was"
        " received.",
        tls_failure,
    ),
    # In the reject log alone: what the client was answered follows.
    shape(
        "{_} authenticator ({_}): {_}",
        "cram authenticator (server): Cyrus SASL permanent failure: authentication failure",
    ),
    # A client that hangs up on its TLS session: it is told of otherwise, if it matters.
    shape(
        "TLS error ({_:SSL_read|SSL_write|gnutls_record_recv|gnutls_record_send}): {_}",
        "TLS error (SSL_read): syscall: Connection reset by peer",
    ),
    shape(
        "ignoring AUTH={_}", "ignoring AUTH=kim@example.net from H=(client) [203.0.113.7] (client not authenticated)"
    ),
    shape("no MAIL in {_}", "no MAIL in SMTP connection from (client) [203.0.113.7] D=10s C=EHLO,STARTTLS"),
    shape("no host name found for {_}", "no host name found for IP address 203.0.113.7"),
    shape(
        "no IP address found for host {_}",
        "no IP address found for host client.example.net (during SMTP connection from [203.0.113.7])",
    ),
    shape("list matching forced to {_}", "list matching forced to fail: failed to find host name for 203.0.113.7"),
    shape(
        "{_} {_:H=|U=}{_} incomplete transaction ({_}",
        "1tXk2a-00000000ABc-0dEf H=(client) [203.0.113.7] incomplete transaction (connection lost) from"
        " <kim@example.net>",
    ),
    shape(
        "{_:H=|U=}{_} incomplete transaction ({_}",
        "H=(client) [203.0.113.7] incomplete transaction (QUIT) from <kim@example.net> for lee@example.org",
    ),
    # A command that cannot be: its line may hold a password.
    shape(
        "SMTP {_:protocol|syntax} error in {_}",
        'SMTP syntax error in "GET / HTTP/1.1" H=[203.0.113.7] unrecognized command',
    ),
)
