"""Which mail logs this host has, where nobody says which to read."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path, PurePosixPath

from exporter.sources.journal import matches

# rsyslog on Debian and on Red Hat; Exim's own log on Debian and elsewhere.
_CANDIDATES = ("var/log/mail.log", "var/log/maillog", "var/log/exim4/mainlog", "var/log/exim/mainlog")
_JOURNALS = ("var/log/journal", "run/log/journal")
_JOURNAL_SECONDS = 20.0
_MAIN_CF = "etc/postfix/main.cf"
_MAIN_CF_LIMIT = 1024 * 1024


def find_logs(root: Path = Path("/")) -> list[Path]:
    """The mail logs below this root, each once, whether we may read them or not: ask `read_error` which.

    A log in a directory that we may not search counts as there: missing rights must not look like no mail.
    """
    candidates = [root / name for name in _CANDIDATES]
    postfix = _maillog_file(root)
    if postfix:
        candidates.append(postfix)
    found: dict[object, Path] = {}
    for path in candidates:
        identity = _identity(path)
        if identity:
            found.setdefault(identity, path)
    return list(found.values())


def has_journal(root: Path = Path("/")) -> bool:
    """Whether the systemd journal below this root has anything of a mail server that we may read."""
    return any(_has_mail(root / name) for name in _JOURNALS)


def _has_mail(journal: Path) -> bool:
    if not journal.is_dir():
        return False
    options = ("--quiet", "--no-pager", "--lines=1", "--output=cat", f"--directory={journal}")
    try:
        told = subprocess.run(  # noqa: S603 - no shell, and the matches are ours
            ["journalctl", *options, *matches(None)],  # noqa: S607 - where it is differs from host to host
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_JOURNAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return bool(told.stdout)


def read_error(path: Path) -> str | None:
    """Why this file cannot be read (`Permission denied`), or None where it can."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error.strerror
    return None


def _identity(path: Path) -> object | None:
    """What tells a log from another name of the same one; None where no log is."""
    try:
        status = path.stat()
    except PermissionError:
        return path
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def _maillog_file(root: Path) -> Path | None:
    """The log that Postfix writes by itself, where `maillog_file` in its main.cf names one.

    Only below /var, which is where Postfix accepts one by default (`maillog_file_prefixes`, postconf(5)).
    """
    name = PurePosixPath(parameter(root / _MAIN_CF, "maillog_file"))
    is_plain = ".." not in name.parts and "$" not in str(name)
    return root / name.relative_to("/") if is_plain and name.is_relative_to("/var") else None


def parameter(main_cf: Path, name: str) -> str:
    """The last value that the file gives to a parameter, or ""."""
    value = ""
    for line in _text(main_cf).splitlines():
        key, equals, text = line.partition("=")
        if equals and key.rstrip() == name:
            value = text.strip()
    return value


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_MAIN_CF_LIMIT).replace("\0", "")
    except OSError:
        return ""
