"""TLS as the web configuration wants it, with the means of Python's ssl."""

from __future__ import annotations

import ssl
import stat
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from exporter.door.section import CURVES
from exporter.schema import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from exporter.door.section import TlsServer

_LARGEST = 1 << 22  # bytes: all authorities of a system are a quarter of it
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_VERIFIES = {"VerifyClientCertIfGiven": ssl.CERT_OPTIONAL, "RequireAndVerifyClientCert": ssl.CERT_REQUIRED}


def context(section: TlsServer) -> ssl.SSLContext:
    """What a handshake follows from now on. Raises InvalidError where a file cannot be read, or is something else."""
    assert section.cert_file
    assert section.key_file
    for name in ("cert_file", "key_file", "client_ca_file"):
        _check_readable(name, getattr(section, name))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = _VERSIONS[section.min_version]
    made.maximum_version = _VERSIONS[section.max_version]
    made.set_alpn_protocols(["http/1.1"])
    if not section.prefer_server_cipher_suites:
        made.options &= ~ssl.Options.OP_CIPHER_SERVER_PREFERENCE
    _choose(made, section)
    _load(made, section)
    made.verify_mode = _VERIFIES.get(section.client_auth_type, ssl.CERT_NONE)
    return made


def _choose(made: ssl.SSLContext, section: TlsServer) -> None:
    """What the OpenSSL of this host may have been built without, or its Python not be able to name."""
    try:
        if section.openssl_ciphers:
            made.set_ciphers(":".join(section.openssl_ciphers))
    except ssl.SSLError:
        raise InvalidError(["tls_server_config.cipher_suites: the OpenSSL of this host has none of them"]) from None
    for curve in section.curve_preferences:
        try:
            made.set_ecdh_curve(CURVES[curve])
        except (ssl.SSLError, ValueError):
            error = f"tls_server_config.curve_preferences: the Python of this host cannot choose {curve}"
            raise InvalidError([error]) from None


def _load(made: ssl.SSLContext, section: TlsServer) -> None:
    try:
        # Without a password OpenSSL would ask for one at the terminal.
        made.load_cert_chain(str(section.cert_file), str(section.key_file), password=lambda: b"")
    except ssl.SSLError as error:
        raise InvalidError([f"tls_server_config: {_meaning(error)}"]) from None
    if section.client_ca_file:
        try:
            made.load_verify_locations(str(section.client_ca_file))
        except ssl.SSLError:
            raise InvalidError(["tls_server_config.client_ca_file: no certificate in PEM"]) from None


def _meaning(error: ssl.SSLError) -> str:
    match error.reason:
        case "KEY_VALUES_MISMATCH" | "KEY_TYPE_MISMATCH":
            return "cert_file and key_file do not belong together"
        case "EE_KEY_TOO_SMALL" | "CA_KEY_TOO_SMALL" | "CA_MD_TOO_WEAK":
            return "the certificate is too weak for OpenSSL"
        case _:
            return "no certificate in cert_file, or no key without a passphrase in key_file, in PEM"


def _check_readable(name: str, path: Path | None) -> None:
    """A pipe would keep the service waiting, a device would never end."""
    if path is None:
        return
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            raise InvalidError([f"tls_server_config.{name}: {path}: no file of certificates or keys"])
        path.open("rb").close()
    except OSError as error:
        raise InvalidError([f"tls_server_config.{name}: {path}: {error.strerror}"]) from None


def has_name(certificate: Mapping[str, Any] | None, allowed: Iterable[str]) -> bool:
    """Whether a verified certificate (`SSLSocket.getpeercert`) has one of these alternative names: a DNS name, an
    address, an e-mail address or a URI, as it is written."""
    names: Iterable[tuple[str, str]] = (certificate or {}).get("subjectAltName", ())
    found = {_plain(value) for kind, value in names if kind in ("DNS", "IP Address", "email", "URI")}
    return not found.isdisjoint(map(_plain, allowed))


def _plain(name: str) -> str:
    """OpenSSL writes IPv6 in its long form."""
    try:
        return str(ip_address(name))
    except ValueError:
        return name
