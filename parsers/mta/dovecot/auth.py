"""The authentication processes, with `auth_verbose`: what a password database says of one try.

Wordings are those of Dovecot's src/auth (auth-request.c, passdb-*.c, mech-*.c), 2.2 to 2.4. A try has a line for each
database that was asked, and the process that the client logs in to tells of it too, with the same session; a client
without a session is one that a mail server asks for, over its SASL socket (see `parsers.mta.dovecot.session`).
"""

from __future__ import annotations

from parsers.events import Auth, Origin
from parsers.mta.dovecot.process import ADDRESSES, AUTHS, SMTP, origin_of
from parsers.shape import shape

# What the databases are told apart by is also the mechanism, where that has a password check of its own.
MECHANISMS = frozenset("APOP CRAM-MD5 DIGEST-MD5 LOGIN NTLM OTP PLAIN SCRAM-SHA-1 SCRAM-SHA-256 SKEY".split())
VERDICTS = (
    "Account is disabled",
    "Attempted login with password having illegal chars",
    "Authentication failure due to policy server refusal",
    "Empty password",
    "Login attempt with empty password",
    "No password returned",
    "Password expired",
    "Password mismatch",
    "User found from deny passdb",
    "Username character disallowed",
    "allow_nets check failed",
    "check_client_cert_fp check failed",
    "check_client_fp check failed",
    "check_client_pubkey_fp check failed",
    "invalid credentials",
    "oauth2 failed",
    "pam_acct_mgmt() failed",
    "pam_authenticate() failed",
    "password mismatch",
    "unknown user",
    "user disabled",
)


class Verdict(Auth, gc=False):
    """What one database said; `source` is its name. Others tell of the same try."""

    source: str = ""


def verdict(time: float, origin: Origin, process: str, source: str, who: str, reply: str) -> Verdict | None:
    """Until 2.3: `who` is `kim@example.com,192.0.2.7,<session>`, without a session `kim@example.com,192.0.2.7`."""
    session = None
    if who.endswith((">", ",")):
        who, _, name = who.rpartition(",")
        session = name[1:-1] or None
    return about(time, origin_of(origin, process, SMTP), who, source, None, session, reply)


def named_verdict(
    time: float,
    origin: Origin,
    process: str,
    who: str,
    pid: str | None,
    session: str | None,
    source: str,
    reply: str,
) -> Verdict | None:
    """2.4: `who` is `kim@example.com,192.0.2.7,sasl:plain`; only a worker tells its pid."""
    if session is None and pid is not None and not pid.isdecimal():
        session = pid
    who, _, method = who.rpartition(",sasl:") if ",sasl:" in who else (who, "", "")
    return about(time, origin_of(origin, process, SMTP), who, source, method.upper() or None, session, reply)


def about(
    time: float, origin: Origin, who: str, source: str, method: str | None, session: str | None, reply: str
) -> Verdict | None:
    """The verdict on `kim@example.com,192.0.2.7`. Without an address it is none: somebody looks a mailbox up."""
    user, _, ip = who.rpartition(",")
    if not ip or not user:
        return None
    ip = ADDRESSES[ip]
    if method is None and source.upper() in MECHANISMS:
        method = source.upper()
    event = Verdict(time, origin, "failure", None, ip, method, user if user != "?" else None, reply)
    event.session, event.source = session, source
    return event


# --- the table ---

_PROCESS = "[dovecot: ][Info: ]{process:" + "|".join(AUTHS) + "}"
_REPLY = "{reply:" + "|".join(VERDICTS) + "}{_}"

SHAPES = (
    shape(
        _PROCESS + "[({_})]: [Info: ][conn {_}: auth-worker<{_}>: ]{source}({who}): " + _REPLY,
        "auth-worker(304): conn unix:auth-worker (pid=7,uid=97): auth-worker<55>: pam(kim,192.0.2.7,<Yx7+W8+Io>):"
        " pam_authenticate() failed: Authentication failure (Password mismatch?)",
        verdict,
    ),
    shape(
        _PROCESS + "({who})[<{pid}>][<{session}>]: [request [[{_}]]: ][Info: ]{source}: " + _REPLY,
        "auth(kim@example.com,192.0.2.7,sasl:plain)<YFzQvNBghtt/AAAB>: sql: Password mismatch",
        named_verdict,
        general=True,
    ),
)
