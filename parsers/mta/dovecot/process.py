"""Which of Dovecot's processes speaks: one syslog tag stands for all, and the message begins with the process.

In a log of its own the severity follows, `Info: ` too; through syslog only what is worse than that is named.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address

from parsers.events import Origin
from parsers.memo import Memo

# The processes that clients log in to, and the service that each is for.
LOGINS = {
    "imap-login": "imap",
    "pop3-login": "pop3",
    "submission-login": "submission",
    "managesieve-login": "managesieve",
}
AUTHS = ("auth-worker", "auth", "dovecot-auth")
# The rest of src/, Pigeonhole and the tools: what they do is no mail server's, what they complain of is told.
OTHERS = (
    "aggregator",
    "anvil",
    "config",
    "deliver",
    "dict",
    "dict-async",
    "dict-expire",
    "director",
    "dns-client",
    "doveadm",
    "doveadm-server",
    "doveconf",
    "dovecot-lda",
    "dsync",
    "dsync-local",
    "dsync-remote",
    "dsync-server",
    "health-check",
    "imap",
    "imap-hibernate",
    "imap-urlauth",
    "imap-urlauth-login",
    "imap-urlauth-worker",
    "indexer",
    "indexer-worker",
    "ipc",
    "lda",
    "lmtp",
    "log",
    "managesieve",
    "master",
    "old-stats",
    "pop3",
    "quota-status",
    "rawlog",
    "replicator",
    "script",
    "script-login",
    "service",
    "sieve",
    "ssl-params",
    "stats",
    "submission",
    "tcpwrap",
    "welcome",
)
NAMES = (*LOGINS, *AUTHS, *OTHERS)
LONGEST_ADDRESS = 64  # characters: IPv6 with a zone
SMTP = "smtp"  # the service of a client that Dovecot authenticates for a mail server


def read_address(text: str) -> str:
    """The text of an IP address as it is. Raises ValueError where it is none."""
    if len(text) > LONGEST_ADDRESS:
        raise ValueError("no address")
    ip_address(text)
    return text


ADDRESSES: Memo[str, str] = Memo(read_address)


@lru_cache(maxsize=4096)
def origin_of(origin: Origin, process: str | None, service: str | None = None) -> Origin:
    """The origin of a process' line, from that of the tag; without a process the tag is the process."""
    program = process or origin.program
    entry = service or LOGINS.get(program, origin.service)
    return Origin(origin.mta, origin.host, entry, program, origin.pid)
