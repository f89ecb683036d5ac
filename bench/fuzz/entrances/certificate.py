"""The certificate and the key of the web configuration."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exporter.door.section import TlsServer
from exporter.door.tls import context
from exporter.schema import InvalidError

SEEDS = (
    b"-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUJ0n3Yv9oQ1c=\n-----END CERTIFICATE-----\n",
    b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAg=\n"
    b"-----END ENCRYPTED PRIVATE KEY-----\n",
    b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n"
    b"-----END RSA PRIVATE KEY-----\n",
)
WORDS = (b"-----BEGIN ", b"-----END ", b"CERTIFICATE-----\n", b"PRIVATE KEY-----\n", b"AAAA", b"\n\n", b"TRUSTED ")


@contextmanager
def opened() -> Iterator[Callable[[bytes], object]]:
    """Each input is all three files."""
    with tempfile.TemporaryDirectory(prefix="mailstat-fuzz-") as folder:
        path = Path(folder) / "file.pem"
        section = TlsServer(
            cert_file=path, key_file=path, client_ca_file=path, client_auth_type="RequireAndVerifyClientCert"
        )

        def feed(text: bytes) -> None:
            path.write_bytes(text)
            with suppress(InvalidError):
                context(section)

        yield feed
