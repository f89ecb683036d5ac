"""An Exim of its own, out of an unpacked package: configuration, spool and log in one folder."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.mta.client import MOST, PASSWORD, TRUSTED, USER, Entry
from tests.mta.ground import HOST, PACKAGES, Addresses, Server, absent, certificate, free_ports, is_listening, run
from tests.service import environment, wait_for

EXIM = PACKAGES / "exim4-daemon-light/usr/sbin/exim4"
OWNER = "Debian-exim"

# Everything waits for a queue run that is told to try all: what Exim defers because it tried that host a moment ago,
# no destination counts.
CONFIG = """\
exim_user = {owner}
exim_group = {owner}
exim_path = {exim}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
primary_hostname = mx.here.example
local_interfaces = <; [{smtp.host}]:{smtp.port} ; [{submission.host}]:{submission.port}
message_size_limit = {most}
tls_certificate = {certificate}
tls_advertise_hosts = *
auth_advertise_hosts = *
host_lookup =
rfc1413_hosts =
queue_only = true
keep_environment =
log_selector = {selector}
ignore_bounce_errors_after = 1m
acl_smtp_mail = accept
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept

begin acl
check_rcpt:
  accept authenticated = *
  deny condition = ${{if eq{{$received_port}}{{{submission.port}}}}}
       message = authenticate first
  deny domains = here.example
       ! verify = recipient
  accept hosts = {trusted}
  deny message = relay not permitted

begin routers
outside:
  driver = manualroute
  domains = ! here.example
  route_list = {routes}
  transport = outside
  self = send
here:
  driver = redirect
  domains = here.example
  local_parts = postmaster
  data = :blackhole:

begin transports
outside:
  driver = smtp

begin retry
* * F,{lifetime}s,1s

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${{if and{{ {{eq{{$auth2}}{{{user}}}}} {{eq{{$auth3}}{{{password}}}}} }}}}
  server_set_id = $auth2
"""


def missing() -> list[str]:
    """What this needs and is not here."""
    return absent("openssl") + ([] if EXIM.exists() else ["exim4-daemon-light"])


@contextmanager
def serving(folder: Path, outside: Addresses, lifetime: int, selector: str) -> Iterator[Server]:
    """An Exim that relays to the hosts `outside`, until the end of the block.

    It retries for `lifetime` seconds. `selector` is what it logs (chapter 53 of its specification).
    """
    smtp, submission = (Entry(HOST, port) for port in free_ports(2))
    pem = certificate(folder)
    for name in ("spool", "log"):
        (folder / name).mkdir()
    for path in (folder, folder / "spool", folder / "log", pem):
        shutil.chown(path, OWNER, OWNER)
    config = folder / "exim.conf"
    settings = CONFIG.format(
        owner=OWNER,
        exim=EXIM,
        folder=folder,
        smtp=smtp,
        submission=submission,
        most=MOST,
        certificate=pem,
        trusted=TRUSTED,
        routes="; ".join(f"{domain} {ip}::{port}" for domain, (ip, port) in outside.items()),
        lifetime=lifetime,
        selector=selector,
        user=USER,
        password=PASSWORD,
    )
    config.write_text(settings)
    log = folder / "log/mainlog"
    command = (EXIM, "-C", config)
    with ExitStack() as stack:
        daemon = stack.enter_context(subprocess.Popen([*command, "-bdf"], env=environment()))
        stack.callback(daemon.terminate)
        wait_for(lambda: is_listening(smtp) and is_listening(submission))
        yield Server(
            log,
            smtp,
            submission,
            retry=lambda: run(*command, "-qff"),
            queue=lambda: run(*command, "-bp"),
            stop=stack.close,
        )
