"""What the daemon says of itself: starts, queue runs, arguments, warnings of access lists, panics.

What stands in the panic log is a problem, and stands in the main log too.
"""

from __future__ import annotations

from parsers.events import Origin, Problem
from parsers.shape import shape

# What numbers the pieces of a line that was too long for syslog, or had line ends of its own: `[2/3]`, `[2\\3]`.
PIECES = [f"[{number}{mark}" for number in range(2, 100) for mark in "/\\"]


def problem(time: float, origin: Origin, words: str, text: str) -> Problem:
    """Something that an operator has to mend."""
    return Problem(time, origin, "error", words + text)


def warning(time: float, origin: Origin, words: str, text: str) -> Problem:
    """Something that an operator may want to mend."""
    return Problem(time, origin, "warning", words + text)


def stop(time: float, origin: Origin, text: str) -> Problem:
    """The daemon cannot start."""
    return Problem(time, origin, "panic", f"socket bind() to port {text}")


SHAPES = (
    shape("{_:Start|End} queue run: pid={_}", "Start queue run: pid=4711"),
    shape("{_:Start|End} {_} queue run: pid={_}", "Start ODMR queue run: pid=4711 -qq"),
    shape(
        "exim {_} daemon started: {_}",
        "exim 4.98 daemon started: pid=4711, -q30m, listening for SMTP on [192.0.2.25]:25",
    ),
    # The arguments of each process (`log_selector = +arguments`).
    shape("cwd={_}", "cwd=/var/spool/exim4 3 args: /usr/sbin/exim4 -Mc 1tXk2a-00000000ABc-0dEf"),
    shape("{_} args: {_}", "4 args: /usr/sbin/exim4 -bd -q30m", general=True),
    shape(
        "{_:SIGTERM received|SIGHUP received|pid |Re-exec |re-exec }{_}",
        "pid 4711: SIGHUP received: re-exec daemon",
    ),
    shape(
        "socket bind() to port {text}",
        "socket bind() to port 25 for address 192.0.2.25 failed: daemon abandoned",
        stop,
    ),
    shape(
        "{words:daemon_notifier_socket |bind of |Exim configuration error|exim user lost |Failed to |failed to "
        "|unable to |Unable to |Cannot |cannot |User 0 |Tainted |failure |daemon: |exec of |Malformed value "
        "|error in ACL"
        '|string_sprintf |expansion of |Expansion of |(SSL_CTX|ACL for |ACL "|internal problem|open of |socket'
        " creation |ratelimit |Detected |spool }{text}",
        "Exim configuration error in line 12 of /etc/exim4/exim4.conf:",
        problem,
        general=True,
    ),
    shape(
        "{words:Warning: |WARNING: |warning: |configured error code |deprecated |malware acl condition: "
        "|spam acl condition: |recipient verify |sender verify |timed out while reading |ignoring AUTH=|too many"
        " |host name alias |DKIM |dns }{text}",
        "Warning: No server certificate defined; will use a selfsigned one.",
        warning,
        general=True,
    ),
    shape("DKIM: {_}", "DKIM: d=example.com s=key c=relaxed/relaxed a=rsa-sha256 b=2048 [verification succeeded]"),
    shape(
        "{_} DKIM: {_}",
        "1tXk2a-00000000ABc-0dEf DKIM: d=example.com s=key c=relaxed/relaxed a=rsa-sha256 b=2048 [verification"
        " succeeded]",
    ),
    # What an access list has to remark (`warn` with `log_message`, `discard`), about a client or its message.
    shape("{_:H=|U=|F=}{_} Warning: {_}", "H=(client) [203.0.113.7] Warning: in a list of dynamic addresses"),
    shape(
        "{_} {_:H=|U=|F=}{_} Warning: {_}",
        "1tXk2a-00000000ABc-0dEf H=(client) [203.0.113.7] Warning: looks like an advert",
    ),
    shape(
        "{_:H=|U=|F=}{_}: discarded by {_:RCPT|MAIL|DATA} ACL{_}",
        "H=(client) [203.0.113.7] F=<kim@example.net> RCPT <lee@example.org>: discarded by RCPT ACL",
    ),
    # The second piece of a long line that went through syslog, and those after it.
    shape(f"{{_:{'|'.join(PIECES)}}}{{_}}", "[2/2] and the rest of a long line"),
)
