"""What Exim has to complain of: its host, its configuration, its files, the services that it asks.

Each text can stand behind a message's id, and alone. It is known by its first words, which are those of the calls of
log_write() in Exim's sources (4.80 to 4.100). What goes to the panic log as well (LOG_PANIC) is an error, the rest is
a warning.
"""

from __future__ import annotations

from parsers.events import ConnectionFailure, Origin, Problem
from parsers.mta.exim.field import is_id
from parsers.shape import shape

ERRORS = (
    # The configuration, where nothing checks it at the start (src/acl.c, readconf.c, match.c, route.c, rewrite.c).
    'ACL "|ACL for |"discard" verb|"drop" verb|"timeout_dns" is|attempt to use|bad router variable|bad protocol'
    " option"
    "|bad value for|both local_from_check|configured error code|debug tag may|dnslist query is too long|EHLO/HELO "
    "response must|Exim configuration|expansion of |Expansion of |Header modification|Input from inetd"
    "|invalid message_size_limit|invalid value for|log_file_path |Malformed value |malformed ratelimit"
    "|More than one path given|no @ found in the subject|no port specified|non-existent configuration"
    "|partial matching is not|pid file path|pid_file_path |ratelimit |regular expression error|Rewrite of "
    "|rewrite rule repeat|routing loop|shadow transport|spool_directory |syslog_processname |system filter generated"
    "|tainted |Tainted |tls_verify_certificates |unknown item in|unknown log name|unknown named|Unrecognised socks"
    "|User 0 |exim user lost "
    # Processes and sockets (src/daemon.c, exim.c, child.c, os.c, priv.c, queue.c, deliver.c).
    "|2nd fork|Address for |already initialised|Attempt to |can't return to|Can't cleanup|creation of pipe|daemon: "
    "|Daemon cannot|daemon_notifier_socket |delivery re-exec|delivery setrlimit|Delivery status for|exec of |fork "
    "|Fork |fork() |getdegid()|getdeuid()|getegid()|getgroups: |getrlimit(|getsockname()|initgroups |IPv4 socket"
    "|IPv6 socket|listen() failed|malloc() failed|priv_drop_temp|priv_restore|process |queue_notify_daemon:"
    " |Process |queue run: |re-exec of "
    "|redirection process|remote delivery process|setegid(|seteuid(|setgroups: |setitimer()|setrlimit("
    "|setting SO_REUSEADDR|Setting IPV6_V6ONLY|SIGSEGV|SEGV_|socket creation|uname() failed|Unexpected error return"
    # Files (src/receive.c, spool_in.c, spool_out.c, deliver.c, log.c, transports/appendfile.c).
    "|acl_smtp_mime: |attempt to open|Bad db record|Cannot |cannot |Could not |could not |Couldn't |deliver_datafile "
    "|error |Error |Error/short write|Failed |failed |failure |Format error in|header snprintf|link(|log directory "
    "|open of |rmdir(|smtp-wait database|spool |Spool error |Spool write error|spoolfile error|Stat failed|Unable "
    "|unable |unlink(|Wrong ownership"
    # The libraries and services that it asks, and what can only be a fault of its own.
    "|(SSL_CTX|bad internal_store|bad local_part|bad memory|Bad expansion|buffer underflow|DCC: |Detected "
    "|DMARC failure|dns_again_means_nonexist|Duplicate lookup|excessive memory|Exim internal error|internal"
    " |Internal "
    "|live variable|local part longer|local_scan() |log_write called|Lookup module|Loop detected|Malformed IP|Module "
    "|nmh lookup|null conn-context|overlong formatted|overlong write_command|read from fakens|readsock "
    "|regex acl condition: |setup fail for|signing_init: |signing: |smtp_notquit_exit|socks auth failed"
    "|SSL verify denied|store_|string too l|string_format|string_sprintf |Taint mismatch|Timeout on nmh|TLS error ("
    "|TLS error in certificate|too many lookups"
)
WARNINGS = (
    "Abandon queue run|appendfile |ALPN unusable|ARC: |bad |bind of |CNAME loop|Delivery deferred by|delivery to "
    "|deprecated |dns |DNS list|dnslists |dnssec fail|getsockopt() failed|home directory |host name alias "
    "|invalid return|listen backlog|lowest numbered MX record|mail loop|malware acl condition"
    "|Malformed |Message abandoned|message too |MIME acl condition|mime_regex acl condition|No such |OCSP unusable"
    "|PRDR error|qualify/rewrite: |recipient verify |regex acl condition warning|remote host address is "
    "|responsible-mailbox |rewrite: |sender verify |setsockopt(|SMTP data |SMTP error |SNI unusable"
    "|spam acl condition|SPF |SSL_write|temporary |Temporary error with|timed out while reading |too many |Too many "
    "|Unknown DCC response|User |Warning: |WARNING: |warning: |Wrong header from DCC"
)
# What is wrong with TLS at another server, which is asked for a message, or in a callout before there is one.
TLS = "TLS session: |DANE |Required TLS certificate |OCSP dates invalid|Server certificate |Received TLS "


def problem(time: float, origin: Origin, words: str, text: str, *, severity: str) -> Problem:
    """What concerns the whole server, or a message that has no id yet."""
    return Problem(time, origin, severity, words + text)


def message_problem(time: float, origin: Origin, queue_id: str, words: str, text: str, *, severity: str) -> Problem:
    """What is wrong with a message, its routing or a transport. Any first word may stand where its id should."""
    if is_id(queue_id):
        return Problem(time, origin, severity, words + text, queue_id)
    return Problem(time, origin, severity, f"{queue_id} {words}{text}")


def no_tls(time: float, origin: Origin, words: str, reply: str) -> ConnectionFailure:
    """A callout in which TLS failed."""
    return ConnectionFailure(time, origin, "tls", phase="starttls", reply=words + reply)


def bind_failure(time: float, origin: Origin, text: str) -> Problem:
    """The daemon cannot start, or it tries once more after a while."""
    severity = "warning" if ": waiting " in text else "panic"
    return Problem(time, origin, severity, f"socket bind() to port {text}")


def calls_failed(time: float, origin: Origin, times: str, words: str, text: str) -> Problem:
    """The daemon could take no connection, this many times in a row."""
    return Problem(time, origin, "error", f"{times} {words}{text}")


def named_problem(time: float, origin: Origin, queue_id: str, name: str, words: str, text: str) -> Problem:
    """What is wrong with a router, a transport or an authenticator that the configuration names."""
    return Problem(time, origin, "warning", f"{name}{words}{text}", queue_id)


SHAPES = (
    shape(
        f"{{words:{ERRORS}}}{{text}}",
        "Failed to get user name for uid 4711",
        problem,
        general=True,
        severity="error",
    ),
    shape(
        f"{{words:{WARNINGS}}}{{text}}",
        "Warning: No server certificate defined; will use a selfsigned one.",
        problem,
        general=True,
        severity="warning",
    ),
    shape(
        f"{{queue_id}} {{words:{ERRORS}}}{{text}}",
        "1tXk2a-00000000ABc-0dEf Failed writing transport results to pipe: Broken pipe",
        message_problem,
        general=True,
        severity="error",
    ),
    shape(
        f"{{queue_id}} {{words:{WARNINGS}}}{{text}}",
        "1tXk2a-00000000ABc-0dEf lowest numbered MX record points to local host: example.com",
        message_problem,
        general=True,
        severity="warning",
    ),
    shape(
        f"{{words:{TLS}}}{{reply}}",
        "TLS session: (gnutls_handshake): timed out: callout unencrypted to mx1.example.org [192.0.2.25] (not in"
        " hosts_require_tls)",
        no_tls,
        general=True,
    ),
    shape(
        "socket bind() to port {text}",
        "socket bind() to port 25 for address 192.0.2.25 failed: daemon abandoned",
        bind_failure,
    ),
    shape(
        "{queue_id} {name}{words: router: | router failed to expand | router returned | transport process |"
        " authenticator"
        " cancelled }{text}",
        '1tXk2a-00000000ABc-0dEf userforward router: skipped error: domain missing or malformed in "@@example.com"',
        named_problem,
        unkeyed=True,
    ),
    shape(
        "{times} {words:accept() failure|select() failure|poll() failure}{text}",
        "50 accept() failures: Too many open files",
        calls_failed,
    ),
    shape(
        "{queue_id} {words:Spool}{text} bad format",
        "1tXk2a-00000000ABc-0dEf Spool file 1tXk2a-00000000ABc-0dEf-H bad format",
        message_problem,
        severity="error",
    ),
    shape(
        "{queue_id} DKIM: {words:signing failed|message could not be signed|hash setup error}{text}",
        "1tXk2a-00000000ABc-0dEf DKIM: message could not be signed, and dkim_strict is set. Deferring message"
        " delivery.",
        message_problem,
        severity="error",
    ),
)
