"""A Dovecot in a room of its own, where people log in and do nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from stack.ground import PACKAGES, Entry, certificate, is_listening
from tests.mta import room
from tests.mta.client import PASSWORD, USER
from tests.mta.ground import HOST, free_ports
from tests.service import environment, wait_for

UNPACKED = ["dovecot-core", "dovecot-imapd", "dovecot-pop3d"]
# Without a delay after a failure, and without the penalty that the address has to pay, which last for seconds.
CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/run
listen = {imap.host}
protocols = imap pop3
ssl_cert = <{certificate}
ssl_key = <{certificate}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
mail_location = maildir:{folder}/mail
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/mail
}}
service imap-login {{
  inet_listener imap {{
    port = {imap.port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3.port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""


class Logins(NamedTuple):
    """A Dovecot that runs, with its log."""

    log: Path
    imap: Entry
    pop3: Entry
    stop: Callable[[], object]


def missing() -> list[str]:
    """What this needs and is not here."""
    is_other = not any((PACKAGES / "downloaded").glob("dovecot-core_*2.3.*"))
    return room.missing(*UNPACKED) + ["Dovecot 2.3 (2.4 wants another configuration)"] * is_other


@contextmanager
def serving(folder: Path) -> Iterator[Logins]:
    """A Dovecot that knows one user, until the end of the block."""
    with ExitStack() as stack:
        place = stack.enter_context(room.room_in(folder, UNPACKED, ["dovecot", "dovenull"]))
        imap, pop3 = (Entry(HOST, port) for port in free_ports(2))
        (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
        (folder / "mail").mkdir()
        (folder / "mail").chmod(0o777)
        config = folder / "dovecot.conf"
        config.write_text(CONFIG.format(folder=folder, certificate=certificate(folder), imap=imap, pop3=pop3))
        daemon = subprocess.Popen(place.command("dovecot", "-F", "-c", config), env=environment())
        stack.callback(daemon.wait)
        stack.callback(daemon.terminate)
        wait_for(lambda: is_listening(imap) and is_listening(pop3), place.log.read_text)
        yield Logins(place.log, imap, pop3, stop=stack.close)
