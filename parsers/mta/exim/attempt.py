"""One host's part in a delivery: `H=host [address]…` under a message's id (src/transports/smtp.c, src/tls-*.c).

Exim says so of each host that failed for a while, then tries the next; only what became of the recipients stands on
a line with `==` or `**`.
"""

from __future__ import annotations

import re

from parsers.events import ConnectionFailure, Origin, Problem
from parsers.mta.exim.delivery import phase_of, trouble
from parsers.mta.exim.field import RELAYS, is_id, read_codes
from parsers.shape import shape

# What connect(2) and the transport say (strerror(3), src/transports/smtp.c); the first that fits decides.
ERRORS = (
    ("timeout", "timeout"),
    ("timed out", "timeout"),
    ("refused", "refused"),
    ("closed connection", "lost"),
    ("reset", "lost"),
    ("Broken pipe", "lost"),
    ("TLS", "tls"),
    ("DANE", "tls"),
    ("certificate", "tls"),
    ("lookup", "dns"),
)
PHASES = {"tls": "starttls", "dns": "dns"}
REFUSALS = frozenset({"banner", "ehlo"})


def answer(
    time: float, origin: Origin, queue_id: str, relay: str, doing: str, reply: str
) -> ConnectionFailure | Problem:
    """One host's answer: to the connection itself, or to the message, when another host is still to be tried."""
    phase = phase_of(doing)
    if phase not in REFUSALS:
        return Problem(time, origin, "warning", f"{relay.rstrip(' :')} said after {doing}: {reply}", queue_id)
    event = _failure(time, origin, queue_id, relay, "refused", phase, reply)
    event.reply_code, event.dsn = read_codes(reply)
    return event


def old_answer(
    time: float, origin: Origin, queue_id: str, doing: str, relay: str, reply: str
) -> ConnectionFailure | Problem:
    """The same before 4.83, with the host at another place."""
    return answer(time, origin, queue_id, relay, doing, reply)


_HOST = re.compile(r"(?P<relay>[^\[]*+\[[^\]]*+\](?::\d{1,5})?\*?)[ :]*(?P<reply>.*)", re.DOTALL).fullmatch


def setback(time: float, origin: Origin, queue_id: str, text: str) -> ConnectionFailure:
    """Why Exim gave up on one host that gave no answer. Raises ValueError where there is no host."""
    found = _HOST(text)
    if not found:
        raise ValueError("cut off")
    return _setback(time, origin, queue_id, found["relay"], found["reply"])


def old_setback(time: float, origin: Origin, queue_id: str, host: str, ip: str, reply: str) -> ConnectionFailure:
    """The same in older words."""
    return _setback(time, origin, queue_id, f"{host} [{ip}]", reply)


def _setback(time: float, origin: Origin, queue_id: str, relay: str, reply: str) -> ConnectionFailure:
    error = next((error for words, error in ERRORS if words in reply), "unreachable")
    phase = trouble(reply) or PHASES.get(error, "connect")
    return _failure(time, origin, queue_id, relay, error, phase, reply)


def odd_answer(time: float, origin: Origin, queue_id: str, relay: str, text: str) -> Problem:
    """A host that does not speak SMTP as it should."""
    return Problem(time, origin, "warning", f"{relay}: Malformed SMTP reply{text}", queue_id)


def no_tls(time: float, origin: Origin, queue_id: str, reply: str, relay: str) -> ConnectionFailure:
    """A handshake that failed, where the message may go in the clear."""
    return _failure(time, origin, queue_id, relay, "tls", "starttls", reply)


def tls_not_offered(time: float, origin: Origin, queue_id: str, relay: str, reply: str) -> ConnectionFailure:
    """A host that the DNS says speaks TLS, and does not."""
    return _failure(time, origin, queue_id, relay, "tls", "starttls", reply)


def bad_tls(time: float, origin: Origin, queue_id: str, words: str, reply: str) -> ConnectionFailure | None:
    """A handshake or a certificate that failed; the host is not always named. None where it is a client's: without
    an id, what is wrong with its certificate may not matter."""
    if not is_id(queue_id):
        return None
    return ConnectionFailure(time, origin, "tls", queue_id, phase="starttls", reply=words + reply)


def login_refused(time: float, origin: Origin, queue_id: str, authenticator: str, relay: str) -> Problem:
    """Our own password, which another server does not take."""
    return Problem(time, origin, "warning", f"{authenticator} authenticator failed at {relay}", queue_id)


def _failure(
    time: float, origin: Origin, queue_id: str | None, relay: str, error: str, phase: str | None, reply: str
) -> ConnectionFailure:
    host, ip, port, provider, _ = RELAYS[relay]
    return ConnectionFailure(
        time, origin, error, queue_id, host, ip, port, None, None, provider, phase, None, None, reply
    )


SHAPES = (
    shape(
        "{queue_id} H={relay}{_: SMTP| LMTP} error from remote mail server after {doing}: {reply}",
        "1tXk2a-00000000ABc-0dEf H=mx1.example.org [192.0.2.25]: SMTP error from remote mail server after RCPT"
        " TO:<kim@example.org>: 450 4.2.0 Greylisted, try again later",
        answer,
    ),
    shape(
        "{queue_id} H={relay}{_: : |: }Malformed SMTP reply{text}",
        "1tXk2a-00000000ABc-0dEf H=mx1.example.org [192.0.2.25]: Malformed SMTP reply in response to initial"
        " connection: SSH-2.0-OpenSSH_9.2p1",
        odd_answer,
    ),
    shape(
        "{queue_id} H={text}",
        "1tXk2a-00000000ABc-0dEf H=mx1.example.org [192.0.2.25] Connection refused",
        setback,
        general=True,
    ),
    # Before 4.83.
    shape(
        "{queue_id} {_:SMTP|LMTP} error from remote mail{_:er| server} after {doing}: host {relay}: {reply}",
        "1tXk2b-000aBc-0D SMTP error from remote mail server after RCPT TO:<kim@example.org>: host mx1.example.org"
        " [192.0.2.25]: 450 4.2.0 Greylisted, try again later",
        old_answer,
    ),
    shape(
        "{queue_id} {host: } [[{ip}]]{_: |: }"
        "{reply:Connection refused|Connection timed out|Connection reset by peer|Network Error|No route to host"
        "|Network is unreachable|Host is down|Address family not supported by protocol}",
        "1tXk2b-000aBc-0D mx1.example.org [192.0.2.25] Connection refused",
        old_setback,
        unkeyed=True,
    ),
    shape(
        "{queue_id} Failed to connect to {host: } [[{ip}]]: {reply}",
        "1tXk2b-000aBc-0D Failed to connect to mx1.example.org [192.0.2.25]: Connection refused",
        old_setback,
    ),
    shape(
        "{queue_id} Connection aborted; STARTTLS support by {relay} required by DNS {reply}",
        "1tXk2a-00000000ABc-0dEf Connection aborted; STARTTLS support by mx1.example.org [192.0.2.25] required by DNS"
        " SRV but STARTTLS not offered",
        tls_not_offered,
    ),
    shape(
        "{queue_id} TLS session: {reply}: delivering unencrypted to H={relay}[ (not in hosts_require_tls)]",
        "1tXk2a-00000000ABc-0dEf TLS session: (gnutls_handshake): An unexpected TLS packet was received.: delivering"
        " unencrypted to H=mx1.example.org [192.0.2.25] (not in hosts_require_tls)",
        no_tls,
    ),
    shape(
        "{queue_id} {words:TLS session: |TLS error on connection to |DANE |Required TLS certificate |SSL verify error"
        "|OCSP dates invalid|Server certificate revoked|Received TLS }{reply}",
        "1tXk2a-00000000ABc-0dEf DANE attempt failed; TLS connection to mx1.example.org [192.0.2.25]:"
        " (certificate verification failed)",
        bad_tls,
        general=True,
    ),
    shape(
        "{queue_id} [[{_}]] {_:SSL|TLS|DANE} verify {_:error|denied}{_}",
        "1tXk2a-00000000ABc-0dEf [192.0.2.25] SSL verify error: depth=0 error=self-signed certificate",
        unkeyed=True,
    ),
    shape(
        "{queue_id} {authenticator: } authenticator failed H={relay}",
        "1tXk2a-00000000ABc-0dEf plain authenticator failed H=smart.example.net [192.0.2.25] 535 5.7.8 Error:"
        " authentication failed",
        login_refused,
        unkeyed=True,
    ),
)
