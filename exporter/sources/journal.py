"""The systemd journal, as journalctl(1) tells it: its cursors survive rotation, and what is vacuumed away.

There are libraries for the journal, and all of them have to be compiled against the libsystemd of the host;
journalctl stands beside it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import struct
import subprocess
import termios
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from exporter.sources.feed import FeedError
from exporter.sources.lines import LINE_BYTES, Lines
from parsers.memo import Memo

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 16
NAME_LENGTH = 128
SAID_BYTES = 4096  # of what journalctl says on its standard error
FIELDS = "MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID,_COMM,_HOSTNAME"
# What mail servers log to syslog has the facility `mail`; what they print has the name of their unit alone.
UNITS = (
    *("postfix", "postfix@-", "exim", "exim4", "sendmail", "sm-client", "opensmtpd", "smtpd", "dovecot"),
    *("qmail", "qmail-send", "notqmail"),
)
MAIL = ("SYSLOG_FACILITY=2", *(word for unit in UNITS for word in ("+", f"_SYSTEMD_UNIT={unit}.service")))
_CURSOR = re.compile(r"[\w=;-]{1,512}", re.ASCII).fullmatch  # sd_journal_get_cursor(3)
_NOT_IN_NAME = re.compile(r"[\s\[\]:()]")
_BREAKS = re.compile(r"[\r\n]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Entry(msgspec.Struct):
    """An entry, see systemd.journal-fields(7). Any field may be a text, null, or a list where it is binary, or is
    there more than once."""

    cursor: str = msgspec.field(name="__CURSOR")
    time: str = msgspec.field(name="__REALTIME_TIMESTAMP")
    message: Any = msgspec.field(name="MESSAGE", default=None)
    identifier: Any = msgspec.field(name="SYSLOG_IDENTIFIER", default=None)
    command: Any = msgspec.field(name="_COMM", default=None)
    host: Any = msgspec.field(name="_HOSTNAME", default=None)
    syslog_pid: Any = msgspec.field(name="SYSLOG_PID", default=None)
    pid: Any = msgspec.field(name="_PID", default=None)


_decode = msgspec.json.Decoder(Entry).decode


def matches(unit: str | None) -> tuple[str, ...]:
    """What journalctl is to show: a unit (or those of a pattern), or everything of mail servers."""
    return (f"--unit={unit}",) if unit else MAIL


class Journal:
    """Follows the journal from its start, from a moment (in seconds since the epoch), or from a place. Lines are made
    to look like those of a log file."""

    def __init__(
        self,
        unit: str | None = None,
        directory: Path | None = None,
        place: object = None,
        *,
        since: float | None = None,
    ) -> None:
        self.read_bytes = self.skipped_bytes = self.dropped = self.rotations = self.truncations = 0
        self.error: str | None = None
        self.is_up = False
        self._unit = unit
        self._directory = directory
        self._since = since
        self._cursor = _cursor_of(place)
        self._process: subprocess.Popen[bytes] | None = None
        self._lines = Lines(LINE_BYTES)
        self._is_first = False  # what comes next is what the cursor points at
        self._said = b""  # the last of what journalctl complained of

    @property
    def lag_bytes(self) -> int:
        """What journalctl has told already."""
        return _waiting(_descriptor(self._process)) + len(self._lines.pending) if self._process else 0

    def place(self) -> object:
        return self._cursor or None

    def paths(self) -> Collection[Path]:
        return ()

    def descriptors(self) -> Collection[int]:
        return (_descriptor(self._process),) if self._process else ()

    def blocks(self) -> Iterator[bytes]:
        process = self._process or self._start()
        self._listen(process)
        while (chunk := _read(_descriptor(process))) is not None:
            if not chunk:
                raise FeedError(self._end(process))
            before = self._lines.skipped_bytes
            block = self._translated(self._lines.feed(chunk))
            self.skipped_bytes += self._lines.skipped_bytes - before
            self.read_bytes += len(block)
            if block:
                yield block

    def close(self) -> None:
        """End journalctl; what it told last, and is not delivered, it will tell again."""
        if self._process is None:
            return
        self._process.kill()
        self._said = b""
        self._process.communicate()
        self._process = None
        self.is_up = False
        self._lines.restart(is_inside_overlong=False)

    def _start(self) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        try:
            self._process = process = subprocess.Popen(  # noqa: S603 - no shell, and the matches are arguments
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=pipe,
                stderr=pipe,
                env=os.environ | {"LC_ALL": "C"},
                start_new_session=True,  # Ctrl-C is for us
            )
        except OSError as error:
            raise FeedError(f"journalctl: {error.strerror}") from None
        for stream in (process.stdout, process.stderr):
            assert stream
            os.set_blocking(stream.fileno(), False)
        self._is_first = bool(self._cursor)
        self.is_up = True
        return process

    def _command(self) -> list[str]:
        # --merge: without it, --follow shows the current boot alone, and what was logged before the last is lost.
        options = ["--output=json", "--all", "--follow", "--no-tail", "--merge", "--no-pager", "--quiet"]
        options.append(f"--output-fields={FIELDS}")
        if self._directory:
            options.append(f"--directory={self._directory}")
        if self._cursor:
            # Not --after-cursor: where the entry was vacuumed away, it leaves out the one that came after it.
            options.append(f"--cursor={self._cursor}")
        elif self._since is not None:
            options.append(f"--since=@{self._since:.0f}")
        return ["journalctl", *options, *matches(self._unit)]

    def _end(self, process: subprocess.Popen[bytes]) -> str:
        """Why it ended, in its own words."""
        process.wait()
        self._listen(process)
        said = self._said.decode("utf-8", "replace").strip()
        self.close()
        return f"journalctl ended: {said.splitlines()[-1] if said else f'status {process.returncode}'}"

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr
        self._said = (self._said + (_read(process.stderr.fileno()) or b""))[-SAID_BYTES:]

    def _translated(self, block: bytes) -> bytes:
        return b"".join(map(self._line, block.split(b"\n")[:-1]))

    def _line(self, text: bytes) -> bytes:
        """The line of an entry, empty where there is nothing to be read in it."""
        try:
            entry = _decode(text)
            line = line_of(entry) if entry.message is not None else b""
        except (msgspec.DecodeError, ValueError, OverflowError):
            self.skipped_bytes += len(text)
            return b""
        if self._is_first and not self._goes_on(entry):
            line = b""
        self._cursor = entry.cursor
        return line

    def _goes_on(self, entry: Entry) -> bool:
        """Whether the first entry is a new one, and not the one that was delivered last."""
        self._is_first = False
        if entry.cursor == self._cursor:
            return False
        logger.warning("the journal has no longer what was read last: entries after it may be gone, too")
        return True


def line_of(entry: Entry) -> bytes:
    """`2026-11-21T10:00:00.123456+00:00 host program[pid]: message`. Raises ValueError and OverflowError where the
    entry has an impossible time, or no text."""
    second, microsecond = _SECONDS[entry.time[:-6]], entry.time[-6:]
    if len(microsecond) != 6 or not microsecond.isdecimal():
        raise ValueError("no time of the journal")
    writer = (entry.host, entry.identifier, entry.command, entry.syslog_pid, entry.pid)
    tag = _tag(*map(_short, writer))
    message = entry.message
    if not isinstance(message, str) or "\n" in message or "\r" in message:
        message = _BREAKS.sub(" ", _text(message))
    return f"{second}.{microsecond}+00:00 {tag}: {message}\n".encode("utf-8", "surrogateescape")


def _second(text: str) -> str:
    return (_EPOCH + timedelta(seconds=int(text))).isoformat()[:19]


@lru_cache(maxsize=5_000)
def _tag(host: str, identifier: str, command: str, syslog_pid: str, own_pid: str) -> str:
    """`host program[pid]`."""
    program = _name(identifier) or _name(command) or "unknown"
    pid = syslog_pid or own_pid
    name = f"{_name(host) or 'localhost'} {program}"
    return f"{name}[{pid}]" if pid.isdecimal() and len(pid) <= 10 else name


def _short(value: object) -> str:
    return value[:NAME_LENGTH] if type(value) is str else _text(value)[:NAME_LENGTH]


def _name(text: str) -> str:
    """What cannot be part of another name."""
    return _NOT_IN_NAME.sub("_", text)


def _text(value: object) -> str:
    """A field's text; the last one where there are several, nothing where there is none."""
    if isinstance(value, list) and all(isinstance(byte, int) for byte in value):
        return bytes(value).decode("utf-8", "surrogateescape")
    if isinstance(value, list):
        return _text(value[-1])
    return value if isinstance(value, str) else ""


def _cursor_of(place: object) -> str:
    """The cursor of a place; none where that is nothing that could be one."""
    return place if isinstance(place, str) and _CURSOR(place) else ""


def _descriptor(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout
    return process.stdout.fileno()


def _read(descriptor: int) -> bytes | None:
    """What there is; empty at the end, None where there is nothing now."""
    try:
        return os.read(descriptor, CHUNK_BYTES)
    except BlockingIOError:
        return None


def _waiting(descriptor: int) -> int:
    answer = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))
    return int(struct.unpack("i", answer)[0])


_SECONDS: Memo[str, str] = Memo(_second, most=64)
