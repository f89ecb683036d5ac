"""The file of `--web.config.file`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exporter.door.section import load_web_config
from exporter.door.tls import context
from exporter.schema import InvalidError

_HASH = b"$2y$04$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"
SEEDS = (
    b"tls_server_config:\n  cert_file: c.pem\n  key_file: k.pem\n  min_version: TLS12\n"
    b"  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n  curve_preferences: [X25519]\n",
    b"tls_server_config: {cert_file: c, key_file: k, client_auth_type: RequireAndVerifyClientCert, "
    b"client_ca_file: ca, client_allowed_sans: [a.example.com]}\n",
    b"basic_auth_users:\n  alice: " + _HASH + b"\n  bob: " + _HASH + b"\n",
    b"http_server_config:\n  http2: true\n  headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=1}\n",
    b"rate_limit: {interval: 1s, burst: 20}\n",
    b"",
)
WORDS = (
    *(
        b"tls_server_config: ",
        b"{}",
        b"[]",
        b"null",
        b"cert: |\n  -----BEGIN CERTIFICATE-----\n",
        b"TLS13",
        b"$2y$31$",
    ),
    *(
        b"key_file: /dev/zero\n",
        b"cert_file: .\n",
        b"- ",
        b"  ",
        b": ",
        b"&a ",
        b"*a",
        b"!!binary ",
        b"headers: ",
        _HASH,
    ),
)

# Bytes. The library reads some 300 kB in a second, and the file is the operator's own.
LONGEST = 16_384


@contextmanager
def opened() -> Iterator[Callable[[bytes], object]]:
    """Each input is the file: it is taken, or refused in words; so are those that it names."""
    with tempfile.TemporaryDirectory(prefix="mailstat-fuzz-") as folder:
        path = Path(folder) / "web.yml"

        def feed(text: bytes) -> None:
            path.write_bytes(text[:LONGEST])
            with suppress(InvalidError):
                config = load_web_config(path)
                if config.tls:
                    context(config.tls)

        yield feed
