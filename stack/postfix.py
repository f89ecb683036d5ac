"""A Postfix of its own: configuration, queue and log in one folder."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from stack import process, resolver
from stack.ground import Entry, absent, certificate, is_listening, run, wait_for
from stack.plan import (
    DEAD,
    DESTINATION_PORT,
    DESTINATIONS,
    PASSWORD,
    POSTFIX,
    POSTFIX_SUBMISSION,
    TRUSTED,
    USER,
    Plan,
    exchanger,
)

NAME = "postfix"
LIFETIME = 60  # seconds that it tries to deliver
DAYS = 90  # that its certificate is good for

MASTER = """\
{smtp}       inet  n  -  n  -    -  smtpd
{submission} inet  n  -  n  -    -  smtpd -o syslog_name=postfix/submission -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
pickup       unix  n  -  n  60   1  pickup
cleanup      unix  n  -  n  -    0  cleanup
qmgr         unix  n  -  n  1    1  qmgr
tlsmgr       unix  -  -  n  1000 1  tlsmgr
rewrite      unix  -  -  n  -    -  trivial-rewrite
bounce       unix  -  -  n  -    0  bounce
defer        unix  -  -  n  -    0  bounce
trace        unix  -  -  n  -    0  bounce
flush        unix  n  -  n  1000 0  flush
proxymap     unix  -  -  n  -    -  proxymap
smtp         unix  -  -  n  -    -  smtp
showq        unix  n  -  n  -    -  showq
error        unix  -  -  n  -    -  error
retry        unix  -  -  n  -    -  error
local        unix  -  n  n  -    -  local
anvil        unix  -  -  n  -    1  anvil
scache       unix  -  -  n  -    1  scache
postlog      unix-dgram n - n -  1  postlogd
"""
# A destination that drops connections is not left alone for a while: what Postfix defers without asking anybody,
# no destination counts.
MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/state
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
inet_protocols = ipv4
myhostname = mx.here.example
mydestination = here.example
local_recipient_maps = inline:{{ postmaster=here }}
alias_maps =
relay_domains =
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_peername_lookup = no
smtpd_tls_chain_files = {certificate}
smtpd_tls_loglevel = 1
smtpd_tls_security_level = may
cyrus_sasl_config_path = {folder}/config/sasl
smtpd_sasl_local_domain = here.example
default_destination_concurrency_failed_cohort_limit = 0
"""

SASL = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {users}
mech_list: PLAIN LOGIN
"""


def missing() -> list[str]:
    """The programs that this needs and that are not here."""
    return absent("postfix", "postlog", "saslpasswd2", "openssl")


def configure(
    folder: Path, smtp: Entry, submission: Entry, certificate: Path, user: tuple[str, str], **settings: str | int
) -> Path:
    """Write the configuration of a Postfix whose `user` may submit, with these settings besides; its folder."""
    config = folder / "config"
    for name in (config, folder / "queue", folder / "state"):
        name.mkdir()
    main = MAIN.format(folder=folder, certificate=certificate)
    main += "".join(f"{name} = {value}\n" for name, value in settings.items())
    (config / "main.cf").write_text(main)
    (config / "master.cf").write_text(MASTER.format(smtp=smtp, submission=submission))
    _add_user(folder / "state" / "users", config / "sasl", *user)
    shutil.chown(folder / "state", "postfix")
    return config


def inline(transports: Mapping[str, str]) -> str:
    """A table that stands where it is used."""
    rows = ", ".join(f"{{ {domain}={it} }}" for domain, it in transports.items())
    return f"inline:{{ {rows} }}"


def _add_user(users: Path, config: Path, name: str, password: str) -> None:
    run("saslpasswd2", "-p", "-c", "-f", users, "-u", "here.example", name, stdin=password)
    shutil.chown(users, "postfix")
    config.mkdir()
    (config / "smtpd.conf").write_text(SASL.format(users=users))


# --- in the stack ---


def start(plan: Plan) -> None:
    """A Postfix that asks the stack's resolver for the hosts to deliver to."""
    folder = plan.folder / NAME
    folder.mkdir()
    folder.chmod(0o755)
    config = configure(
        folder,
        POSTFIX,
        POSTFIX_SUBMISSION,
        certificate(folder, DAYS),
        (USER, PASSWORD),
        inet_interfaces="127.0.0.1",  # it looks for devices with these; where it listens, master.cf says
        smtp_bind_address=POSTFIX.host,
        mynetworks=TRUSTED,
        smtp_dns_support_level="enabled",
        smtp_tls_security_level="encrypt",  # with "may", a session that is lost is tried in plain text, unlogged
        smtp_tls_loglevel=1,
        smtpd_tls_protocols=">=TLSv1.2",
        smtpd_tls_mandatory_protocols=">=TLSv1.2",
        smtp_connection_cache_on_demand="no",  # one that is lost is tried again at once, without a word in the log
        smtpd_error_sleep_time=0,
        disable_vrfy_command="yes",
        smtpd_sender_restrictions="permit_mynetworks, permit_sasl_authenticated, check_sender_access "
        + inline({"here.example": "REJECT not from here"}),
        transport_maps=inline({it: f"smtp:[{exchanger(it)}]:{DESTINATION_PORT}" for it in DESTINATIONS | DEAD}),
        default_transport="error:nowhere else",
        minimal_backoff_time="4s",
        maximal_backoff_time="8s",
        queue_run_delay="2s",
        maximal_queue_lifetime=f"{LIFETIME}s",
        bounce_queue_lifetime=f"{LIFETIME}s",
    )
    command = resolver.command(plan, "postfix", "-c", config, "start-fg")
    process.start(plan.folder, NAME, command, lambda: is_listening(POSTFIX) and is_listening(POSTFIX_SUBMISSION))


def renew(plan: Plan, days: int) -> None:
    """Give it another certificate."""
    certificate(plan.folder / NAME, days)
    _reload(plan)


def grow_old(plan: Plan) -> None:
    """Take TLS of another age."""
    _set(plan, ">=TLSv1", "ALL:@SECLEVEL=0")


def grow_young(plan: Plan) -> None:
    """Refuse it."""
    _set(plan, ">=TLSv1.2", "ALL")


def _set(plan: Plan, protocols: str, ciphers: str) -> None:
    settings = (f"smtpd_tls_protocols={protocols}", "smtpd_tls_ciphers=low", f"tls_low_cipherlist={ciphers}")
    run("postconf", "-c", plan.folder / NAME / "config", "-e", *settings)
    _reload(plan)


def abandon(plan: Plan, sender: str, recipient: str, seconds: float) -> None:
    """Give it a message from this host that nobody picks up, and make it as old as this."""
    config = plan.folder / NAME / "config"
    run("postconf", "-c", config, "-MX", "pickup/unix")
    before = _reloads(plan)
    _reload(plan)
    wait_for(lambda: _reloads(plan) > before and "pickup" not in process.names(plan.folder, NAME), "nobody picks up")
    run("sendmail", "-C", config, "-f", sender, recipient, stdin="Hello")
    for message in (plan.folder / NAME / "queue/maildrop").iterdir():
        # The first record is the time of arrival: T, its length, the digits (rec_type.h of Postfix).
        message.write_bytes(re.sub(rb"\AT(.)\d{10}", rb"T\g<1>%d" % (time.time() - seconds), message.read_bytes()))


def pick_up(plan: Plan) -> None:
    """Pick up what comes again."""
    run("postconf", "-c", plan.folder / NAME / "config", "-M", "pickup/unix=pickup unix n - n 60 1 pickup")
    _reload(plan)


def lose_log(plan: Plan) -> None:
    """Rotate the log and forget to begin a new one: what is logged goes into the old one."""
    plan.postfix_log.rename(plan.postfix_log.with_suffix(".away"))


def reopen_log(plan: Plan) -> None:
    """Begin a new one."""
    _reload(plan)


def rotate_log(plan: Plan) -> None:
    """As it should be done: Postfix itself renames it, begins a new one, and compresses the old one."""
    run("postfix", "-c", plan.folder / NAME / "config", "logrotate")


def _reload(plan: Plan) -> None:
    run("postfix", "-c", plan.folder / NAME / "config", "reload")


def _reloads(plan: Plan) -> int:
    """How often its master logged that it has done so."""
    return plan.postfix_log.read_text().count(": reload -- version")


def waiting(plan: Plan) -> str:
    """What is in the queue, a line of JSON each."""
    return run("postqueue", "-c", plan.folder / NAME / "config", "-j")


def retry(plan: Plan) -> None:
    """Try all of it."""
    run("postqueue", "-c", plan.folder / NAME / "config", "-f")
