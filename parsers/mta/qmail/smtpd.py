"""What patches have qmail-smtpd say, which says nothing by itself: SPAMCONTROL and s/qmail, CHKUSER, vpopmail.

Sources: s/qmail's smtpdlog.c and doc/LOGGING, CHKUSER's description of its log format, vpopmail's vchkpw.c.
"""

from __future__ import annotations

from parsers.events import Auth, Event, Origin, Reject
from parsers.mta.qmail.delivery import ADDRESSES
from parsers.reason import reason_of
from parsers.shape import shape

# The conditions of SPAMCONTROL and s/qmail.
CONDITIONS = {
    "Toomany_Hops": "loop",
    "Syntax_Error": "protocol_error",
    "Invalid_Size": "message_too_large",
    "Bad_MIME": "prohibited_content",
    "Bad_Loader": "prohibited_content",
    "Virs_Infected": "prohibited_content",
    "Virus_Infected": "prohibited_content",
    "Spam_Message": "spam_content",
    "Bad_Helo": "rdns_helo",
    "DNS_Helo": "rdns_helo",
    "DNSA_HELO": "rdns_helo",
    "Invalid_Relay": "relay_denied",
    "Missing_TLS": "tls_failure",
    "Bad_Mailfrom": "sender_rejected",
    "DNS_MF": "sender_rejected",
    "DNSMX_MF": "sender_rejected",
    "Invalid_Sender": "sender_rejected",
    "Require_Auth": "smtp_auth",
    "Missing_Auth": "smtp_auth",
    "Bad_Rcptto": "recipient_restricted",
    "Toomany_Rcptto": "rate_limited",
    "Failed_Rcptto": "user_unknown",
    "SPF": "auth_spf",
    "missing": "smtp_auth",
    "setup": "system_error",
}
NO_LOGINS = frozenset({"missing", "setup"})  # `Reject::AUTH::…` that is no refused login


class Admitted(Event, gc=False):
    """A recipient of an authenticated client was accepted, in the `session` of a process."""

    kind = "admitted"
    session: str
    sasl_method: str
    client_name: str | None
    client_ip: str | None
    sasl_user: str | None


def read_client(text: str) -> tuple[str | None, str | None]:
    """Name and address of `192.0.2.1:mail.example.net`; qmail's tools say `unknown` for a name that is not."""
    ip, _, name = text.rpartition(":")
    return name if name != "unknown" else None, ADDRESSES[ip]


def rejected(
    time: float,
    origin: Origin,
    type: str,  # noqa: A002 - SPAMCONTROL's word for what is refused
    condition: str,
    protocol: str,
    client: str,
    helo: str | None,
    sender: str | None,
    recipient: str | None,
) -> Reject:
    """SPAMCONTROL checks everything when a recipient is named, but for what is wrong with the message itself."""
    name, ip = read_client(client)
    event = Reject(time, origin, None, "end_of_data" if type == "DATA" else "rcpt", name, ip, sender, recipient)
    event.protocol, event.helo, event.reply = protocol, helo, f"{type}::{condition}"
    event.reason = CONDITIONS.get(condition) or CONDITIONS.get(type) or "unclassified"
    return event


def refused_login(
    time: float, origin: Origin, sasl_method: str, protocol: str, client: str, helo: str | None, sasl_user: str | None
) -> Auth | Reject:
    """A refused login, or a client that should have logged in and did not, or could not."""
    if sasl_method in NO_LOGINS:
        event = rejected(time, origin, "AUTH", sasl_method, protocol, client, helo, None, None)
        event.phase = "auth" if sasl_method == "setup" else "mail"
        return event
    name, ip = read_client(client)
    return Auth(time, origin, "failure", name, ip, sasl_method, sasl_user)


def admitted(
    time: float, origin: Origin, session: str, sasl_method: str, client: str, sasl_user: str | None
) -> Admitted:
    """One recipient of a session."""
    return Admitted(time, origin, session, sasl_method, *read_client(client), sasl_user)


def checked(
    time: float, origin: Origin, verdict: str, sender: str, remote: str, recipient: str, reply: str
) -> Reject | None:
    """CHKUSER's word on a sender or a recipient: `from <sender:user:…> remote <helo:name:address>`."""
    if verdict.startswith(("accepted", "relaying")):
        return None
    phase = "mail" if verdict == "rejected sender" else "rcpt"
    helo, _, client = remote.partition(":")
    name, _, ip = client.partition(":")
    event = Reject(
        time, origin, None, phase, name or None, ADDRESSES[ip], sender.rsplit(":", 2)[0], recipient or None
    )
    event.helo, event.reply = helo, f"{verdict}: {reply}"
    event.reason = reason_of(event.reply, None, None, phase)
    return event


def login(time: float, origin: Origin, sasl_method: str | None, who: str) -> Auth:
    """`kim@example.com:192.0.2.1`."""
    user, _, ip = who.partition(":")
    return Auth(time, origin, "success", None, ADDRESSES[ip], sasl_method, user)


def no_login(time: float, origin: Origin, words: str, rest: str) -> Auth:
    """The last word is who and from where; before it, some builds write the password that was tried."""
    user, _, ip = rest.rpartition(" ")[2].partition(":")
    return Auth(time, origin, "failure", None, ADDRESSES[ip], None, user, words)


def listed(time: float, origin: Origin, reply_code: str, client_ip: str, rbl: str) -> Reject:
    """A client on a DNS list, as a patch tells it. Raises ValueError for an impossible code."""
    event = Reject(time, origin, None, "connect", None, ADDRESSES[client_ip])
    event.reply_code, event.reply, event.reason = int(reply_code), f"badiprbl: {rbl}", "blocked_ip"
    return event


_SMTP = "vchkpw-{_:smtp|smtps|submission}: "

SHAPES = (
    shape(
        "[qmail-smtpd: pid {_} ]Reject::AUTH::{sasl_method} P:{protocol} S:{client}"
        "[ H:{helo}][ ?{_:~|=} '{sasl_user}']",
        "qmail-smtpd: pid 4711 Reject::AUTH::login P:ESMTPA S:203.0.113.9:unknown H:pc ?~ 'kim@example.com'",
        refused_login,
    ),
    shape(
        "[qmail-smtpd: pid {_} ]Reject::{type}::{condition} P:{protocol} S:{client}"
        "[ H:{helo}][ F:{sender}][ T:{recipient}][ '{_}][ ?{_}]",
        "qmail-smtpd: pid 4711 Reject::SNDR::Invalid_Relay P:ESMTP S:203.0.113.9:unknown H:pc.example.net"
        " F:kim@example.com T:lee@example.org",
        rejected,
        general=True,
    ),
    shape(
        "qmail-smtpd: pid {session} Accept::AUTH::{sasl_method} P:{_} S:{client}[ H:{_}][ ?{_:~|=} '{sasl_user}']",
        "qmail-smtpd: pid 4711 Accept::AUTH::plain P:ESMTPSA S:203.0.113.9:pc.example.net H:pc.example.net"
        " F:kim@example.com T:lee@example.org ?~ 'kim@example.com'",
        admitted,
    ),
    shape(
        "[qmail-smtpd: pid {_} ]Accept::{_}",
        "qmail-smtpd: pid 4711 Accept::RCPT::Rcpthosts_Rcptto P:ESMTP S:192.0.2.25:mx.example.org H:mx.example.org"
        " F:lee@example.org T:kim@example.com",
        general=True,
    ),
    shape(
        "qmail-smtpd: {reply_code} badiprbl: ip {client_ip} rbl: {rbl}",
        "qmail-smtpd: 421 badiprbl: ip 203.0.113.9 rbl: bl.example.net",
        listed,
    ),
    shape(
        "CHKUSER {verdict}: from <{sender}> remote <{remote}> rcpt <{recipient}> : {reply}",
        "CHKUSER rejected rcpt: from <lee@example.org::> remote <mx.example.org:mx.example.org:192.0.2.25>"
        " rcpt <nobody@example.com> : not existing recipient",
        checked,
    ),
    shape(
        _SMTP + "({sasl_method}) login success {who}",
        "vchkpw-smtp: (PLAIN) login success kim@example.com:203.0.113.9",
        login,
    ),
    shape(
        _SMTP
        + "{words:password fail|vpopmail user not found|system user not found|null password given|null user name"
        " given"
        "|invalid user/domain characters|access denied|smtp access denied}{rest}",
        "vchkpw-smtp: vpopmail user not found nobody@example.com:203.0.113.9",
        no_login,
    ),
    shape("vchkpw-{_:pop3|imap}{_}", "vchkpw-pop3: (PLAIN) login success kim@example.com:203.0.113.9"),
)
