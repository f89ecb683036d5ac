"""An Exim under test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stack.exim import EXIM, configure, missing
from stack.ground import Entry, certificate, is_listening, run
from tests.mta.client import MOST, PASSWORD, TRUSTED, USER
from tests.mta.ground import HOST, Addresses, Server, free_ports
from tests.service import environment, wait_for

__all__ = ["missing", "serving"]


@contextmanager
def serving(folder: Path, outside: Addresses, lifetime: int, selector: str, pause: int = 1) -> Iterator[Server]:
    """An Exim that relays to the hosts `outside`, until the end of the block.

    It retries for `lifetime` seconds, and rests for `pause` between two tries unless it is told to try all.
    `selector` is what it logs (chapter 53 of its specification).
    """
    smtp, submission = (Entry(HOST, port) for port in free_ports(2))
    config = configure(
        folder,
        smtp,
        submission,
        certificate(folder),
        {domain: f"{ip}::{port}" for domain, (ip, port) in outside.items()},
        most=MOST,
        trusted=TRUSTED,
        lifetime=lifetime,
        pause=pause,
        selector=selector,
        user=USER,
        password=PASSWORD,
    )
    command = (EXIM, "-C", config)
    with ExitStack() as stack:
        daemon = stack.enter_context(subprocess.Popen([*command, "-bdf"], env=environment()))
        stack.callback(daemon.terminate)
        wait_for(lambda: is_listening(smtp) and is_listening(submission))
        yield Server(
            folder / "log/mainlog",
            smtp,
            submission,
            retry=lambda: run(*command, "-qff"),
            queue=lambda: run(*command, "-bp"),
            stop=stack.close,
        )
