"""The SMTP protocol logs: each line of each session, in (SmtpReceive) and out (SmtpSend).

Rows are those of Microsoft's "Protocol logging" (Exchange 2007 to 2019): `+` open, `-` close, `<` what we get, `>`
what we say, `*` a remark. A reply has no mark of the command that it answers, and clients send several at once: each
session knows the commands that wait for theirs. What a session did to messages stands in the message tracking log;
here are its connection, TLS, logins and refusals. Not told are

- the replies in sessions of one Exchange service with another on behalf of a client (XPROXY…): the other one, which
  the client talks to, logs them too;
- logins of servers of the organisation with each other (X-EXPS).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from parsers.events import Auth, Connect, ConnectionFailure, Disconnect, Event, Origin, Problem, Reject, Tls
from parsers.memo import Memo
from parsers.mta.exchange.recent import Recent
from parsers.mta.exchange.row import read_time, split
from parsers.provider import provider_of_domain, provider_of_relay
from parsers.reason import reason_of
from parsers.reply import read_reply
from parsers.server import Strange

FIELDS = tuple(
    "date-time connector-id session-id sequence-number local-endpoint remote-endpoint event data context".split()
)
SESSIONS = 10_000  # that are open at a time; a busy server has some thousand
COMMANDS = 1_000  # of one session that wait for a reply
LONGEST = 1_000  # characters that are kept of a command's argument
# Commands by their first four letters, and the phase that their replies belong to; others have none.
PHASES = {
    "EHLO": "ehlo",
    "HELO": "ehlo",
    "STAR": "starttls",
    "X-AN": "starttls",
    "AUTH": "auth",
    "MAIL": "mail",
    "RCPT": "rcpt",
    "DATA": "data",
    "BDAT": "data",
}
METHODS = frozenset({"LOGIN", "PLAIN", "NTLM", "GSSAPI", "CRAM-MD5", "DIGEST-MD5", "XOAUTH2", "OAUTHBEARER"})
_ADDRESS = re.compile(r"[^<]{0,40}<([^>]*+)>").match
# As Schannel names protocols: SP_PROT_TLS1_2_SERVER, SP_PROT-TLS1_0_CLIENT.
_TLS = re.compile(
    r"TLS protocol SP_PROT[_-](?P<name>TLS|SSL)(?P<major>\d)(?:_(?P<minor>\d))?_\w{6} negotiation succeeded"
    r"(?: using bulk encryption algorithm (?P<cipher>\w{1,40}))?"
).match
# Winsock's numbers and names of what went wrong.
_ERRORS = re.compile(
    r"(?P<timeout>\b10060\b|TimedOut)|(?P<refused>\b10061\b|ConnectionRefused)"
    r"|(?P<unreachable>\b100(?:49|50|51|64|65)\b|HostUnreachable|NetworkUnreachable|HostDown|NetworkDown)"
    r"|(?P<lost>\b1005[34]\b|ConnectionReset|ConnectionAborted)|(?P<dns>\b1100[1-4]\b|HostNotFound|DNS)"
)
_DESTINATION = re.compile(r"Destination domain: ([^,\s]{1,255})").search
_CONNECT_FAILURES = ("Failed to connect", "Failed connection to")
_TLS_FAILURES = ("TLS negotiation failed", "Inbound TLS authentication failed", "Outbound TLS authentication failed")
_USER = "User Name: "


class Command(NamedTuple):
    """What waits for a reply: its phase (of RFC 5321's commands), and the recipient of RCPT."""

    phase: str | None
    argument: str = ""


class Session:
    """What is known of one session."""

    __slots__ = ("commands", "helo", "host", "is_in_mail", "is_proxied", "method", "sender", "user")

    def __init__(self) -> None:
        self.commands: deque[Command] = deque(maxlen=COMMANDS)
        self.helo = self.sender = self.user = self.method = self.host = None  # type: str | None
        self.is_in_mail = False
        self.is_proxied = False


Steps = dict[str, Callable[[Session, str, str], Event | None]]  # by the mark of a row


class Endpoint(NamedTuple):
    """One end of a session."""

    ip: str | None
    port: int | None


def read_endpoint(text: str) -> Endpoint:
    """`192.0.2.1:25`, `[2001:db8::1]:25`, or nothing. Raises ValueError for an impossible port."""
    ip, _, port = text.rpartition(":")
    return Endpoint(ip.strip("[]") or None, int(port) if ip else None)


ENDPOINTS: Memo[str, Endpoint] = Memo(read_endpoint)
GREETING = Command("connect")
CONTENT = Command("end_of_data")


class Protocol:
    """The rows of one log. `is_receive` is None where no header tells: then a receive connector's name does, which
    has its server before a backslash."""

    mta = "exchange"

    def __init__(self, *, is_receive: bool | None = None) -> None:
        self._is_receive = is_receive
        self._sessions: Recent[str, Session] = Recent(SESSIONS)
        self._origins: Memo[str, tuple[Origin, Steps]] = Memo(self._read_connector, 1_000)

    def _read_connector(self, connector: str) -> tuple[Origin, Steps]:
        """Who has a connector, and what its rows mean."""
        host, mark, _ = connector.partition("\\")
        is_receive = bool(mark) if self._is_receive is None else self._is_receive
        program, steps = ("SmtpReceive", RECEIVING) if is_receive else ("SmtpSend", SENDING)
        return Origin(self.mta, host if mark else "", self.mta, program), steps

    def read(self, lines: list[str], events: list[Event], strange: Strange) -> int:
        """Add the events of rows; how many rows have none."""
        ignored = 0
        for line in lines:
            row = line.split(",")
            try:
                if '"' in line:
                    row = split(line)
                stamp, connector, session_id, _, _, remote, mark, data, context = row
                origin, steps = self._origins[connector]
                step = steps.get(mark)
                if step is None:
                    strange("unknown", line)
                    continue
                session = self._sessions.get(session_id) or self._begin(session_id)
                event = step(session, data, context)
                if mark == "-":
                    self._sessions.forget(session_id)
                if event is None:
                    ignored += 1
                    continue
                event.time = read_time(stamp)
                event.origin = origin
                address(event, *ENDPOINTS[remote], session)
            except ValueError:
                strange("malformed", line)
            else:
                events.append(event)
        return ignored

    def _begin(self, session_id: str) -> Session:
        session = Session()
        self._sessions.keep(session_id, session)
        return session


def address(event: Event, ip: str | None, port: int | None, session: Session) -> None:
    """Who is at the other end: a client, or a relay."""
    if isinstance(event, Problem):
        return
    if event.origin.program == "SmtpReceive":
        event.client_ip = ip  # type: ignore[attr-defined]
        return
    event.relay_ip, event.relay_port = ip, port  # type: ignore[attr-defined]
    event.relay_host = session.host or ip  # type: ignore[attr-defined]
    if isinstance(event, ConnectionFailure) and session.host:
        event.provider = provider_of_relay(session.host)


NOBODY = Origin("exchange", "", "exchange", "")  # until the row's own is put there


# --- what both sides have ---


def begin(session: Session, _: str, __: str) -> None:
    """What was before under this id is another session's."""
    session.__init__()  # type: ignore[misc]
    session.commands.append(GREETING)


def expect(session: Session, data: str) -> None:
    """A command waits for its reply."""
    verb = data[:4].upper()
    phase = PHASES.get(verb)
    if phase is None:
        if data.startswith(("<", "=")):  # the next step of a login, not logged
            return
        session.is_proxied |= verb == "XPRO"
        session.is_in_mail &= verb not in ("RSET", "QUIT")
        session.commands.append(Command(None))
    elif phase == "rcpt":
        session.commands.append(Command(phase, address_of(data)))
    else:
        if phase == "data" and data.rstrip().upper().endswith(" LAST"):
            session.commands.append(CONTENT)
            return
        session.commands.append(Command(phase))
        if phase == "mail":
            session.sender, session.is_in_mail = address_of(data), True
        elif phase == "ehlo":
            session.helo = data[5:LONGEST].strip() or None
        elif phase == "auth":
            word = data[5:40].partition(" ")[0].upper()
            session.method, session.user = word if word in METHODS else None, None


def address_of(data: str) -> str:
    """The path of MAIL or RCPT."""
    found = _ADDRESS(data)
    return found[1][:LONGEST] if found else ""


def answered(session: Session, data: str) -> Command | None:
    """The command that a reply answers; None where it does not end here, or answers none that is known."""
    if data[3:4] == "-":
        return None
    commands = session.commands
    if data[0] == "3":
        if data.startswith("354") and commands:
            commands.popleft()
            commands.appendleft(CONTENT)
        return None
    command = commands.popleft() if commands else None
    if command is CONTENT:
        session.is_in_mail = False
    return command


def remark(session: Session, data: str, context: str) -> Event | None:
    """What `*` says of TLS, of users and of connections."""
    text = context or data
    if text == "authenticated":
        session.user = data[:LONGEST] or None
    elif text.startswith(_USER):
        session.user = text[len(_USER) : LONGEST] or None
    elif text.startswith("TLS protocol"):
        return tls(text)
    elif text.startswith(_TLS_FAILURES):
        return ConnectionFailure(0.0, NOBODY, "tls", phase="starttls", reply=text[:LONGEST])
    elif text.startswith(_CONNECT_FAILURES):
        return connect_failure(text)
    elif text.startswith("Outbound authentication failed"):
        return Problem(0.0, NOBODY, "error", text[:LONGEST])
    return None


def tls(text: str) -> Tls | None:
    found = _TLS(text)
    if not found:
        return None
    minor = found["minor"] or "0"
    version = found["major"] + (f".{minor}" if minor != "0" else "")  # TLSv1, as all others call it
    return Tls(0.0, NOBODY, tls_protocol=f"{found['name']}v{version}", tls_cipher=found["cipher"])


def connect_failure(text: str) -> ConnectionFailure:
    """A relay that could not be reached."""
    found = _ERRORS.search(text)
    error = (found.lastgroup if found else None) or "unreachable"
    event = ConnectionFailure(0.0, NOBODY, error, phase="connect", reply=text[:LONGEST])
    destination = _DESTINATION(text)
    if destination:
        event.provider = provider_of_domain(destination[1])
    return event


def broken_off(session: Session, context: str) -> ConnectionFailure | None:
    """A session that the other side, or the network, ended in the midst of a transaction."""
    if not context.startswith("Remote") and "TimedOut" not in context:
        return None
    waiting = session.commands[0].phase if session.commands else None
    if not session.is_in_mail and waiting in (None, "connect"):
        return None
    error = "timeout" if "TimedOut" in context else "lost"
    return ConnectionFailure(0.0, NOBODY, error, phase=waiting)


# --- sessions of clients with us ---


def connected(session: Session, data: str, context: str) -> Event:
    begin(session, data, context)
    return Connect(0.0, NOBODY)


def disconnected(session: Session, _: str, context: str) -> Event:
    return broken_off(session, context) or Disconnect(0.0, NOBODY)


def asked(session: Session, data: str, _: str) -> None:
    expect(session, data)


def replied(session: Session, data: str, _: str) -> Event | None:
    """Our reply: a login's result, or a refusal."""
    if not data:
        return None
    command = answered(session, data)
    if data.startswith("235"):
        return login(session, command, "success", data)
    if data[0] not in "45" or data[3:4] == "-":
        return None
    if data.startswith("535") or (data.startswith("454") and command and command.phase == "auth"):
        return login(session, command, "failure", data)
    if session.is_proxied:
        return None
    return refusal(session, command, data[:LONGEST])


def login(session: Session, command: Command | None, result: str, reply: str) -> Auth | None:
    if session.is_proxied or (command and command.phase != "auth"):
        return None
    return Auth(0.0, NOBODY, result, None, None, session.method, session.user, reply[:LONGEST])


def refusal(session: Session, command: Command | None, reply: str) -> Event:
    code, dsn = read_reply(reply)
    if command is None and code == 421 and dsn in ("4.4.1", "4.4.2"):  # nobody asked
        return ConnectionFailure(0.0, NOBODY, "timeout" if dsn == "4.4.1" else "lost", reply=reply)
    event = Reject(0.0, NOBODY, phase=command.phase if command else None)
    event.helo, event.sender, event.sasl_user = session.helo, session.sender, session.user
    event.recipient = (command.argument or None) if command else None
    event.reply_code, event.dsn, event.reply = code, dsn, reply
    event.reason = reason_of(reply, code, dsn, event.phase)
    return event


# --- our sessions with relays ---


def opened(session: Session, data: str, context: str) -> None:
    begin(session, data, context)


def closed(session: Session, _: str, context: str) -> Event | None:
    if context.startswith("Remote") and session.commands and session.commands[0] is GREETING:
        return ConnectionFailure(0.0, NOBODY, "lost", phase="banner")
    return broken_off(session, context)


def was_told(session: Session, data: str, _: str) -> None:
    """A relay's reply: of interest is who it is, for the message tracking log has what became of a message."""
    if not data:
        return
    if data.startswith("220") and session.host is None:
        name = data[4:260].lstrip().partition(" ")[0]
        session.host = name if "." in name else None
    answered(session, data)


RECEIVING: Steps = {"+": connected, "-": disconnected, "<": asked, ">": replied, "*": remark}
SENDING: Steps = {"+": opened, "-": closed, "<": was_told, ">": asked, "*": remark}
