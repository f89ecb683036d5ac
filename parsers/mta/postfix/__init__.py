"""Postfix 2.10 to 3.12: one file for each family of its daemons."""

from __future__ import annotations

from parsers.events import Origin
from parsers.mta.postfix import bounce, cleanup, delivery, local, maintenance, postscreen, qmgr, smtp, smtpd
from parsers.shape import Grammar

# The programs of Postfix (its libexec directory and commands), by which a syslog name such as
# `postfix-out/submission/smtpd` is told from another program's: the name of the instance is the operator's choice.
DAEMONS = frozenset(
    "anvil bounce cleanup defer discard dnsblog error flush lmtp local master nqmgr oqmgr pickup pipe post-install"
    " postalias postcat postconf postdrop postfix postfix-script postfix-tls-script postfix-wrapper postlock postlog"
    " postlogd postmap postmulti postmulti-script postqueue postscreen postsuper proxymap proxywrite qmgr qmqpd relay"
    " retry scache sendmail showq smtp smtpd spawn tlsmgr tlsproxy trace trivial-rewrite verify virtual".split()
)

FAMILIES = (delivery, qmgr, cleanup, smtpd, smtp, bounce, local, postscreen, maintenance)
GRAMMAR = Grammar("postfix", (row for family in FAMILIES for row in family.SHAPES), lead=": ")


def origin(host: str, program: str, pid: int | None) -> Origin | None:
    """`instance/daemon` or `instance/service/daemon`; None where the program is not of Postfix."""
    service, *entry = program.split("/")
    daemon = entry.pop() if entry else ""
    if daemon not in DAEMONS:
        return None
    return Origin("postfix", host, service, daemon, pid, "/".join(entry))
