"""Which connections were encrypted, how well, and where mail went in the clear."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from mailstat.report import FIRST, LAST, NOT_TOLD, Column, Report, Section, grouped

if TYPE_CHECKING:
    from mailstat.log import Log

NAME = "tls"
HELP = "encryption: sessions by protocol, trust and cipher, destinations in the clear, handshakes that failed"
DESCRIPTION = (
    "TLS sessions by direction, protocol, trust and cipher; of each provider and relay, how much was delivered and "
    "which TLS its host was last seen with (none: the log tells of none, which may mean mail in the clear, or a log "
    "level that does not tell: smtp_tls_loglevel and smtpd_tls_loglevel of Postfix have to be 1); clients with "
    "protocols before TLS 1.2; handshakes that failed, with the last words."
)
SESSIONS = (
    Column("direction"),
    Column("protocol"),
    Column("trust"),
    Column("cipher"),
    Column("sessions", "number"),
    Column("share", "percent"),
    FIRST,
    LAST,
)
DESTINATIONS = (
    Column("provider"),
    grouped("relay", none=NOT_TOLD),
    Column("sent", "number"),
    Column("sessions", "number"),
    Column("protocol"),
    Column("trust"),
    LAST,
)
OLD = (Column("client"), Column("name"), Column("protocol"), Column("sessions", "number"), LAST)
FAILED = (
    Column("direction"),
    Column("host"),
    Column("failures", "number"),
    FIRST,
    LAST,
    Column("example"),
)


def make(log: Log, options: Namespace) -> Report:  # noqa: ARG001 - what every report is given
    """Read the log and add it up."""
    from mailstat.encryption import Encryption, told  # noqa: PLC0415 - the help of all reports must not wait for it
    from mailstat.sequence import InOrder  # noqa: PLC0415

    found = Encryption()
    digest = InOrder(told, found.add, are_firsts=True)
    log.read(digest)
    digest.settle()
    return Report(
        NAME,
        "Encryption",
        [
            Section("Sessions", SESSIONS, found.sessions()),
            Section("Destinations", DESTINATIONS, found.destinations()),
            Section("Clients with old protocols", OLD, found.old_clients()),
            Section("Failed handshakes", FAILED, found.failures()),
        ],
    )
