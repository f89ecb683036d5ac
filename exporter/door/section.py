"""The file of `--web.config.file`: that of Prometheus' exporters, with the meaning that exporter-toolkit gives it.

What Python's ssl cannot do, or what would be less safe than it looks, is refused, and the error says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Literal

from exporter import yamlfile
from exporter.schema import Between, Duration, InvalidError, Line, Secret, Text, doc, shown, structure

Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]
ClientAuth = Literal[
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "RequireClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
]
# crypto/tls.CipherSuites() of Go, which the toolkit takes its names from, in OpenSSL's words (RFC 5289, RFC 7905).
CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
}
# All that TLS 1.3 has; neither Go nor Python lets anybody choose among them.
CIPHERS_13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
# The toolkit's list: other headers are the exporter's own business. Where there are values, one of them.
HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
_BCRYPT = re.compile(r"\$2[aby]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}", re.ASCII)
LEAST_COST, MOST_COST = 4, 16  # 16 takes some seconds each time

_OLD = "RFC 8996 ended it, and OpenSSL no longer speaks it by default"
_UNVERIFIED = "Python's ssl cannot ask for a certificate without verifying it"
_INLINE = "certificates and keys stand in files of their own"


@dataclass(frozen=True, kw_only=True)
class TlsServer:
    """HTTPS in place of HTTP. Relative paths start where the file is."""

    cert_file: Path | None = field(
        default=None, metadata=doc("The certificate, and those that lead to its authority, in PEM.")
    )
    key_file: Path | None = field(default=None, metadata=doc("Its private key in PEM, without a passphrase."))
    client_auth_type: ClientAuth = field(
        default="NoClientCert",
        metadata=doc(
            "Whether clients need a certificate. `RequestClientCert`, `RequireAnyClientCert` and `RequireClientCert` "
            f"are refused: {_UNVERIFIED}."
        ),
    )
    client_ca_file: Path | None = field(
        default=None,
        metadata=doc(
            "The authorities that sign the clients' certificates, in PEM. Required where clients are verified: the "
            "toolkit would trust every public authority without it."
        ),
    )
    client_allowed_sans: tuple[Text, ...] = field(
        default=(),
        metadata=doc(
            "Names, one of which a client's certificate has as an alternative name: DNS, address, e-mail or URI. "
            "Needs `RequireAndVerifyClientCert`."
        ),
    )
    min_version: Version = field(
        default="TLS12", metadata=doc(f"The least version of TLS. `TLS10` and `TLS11` are refused: {_OLD}.")
    )
    max_version: Version = field(default="TLS13", metadata=doc("The greatest version of TLS."))
    cipher_suites: tuple[Text, ...] = field(
        default=(),
        metadata=doc(
            "The suites of TLS 1.2, by Go's names: those with ephemeral keys. The three of TLS 1.3 may stand there, "
            "and are always on."
        ),
    )
    prefer_server_cipher_suites: bool = field(
        default=True, metadata=doc("Whether the server's order of suites counts, or the client's.")
    )
    curve_preferences: tuple[Text, ...] = field(
        default=(),
        metadata=doc(
            f"One of {', '.join(f'`{name}`' for name in CURVES)}. Several are refused: Python's ssl takes one alone, "
            "or OpenSSL's own order, which begins with X25519."
        ),
    )
    cert: Secret | None = field(default=None, metadata=doc(f"Refused: {_INLINE}."))
    key: Secret | None = field(default=None, metadata=doc(f"Refused: {_INLINE}."))
    client_ca: Secret | None = field(default=None, metadata=doc(f"Refused: {_INLINE}."))

    def __post_init__(self) -> None:
        """Refuse what would not be as safe as the file says."""
        for problem in self._problems():
            raise ValueError(problem)

    def _problems(self) -> Iterator[str]:
        yield from (f"{name}: {_INLINE}, name it as {name}_file" for name in self._inline())
        if not self.cert_file or not self.key_file:
            yield f"{'key_file' if self.cert_file else 'cert_file'}: missing"
        yield from self._problems_of_client()
        for name in self.cipher_suites:
            if name not in CIPHERS and name not in CIPHERS_13:
                yield f"cipher_suites: {shown(name)} is none of {', '.join((*CIPHERS, *CIPHERS_13))}"
        yield from self._problems_of_version()
        if len(self.curve_preferences) > 1:
            yield "curve_preferences: Python's ssl takes one curve, or none for OpenSSL's own order"
        if unknown := set(self.curve_preferences) - CURVES.keys():
            yield f"curve_preferences: {shown(min(unknown))} is none of {', '.join(CURVES)}"

    def _inline(self) -> list[str]:
        return [name for name in ("cert", "key", "client_ca") if getattr(self, name)]

    def _problems_of_client(self) -> Iterator[str]:
        if self.client_auth_type in ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert"):
            yield f"client_auth_type: {_UNVERIFIED}: RequireAndVerifyClientCert does"
        is_verified = self.client_auth_type in ("VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
        if self.client_ca_file and not is_verified:
            yield "client_ca_file: no client is verified, client_auth_type has to be RequireAndVerifyClientCert"
        if is_verified and not self.client_ca_file:
            yield f"client_ca_file: missing, {self.client_auth_type} needs to know whom to trust"
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            yield "client_allowed_sans: client_auth_type has to be RequireAndVerifyClientCert"

    def _problems_of_version(self) -> Iterator[str]:
        for name in ("min_version", "max_version"):
            if (version := getattr(self, name)) in ("TLS10", "TLS11"):
                yield f"{name}: {version} is refused: {_OLD}"
        if self.min_version > self.max_version:
            yield "min_version: is above max_version"
        if self.cipher_suites and self.min_version == "TLS12" and not self.openssl_ciphers:
            yield "cipher_suites: no suite of TLS 1.2 is left, so min_version has to be TLS13"

    @property
    def openssl_ciphers(self) -> list[str]:
        """The suites of TLS 1.2 in OpenSSL's words."""
        return [CIPHERS[name] for name in self.cipher_suites if name in CIPHERS]


@dataclass(frozen=True, kw_only=True)
class HttpServer:
    """What answers have."""

    http2: bool = field(default=True, metadata=doc("Accepted, and without effect: HTTP/1.1 is what is spoken."))
    headers: Mapping[str, Line] | None = field(
        default=None,
        metadata=doc(
            f"Headers of every answer: {', '.join(f'`{name}`' for name in HEADERS)}. Those of the exporter's own "
            "that have the same name give way."
        ),
    )

    def __post_init__(self) -> None:
        """Refuse a header that the toolkit would refuse."""
        for name, value in (self.headers or {}).items():
            if name not in HEADERS:
                raise ValueError(f"headers[{shown(name)}]: cannot be set, expected one of {', '.join(HEADERS)}")
            if HEADERS[name] and value not in HEADERS[name]:
                raise ValueError(f"headers[{shown(name)}]: expected {' or '.join(HEADERS[name])}")


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """How many requests are answered, of all clients together; the others get 429."""

    interval: Duration = field(
        default=Duration(0.0), metadata=doc("The time between two requests; without it, or `0s`, as many as come.")
    )
    burst: Annotated[int, Between(0, 1_000_000)] = field(
        default=0, metadata=doc("So many may come at once; 0 with an interval would be none.")
    )

    def __post_init__(self) -> None:
        """Refuse a limit that lets nobody in."""
        if self.interval and not self.burst:
            raise ValueError("burst: expected 1 or more, where there is an interval")


@dataclass(frozen=True, kw_only=True)
class WebConfig:
    """The whole file."""

    tls_server_config: TlsServer | None = field(default=None, metadata=doc("HTTPS; without it, HTTP."))
    http_server_config: HttpServer | None = field(default=None, metadata=doc("What answers have."))
    basic_auth_users: Mapping[str, Secret] | None = field(
        default=None,
        metadata=doc(
            'Who may come in, each with the bcrypt hash of the password (`htpasswd -nBC 10 ""`), of a cost from '
            f"{LEAST_COST} to {MOST_COST}. Without it, everyone may."
        ),
    )
    rate_limit: RateLimit | None = field(default=None, metadata=doc("How many requests are answered."))

    def __post_init__(self) -> None:
        """Refuse what is no hash: most probably it is the password itself."""
        for name, value in (self.basic_auth_users or {}).items():
            found = _BCRYPT.fullmatch(value)
            if not found:
                raise ValueError(f"basic_auth_users[{shown(name)}]: expected a bcrypt hash, as of htpasswd -nBC 10")
            if not LEAST_COST <= int(found["cost"]) <= MOST_COST:
                raise ValueError(
                    f"basic_auth_users[{shown(name)}]: expected a cost from {LEAST_COST} to {MOST_COST}, got "
                    f"{int(found['cost'])}"
                )
            if ":" in name:
                raise ValueError(f"basic_auth_users[{shown(name)}]: HTTP cannot tell a colon from the password")

    def files(self) -> list[Path]:
        """The files that it names."""
        return [value for it in fields(TlsServer) if isinstance(value := getattr(self.tls, it.name, None), Path)]

    @property
    def tls(self) -> TlsServer | None:
        return self.tls_server_config

    @property
    def users(self) -> Mapping[str, Secret]:
        return self.basic_auth_users or {}

    @property
    def headers(self) -> Mapping[str, Line]:
        """Those that are not blank: the toolkit leaves these out."""
        named = (self.http_server_config or HttpServer()).headers or {}
        return {name: value for name, value in named.items() if value}

    @property
    def limit(self) -> RateLimit:
        return self.rate_limit or RateLimit()


def load_web_config(path: Path, *, may_be_empty: bool = True) -> WebConfig:
    """The file as it is now; an empty one is one where every key is left out, if it may be: who writes a file may
    have truncated it first. Raises InvalidError, with all that is wrong; no error repeats a secret."""
    try:
        content = yamlfile.load(path)
        if content is None and not may_be_empty:
            raise InvalidError(["it is empty, which opens no door that was shut: {} would"])
        if isinstance(content, dict) and content.get("tls_server_config") == {}:
            content.pop("tls_server_config")  # the toolkit takes an empty section for none
        return WebConfig() if content is None else structure(content, WebConfig, path.parent)
    except InvalidError as invalid:
        raise InvalidError(f"{path}: {error}" for error in invalid.errors) from None
