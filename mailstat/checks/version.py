"""Whether the mail servers of the host are of a release whose lines are known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mailstat.host import Finding, Host


class Known(NamedTuple):
    """The releases whose lines are known, the packages that they come in, and how they are asked."""

    first: tuple[int, int]
    last: tuple[int, int]
    packages: tuple[str, ...]
    question: tuple[str, ...] = ()


KNOWN = {
    "Postfix": Known((2, 10), (3, 12), ("postfix",), ("postconf", "-h", "mail_version")),
    "Exim": Known((4, 80), (4, 99), ("exim4-base", "exim"), ("exim", "-bV")),
    "Sendmail": Known((8, 12), (8, 18), ("sendmail-bin", "sendmail")),
    "OpenSMTPD": Known((5, 7), (7, 99), ("opensmtpd",), ("smtpd", "-V")),
    "Dovecot": Known((2, 2), (2, 4), ("dovecot-core", "dovecot"), ("dovecot", "--version")),
}
_PACKAGE = re.compile(r"^Package: (?P<name>\S+)$", re.MULTILINE)
_INSTALLED = re.compile(r"^Status: \S+ \S+ installed$", re.MULTILINE)
_VERSION = re.compile(r"^Version: (?:\d+:)?(?P<version>\S+)$", re.MULTILINE)
_NUMBER = re.compile(r"(?P<major>\d{1,4})\.(?P<minor>\d{1,4})(?P<rest>[.\w]{0,20})")


def check(host: Host) -> Iterator[Finding]:
    """Each server that is installed."""
    packages = _packages(host)
    is_any = False
    for server, known in KNOWN.items():
        version = _version(host, known, packages)
        if version:
            is_any = True
            yield _told(server, known, version)
    if not is_any:
        yield Finding("note", "mail server", "no version of one is found", "mailstat unparsed")


def _told(server: str, known: Known, version: re.Match[str]) -> Finding:
    release = (int(version["major"]), int(version["minor"]))
    text = f"version {version[0]}"
    if release > known.last:
        newest = ".".join(map(str, known.last))
        return Finding("note", server, f"{text} is newer than {newest}, the last that is known", "mailstat unparsed")
    if release < known.first:
        oldest = ".".join(map(str, known.first))
        return Finding(
            "warning", server, f"{text} is older than {oldest}, the first that is known", "mailstat unparsed"
        )
    return Finding("good", server, f"the lines of {text} are known")


def _version(host: Host, known: Known, packages: dict[str, str]) -> re.Match[str] | None:
    texts = [packages[name] for name in known.packages if name in packages]
    if not texts and known.question:
        texts = [host.run(*known.question)]
    return _NUMBER.search(texts[0]) if texts else None


def _packages(host: Host) -> dict[str, str]:
    """Versions of Debian's packages that are installed, by their names."""
    wanted = {name for known in KNOWN.values() for name in known.packages}
    found: dict[str, str] = {}
    for part in _text(host).split("\n\n"):
        name, version = _PACKAGE.search(part), _VERSION.search(part)
        if name and version and name["name"] in wanted and _INSTALLED.search(part):
            found[name["name"]] = version["version"]
    return found


def _text(host: Host) -> str:
    """All of it, which is more than a configuration may be."""
    try:
        return host.at("/var/lib/dpkg/status").read_text("utf-8", "replace")
    except OSError:
        return ""
