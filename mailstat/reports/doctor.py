"""What of this host keeps the exporter from seeing all, and the commands that mend it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from socket import getfqdn
from time import time
from typing import TYPE_CHECKING

from mailstat.report import Column, Report, ReportError, Section

if TYPE_CHECKING:
    from mailstat.account import Account
    from mailstat.host import Host

NAME = "doctor"
HELP = "what of this host keeps the exporter from seeing all, with the commands that mend it"
DESCRIPTION = (
    "Looks at rights on logs, queues and sockets; at which file really gets the mail log; at its rotation; at the "
    "clock and the zone of the log's times; at the versions of mail servers, the host's name in the DNS, its "
    "certificates, and the configuration. Changes nothing: each finding has the command that mends it, or that shows "
    "more. As root it sees all, and judges for the account of the exporter that runs, else for --user. The exit "
    "status is 0 where there is nothing to mend, 3 where there are warnings, 4 where there are errors."
)
READS_LOG = False
WARNINGS, ERRORS = 3, 4
_STATUS = {"error": ERRORS, "warning": WARNINGS}
_COLUMNS = ("severity", "check", "subject", "finding", "mend")
_USUAL = "mailstat"


def add_arguments(parser: ArgumentParser) -> None:
    """Which host, and for whom."""
    parser.add_argument("--config", metavar="CONFIG", type=Path, help="the exporter's configuration")
    parser.add_argument("--web-config", metavar="CONFIG", type=Path, help="its web configuration")
    parser.add_argument("--state-dir", metavar="DIR", type=Path, default=Path("/var/lib/mailstat"), help="its state")
    parser.add_argument("--user", metavar="NAME", help="the account that the exporter runs as")
    words = "look at the host whose files are below this folder, as a container sees it"
    parser.add_argument("--root", metavar="DIR", type=Path, default=Path("/"), help=words)


def make(options: Namespace) -> Report:
    """Look at everything. Raises ReportError where there is no such account."""
    from mailstat import checks  # noqa: PLC0415

    found = checks.run(_host(options, time()))
    rows = [[it.finding.severity, it.check, it.finding.subject, it.finding.text, it.finding.mend] for it in found]
    status = max((_STATUS.get(it.finding.severity, 0) for it in found), default=0)
    return Report(NAME, "Findings", [Section("", [Column(name) for name in _COLUMNS], rows)], status=status)


def _host(options: Namespace, now: float) -> Host:
    from exporter.config import Config, ConfigError, load_config  # noqa: PLC0415
    from mailstat.host import Host  # noqa: PLC0415

    try:
        config = load_config(options.config) if options.config else Config()
    except ConfigError:
        config = Config()  # what is wrong with it is a finding
    root = options.root.resolve()
    if not root.is_dir():
        raise ReportError(f"{options.root} is no folder")
    return Host(
        account=_account(options.user, root),
        now=now,
        name=_name(root),
        config=config,
        config_file=options.config,
        web_config_file=options.web_config,
        state_dir=options.state_dir,
        root=root,
    )


def _name(root: Path) -> str:
    """The full name of the host."""
    if root == Path("/"):
        return getfqdn()
    found = (root / "etc/mailname", root / "etc/hostname")
    return next((path.read_text("utf-8", "replace")[:255].strip() for path in found if path.is_file()), "")


def _account(name: str | None, root: Path) -> Account:
    """The account that is named; else that of the exporter that runs, that which it would have, or our own."""
    from mailstat.account import account_of, own_account, running_account  # noqa: PLC0415

    if name is None:
        own = own_account(root)
        return own if own.uid else running_account(root) or account_of(_USUAL, root) or own
    found = account_of(name, root)
    if found is None:
        raise ReportError(f"{root / 'etc/passwd'} has no user {name}")
    return found
