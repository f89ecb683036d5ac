"""The exporter's configuration file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exporter.config import ConfigError, load_config

SEEDS = (
    b"sources:\n  - file: /var/log/mail.log\n"
    b"    timezone: Europe/Prague\n    mta: postfix\nlabels: {providers: 32}\n",
    b"queues:\n  - postfix: {spool: /var/spool/postfix, showq: '127.0.0.1:9998'}\n"
    b"  - exim: {spool: /var/spool/exim4}\n",
    b"blocks: {messages: 10}\n"
    b"accounts: {quota: {messages: 5}, quotas: [{of: example.com, messages: 9}]}\ntimezone: UTC\n",
    b"probes:\n  - name: a\n    every: 5m\n"
    b"    send: {server: smtp.example.com, from: a@example.com, to: b@example.net}\n",
    b"",
    b"- &a [*a, *a]\n",
    b"a: &x {b: 1}\nc: {<<: *x}\n",
    b"!!python/object/apply:os.system ['id']\n",
)
WORDS = (
    *(
        b"sources: ",
        b"- ",
        b"  ",
        b": ",
        b"? ",
        b"|\n",
        b">\n",
        b"&a ",
        b"*a",
        b"<<: ",
        b"!!int ",
        b"!!binary ",
        b"!!set ",
    ),
    *(
        b"!!timestamp ",
        b"2026-99-99",
        b"0o17",
        b"1_000",
        b"1:30",
        b"~",
        b"yes",
        b"---\n",
        b"...\n",
        b"%YAML 9.9\n",
        b".inf",
    ),
    *(
        b"timezone: ",
        b"../../etc/passwd",
        b"providers: ",
        b"reasons: /dev/zero\n",
        b"file: ",
        b"{a: {a: {a: ",
        b"\xef\xbb\xbf",
    ),
)

# Bytes. The library reads some 300 kB in a second, and the file is the operator's own.
LONGEST = 8_192


@contextmanager
def opened() -> Iterator[Callable[[bytes], object]]:
    """Each input is the file: it is taken, or refused in words."""
    with tempfile.TemporaryDirectory(prefix="mailstat-fuzz-") as folder:
        path = Path(folder) / "mailstat.yml"

        def feed(text: bytes) -> None:
            path.write_bytes(text[:LONGEST])
            with suppress(ConfigError):
                load_config(path)

        yield feed
