"""The processes that clients log in to: each connection has one line, when it is logged in or ends before that.

Wordings are those of Dovecot's src/login-common (client-common.c, sasl-server.c, login-proxy.c), 2.2 to 2.4, with
those of older releases that still stand in logs. What stands behind the words is `login_log_format_elements`:
`user=<%u>, method=%m, rip=%r, lip=%l, mpid=%e, %c, session=<%{session}>`, where empty ones are left out. A client
chooses the user's name, which may look like the fields behind it: those are looked for from the end.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from parsers.events import Auth, ConnectionFailure, Disconnect, Event, Origin
from parsers.memo import Memo
from parsers.mta.dovecot.process import ADDRESSES, LOGINS, origin_of
from parsers.shape import shape

LONGEST = 300  # characters of what is kept to be found again
HANDSHAKE = "TLS handshaking"
OWN_TLS = "TLS initialization failed"

_METHOD = re.compile(r"[\w.-]{1,64}").fullmatch
_ENDING = re.compile(r"(?P<how>.*?)(?: \((?P<reason>[^()]*(?:\([^()]*\)[^()]*)?)\))?(?: \([a-z_]+\))?").fullmatch
_ATTEMPTS = re.compile(
    r"(?P<reason>.*?)(?:, |^)(?:\d+/)?(?P<attempts>\d+) (?:authentication )?(?:attempts|successful auths).*"
)
_WAITED = re.compile(r"(?:,? in|, waited) \d+ secs$")
# Why TLS did not begin, where that is told as the reason.
_NO_TLS = re.compile(
    r"client (?:sent an (?:invalid|untrusted)|didn't send a) cert|cert required|disconnected during TLS handshake"
).match


class Client(NamedTuple):
    """`user` is what the client claims to be, `method` the SASL mechanism; None where it told none."""

    user: str | None
    method: str | None
    ip: str


class Ending(NamedTuple):
    """Why a connection ended before it was logged in: `how` in the words of the network, `reason` in those of the
    login; `attempts` to authenticate, where their number is told."""

    how: str
    reason: str
    attempts: int | None


def read_client(text: str) -> Client:
    """`user=<kim>, method=PLAIN, rip=192.0.2.7`. Raises ValueError."""
    before, _, ip = text.rpartition("rip=")
    user, found, rest = before.rpartition("method=")
    method = rest.partition(",")[0]
    if not found or ">" in rest or not _METHOD(method):  # what looks like a method is part of the name
        user, method = before, ""
    return Client(user.removeprefix("user=<").rpartition(">")[0] or None, method or None, ADDRESSES[ip])


def read_ending(text: str) -> Ending:
    """`: Inactivity (auth failed, 2 attempts in 178 secs)`, in 2.4 with a name of the reason behind. Raises
    ValueError."""
    told, last, _ = text.partition(", last failure: ")  # 2.4.5, of a proxy: in the words of its destination
    found = _ENDING(f"{told})" if last else text)
    how, reason = (found["how"], found["reason"] or "") if found else (text, "")
    counted = _ATTEMPTS.fullmatch(reason)
    if not counted:
        return Ending(how, _WAITED.sub("", reason), None)
    attempts = counted["attempts"]
    if not 0 < len(attempts) < 6 or int(attempts) == 0:
        raise ValueError("impossible number of attempts")
    return Ending(how, counted["reason"], int(attempts))


_CLIENTS: Memo[str, Client] = Memo(read_client)
_ENDINGS: Memo[str, Ending] = Memo(read_ending)


def client_of(text: str) -> Client:
    """The client of all that stands behind the words. Raises ValueError where the line is cut before its address."""
    start = text.rfind("rip=")
    if start < 0:
        raise ValueError("a client without an address")
    end = text.find(",", start)
    who = text if end < 0 else text[:end]
    return _CLIENTS[who] if len(who) < LONGEST else read_client(who)


def session_of(text: str) -> str | None:
    """The name of a session, which is the last thing told."""
    return text[text.rfind("<") + 1 : -1] if text.endswith(">") and "session=<" in text else None


def split(text: str) -> tuple[str, str]:
    """The words, and what stands behind them. Raises ValueError where nothing does."""
    for mark in (": user=<", ": method=", ": rip="):
        words, found, rest = text.partition(mark)
        if found:
            return words, found[2:] + rest
    raise ValueError("a session without a client")


# --- what they mean ---


def login(time: float, origin: Origin, process: str | None, client: str) -> Auth:
    user, method, ip = client_of(client)
    event = Auth(time, origin_of(origin, process), "success", None, ip, method, user)
    event.session = session_of(client)
    return event


def proxied(time: float, origin: Origin, process: str | None, client: str) -> Auth:
    """A login that the proxy's destination accepted; `client` goes on behind `user=<`."""
    return login(time, origin, process, "user=<" + client)


def ended(time: float, origin: Origin, process: str | None, text: str) -> Event:
    """A connection that ended before a login, with attempts or without."""
    words, details = split(text)
    ending = _ENDINGS[words] if len(words) < LONGEST else read_ending(words)
    client, where = client_of(details), origin_of(origin, process)
    if is_tried(ending, client):
        event = Auth(time, where, "failure", None, client.ip, client.method, client.user, ending.reason or None)
        event.attempts = ending.attempts or 1
        event.session = session_of(details)
        return event
    return untried(time, where, ending, client, details)


def ended_otherwise(time: float, origin: Origin, process: str, words: str, client: str) -> Event | None:
    """The same in words that are those of a protocol, or new; without a reason in brackets the session goes on."""
    return ended(time, origin, process, f" {words}: user=<{client}") if words.endswith(")") else None


def is_tried(ending: Ending, client: Client) -> bool:
    """Whether the client tried to authenticate: then either their number is told, or a mechanism was chosen, or
    would have been, were it allowed."""
    if ending.reason.startswith("no auth attempts"):
        return False
    return ending.attempts is not None or client.method is not None or ending.reason.startswith("tried to use")


def untried(time: float, origin: Origin, ending: Ending, client: Client, details: str) -> Event:
    """The end of a connection whose client did not try to authenticate."""
    if HANDSHAKE in details or _NO_TLS(ending.reason) or OWN_TLS in ending.how:
        return ConnectionFailure(
            time, origin, "tls", client_ip=client.ip, phase="starttls", reply=handshake_error(details, ending)
        )
    for words, error in (("Inactivity", "timeout"), ("timed out", "timeout"), ("reset by peer", "lost")):
        if words in ending.how:
            return ConnectionFailure(time, origin, error, client_ip=client.ip)
    return Disconnect(time, origin, None, client.ip)


def handshake_error(details: str, ending: Ending) -> str | None:
    """Why TLS did not begin."""
    error = details.partition(HANDSHAKE + ": ")[2].partition(", session=<")[0]
    return error or (OWN_TLS if OWN_TLS in ending.how else ending.reason) or None


# --- the table ---

_PROCESS = "{process:" + "|".join(LOGINS) + "}"
_LEAD = f"[Info: ][{_PROCESS}: ][Info: ]"

SHAPES = (
    shape(
        _LEAD + "{_:Login|Logged in}: {client}",
        "imap-login: Login: user=<kim>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, mpid=4711, TLS,"
        " session=<bMdzvNBgPK5/AAAB>",
        login,
    ),
    shape(
        _LEAD + "{_:Disconnected|Aborted login|Login aborted}{text}",
        "pop3-login: Info: Login aborted: Connection closed (auth failed, 3 attempts in 16 secs) (auth_failed):"
        " user=<kim>, method=PLAIN, rip=2001:db8::7, lip=2001:db8::1, TLS, session=<YFzQvNBghtt/AAAB>",
        ended,
    ),
    # The session's last line tells of these again.
    shape(
        _LEAD + "Login failed: {_}",
        "imap-login: Login failed: Cleartext authentication disabled: user=<>, rip=192.0.2.7, lip=192.0.2.1,"
        " session=<vteEFdFgb+J/AAAD>",
    ),
    shape(
        _LEAD + "Authenticate {_} failed: {_}",
        "imap-login: Authenticate CRAM-MD5 failed: Invalid base64 in response: user=<>, method=CRAM-MD5,"
        " rip=192.0.2.7, lip=192.0.2.1, session=<2b/HwNBgDNp/AAAB>",
    ),
    shape(
        _LEAD + "Maximum number of connections from user+IP exceeded {_}",
        "imap-login: Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10):"
        " user=<kim>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, session=<2b/HwNBgDNp/AAAB>",
    ),
    # The session goes on.
    shape(
        _LEAD + "SSL is disabled {_}",
        "imap-login: SSL is disabled (ssl=no): user=<>, rip=192.0.2.7, lip=192.0.2.1, session=<vteEFdFgb+J/AAAD>",
    ),
    # Until 2.3: what tcpwrap says of a client (`login_access_sockets`).
    shape(_LEAD + "access({_}): Client {_}", "imap-login: access(tcpwrap): Client refused (rip=192.0.2.7)"),
    # A proxy: the login is one when its destination accepts it.
    shape(
        _LEAD + "proxy({_}): {_:started|Started} proxying to {_}: user=<{client}",
        "imap-login: proxy(kim@example.com): started proxying to 198.51.100.4:143: user=<kim@example.com>,"
        " method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, TLS, session=<2b/HwNBgDNp/AAAB>",
        proxied,
    ),
    shape(
        _LEAD + "proxy{_}",
        "imap-login: proxy(kim@example.com): disconnecting 192.0.2.7 (Disconnected by client(0s idle, in=9, out=9))",
        general=True,
    ),
    shape(
        _LEAD + "Debug: {_}",
        "imap-login: Debug: SSL: where=0x10, ret=1: before SSL initialization",
    ),
    shape(
        _PROCESS + ": [Info: ]{words}: user=<{client}",
        "submission-login: Client has quit the connection (auth failed, 1 attempts in 2 secs): user=<kim>,"
        " method=LOGIN, rip=192.0.2.7, lip=192.0.2.1",
        ended_otherwise,
        general=True,
    ),
)
