"""Where a probe's mail arrives: the kind of mailbox that is configured."""

from __future__ import annotations

from typing import Protocol

from exporter.probes.imap import ImapMailbox
from exporter.probes.maildir import Maildir, Take
from exporter.probes.mbox import Mbox
from exporter.probes.pop3 import Pop3Mailbox
from exporter.probes.section import Arrive
from exporter.probes.sink import Sink


class Mailbox(Protocol):
    """Something to look into for mail."""

    async def visit(self, take: Take) -> None:
        """Show each mail that is new, and delete what was taken. Raises OSError and ProbeError."""
        ...


class OwnLog:
    """No mailbox: what arrives is told by the log, whenever it does."""

    async def visit(self, take: Take) -> None:
        """Nothing is to be looked at."""


def mailbox(arrive: Arrive) -> Mailbox:
    """The mailbox that is configured."""
    if arrive.maildir:
        return Maildir(arrive.maildir)
    if arrive.log:
        return OwnLog()
    if arrive.imap:
        return ImapMailbox(arrive.imap)
    if arrive.pop3:
        return Pop3Mailbox(arrive.pop3)
    if arrive.mbox:
        return Mbox(arrive.mbox)
    return Sink(str(arrive.sink))
