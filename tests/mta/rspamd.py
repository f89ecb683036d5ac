"""An Rspamd in a room of its own, which signs the mail of those who logged in, and does nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from stack.ground import Entry, is_listening, run
from tests.mta import room
from tests.mta.ground import HOST, free_ports
from tests.service import environment, wait_for

PACKAGE = "rspamd"
SELECTOR = "s2026"
# Its logging is Debian's own.
CONFIG = """\
options {{
  pidfile = "{folder}/rspamd.pid";
  tempdir = "{folder}";
  filters = "dkim";
  url_tld = "{folder}/tld"; # all that there are take half a minute
  dns {{ nameserver = ["127.0.0.1"]; timeout = 0.1s; retransmits = 1; }}
}}
logging {{
  type = "file";
  filename = "{folder}/rspamd.log";
  .include "$CONFDIR/logging.inc"
}}
worker "rspamd_proxy" {{
  bind_socket = "{milter}";
  milter = yes;
  count = 1;
  upstream "local" {{ default = yes; self_scan = yes; }}
}}
modules {{ path = "$PLUGINSDIR/dkim_signing.lua"; }}
lua = "$RULESDIR/rspamd.lua";
dkim {{ sign_headers = "from:to:subject"; }}
dkim_signing {{
  path = "{folder}/dkim.pem";
  selector = "{selector}";
  use_esld = false;
  sign_local = false;
  allow_username_mismatch = true;
}}
"""


class Milter(NamedTuple):
    """An Rspamd that runs, with the log that it keeps itself."""

    log: Path
    entry: Entry


def missing() -> list[str]:
    """What this needs and is not here."""
    return room.missing(PACKAGE)


@contextmanager
def signing(folder: Path) -> Iterator[Milter]:
    """An Rspamd that Postfix can ask, until the end of the block."""
    with ExitStack() as stack:
        place = stack.enter_context(room.room_in(folder, [PACKAGE], []))
        (milter,) = (Entry(HOST, port) for port in free_ports(1))
        run("openssl", "genrsa", "-out", folder / "dkim.pem", "1024")
        (folder / "db").mkdir()
        (folder / "tld").write_text("com\nnet\n")
        config = folder / "rspamd.conf"
        config.write_text(CONFIG.format(folder=folder, milter=milter, selector=SELECTOR))
        command = place.command("rspamd", "-f", "-i", "-c", config, "--var", f"DBDIR={folder}/db")
        daemon = subprocess.Popen(command, env=environment())
        stack.callback(daemon.wait)
        stack.callback(daemon.terminate)
        log = folder / "rspamd.log"
        wait_for(lambda: is_listening(milter), lambda: log.read_text() if log.exists() else "no log")
        yield Milter(log, milter)
