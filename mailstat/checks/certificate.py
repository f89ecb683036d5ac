"""Whether the certificate of the host's mail server is there, in time, and for its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from pathlib import Path

from mailstat.account import quoted
from mailstat.host import Finding, Host, Severity, tool

SOON = 14 * 86400.0  # seconds
_RENEW = "certbot renew && systemctl reload postfix"
_END = re.compile(r"notAfter=(?P<when>.+)")
_NAME = re.compile(r"DNS:(?P<name>[^\s,]+)")
_EXIM = re.compile(r"^\s*tls_certificate\s*=\s*(?P<path>/\S+)\s*$", re.MULTILINE)
_DOVECOT = re.compile(r"^\s*ssl_(?:server_)?cert(?:_file)?\s*=\s*<?\s*(?P<path>/\S+)\s*$", re.MULTILINE)


def check(host: Host) -> Iterator[Finding]:
    """Each certificate that a configuration names."""
    for path, key in dict.fromkeys(_pairs(host)):
        yield from _of(host, path)
        if key:
            yield from _key(host, key)


def _pairs(host: Host) -> Iterator[tuple[Path, Path | None]]:
    chain = host.postfix("smtpd_tls_chain_files").replace(",", " ").split()
    cert = chain[0] if chain else host.postfix("smtpd_tls_cert_file")
    key = host.postfix("smtpd_tls_key_file")
    if cert.startswith("/"):
        yield host.at(cert), host.at(key) if key.startswith("/") and not chain else None
    for pattern, expression in (("etc/exim4/exim4.conf*", _EXIM), ("etc/exim*.conf", _EXIM)):
        yield from _named(host, pattern, expression)
    yield from _named(host, "etc/dovecot/conf.d/*ssl.conf", _DOVECOT)
    yield from _named(host, "etc/dovecot/dovecot.conf", _DOVECOT)


def _named(host: Host, pattern: str, expression: re.Pattern[str]) -> Iterator[tuple[Path, None]]:
    for path in sorted(host.root.glob(pattern))[:50]:
        yield from ((host.at(found["path"]), None) for found in expression.finditer(host.text(path)))


def _of(host: Host, path: Path) -> Iterator[Finding]:
    name, word = host.shown(path), quoted(Path(host.shown(path)))
    try:
        path.open("rb").close()
    except OSError as error:
        text = f"the certificate cannot be read: {error.strerror}"
        severity: Severity = "note" if isinstance(error, PermissionError) else "error"
        yield Finding(severity, name, text, f"ls -lL {word}")
        return
    # Python's ssl has no word for a certificate that nobody has shown it in a handshake.
    said = tool("openssl", "x509", "-in", str(path), "-noout", "-enddate", "-ext", "subjectAltName")
    end = _END.search(said)
    if not end:
        yield Finding("note", name, "what stands in the certificate cannot be told", f"openssl x509 -in {word} -text")
        return
    left = _seconds(end["when"]) - host.now
    if left < SOON:
        text = f"the certificate {'expired' if left < 0 else 'expires'} {end['when']}"
        yield Finding("error" if left < 0 else "warning", name, text, _RENEW)
    yield _names(host, name, word, [found["name"].lower() for found in _NAME.finditer(said)])


def _names(host: Host, path: str, word: str, names: list[str]) -> Finding:
    own = (host.postfix("myhostname") or host.name).strip().lower()
    if any(fnmatchcase(own, name) and own.count(".") == name.count(".") for name in names):
        return Finding("good", path, f"the certificate is for {own}")
    shown = ", ".join(names[:3]) or "no name"
    text = f"the certificate is for {shown}, and the server calls itself {own}"
    return Finding("note", path, text, f"openssl x509 -in {word} -noout -ext subjectAltName")


def _key(host: Host, key: Path) -> Iterator[Finding]:
    try:
        mode = key.stat().st_mode
    except OSError:
        return
    if mode & 0o004:
        name = host.shown(key)
        yield Finding("error", name, "everybody may read this private key", f"chmod o= {quoted(Path(name))}")


def _seconds(when: str) -> float:
    """`Jan  1 00:00:00 2030 GMT`, as OpenSSL writes it."""
    month, day, clock, year, *_ = when.split()
    return parsedate_to_datetime(f"{day} {month} {year} {clock} +0000").astimezone(UTC).timestamp()
