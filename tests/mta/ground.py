"""What every server under test stands on: a folder, ports, and the same face to the tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from stack import ground
from stack.ground import Entry
from tests.service import ROOT, environment

HOST = "127.0.0.10"  # where the servers under test listen

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
    """Ports of the servers under test that nobody listens on."""
    return ground.free_ports(number, HOST)


def mailstat(*arguments: str | Path) -> str:
    """What the report prints."""
    command = [sys.executable, "-m", "mailstat", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, cwd=ROOT, env=environment(), check=True, text=True).stdout
