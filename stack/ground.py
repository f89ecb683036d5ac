"""What every server stands on, in the stack and in tests: programs, ports, a certificate."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGES = ROOT / ".ci-packages"  # unpacked: mail servers cannot be installed beside each other
PATIENCE = 60  # seconds that a command may take; all take far less


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
    address = f"{int.from_bytes(socket.inet_aton(entry.host), sys.byteorder):08X}:{entry.port:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
    return any(row[1] == address and row[3] == "0A" for row in rows)


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


def certificate(folder: Path, days: int = 2) -> Path:
    """A key and its certificate for so many days, in one file."""
    file = folder / "server.pem"
    key, signed = folder / "key.pem", folder / "certificate.pem"
    run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", "/CN=mx.here.example", "-addext", "subjectAltName=DNS:mx.here.example"),
        *("-days", str(days), "-keyout", key, "-out", signed),
    )
    file.write_text(key.read_text() + signed.read_text())
    return file


def absent(*programs: str) -> list[str]:
    """Those of the programs that are not installed."""
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    return [program for program in programs if not shutil.which(program, path=path)]
