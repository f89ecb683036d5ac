"""What is done with a probe's mail when it has arrived: whoever wants to look at it adds a hook.

A mailbox (imap.py, pop3.py, maildir.py, sink.py, hook.py) finds a mail, message.py tells whose it is, the ledger
writes down that it arrived, and then, once for each mail, every hook is called.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import NamedTuple

from exporter.probes.certificate import Certificate

logger = logging.getLogger(__name__)

Hook = Callable[[str, bytes, str, float], None]
"""`observe_arrival(probe_name, raw, folder, arrived)`: the mail of this probe as its mailbox gave it (cut after
RAW_LIMIT bytes), the folder it was found in, when it came into the mailbox (seconds since the epoch).
The text is as hostile as any mail: parse it with email.message_from_bytes and bound what you do with it."""

RAW_LIMIT = 1 << 20  # bytes of an arrived mail that are looked at


class Found(NamedTuple):
    """A mail in a mailbox: its bytes (cut after RAW_LIMIT), the `folder`, whether that is one for junk, the `place`
    that no other copy of it has, and when it came there, in seconds since the epoch.

    Where only the Message-ID of a mail is told, there are no bytes.
    """

    raw: bytes
    folder: str
    is_junk: bool
    place: str
    arrived: float
    message_id: str = ""


Take = Callable[[Found], bool]
"""Shown each mail that a mailbox has not shown before; whether it is ours, and can be deleted."""


class Polled:
    """A mailbox that does not tell of mail: it has to be looked into."""

    certificate: Certificate | None = None

    async def wait(self, seconds: float) -> bool:
        """Whether something came meanwhile: that is not known."""
        await asyncio.sleep(seconds)
        return False

    def close(self) -> None:
        """Nothing is held open between two looks."""

    async def closed(self) -> None:
        """Nothing has to end."""


class Arrivals:
    """The hooks that look at what arrives."""

    def __init__(self, hooks: Iterable[Hook] = ()) -> None:
        self.hooks: list[Hook] = list(hooks)

    def observe(self, probe_name: str, found: Found) -> None:
        """Show a mail to all hooks; one that fails is logged and keeps the others from nothing."""
        for hook in self.hooks:
            try:
                hook(probe_name, found.raw, found.folder, found.arrived)
            except Exception:
                logger.exception("a hook failed at an arrived mail", extra={"probe": probe_name})
