"""What every server under test stands on: a folder, ports, a certificate, and the same face to the tests."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.mta.client import Entry
from tests.service import ROOT, environment

PACKAGES = ROOT / ".ci-packages"  # unpacked: mail servers cannot be installed beside each other
HOST = "127.0.0.10"  # where the servers under test listen
PATIENCE = 60  # seconds that a command may take; all take far less

Addresses = dict[str, tuple[str, int]]  # of the hosts outside, by domain


class Server(NamedTuple):
    """A mail server that runs, with its log. `retry` has it try all that waits, once; `queue` tells what waits."""

    log: Path
    smtp: Entry
    submission: Entry | None  # over TLS, with a login
    retry: Callable[[], object]
    queue: Callable[[], str]
    stop: Callable[[], object]


@contextmanager
def folder_of(name: str) -> Iterator[Path]:
    """A folder that servers can enter who give up being root: pytest's own are closed to them."""
    with TemporaryDirectory(prefix=f"mailstat-{name}-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on; few ask for a port of this address, so nobody takes them soon."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for it in sockets:
            it.bind((HOST, 0))
        return [it.getsockname()[1] for it in sockets]


def is_listening(entry: Entry) -> bool:
    """Whether somebody listens, without a connection that would be counted: as proc(5) tells in /proc/net/tcp."""
    address = f"{int.from_bytes(socket.inet_aton(entry.host), sys.byteorder):08X}:{entry.port:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
    return any(row[1] == address and row[3] == "0A" for row in rows)


def run(*command: str | Path, stdin: str = "") -> str:
    """Run a command that must succeed, and return what it said."""
    done = subprocess.run(
        list(map(str, command)),
        input=stdin,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def certificate(folder: Path) -> Path:
    """A key and its certificate, in one file."""
    file = folder / "server.pem"
    key, signed = folder / "key.pem", folder / "certificate.pem"
    run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", "/CN=mx.here.example", "-days", "2", "-keyout", key, "-out", signed),
    )
    file.write_text(key.read_text() + signed.read_text())
    return file


def absent(*programs: str) -> list[str]:
    """Those of the programs that are not installed."""
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    return [program for program in programs if not shutil.which(program, path=path)]


def mailstat(*arguments: str | Path) -> str:
    """What the report prints."""
    command = [sys.executable, "-m", "mailstat", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, cwd=ROOT, env=environment(), check=True, text=True).stdout
