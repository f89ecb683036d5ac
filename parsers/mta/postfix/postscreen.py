"""What stands before the SMTP server: postscreen, its dnsblog, and tlsproxy.

Wordings are those of Postfix' src/postscreen, src/dnsblog and src/tlsproxy, 2.10 to 3.12; 3.6 exchanged some words
(ALLOWLISTED for WHITELISTED). A client is `[address]:port` and has no name. tlsproxy's lines about a client are about
a session that postscreen has told of; only its TLS is new.
"""

from __future__ import annotations

from parsers.events import Connect, ConnectionFailure, Disconnect, Origin, Reject
from parsers.mta.postfix.smtpd import CLIENTS, COMMANDS, reject, tls_failure, unworded_reject
from parsers.shape import shape

# Why postscreen turns a client away at once, and its answer (postscreen.c).
TURNED_AWAY = {
    "too many connections": (421, "4.7.0"),
    "all server ports busy": (421, "4.3.2"),
    "all screening ports busy": (421, "4.3.2"),
}

UNAVAILABLE = "Service currently unavailable"


def connect(time: float, origin: Origin, client: str, server: str | None) -> Connect | None:
    """A client; tlsproxy, which does not name the server, says the same of one that it is given."""
    return Connect(time, origin, *CLIENTS[client]) if server else None


def disconnect(time: float, origin: Origin, client: str) -> Disconnect | None:
    if origin.program == "tlsproxy":
        return None
    return Disconnect(time, origin, *CLIENTS[client])


def handshake_failure(time: float, origin: Origin, client: str) -> ConnectionFailure:
    return tls_failure(time, origin, client, None)


def screened(
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
    """What a client that failed a test is told, or one that passed and has to come again; the words for a client on a
    deny list (5yz) and for the second (4yz) are those of a server that is out of order."""
    event = reject(time, origin, queue_id, command, client, reply, sender, recipient, protocol, helo)
    if reply.endswith(UNAVAILABLE):
        event.reason = "greylisted" if reply.startswith("4") else "blocked_ip"
    return event


def turn_away(time: float, origin: Origin, client: str, reply: str) -> Reject:
    """A client for which there is no room."""
    return unworded_reject(time, origin, CLIENTS[client], "connect", *TURNED_AWAY[reply], reply)


_TURNED_AWAY = "{reply:" + "|".join(TURNED_AWAY) + "}"

SHAPES = (
    shape(
        "CONNECT from {client}[ to {server}]",
        "CONNECT from [198.51.100.66]:48123 to [192.0.2.1]:25",
        connect,
    ),
    shape("CONNECT to {_}", "CONNECT to [192.0.2.25]:25"),
    shape("DISCONNECT {client}", "DISCONNECT [198.51.100.66]:48123", disconnect),
    shape(
        "TLS handshake failed for service=smtpd peer={client}",
        "TLS handshake failed for service=smtpd peer=[198.51.100.66]:48123",
        handshake_failure,
    ),
    shape(
        "TLS handshake failed for service={_} peer={_}",
        "TLS handshake failed for service=smtp:192.0.2.25:25 peer=[192.0.2.25]:25",
        general=True,
    ),
    # --- what is refused ---
    shape(
        "{queue_id}: reject: {command:" + COMMANDS + "} from {client}: {reply}; from=<{sender}>, to=<{recipient}>,"
        " proto={protocol}, helo=<{helo}>",
        "NOQUEUE: reject: RCPT from [198.51.100.66]:48123: 550 5.7.1 Service unavailable; client [198.51.100.66]"
        " blocked using dnsbl.example.net; from=<kim@example.org>, to=<lee@example.com>, proto=ESMTP, helo=<there>",
        screened,
    ),
    shape(
        "{_}: reject: CONNECT from {client}: " + _TURNED_AWAY,
        "NOQUEUE: reject: CONNECT from [198.51.100.66]:48123: too many connections",
        turn_away,
    ),
    shape(
        "reject: connect from {client}: " + _TURNED_AWAY,
        "reject: connect from [198.51.100.66]:48123: all screening ports busy",
        turn_away,
    ),
    # --- what is found out about a client ---
    shape("PASS {_:NEW|OLD} {_}", "PASS NEW [192.0.2.25]:51234"),
    shape("{_:WHITE|ALLOW|BLACK|DENY}LIST{_:ED| VETO} {_}", "ALLOWLISTED [192.0.2.25]:51234"),
    shape("PREGREET {_} after {_} from {_}", r"PREGREET 11 after 0.21 from [198.51.100.66]:48123: EHLO there\r\n"),
    shape("DNSBL rank {_} for {_}", "DNSBL rank 6 for [198.51.100.66]:48123"),
    shape(
        "HANGUP after {_} from {_} in {_}",
        "HANGUP after 1.2 from [198.51.100.66]:48123 in tests after SMTP handshake",
    ),
    shape(
        "COMMAND {_:COUNT LIMIT|LENGTH LIMIT|PIPELINING|TIME LIMIT} from {_} after {_}",
        "COMMAND PIPELINING from [198.51.100.66]:48123 after HELO: MAIL FROM:<kim@example.org>\\r\\n",
    ),
    shape("BARE NEWLINE from {_} after {_}", "BARE NEWLINE from [198.51.100.66]:48123 after HELO"),
    shape(
        "NON-SMTP COMMAND from {_} after {_}",
        "NON-SMTP COMMAND from [198.51.100.66]:48123 after CONNECT: GET / HTTP/1.1",
    ),
    shape("{_:BDAT|DATA} without valid RCPT from {_}", "DATA without valid RCPT from [198.51.100.66]:48123"),
    shape(
        "addr {_} {_:blocked|listed} by domain {_}",
        "addr 198.51.100.66 listed by domain dnsbl.example.net as 127.0.0.2",
    ),
    # --- how postscreen goes about its work ---
    shape("{_:entering|leaving} STRESS mode with {_} connections", "entering STRESS mode with 90 connections"),
    shape("{_}: discarding EHLO keywords: {_}", "[198.51.100.66]48123: discarding EHLO keywords: CHUNKING"),
)
