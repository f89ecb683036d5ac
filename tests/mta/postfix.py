"""A Postfix under test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stack.ground import Entry, certificate, run
from stack.postfix import configure, inline, missing
from tests.mta.client import MOST, PASSWORD, TRUSTED, USER
from tests.mta.ground import HOST, Addresses, Server, free_ports

__all__ = ["missing", "serving"]


@contextmanager
def serving(folder: Path, outside: Addresses, lifetime: int, pause: int = 1, **settings: str) -> Iterator[Server]:
    """A Postfix that relays to the hosts `outside`, until the end of the block.

    Its messages live so many seconds, and wait for `pause`, later for twice that, between two tries. The settings are
    more of its parameters.
    """
    smtp, submission = (Entry(HOST, port) for port in free_ports(2))
    config = configure(
        folder,
        smtp,
        submission,
        certificate(folder),
        (USER, PASSWORD),
        inet_interfaces="127.0.0.1",
        mynetworks=TRUSTED,
        message_size_limit=MOST,
        smtp_dns_support_level="disabled",
        smtp_host_lookup="native",
        transport_maps=inline({domain: f"smtp:[{ip}]:{port}" for domain, (ip, port) in outside.items()}),
        minimal_backoff_time=f"{pause}s",
        maximal_backoff_time=f"{2 * pause}s",
        queue_run_delay="1s",
        maximal_queue_lifetime=f"{lifetime}s",
        bounce_queue_lifetime=f"{lifetime}s",
        **settings,
    )
    with ExitStack() as stack:
        run("postfix", "-c", config, "start")
        stack.callback(run, "postfix", "-c", config, "stop")
        yield Server(
            folder / "mail.log",
            smtp,
            submission,
            retry=lambda: run("postqueue", "-c", config, "-f"),
            queue=lambda: run("postqueue", "-c", config, "-j"),
            stop=stack.close,
        )
