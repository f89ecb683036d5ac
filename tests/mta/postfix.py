"""A Postfix of its own: configuration, queue and log in one folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.mta.client import MOST, PASSWORD, TRUSTED, USER, Entry
from tests.mta.ground import HOST, Addresses, Server, absent, certificate, free_ports, run

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
maillog_file = {log}
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.here.example
mydestination = here.example
local_recipient_maps = inline:{{ postmaster=here }}
alias_maps =
mynetworks = {trusted}
relay_domains =
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_peername_lookup = no
message_size_limit = {most}
smtpd_tls_chain_files = {certificate}
smtpd_tls_loglevel = 1
smtpd_tls_security_level = may
cyrus_sasl_config_path = {folder}/config/sasl
smtpd_sasl_local_domain = here.example
smtp_dns_support_level = disabled
smtp_host_lookup = native
transport_maps = inline:{{ {transports} }}
default_destination_concurrency_failed_cohort_limit = 0
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
maximal_queue_lifetime = {lifetime}s
bounce_queue_lifetime = {lifetime}s
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


@contextmanager
def serving(folder: Path, outside: Addresses, lifetime: int) -> Iterator[Server]:
    """A Postfix that relays to the hosts `outside`, until the end of the block; its messages live so many seconds."""
    log = folder / "mail.log"
    smtp, submission = (Entry(HOST, port) for port in free_ports(2))
    config = folder / "config"
    for name in (config, folder / "queue", folder / "state"):
        name.mkdir()
    transports = ", ".join(f"{{ {domain}=smtp:[{ip}]:{port} }}" for domain, (ip, port) in outside.items())
    settings = MAIN.format(
        folder=folder,
        log=log,
        trusted=TRUSTED,
        most=MOST,
        certificate=certificate(folder),
        transports=transports,
        lifetime=lifetime,
    )
    (config / "main.cf").write_text(settings)
    (config / "master.cf").write_text(MASTER.format(smtp=_entry(smtp), submission=_entry(submission)))
    _add_user(folder / "state" / "users", config / "sasl")
    shutil.chown(folder / "state", "postfix")
    with ExitStack() as stack:
        run("postfix", "-c", config, "start")
        stack.callback(run, "postfix", "-c", config, "stop")
        yield Server(
            log,
            smtp,
            submission,
            retry=lambda: run("postqueue", "-c", config, "-f"),
            queue=lambda: run("postqueue", "-c", config, "-j"),
            stop=stack.close,
        )


def _entry(entry: Entry) -> str:
    return f"{entry.host}:{entry.port}"


def _add_user(users: Path, config: Path) -> None:
    run("saslpasswd2", "-p", "-c", "-f", users, "-u", "here.example", USER, stdin=PASSWORD)
    shutil.chown(users, "postfix")
    config.mkdir()
    (config / "smtpd.conf").write_text(SASL.format(users=users))
