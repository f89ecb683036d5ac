"""What Sendmail has to complain of: its host, its configuration, its files, the services that it asks.

Most of it can stand behind a message's id, and alone. A line does not tell the level that it has in syslog.
"""

from __future__ import annotations

from parsers.events import Origin, Problem
from parsers.mta.sendmail.maintenance import general_problem, problem
from parsers.shape import shape

# First words of what sm_syslog() is given in Sendmail's sources (8.12 to 8.18), by its level: LOG_ALERT, LOG_CRIT and
# LOG_ERR, LOG_WARNING, and what is said for information at high log levels. Some stand behind a message's id, some
# alone, and some behind either.
ERRORS = (
    "aliasing/forwarding loop|AUTH=client, error|AUTH error|Bad line on|bogus queue file|can't |could not |daemon"
    " could "
    "|daemon process|dangerous permissions|dbopen(|deferred: udbexpand|dferror: |disconnect: |dup_df: |encode64"
    " for AUTH"
    "|ERROR: |ERROR=|FAILED to grow|filesys_update|FIPS=|forward |func=init_sem|gatherq: |getmodifiers |include "
    "|key=|MAIL too long|makeconnection: service|mci_purge_persistent|My unqualified host name|no fchown()"
    "|ownership change|persistent queue runner|ph_map_open: |proc_list_probe: found|queue control process"
    "|queueup: cannot|queueup: unlink|quarantine_queue_item|RCPT too long|res_init()=failed|restart queue runner"
    "|returntosender: |rewrite: expansion|smtps: TLS not available|sync_dir: cannot"
    "|SYSERR: putoutmsg|unable to |usershellok: "
)
WARNINGS = (
    "alias database |arith_map: |AUTH=client, available|AUTH decode64 error|AUTH encode64 error|AUTH warning"
    "|cannot get memory|cannot prescan|checkqueuerunner|clt_features=TEMPFAIL|Could not |daemon invoked|dynamic class"
    "|error: |File descriptors|hostsignature for|Milter read|milter_|nisplus|possible spam|queue directory"
    "|rejecting new messages|rscheck(|Saved message in|server=|shared memory does|smtpquit: mailer|socket_map"
    "|srv_features: unknown|srvfeatures: unknown|STARTTLS: Error|STARTTLS: RAND|STARTTLS: Rand|STARTTLS: Warning"
    "|STARTTLS: can't|STARTTLS: size|str_union|timeout connecting to|timeout during PH|timeout waiting for input"
    " during"
    "|Timeout.to_aconnect|Unsupported address|user |Warning: |WARNING: |WARNING |WorkList for"
)
NOTES = (
    "accepting new messages|SSL_CTX_dane_enable|Adding |assigned"
    " id|changed|CurChildren|conn_limits|connection_rate_check|dowork"
    "|dropenvelope|DANE_depth|delaying=|FIPSMode|fcntl(|finis|getauth|global connection rate|haproxy: |hesiod |in"
    " background"
    "|interrupt|ldap=|main: where|map=|mci_cache|mci_uncache|NextMacroId|ph_map_|proc_list_probe: lost|proxy mode"
    "|queue group|queue manager|queueup|rcpt=|rcptmods|rq: |rqe: |rwg: |Sending |sendenvelope|set"
    " automode|setsender: "
    "|smtp: doublequeue|SMTP AUTH|SMTP BDAT|SMTP DATA|SMTP ETRN|SMTP EXPN|SMTP MAIL|SMTP RCPT|SMTP STARTTLS|SMTP VRFY"
    "|sqr: |stab: |stat=|sync_dir: |too young|total: |unauthorized PIPELINING|unlink |unlock|x-connect|disconnect"
    " level"
    "|stopping daemon"
)


def protocol_failure(time: float, origin: Origin, queue_id: str, relay: str, words: str, text: str) -> Problem:
    """Another server that does not speak SMTP as it should (sendmail/usersmtp.c)."""
    return problem(time, origin, queue_id, f"{relay}: SMTP {words}", f" protocol error: {text}", severity="warning")


def file_problem(time: float, origin: Origin, path: str, text: str) -> Problem:
    """A file that others can write. The path may be an id, where a message's headers are meant."""
    return Problem(time, origin, "warning", f"{path}: WARNING: {text}")


def tls_problem(time: float, origin: Origin, agent: str, words: str, text: str) -> Problem:
    """TLS that is not set up as it should be, so that it is not there, or less safe (sendmail/tls.c)."""
    return Problem(time, origin, "warning", f"STARTTLS={agent}{words}{text}")


def missing(time: float, origin: Origin, text: str) -> Problem:
    """A file of TLS that the configuration does not name."""
    return Problem(time, origin, "warning", f"STARTTLS: {text} missing")


def engine_failure(time: float, origin: Origin, text: str) -> Problem:
    """Hardware for TLS that is not to be had."""
    return Problem(time, origin, "error", f"engine={text}failed")


SHAPES = (
    *(
        shape(f"{lead}{{words:{words}}}{{text}}", sample, meaning, general=True, severity=severity)
        for words, severity, samples in (
            (
                ERRORS,
                "error",
                (
                    "unable to write pid to /run/sendmail/mta/sendmail.pid: file in use by another process",
                    "5ALA00aB004711: aliasing/forwarding loop broken: kim (11 aliases deep; 10 max)",
                ),
            ),
            (
                WARNINGS,
                "warning",
                (
                    'queue directory "/var/spool/mqueue": Not safe: Permission denied',
                    "5ALA00aB004711: timeout connecting to LDAP server ldap.example.com",
                ),
            ),
        )
        for lead, meaning, sample in (
            ("", general_problem, samples[0]),
            ("{queue_id}: ", problem, samples[1]),
        )
    ),
    shape(f"{{_:{NOTES}}}{{_}}", "accepting new messages (again)", general=True),
    shape(f"{{_}}: {{_:{NOTES}}}{{_}}", "5ALA00aB004711: sendenvelope, flags=0x1", general=True),
    shape(
        "{queue_id}: {relay}: SMTP {words:MAIL|RCPT|DATA-1|DATA-2|DATA-3} protocol error: {text}",
        "5ALA00aB004711: mx.example.org.: SMTP RCPT protocol error: 220 mx.example.org ESMTP",
        protocol_failure,
        unkeyed=True,
    ),
    shape(
        "{path}: WARNING: dangerous write {text}",
        "/etc/mail/sendmail.cf: WARNING: dangerous write permissions",
        file_problem,
    ),
    shape(
        "daemon {_}: {text}",
        "daemon MTA: problem creating SMTP socket",
        Problem,
        severity="error",
    ),
    shape(
        "STARTTLS={agent:server|client|init}{words:, error: |: file |, tmp_rsa_key|, engine=|, CertFingerprint|,"
        " get_tls_se|, host=|, SSL_dane|, SSL_get}{text}",
        "STARTTLS=server, error: SSL_CTX_use_PrivateKey_file(/etc/mail/tls/key.pem) failed",
        tls_problem,
        general=True,
    ),
    shape("persistent queue runner={_}, exited", "persistent queue runner=1, exited"),
    shape(
        '{_}: "{_}" command from {_}',
        '5ALA00aB004711: "debug" command from client.example.net [203.0.113.7] (203.0.113.7)',
        unkeyed=True,
    ),
    shape("{_}: {_}, marked {_}", "5ALA00aB004711: kim: user kim has bad shell /bin/x, marked unsafe", unkeyed=True),
    shape("STARTTLS: {text} missing", "STARTTLS: CRLFile missing", missing),
    shape("engine={text}failed", "engine=pkcs11, init=failed", engine_failure),
)
