"""Writes journal files as journald does: systemd-journal-remote makes them out of the export format."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

REMOTE = Path("/lib/systemd/systemd-journal-remote")
START = 1_795_284_304_000_000
BOOT, MACHINE = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"

needs_journal = pytest.mark.skipif(
    not (REMOTE.exists() and shutil.which("journalctl")), reason="needs journalctl and systemd-journal-remote"
)


class JournalWriter:
    """Writes entries, each a second after the one before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0

    def write(self, file: str, *messages: str, **fields: str) -> None:
        """Append to a file."""
        text = b"".join(self._entry(message, fields) for message in messages)
        command = [REMOTE, "--output", self.folder / file, "-"]
        subprocess.run(command, input=text, check=True, capture_output=True)

    def _entry(self, message: str, fields: dict[str, str]) -> bytes:
        self.number += 1
        time = START + self.number * 1_000_000
        known = {
            "__REALTIME_TIMESTAMP": str(time),
            "__MONOTONIC_TIMESTAMP": str(self.number * 1_000_000),
            "_BOOT_ID": BOOT,
            "_MACHINE_ID": MACHINE,
            "_HOSTNAME": "mail",
            "SYSLOG_IDENTIFIER": "postfix/smtpd",
            "SYSLOG_FACILITY": "2",
            "_SYSTEMD_UNIT": "postfix@-.service",
            "_PID": "4711",
        }
        return b"".join(map(_field, (known | fields | {"MESSAGE": message}).items())) + b"\n"


def _field(item: tuple[str, str]) -> bytes:
    """The export format: what has a newline or is no text has its length before it."""
    name, value = item[0].encode(), item[1].encode("utf-8", "surrogateescape")
    if value.isascii() and b"\n" not in value:
        return name + b"=" + value + b"\n"
    return name + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
