"""Whether the account may read the queues that are scanned, in the way that tells most."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mailstat.account import READ, SEARCH, WRITE
from mailstat.host import Finding, Host

# What is read of a spool besides its own directory.
_FOLDERS = {
    "postfix": ("active", "deferred", "hold", "incoming"),
    "exim": ("input",),
    "opensmtpd": ("queue",),
    "qmail": ("mess", "info", "local", "remote"),
    "sendmail": ("",),
}


def check(host: Host) -> Iterator[Finding]:
    """Each queue."""
    for place in host.queues:
        name = f"{place.mta} {host.shown(place.spool)}"
        if place.showq and not place.showq.startswith("/"):
            continue  # over TCP, whoever may connect
        try:
            yield (
                _showq(host, name, place.spool, place.showq)
                if place.mta == "postfix"
                else _spool(host, name, place.spool, _FOLDERS[place.mta])
            )
        except FileNotFoundError as error:
            yield Finding("warning", name, f"{error.filename} is not there", f"ls -ld {place.spool}")
        except OSError as error:
            yield Finding("error", name, f"we cannot look ourselves: {error.strerror}", "sudo mailstat doctor")


def _showq(host: Host, name: str, spool: Path, showq: str | None) -> Finding:
    """Its showq service tells all, to whoever may connect to it."""
    socket = Path(showq) if showq else spool / "public/showq"
    if not socket.exists():
        return Finding("warning", name, "its showq service is not there: Postfix does not run", "postfix start")
    if not list(host.account.obstacles(socket, WRITE)):
        return Finding("good", name, f"{host.account.name} may ask its showq service")
    by_folders = _spool(host, name, spool, _FOLDERS["postfix"])
    if by_folders.severity == "good":
        return Finding("good", name, f"{host.account.name} may read its directories")
    text = f"{host.account.name} may not connect to showq: only the program postqueue tells, with more work"
    return Finding("warning", name, text, host.account.mend(socket, WRITE))


def _spool(host: Host, name: str, spool: Path, folders: tuple[str, ...]) -> Finding:
    for folder in folders:
        path = spool / folder
        if path.exists() and list(host.account.obstacles(path, READ | SEARCH)):
            text = f"{host.account.name} may not read {host.shown(path)}"
            return Finding("error", name, text, host.account.mend(path, READ | SEARCH))
    return Finding("good", name, f"{host.account.name} may read it")
