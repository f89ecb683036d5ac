"""What every server stands on, in the stack and in tests: programs, ports, a certificate."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGES = ROOT / ".ci-packages"  # unpacked: mail servers cannot be installed beside each other
PATIENCE = 300.0  # seconds until what is waited for is given up, on a host that has much else to do
TICK = 0.2


class Entry(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def environment() -> dict[str, str]:
    """What a program is started with."""
    return os.environ | {"TZ": "UTC"}


def free_ports(number: int, host: str) -> list[int]:
    """Ports that nobody listens on; where few ask for a port of this address, nobody takes them soon."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for it in sockets:
            it.bind((host, 0))
        return [it.getsockname()[1] for it in sockets]


def is_listening(entry: Entry) -> bool:
    """Whether somebody listens, without a connection that would be counted: as proc(5) tells in /proc/net/tcp."""
    return "0A" in _states(entry)


def is_talked_to(entry: Entry) -> bool:
    """Whether anybody is connected to it."""
    return not _states(entry) <= {"0A", "06"}


def _states(entry: Entry) -> set[str]:
    """Of the sockets with this address: 0A listens, 06 is closed already (tcp_states.h)."""
    address = f"{int.from_bytes(socket.inet_aton(entry.host), sys.byteorder):08X}:{entry.port:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
    return {row[3] for row in rows if row[1] == address}


def wait_for(is_so: Callable[[], object], what: str) -> None:
    """Until it is so. Raises TimeoutError, which says what was waited for."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"waited in vain: {what}")
        time.sleep(TICK)


def run(*command: str | Path, stdin: str = "") -> str:
    """Run a command that must succeed, and return what it said."""
    done = subprocess.run(  # noqa: S603 - our own commands
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


def certificate(folder: Path, days: int = 90) -> Path:
    """A key and its certificate for so many days, in one file."""
    file = folder / "server.pem"
    key, signed = folder / "key.pem", folder / "certificate.pem"
    run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", "/CN=mx.here.example", "-addext", "subjectAltName=DNS:mx.here.example"),
        *("-days", str(days), "-keyout", key, "-out", signed),
    )
    # At once: a server may begin to read it at any time.
    whole = folder / "new.pem"
    whole.write_text(key.read_text() + signed.read_text())
    return whole.replace(file)


def absent(*programs: str) -> list[str]:
    """Those of the programs that are not installed."""
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    return [program for program in programs if not shutil.which(program, path=path)]
