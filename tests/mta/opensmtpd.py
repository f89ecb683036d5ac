"""An OpenSMTPD in a room of its own.

It has no submission: Debian 12's release fails in every TLS handshake that a client begins, so nobody logs in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stack.ground import PACKAGES, Entry, is_listening
from tests.mta import room
from tests.mta.client import MOST, TRUSTED
from tests.mta.ground import HOST, Addresses, Server, free_ports
from tests.service import environment, wait_for

PACKAGE = "opensmtpd"
CONFIG = """\
smtp max-message-size {most}
queue ttl {lifetime}s
bounce warn-interval 1d
listen on {smtp.host} port {smtp.port} hostname mx.here.example
table here {{ postmaster = root }}
action "here" expand-only alias <here>
{actions}
match from any for domain "here.example" rcpt-to "postmaster@here.example" action "here"
{matches}
"""


def missing() -> list[str]:
    """What this needs and is not here."""
    return room.missing(PACKAGE)


@contextmanager
def serving(folder: Path, outside: Addresses, lifetime: int) -> Iterator[Server]:
    """An OpenSMTPD that relays to the hosts `outside`, until the end of the block."""
    with ExitStack() as stack:
        users = ["opensmtpd", "opensmtpq"]
        writable = ("/var/spool", "/var/lib", "/run")
        place = stack.enter_context(room.room_in(folder, [PACKAGE], users, writable))
        (folder / "var-lib/opensmtpd/empty").mkdir(parents=True)
        _set_group(folder / "usr/sbin/smtpctl")
        smtp = Entry(HOST, *free_ports(1))
        config = folder / "smtpd.conf"
        settings = CONFIG.format(
            most=MOST,
            lifetime=lifetime,
            smtp=smtp,
            actions="\n".join(
                f'action "{name}" relay host smtp://{ip}:{port}' for name, (ip, port) in outside.items()
            ),
            matches="\n".join(
                f'match from {source} for domain "{name}" action "{name}"'
                for name in outside
                for source in ("socket", f"src {TRUSTED}")  # its own notifications come through the socket
            ),
        )
        config.write_text(settings)
        daemon = subprocess.Popen(place.command("smtpd", "-F", "-f", config), env=environment())
        stack.callback(daemon.wait)
        stack.callback(daemon.terminate)
        wait_for(lambda: is_listening(smtp), place.log.read_text)
        yield Server(
            place.log,
            smtp,
            submission=None,
            retry=lambda: place.run("smtpctl", "schedule", "all"),
            queue=lambda: place.run("smtpctl", "show", "queue"),
            stop=stack.close,
        )


def _set_group(smtpctl: Path) -> None:
    """As the package does when it is installed: smtpctl(8) wants to belong to the second of the users."""
    smtpctl.parent.mkdir()
    shutil.copy(PACKAGES / PACKAGE / "usr/sbin/smtpctl", smtpctl)
    os.chown(smtpctl, 0, room.FIRST_ID + 1)
    smtpctl.chmod(0o2755)
