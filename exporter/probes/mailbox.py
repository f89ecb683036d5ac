"""Where a probe's mail arrives: the kind of mailbox that is configured."""

from __future__ import annotations

from typing import Protocol

from exporter.probes.arrival import Polled, Take
from exporter.probes.certificate import Certificate
from exporter.probes.dialogue import Dialogue
from exporter.probes.hook import WebHook
from exporter.probes.imap import ImapMailbox
from exporter.probes.maildir import Maildir
from exporter.probes.mbox import Mbox
from exporter.probes.pop3 import Pop3Mailbox
from exporter.probes.section import Arrive, Hook, Imap, Pop3
from exporter.probes.sink import Sink


class Mailbox(Protocol):
    """Something to look into for mail; `certificate` is what its server showed last, valid or not."""

    certificate: Certificate | None

    async def visit(self, take: Take) -> None:
        """Show each mail that is new, and delete what was taken. Raises OSError and ProbeError."""
        ...

    async def wait(self, seconds: float) -> bool:
        """Return after so many seconds, or at once when something came: whether it is known that something did."""
        ...

    def close(self) -> None:
        """Let go of what is held open between two looks."""
        ...

    async def closed(self) -> None:
        """Return when it is: from then on another may listen where this one did."""
        ...


class OwnLog(Polled):
    """No mailbox: what arrives is told by the log, whenever it does."""

    async def visit(self, take: Take) -> None:
        """Nothing is to be looked at."""


def mailbox(arrive: Arrive, dialogue: Dialogue | None = None) -> Mailbox:
    """The mailbox that is configured; `dialogue` takes down what is said with its server."""
    match arrive:
        case Arrive(imap=Imap() as imap):
            return ImapMailbox(imap, dialogue)
        case Arrive(pop3=Pop3() as pop3):
            return Pop3Mailbox(pop3, dialogue)
        case Arrive(hook=Hook() as hook):
            return WebHook(hook)
    return _local(arrive)


def _local(arrive: Arrive) -> Mailbox:
    if arrive.maildir:
        return Maildir(arrive.maildir)
    if arrive.mbox:
        return Mbox(arrive.mbox)
    return Sink(arrive.sink) if arrive.sink else OwnLog()
