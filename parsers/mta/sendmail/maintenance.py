"""The daemon's own troubles, its comings and goings, and what it notes of a message beside its way."""

from __future__ import annotations

from parsers.events import ConnectionFailure, Origin, Problem
from parsers.shape import shape

NO_QUEUE = "NOQUEUE"


def problem(time: float, origin: Origin, queue_id: str, words: str, text: str, *, severity: str) -> Problem:
    """What the daemon complains of; most of it is under the id of a message, if it has one."""
    return Problem(time, origin, severity, words + text, None if queue_id == NO_QUEUE else queue_id)


def general_problem(time: float, origin: Origin, words: str, text: str, *, severity: str = "warning") -> Problem:
    """The same of the whole daemon."""
    return Problem(time, origin, severity, words + text)


def failure(time: float, origin: Origin, queue_id: str, text: str) -> Problem:
    """What syserr() writes (sendmail/err.c)."""
    return problem(time, origin, queue_id, "", text, severity="error")


def milter_failure(time: float, origin: Origin, queue_id: str, name: str, text: str) -> Problem:
    """A Milter that does not work (sendmail/milter.c)."""
    return problem(time, origin, queue_id, f"Milter ({name}): ", text, severity="warning")


SHAPES = (
    # A name server that fails for an address of this host (src/daemon.c), at each start.
    shape("gethostbyaddr({_}) failed: {_}", "gethostbyaddr(192.0.2.2) failed: 2"),
    # The client's trouble, not ours: "collect: premature EOM" stands beside it.
    shape(
        "{queue_id}: SYSERR({_}): collect: {_}",
        "5ALA00aB004711: SYSERR(root): collect: I/O error on connection from mx.example.org, from=<a@example.com>",
    ),
    shape(
        "{queue_id}: SYSERR({_}): {text}",
        "5ALA00aB004711: SYSERR(root): MX list for example.org. points back to mail.example.com",
        failure,
        general=True,
    ),
    shape(
        "{queue_id}: ERROR: {text}",
        "5ALA00aB004711: ERROR: inconsistent reply, please see <https://example.org/>, rcode=75, e_rcode=550",
        failure,
    ),
    shape(
        "SYSERR({_}): {text}",
        "SYSERR(root): hash map access: missing map file /etc/mail/access.db",
        Problem,
        severity="error",
    ),
    shape(
        "{queue_id}: {words:Losing |savemail}{text}",
        "5ALA00aB004711: Losing ./qf5ALA00aB004711: savemail panic",
        problem,
        severity="error",
    ),
    shape(
        "{queue_id}: {words:rejecting connections|have been rejecting|deferring connections|delaying connections|"
        "low on space|Aborting queue run|error: }{text}",
        "NOQUEUE: rejecting connections on daemon MTA: load average: 20",
        problem,
        severity="warning",
    ),
    shape(
        "{words:rejecting connections|have been rejecting|deferring connections|delaying connections|low on space|"
        "runqueue: Skipping|runqueue: Aborting}{text}",
        "rejecting connections on daemon MTA: load average: 20",
        general_problem,
    ),
    shape(
        "{queue_id}: Milter ({name}): {text}",
        "5ALA00aB004711: Milter (clamav): to error state",
        milter_failure,
        general=True,
    ),
    shape(
        "{queue_id}: Milter ({_}): {_:init success|quit filter|abort filter|time command|header|body}{_}",
        "5ALA00aB004711: Milter (clamav): init success to negotiate",
    ),
    shape(
        "{queue_id}: Milter ({_}) {_}", "5ALA00aB004711: Milter (clamav) add: header: X-Checked: yes", general=True
    ),
    shape(
        "{queue_id}: Milter {_:add|insert|change|delete|message|accept|discard}{_}",
        "5ALA00aB004711: Milter add: header: X-Checked: yes",
    ),
    shape("{queue_id}: milter={_}", "5ALA00aB004711: milter=clamav, action=mail, continue"),
    shape(
        "{queue_id}: collect: premature EOM: {reply}",
        "5ALA00aB004711: collect: premature EOM: unexpected close",
        ConnectionFailure,
        error="lost",
        phase="data",
    ),
    shape(
        "{queue_id}: collect: {_}",
        "5ALA00aB004711: collect: relay=mx.example.org, from=<a@example.com>, info=unexpected close",
        general=True,
    ),
    shape(
        "{queue_id}: Authentication-Warning: {_}",
        "5ALA00aB004711: Authentication-Warning: mail.example.com: kim set sender to news@example.com using -f",
    ),
    shape("{queue_id}: {_:alias|expand|forward|dns} {_} => {_}", "5ALA00aB004711: alias postmaster => root"),
    shape(
        "{queue_id}: {_:Fixed MIME|Truncated MIME|Truncated long MIME|Dropped invalid comments|POSSIBLE ATTACK}{_}",
        "5ALA00aB004711: Fixed MIME Content-Type header (possible attack)",
    ),
    shape(
        "{queue_id}: {_}: Possible SMTP RCPT flood, {_}",
        "5ALA00aB004711: mx [203.0.113.7]: Possible SMTP RCPT flood, throttling.",
        unkeyed=True,
    ),
    shape(
        "{queue_id}: {_}: {_:expn|EXPN|vrfy|VRFY|etrn|ETRN} {_}",
        "NOQUEUE: [203.0.113.7]: expn root",
        unkeyed=True,
        general=True,
    ),
    # What fd and connection a failed delivery had (log level 14).
    shape("{queue_id}: MCI@{_}", "5ALA00aB004711: MCI@0x0: NULL"),
    shape("{queue_id}: {_}: fl={_}, mode={_}", "5ALA00aB004711:   3: fl=0x2, mode=140777: SOCK", unkeyed=True),
    shape(
        "{_}: {_} aliases, longest {_}",
        "/etc/mail/aliases: 12 aliases, longest 10 bytes, 168 bytes total",
        unkeyed=True,
    ),
    shape("alias database {_} rebuilt {_}", "alias database /etc/mail/aliases rebuilt by root"),
    shape(
        "{_:starting daemon|started as: |restarting |stopping daemon}{_}",
        "starting daemon (8.18.1): SMTP+queueing@00:10:00",
    ),
    shape("accepting connections again for daemon {_}", "accepting connections again for daemon MTA"),
    shape("poststats: {_}", "poststats: /var/lib/sendmail/sendmail.st: No such file or directory"),
    shape("{_:runqueue|grew WorkList}{_}", "runqueue: Flushing queue from 1 jobs", general=True),
)
