"""Postfix about itself: master(8) and its commands, caches and tables, and what any daemon complains of.

Every program of Postfix complains through one function (src/util/msg.c): severity, then text.
"""

from __future__ import annotations

import re

from parsers.events import Origin, Problem, QueueAction
from parsers.shape import shape

# A queue id, short (hexadecimal, src/global/mail_queue.h) or long (without vowels), that begins a complaint.
_ABOUT = re.compile(r"([0-9A-F]{6,16}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20}): ")


def problem(time: float, origin: Origin, severity: str, text: str) -> Problem:
    """A complaint; about a message, where it begins with a queue id."""
    about = _ABOUT.match(text)
    if about:
        return Problem(time, origin, severity, text[about.end() :], about[1])
    return Problem(time, origin, severity, text)


def trouble(time: float, origin: Origin, words: str, text: str) -> Problem:
    """A complaint that is not logged as one."""
    return Problem(time, origin, "warning", words + text)


SHAPES = (
    # --- postsuper: what an operator does to messages ---
    shape("{queue_id}: placed on hold", "4dHvRq1ZTPz9sWk: placed on hold", QueueAction, action="hold"),
    shape("{queue_id}: released from hold", "4dHvRq1ZTPz9sWk: released from hold", QueueAction, action="release"),
    shape("{queue_id}: requeued", "4dHvRq1ZTPz9sWk: requeued", QueueAction, action="requeue"),
    shape("{queue_id}: [force-]expired", "4dHvRq1ZTPz9sWk: expired", QueueAction, action="expire"),
    shape(
        "{_:Deleted|Requeued|Placed on hold|Released from hold|Expired|Force-expired|Renamed to match inode number}:"
        " {_}",
        "Placed on hold: 2 messages",
    ),
    # --- master, postfix(1) and its scripts ---
    shape(
        "{_:daemon started|reload|daemon stopped} -- version {_}",
        "daemon started -- version 3.10.2, configuration /etc/postfix",
    ),
    shape("reload configuration {_}", "reload configuration /etc/postfix"),
    shape("terminating on signal {_}", "terminating on signal 15"),
    shape("stopped -- {_}", "stopped -- version 3.10.2"),
    shape(
        "{_:starting|stopping|refreshing|aborting|waiting for|continuing to start} the Postfix mail system{_}",
        "refreshing the Postfix mail system",
    ),
    # What a command told the terminal, where the journal keeps that under the name of the unit.
    shape("postfix/{_}: {_}", "postfix/postfix-script: starting the Postfix mail system"),
    shape("the Postfix mail system is {_}", "the Postfix mail system is running: PID: 1234"),
    shape("attempting to {_}", "attempting to flush the mail queue"),
    shape("Creating missing {_}", "Creating missing Postfix pid directory"),
    shape("Removing {_}", "Removing stale lock file /var/spool/postfix/pid/master.pid"),
    shape("Postfix is {_}", "Postfix is running with backwards-compatible default settings"),
    shape("Postfix hash: {_}", "Postfix hash: is replaced by lmdb:"),
    shape("See http{_}", "See http://www.example.org/COMPATIBILITY for details"),
    shape(
        "To disable backwards compatibility {_}",
        "To disable backwards compatibility use postconf and postfix reload",
    ),
    shape(
        "{_:using|Using} backwards-compatible default setting{_}",
        "using backwards-compatible default setting relay_domains=$x",
    ),
    shape(
        "{text}: line {_}: using backwards-compatible default setting{_}",
        "/etc/postfix/master.cf: line 12: using backwards-compatible default setting chroot=y",
    ),
    # --- counters, caches and tables ---
    shape("statistics: {_}", "statistics: max connection rate 3/60s for (smtp:192.0.2.7) at Mar 18 09:12:44"),
    shape(
        "cache {_} {_:full|partial} cleanup: {_}",
        "cache lmdb:/var/lib/postfix/verify_cache full cleanup: retained=7 dropped=2 entries",
    ),
    shape(
        "table {_} has changed -{_}",
        "table hash:/etc/postfix/transport(0,lock) has changed -- restarting",
    ),
    shape("master exit time has arrived", "master exit time has arrived"),
    shape("ignoring status update {_}", "ignoring status update from child pid 4711 generation 7"),
    shape("running: {_}", "running: strace -p 4711"),
    shape(
        "database {_}: {_:using size limit|pausing after} {_}",
        "database lmdb:/var/lib/postfix/verify: using size limit 33554432 during open",
    ),
    shape("close database {_}", "close database /var/lib/postfix/verify.db: No such file or directory"),
    shape(
        "{_:sane_link|sane_rename}({_}: worked around {_}",
        "sane_rename(active/4dHvRq1ZTPz9sWk,deferred/4dHvRq1ZTPz9sWk): worked around spurious NFS error",
    ),
    shape("NIS domain name not set - {_}", "NIS domain name not set - NIS lookups disabled"),
    shape(
        "{_:lookup|put|delete} {_:smtp|smtpd|lmtp} session id={_}",
        "lookup smtp session id=smtp&example.org&mx1.example.org&192.0.2.25&&0A1B2C",
    ),
    shape(
        "{_:open|close|read|write|delete} {_:smtp|smtpd|lmtp} TLS cache {_}",
        "open smtp TLS cache btree:/var/lib/postfix/smtp_scache",
    ),
    shape("tlsmgr_{_}", "tlsmgr_cache_run_event: start TLS smtp session cache cleanup"),
    # --- complaints ---
    # Logged as information (src/tls, src/tlsmgr): without them, there is no TLS.
    shape(
        "{words:cannot |EGD server |lost connection to EGD server |TLS support is not compiled in}{text}",
        'cannot load Certification Authority data, CAfile="/etc/postfix/ca.pem": disabling TLS support',
        trouble,
        general=True,
    ),
    shape("exiting to reopen {_}", "exiting to reopen external entropy source dev:/dev/urandom"),
    # What nobody knows better.
    shape(
        "{severity:warning|error|fatal|panic}: {text}",
        "warning: dict_ldap_lookup: Search error 80: Internal error",
        problem,
        general=True,
    ),
    shape(
        "{queue_id}: {severity:warning|error|fatal|panic}: {text}",
        "4dHvRq1ZTPz9sWk: warning: queue file is older than its message",
        Problem,
        general=True,
    ),
)
