"""Sendmail 8.12 to 8.18: one file for each family of its lines."""

from __future__ import annotations

import re

from parsers.events import Origin
from parsers.mta.sendmail import delivery, envelope, maintenance, reject, session, trouble
from parsers.mta.sendmail.memory import Memory
from parsers.server import Server
from parsers.shape import Grammar

# The tags are the `-L` of the start scripts.
_PROGRAM = re.compile(r"sendmail|sm-[\w-]{1,30}").fullmatch

FAMILIES = (delivery, envelope, trouble, session, reject, maintenance)
GRAMMAR = Grammar("sendmail", (row for family in FAMILIES for row in family.SHAPES), lead=": ")


def origin(host: str, program: str, pid: int | None) -> Origin | None:
    """The program is the tag; None for another's."""
    return Origin("sendmail", host, "sendmail", program, pid) if _PROGRAM(program) else None


SERVER = Server(
    mta="sendmail",
    name="Sendmail",
    samples=(
        "Nov 21 10:00:00 mail sm-mta[4711]: 5ALA00aB004711: from=<a@example.com>, size=9, class=0, nrcpts=1",
        "Nov 21 10:00:00 mail sendmail[4711]: 5ALA00aB004711: to=<b@example.org>, delay=00:00:01, stat=Sent",
        "Nov 21 10:00:00 mail sm-msp-queue[4711]: 5ALA00aB004711: to=root, delay=00:04:00, stat=Deferred",
    ),
    origin=origin,
    grammar=GRAMMAR,
    join=Memory,
    says_removed=False,
    says_login=True,
)
