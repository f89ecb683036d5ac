"""Dovecot 2.2 to 2.4: who logs in to a mailbox or to the submission service, and what its processes complain of.

Dovecot is no mail server in the words of SMTP: no message is counted here.
"""

from __future__ import annotations

import re

from parsers.events import Origin
from parsers.mta.dovecot import auth, login, mailbox, service
from parsers.mta.dovecot.process import NAMES
from parsers.mta.dovecot.session import Sessions
from parsers.server import OwnLog, Server
from parsers.shape import Grammar

FAMILIES = (mailbox, login, auth, service)
GRAMMAR = Grammar("dovecot", (row for family in FAMILIES for row in family.SHAPES), lead=": ")

# Its own tag, or that of a service by itself.
_PROGRAM = re.compile(r"dovecot(?:-\w{1,20})?|(?:imap|pop3|managesieve|submission)-login").fullmatch
_SEVERITY = r"(?:Info|Warn(?:ing)?|Error|Fatal|Panic|Debug): "
_PROCESS = rf"(?:{'|'.join(sorted(NAMES, reverse=True))})"
# With `log_path` a log of its own, whose stamp is `log_timestamp`. 1.x had the severity before the process.
_LINE = re.compile(
    r"(?:\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)? (?:[+-]\d{4} )?"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d |@[0-9a-f]{24} |\d{9,10}\.\d{6} )?"
    rf"(?:dovecot: )?(?:{_PROCESS}(?:\([^()]{{1,300}}\))?(?:<[^<>]{{1,100}}>){{0,2}}: "
    rf"(?:request \[\d+\]: )?{_SEVERITY}"
    rf"|{_SEVERITY}(?:{_PROCESS}|IMAP|POP3)[(:]|dovecot-auth: )"
).match


def origin(host: str, program: str, pid: int | None) -> Origin | None:
    """The service tells about itself in its words; None for another's program."""
    return Origin("dovecot", host, "dovecot", program, pid) if _PROGRAM(program) else None


SERVER = Server(
    mta="dovecot",
    name="Dovecot",
    samples=(
        "Nov 21 10:00:00 mail dovecot: imap-login: Login: user=<a>, method=PLAIN, rip=203.0.113.7, lip=192.0.2.1",
        "Nov 21 10:00:00 auth: Info: passwd-file(a,203.0.113.7): unknown user",
        "2026-11-21 10:00:00 lmtp(a@example.com)<4711><abcdefgh>: Info: msgid=<1@example.com>: saved",
        "@400000006b0a1b2c1d4e5f60 imap-login: Info: Aborted login (auth failed, 1 attempts): user=<a>",
    ),
    origin=origin,
    own_log=OwnLog(is_line=_LINE, program="dovecot"),
    grammar=GRAMMAR,
    join=Sessions,
    has_hearsay=True,
)
