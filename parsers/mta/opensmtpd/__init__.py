"""OpenSMTPD 5.7 to 7.x: one file for each family of its lines, and `session` that joins what belongs together."""

from __future__ import annotations

import re

from parsers.events import Origin
from parsers.mta.opensmtpd import delivery, mta, process, smtp
from parsers.mta.opensmtpd.session import Sessions
from parsers.server import Server
from parsers.shape import Grammar

_PROGRAM = re.compile(r"smtpd").fullmatch
# 5.x, 6.0 to 6.3 and 6.4+ (smtpd/smtp_session.c, mta_session.c, mda.c). Other programs are named smtpd, too.
_WORDS = re.compile(
    r"[0-9a-f]{16} (?:smtp|mta|mda) |smtp-(?:in|out): |(?:mda|mta|delivery|relay): |(?:info|warn|fatal): "
).match

FAMILIES = (delivery, smtp, mta, process)
GRAMMAR = Grammar("opensmtpd", (row for family in FAMILIES for row in family.SHAPES), lead=" ", key=7)


def origin(host: str, program: str, pid: int | None) -> Origin | None:
    """OpenSMTPD's processes have one name; None for another's."""
    return Origin("opensmtpd", host, "smtpd", "smtpd", pid) if _PROGRAM(program) else None


SERVER = Server(
    mta="opensmtpd",
    name="OpenSMTPD",
    samples=(
        "Nov 21 10:00:00 mail smtpd[4711]: 0123456789abcdef smtp connected address=203.0.113.7 host=example.net",
        "Nov 21 10:00:00 mail smtpd[4711]: 0123456789abcdef mta event=delivery evpid=fedcba9876543210 from=<>",
        "Nov 21 10:00:00 mail smtpd[4711]: smtp-in: New session 0123456789abcdef from host client.example.net",
    ),
    origin=origin,
    grammar=GRAMMAR,
    join=Sessions,
    says_removed=False,
    says_login=True,
    is_own=_WORDS,
)
