"""What the daemon says of itself and what it was asked to note: starts, queue runs, arguments, remarks of
access lists, rewritten addresses. What it has to complain of is in `trouble`.
"""

from __future__ import annotations

from parsers.events import Problem
from parsers.shape import shape

# What numbers the pieces of a line that was too long for syslog, or had line ends of its own: `[2/3]`, `[2\\3]`.
PIECES = [f"[{number}{mark}" for number in range(2, 100) for mark in "/\\"]


SHAPES = (
    shape("{_:Start|End} queue run: pid={_}", "Start queue run: pid=4711"),
    shape("{_:Start|End} {_} queue run: pid={_}", "Start ODMR queue run: pid=4711 -qq"),
    shape(
        "exim {_} daemon started: {_}",
        "exim 4.98 daemon started: pid=4711, -q30m, listening for SMTP on [192.0.2.25]:25",
    ),
    shape(
        "{_:notify triggered queue run|debugging Exim |Long |ETRN |ATRN |SSL channel closed|TLS ALPN |ident"
        " connection}{_}",
        "Long A lookup for 'mx.example.org': 2500 msec",
    ),
    shape("exim {_} daemon terminating{_}", "exim 4.98 daemon terminating, inetd wait timeout reached."),
    shape(
        "pid {_}: exec of {text}", "pid 4711: exec of /usr/sbin/exim4 failed: No such file", Problem, severity="error"
    ),
    # The arguments of each process (`log_selector = +arguments`).
    shape("cwd={_}", "cwd=/var/spool/exim4 3 args: /usr/sbin/exim4 -Mc 1tXk2a-00000000ABc-0dEf"),
    shape("{_} args: {_}", "4 args: /usr/sbin/exim4 -bd -q30m", general=True),
    shape(
        "{_:SIGTERM received|SIGHUP received|SIGINT received|pid |Re-exec |re-exec }{_}",
        "pid 4711: SIGHUP received: re-exec daemon",
        general=True,
    ),
    # With `log_selector = +address_rewrite`, `+unknown_in_list`; a client that begins too early.
    shape(
        "{_} from {_} rewritten {_}", '"kim@mail.example.com" from env-from rewritten as "kim@example.com" by rule 1'
    ),
    shape(
        '{_} "{_}" from {_} rewritten {_}',
        '1tXk2a-00000000ABc-0dEf "kim@mail.example.com" from to: rewritten as "kim@example.com" by rule 1',
        unkeyed=True,
    ),
    shape("{_} accepted by +include_{_}", "mx.example.org: accepted by +include_unknown"),
    shape("Ci={_} SMTP peer appears {_}", "Ci=4711 SMTP peer appears to have ignored our banner"),
    shape(
        "{_} after QUIT, client reset {_}",
        "[203.0.113.7] after QUIT, client reset TCP before SMTP response and TLS close",
    ),
    shape("{_} SSL channel closed on write", "1tXk2a-00000000ABc-0dEf SSL channel closed on write"),
    # What a transport's program wrote (`log_output` of src/transports/pipe.c).
    shape(
        "{_} <{_}>: {_} transport output: {_}",
        "1tXk2a-00000000ABc-0dEf <kim@example.com>: address_pipe transport output: vacation: no database",
        unkeyed=True,
    ),
    # The result of each message's check (`dmarc_history_file` and `control = dmarc_enable_forensic` aside).
    shape(
        "{_} DMARC {_:results:|using }{_}",
        "1tXk2a-00000000ABc-0dEf DMARC results: spf_domain=example.net dmarc_domain=example.net spf_align=yes"
        " dkim_align=no enforcement='Accept'",
    ),
    shape("DKIM: {_}", "DKIM: d=example.com s=key c=relaxed/relaxed a=rsa-sha256 b=2048 [verification succeeded]"),
    shape(
        "{_} DKIM: {_}",
        "1tXk2a-00000000ABc-0dEf DKIM: d=example.com s=key c=relaxed/relaxed a=rsa-sha256 b=2048 [verification"
        " succeeded]",
        general=True,
    ),
    # What an access list has to remark (`warn` with `log_message`, `discard`), about a client or its message.
    shape(
        "{_:H=|U=|F=}{_} Warning: {_}",
        "H=(client) [203.0.113.7] Warning: in a list of dynamic addresses",
        general=True,
    ),
    shape(
        "{_} {_:H=|U=|F=}{_} Warning: {_}",
        "1tXk2a-00000000ABc-0dEf H=(client) [203.0.113.7] Warning: looks like an advert",
    ),
    # Exim's own: a name server or a data base that a condition asks did not answer.
    shape(
        "{_:H=|U=|F=}{_} Warning: ACL {text}",
        'H=(client) [203.0.113.7] Warning: ACL "warn" statement skipped: condition test deferred: lookup timed out',
        Problem,
        severity="warning",
    ),
    shape(
        "{_:H=|U=|F=}{_}: discarded by {_:RCPT|MAIL|DATA|connection|non-SMTP} ACL{_}",
        "H=(client) [203.0.113.7] F=<kim@example.net> RCPT <lee@example.org>: discarded by RCPT ACL",
    ),
    shape(
        "{_} {_:H=|U=|F=}{_}: discarded by {_:RCPT|MAIL|DATA|connection|non-SMTP} ACL{_}",
        "1tXk2a-00000000ABc-0dEf H=(client) [203.0.113.7] F=<kim@example.net> RCPT <lee@example.org>: discarded by"
        " RCPT ACL",
    ),
    # The second piece of a long line that went through syslog, and those after it.
    shape(f"{{_:{'|'.join(PIECES)}}}{{_}}", "[2/2] and the rest of a long line"),
)
