"""Whether the logs that are followed are there, may be read, grow, and are understood."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mailstat.account import READ, SEARCH, quoted
from mailstat.host import Finding, Host

QUIET = 86400.0  # seconds without a line from which on a mail log is suspicious
_WRITE = "logger --priority mail.info --tag mailstat 'is this line written?'"


def check(host: Host) -> Iterator[Finding]:
    """Each log, folder of logs, and journal."""
    if not (host.logs or host.journals or host.config.sources):
        yield Finding("error", "logs", "no mail log is found", f"{_WRITE} && ls -lt /var/log | head")
    for folder in (*host.folders, *host.journals):
        yield _folder(host, folder)
    for log in host.logs:
        yield from _of(host, log)


def _of(host: Host, log: Path) -> Iterator[Finding]:
    name = host.shown(log)
    try:
        rights = list(host.account.obstacles(log, READ))
        if rights:
            places = ", ".join(host.shown(place) for place, _ in rights)
            text = f"{host.account.name} may not read it, because of {places}"
            yield Finding("error", name, text, host.account.mend(log, READ))
            return
        yield _grown(host, log, name)
    except FileNotFoundError:
        yield Finding("error", name, "it is not there", f"{_WRITE} && ls -l {quoted(Path(name))}")
    except OSError as error:
        text = f"we cannot look ourselves: {error.strerror}"
        yield Finding("error", name, text, "sudo mailstat doctor")


def _folder(host: Host, folder: Path) -> Finding:
    """Rights on a folder, and on the file in it that is written now: those of the others are the same."""
    name, account = host.shown(folder), host.account
    try:
        commands = [account.mend(folder, READ | SEARCH)] if [*account.obstacles(folder, READ | SEARCH)] else []
        files = sorted((it for it in folder.rglob("*") if it.is_file()), key=lambda it: it.stat().st_mtime)
        commands += [account.mend(it, READ) for it in files[-1:] if [*account.obstacles(it, READ)]]
    except FileNotFoundError:
        return Finding("error", name, "it is not there", f"ls -ld {quoted(Path(name))}")
    except OSError as error:
        return Finding("error", name, f"we cannot look ourselves: {error.strerror}", "sudo mailstat doctor")
    if commands:
        words = dict.fromkeys(word for command in commands for word in command.split(" && "))
        return Finding("error", name, f"{account.name} may not read it", " && ".join(words))
    return Finding("good", name, f"{account.name} may read it")


def _grown(host: Host, log: Path, name: str) -> Finding:
    status = log.stat()
    if not status.st_size:
        return Finding("note", name, "it is empty", f"{_WRITE} && tail --lines=1 {quoted(Path(name))}")
    quiet = host.now - status.st_mtime
    if quiet > QUIET:
        text = f"nothing was written to it for {quiet / 3600:.0f} hours"
        return Finding("warning", name, text, f"{_WRITE} && tail --lines=1 {quoted(Path(name))}")
    look = host.look(log)
    if look.lines and look.is_of_nobody:
        text = f"none of its last {look.lines} lines is of a mail server that is known"
        return Finding("warning", name, text, f"mailstat unparsed {quoted(Path(name))}")
    return Finding("good", name, f"{host.account.name} may read it, and it grows")
