"""An Exim of its own, out of an unpacked package: configuration, spool and log in one folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from stack import process, resolver
from stack.ground import PACKAGES, Entry, absent, certificate, is_listening, run
from stack.plan import (
    DEAD,
    DESTINATION_PORT,
    DESTINATIONS,
    EXIM_SUBMISSION,
    PASSWORD,
    TRUSTED,
    USER,
    Plan,
    exchanger,
)
from stack.plan import EXIM as ENTRY

NAME = "exim"
LIFETIME = 60  # seconds that it tries to deliver
# A daemon, and beside it a run of the queue every two seconds, which tries all that waits: one that the daemon starts
# would be without the rights that a configuration of its own takes.
RUN = '"$@" -bdf & while sleep 2; do "$@" -qff; done'

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
* * F,{lifetime}s,{pause}s

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${{if and{{ {{eq{{$auth2}}{{{user}}}}} {{eq{{$auth3}}{{{password}}}}} }}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{ {{eq{{$auth1}}{{{user}}}}} {{eq{{$auth2}}{{{password}}}}} }}}}
  server_set_id = $auth1
"""


def missing() -> list[str]:
    """What this needs and is not here."""
    return absent("openssl") + ([] if EXIM.exists() else ["exim4-daemon-light"])


def configure(
    folder: Path, smtp: Entry, submission: Entry, certificate: Path, routes: Mapping[str, str], **settings: str | int
) -> Path:
    """Write the configuration of an Exim that sends to each domain by its route; the settings are CONFIG's others."""
    for name in ("spool", "log"):
        (folder / name).mkdir()
    for path in (folder, folder / "spool", folder / "log", certificate):
        shutil.chown(path, OWNER, OWNER)
    config = folder / "exim.conf"
    config.write_text(
        CONFIG.format(
            owner=OWNER,
            exim=EXIM,
            folder=folder,
            smtp=smtp,
            submission=submission,
            certificate=certificate,
            routes="; ".join(f"{domain} {route}" for domain, route in routes.items()),
            **settings,
        )
    )
    return config


# --- in the stack ---


def start(plan: Plan) -> None:
    """An Exim that asks the stack's resolver for the hosts to deliver to, and logs what Debian's does not."""
    folder = plan.folder / NAME
    folder.mkdir()
    folder.chmod(0o755)
    config = configure(
        folder,
        ENTRY,
        EXIM_SUBMISSION,
        certificate(folder),
        {it: f"{exchanger(it)}::{DESTINATION_PORT} bydns" for it in DESTINATIONS | DEAD},
        most=1_000_000,
        trusted=TRUSTED,
        lifetime=LIFETIME,
        pause=1,
        selector="+all -arguments",
        user=USER,
        password=PASSWORD,
    )
    command = resolver.command(plan, "sh", "-c", RUN, "exim", EXIM, "-C", config)
    process.start(plan.folder, NAME, command, lambda: is_listening(ENTRY) and is_listening(EXIM_SUBMISSION))


def waiting(plan: Plan) -> str:
    """What is in the queue, as Exim lists it."""
    return run(EXIM, "-C", plan.folder / NAME / "exim.conf", "-bp")
