"""tcpserver and sslserver, which run qmail-smtpd for each client, and rblsmtpd between them (ucspi-tcp 0.88)."""

from __future__ import annotations

from parsers.events import Connect, Origin, Problem, Reject
from parsers.mta.qmail.delivery import ADDRESSES
from parsers.shape import shape

# Ports of what else tcpserver runs on mail hosts: DNS, web, POP3, IMAP.
NOT_SMTP = frozenset({"53", "80", "110", "143", "443", "993", "995"})


def read_remote(text: str) -> tuple[str | None, str | None]:
    """Name and address of `host:address:user:port`, where an IPv6 address has colons too. Raises ValueError."""
    name, _, rest = text.partition(":")
    ip = ADDRESSES[rest.rsplit(":", 2)[0]]
    if ip is None:
        raise ValueError("no address")
    return name or None, ip


def is_smtp(local: str) -> bool:
    """Whether `host:address:port` of our own side is where SMTP is spoken."""
    return local.rpartition(":")[2] not in NOT_SMTP


def connect(time: float, origin: Origin, local: str, remote: str) -> Connect | None:
    """Raises ValueError where the client has no address."""
    return Connect(time, origin, *read_remote(remote)) if is_smtp(local) else None


def denied(time: float, origin: Origin, local: str, remote: str) -> Reject | None:
    """The rules of tcprules(1) do not let the client in. Raises ValueError where it has no address."""
    if not is_smtp(local):
        return None
    event = Reject(time, origin, None, "connect", *read_remote(remote))
    event.reason = "policy_rejected"
    return event


def blocked(time: float, origin: Origin, client_ip: str, reply: str) -> Reject:
    """rblsmtpd answers every command of a listed client so. Raises ValueError where it has no address."""
    return on_list(time, origin, client_ip, None, reply)


def blocked_before(time: float, origin: Origin, rbl: str, client_ip: str, client_name: str) -> Reject:
    """The same, as rblsmtpd said it before ucspi-tcp. Raises ValueError where the client has no address."""
    return on_list(time, origin, client_ip, client_name.partition(" ")[0], rbl)


def on_list(time: float, origin: Origin, client_ip: str, client_name: str | None, reply: str) -> Reject:
    """Raises ValueError where the client has no address."""
    ip = ADDRESSES[client_ip]
    if ip is None:
        raise ValueError("no address")
    event = Reject(time, origin, None, "connect", client_name, ip)
    event.reply_code = int(reply[:3]) if reply[:4] in ("451 ", "553 ") else None
    event.reply, event.reason = reply, "blocked_ip"
    return event


_SERVER = "{_:tcpserver|sslserver}: "

SHAPES = (
    shape(
        _SERVER + "ok {_} {local} {remote}",
        "tcpserver: ok 4711 mail.example.com:192.0.2.1:25 pc.example.net:203.0.113.9::40123",
        connect,
    ),
    shape(
        _SERVER + "deny {_} {local} {remote}",
        "tcpserver: deny 4711 mail.example.com:192.0.2.1:25 :203.0.113.9::40123",
        denied,
    ),
    shape(
        _SERVER + "{_:status: |pid |end |ssl |tls |cafile |ccafile |cadir |cert |key |dhfile |param |ciphers }{_}",
        "tcpserver: status: 3/40",
    ),
    shape(
        _SERVER + "{severity:fatal|warning}: {text}",
        "tcpserver: fatal: unable to bind: address already used",
        Problem,
    ),
    shape(
        "rblsmtpd: {client_ip} pid {_}: {reply}",
        "rblsmtpd: 203.0.113.9 pid 4711: 451 see https://bl.example.net/?203.0.113.9",
        blocked,
    ),
    # Where rblsmtpd's own name is the tag of syslog.
    shape(
        "{client_ip} pid {_}: {reply}",
        "203.0.113.9 pid 4711: 451 see https://bl.example.net/?203.0.113.9",
        blocked,
    ),
    shape(
        "{rbl} blocked {client_ip} {client_name}",
        "relays.example.net blocked 203.0.113.9 pc.example.net -",
        blocked_before,
    ),
)
