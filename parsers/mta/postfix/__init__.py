"""Postfix 2.10 to 3.12: one file for each family of its daemons."""

from __future__ import annotations

import re

from parsers.events import Origin
from parsers.mta.postfix import bounce, cleanup, delivery, local, maintenance, postscreen, qmgr, smtp, smtpd
from parsers.server import Server
from parsers.shape import Grammar

# The programs of Postfix (its libexec directory and commands), by which a syslog name such as
# `postfix-out/submission/smtpd` is told from another program's: the name of the instance is the operator's choice.
DAEMONS = frozenset(
    "anvil bounce cleanup defer discard dnsblog error flush lmtp local master nbdb_reindexd nqmgr oqmgr pickup"
    " pipe post-install postalias postcat postconf postdrop postfix postfix-script postfix-tls-script"
    " postfix-wrapper postlock postlog postlogd postmap postmulti postmulti-script postqueue postscreen postsuper"
    " proxymap proxywrite qmgr qmqpd relay retry scache sendmail showq smtp smtpd spawn tlsmgr tlsproxy trace"
    " trivial-rewrite verify virtual".split()
)
# A name of Postfix' own without its daemon: RFC 5424's APP-NAME, where rsyslog ends a program's name at the slash.
_INSTANCE = re.compile(r"postfix(?:-[\w.-]+)?").fullmatch
# The same of `journalctl -o with-unit`; Debian's unit for the first instance is `postfix@-.service`.
_UNIT = re.compile(r"postfix(?:@(?P<instance>-|[\w.\\-]{1,64}))?\.service").fullmatch
# What a daemon says of each of its steps where master.cf has a -v behind it, or debug_peer_list names its peer: most
# begin with the name of a function; every line that the two said is there, passwords too.
_TRACE = re.compile(
    r"[<>] |>>> |(?=[a-z0-9]{1,40}_)[a-z0-9_]{3,60}(?:: |\(| ret=| count=)|(?:private|public)/|send attr "
    r"|input attribute |fsspace: |connection (?:established|closed)|process generation: "
    r"|(?:idle timeout|master disconnect|time to retire) -- |(?:before|after) \w{1,60}: "
    r"|(?:report|query|inspect|abort|disconnect|free|send|receive|skipping) .{1,80}\bmilter"
    r"|connect to subsystem |connecting to |lookup \S{1,255} type |server features: |Using E?SMTP PIPELINING"
).match

FAMILIES = (delivery, qmgr, cleanup, smtpd, smtp, bounce, local, postscreen, maintenance)
GRAMMAR = Grammar("postfix", (row for family in FAMILIES for row in family.SHAPES), lead=": ")


def origin(host: str, program: str, pid: int | None) -> Origin | None:
    """`instance/daemon`, `instance/service/daemon`, an instance alone; None for a program that is not of Postfix."""
    unit = _UNIT(program)
    if unit:
        program = "postfix" if unit["instance"] in (None, "-") else unit["instance"].replace(r"\x2d", "-")
    service, *entry, daemon = program.split("/") if "/" in program else (program, "")
    if daemon not in DAEMONS and (daemon or not _INSTANCE(service)):
        return None
    return Origin("postfix", host, service, daemon, pid, "/".join(entry))


def is_own(message: str) -> bool:
    """Whether a message is of use to others than those who look for a fault in Postfix itself."""
    return not _TRACE(message)


SERVER = Server(
    mta="postfix",
    name="Postfix",
    samples=(
        "Nov 21 10:00:00 mail postfix/smtpd[4711]: connect from client.example.net[203.0.113.7]",
        "2026-11-21T10:00:00.123456+00:00 mail postfix-out/smtp[4711]: 4jX0VD2r72z: to=<a@example.org>",
    ),
    origin=origin,
    grammar=GRAMMAR,
    is_own=is_own,
)
