"""A Sendmail in a room of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stack.ground import Entry, absent, certificate, is_listening, run
from tests.mta import room
from tests.mta.client import MOST, PASSWORD, USER
from tests.mta.ground import HOST, Addresses, Server, free_ports
from tests.service import environment, wait_for

UNPACKED = ["sendmail-bin", "sendmail-cf"]
BINARY = "/usr/libexec/sendmail/sendmail"
LOAD = 10_000  # of the host, beyond which it would leave mail in the queue, and clients outside
# A job of a queue run remembers no host that failed and no connection of the one before: what Sendmail defers without
# asking anybody, no destination counts. (But the notification of a message that expires as its connection is cut is
# tried over that connection, so what is cut has to get through in time.)
CONFIG = """\
include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`linux')dnl
define(`QUEUE_DIR', `{folder}/queue')dnl
define(`STATUS_FILE', `{folder}/statistics')dnl
define(`HELP_FILE', `{folder}/help')dnl
define(`ALIAS_FILE', `')dnl
define(`confPID_FILE', `{folder}/sendmail.pid')dnl
define(`confCONTROL_SOCKET_NAME', `')dnl
define(`confDOMAIN_NAME', `mx.here.example')dnl
define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit')dnl
define(`confSEPARATE_PROC', `True')dnl
define(`confMCI_CACHE_SIZE', `0')dnl
define(`confMIN_QUEUE_AGE', `0')dnl
define(`confQUEUE_LA', `{load}')dnl
define(`confREFUSE_LA', `{load}')dnl
define(`confMAX_MESSAGE_SIZE', `{most}')dnl
define(`confTO_QUEUERETURN', `{lifetime}s')dnl
define(`confTO_QUEUEWARN', `')dnl
define(`confTO_IDENT', `0')dnl
define(`confAUTH_MECHANISMS', `PLAIN LOGIN')dnl
TRUST_AUTH_MECH(`PLAIN LOGIN')dnl
define(`confAUTH_OPTIONS', `p')dnl
define(`confSERVER_CERT', `{certificate}')dnl
define(`confSERVER_KEY', `{certificate}')dnl
define(`confCACERT', `{certificate}')dnl
define(`confCACERT_PATH', `{folder}')dnl
define(`ESMTP_MAILER_ARGS', `TCP $h {port}')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`mailertable', `text -k0 -v1 -z, {folder}/destinations')dnl
DAEMON_OPTIONS(`Name=MTA, Addr={smtp.host}, Port={smtp.port}')dnl
DAEMON_OPTIONS(`Name=MSA, Addr={submission.host}, Port={submission.port}, M=Ea')dnl
MAILER(`local')dnl
MAILER(`smtp')dnl
"""
SASL = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {users}
mech_list: PLAIN LOGIN
"""


def missing() -> list[str]:
    """What this needs and is not here."""
    return room.missing(*UNPACKED) + absent("m4", "saslpasswd2")


@contextmanager
def serving(folder: Path, outside: Addresses, lifetime: int, interval: str | None = None) -> Iterator[Server]:
    """A Sendmail that relays to the hosts `outside`, until the end of the block; it runs its queue by itself where it
    is told an `interval`, such as `20s`."""
    with ExitStack() as stack:
        place = stack.enter_context(room.room_in(folder, UNPACKED, ["smmta", "smmsp"]))
        smtp, submission = (Entry(HOST, port) for port in free_ports(2))
        ((port,),) = [{port for _, port in outside.values()}]
        (folder / "queue").mkdir(0o700)
        routes = [f"{name},esmtp:[{ip}]\n" for name, (ip, _) in outside.items()]
        (folder / "destinations").write_text("".join([*routes, "here.example,error:5.1.1:550 User unknown\n"]))
        pem = certificate(folder)
        pem.chmod(0o600)
        settings = CONFIG.format(
            folder=folder,
            load=LOAD,
            most=MOST,
            lifetime=lifetime,
            certificate=pem,
            port=port,
            smtp=smtp,
            submission=submission,
        )
        config = folder / "sendmail.cf"
        config.write_text(place.run("m4", "-D_CF_DIR_=/usr/share/sendmail/cf/", "-", stdin=settings))
        _add_user(folder)
        command = (BINARY, "-C", config, "-L", "sm-mta")
        runs = [f"-q{interval}"] if interval else []
        daemon = subprocess.Popen(place.command(*command, "-bD", *runs), env=environment())
        stack.callback(daemon.wait)
        stack.callback(daemon.terminate)
        wait_for(lambda: is_listening(smtp) and is_listening(submission), place.log.read_text)
        yield Server(
            place.log,
            smtp,
            submission,
            retry=lambda: place.run(*command, "-q"),
            queue=lambda: "".join(str(path) for path in (folder / "queue").glob("qf*")),
            stop=stack.close,
        )


def _add_user(folder: Path) -> None:
    users = folder / "users"
    run("saslpasswd2", "-p", "-c", "-f", users, "-u", "mx.here.example", USER, stdin=PASSWORD)
    users.chmod(0o600)
    config = folder / "etc/sasl2/Sendmail.conf"
    config.parent.mkdir()
    config.write_text(SASL.format(users=users))
