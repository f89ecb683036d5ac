"""What outlives the process: one SQLite database, in which everything that belongs together changes together.

A part is a name and some bytes. Positions and what was counted up to them are parts of the same transaction, so that
after any end, of the process or of the machine, each line is counted exactly once.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import msgspec

logger = logging.getLogger(__name__)

FILE = "state.db"
APPLICATION = 0x6D737461  # PRAGMA application_id: this file is ours
VERSION = 1  # of the tables and of what stands in the parts; a database of another one is set aside
BUSY_SECONDS = 5.0  # the exporter that is being replaced needs this long to end
WAL_BYTES = 8 << 20
LONGEST_INT = (1 << 63) - 1
# What does not fit the tables is SQLITE_ERROR.
UNUSABLE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)

Value = TypeVar("Value")
Parts = Mapping[str, bytes | None]


class InUseError(Exception):
    """Another process holds the state; the message says so."""


class DamagedError(Exception):
    """What is stored is not what was written; the message says where."""


class State:
    """The database in a folder, used by one process at a time.

    A thread of its own does all that waits for the disk, in the order in which it was asked. Raises InUseError, and
    OSError where the folder cannot be used. A database that is damaged, or of another version, is renamed (`aside`
    is its new name) and replaced by an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.aside: Path | None = None
        self._digests: dict[str, bytes] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="state")
        try:
            self._connection = self._do(self._open)
        except BaseException:
            self._thread.shutdown()
            raise

    def load(self, name: str, kind: type[Value]) -> Value | None:
        """A part as it was saved; None where there is none. Raises DamagedError."""
        content = self._do(self._load, name)
        return None if content is None else decode(content, kind, name)

    def load_all(self, prefix: str, kind: type[Value]) -> dict[str, Value]:
        """All parts whose names begin so, by the rest of their names. Raises DamagedError."""
        found = {name: self.load(name, kind) for name in self._do(self._names, prefix)}
        return {name.removeprefix(prefix): value for name, value in found.items() if value is not None}

    def save(self, parts: Parts) -> Future[None]:
        """Write the parts that have changed since, in one transaction; None takes a part away.

        When the future is done they are on the disk; it raises OSError where they are not, and then nothing of
        them is. Where the file was removed, a new one gets these parts alone.
        """
        return self._thread.submit(self._save, parts)

    def start_over(self, why: str) -> None:
        """Set the database aside, and begin with an empty one."""
        self._do(self._start_over, why)

    def close(self) -> None:
        """Wait for what is being written, and let go of the database."""
        self._do(self._close)
        self._thread.shutdown()

    def _do(self, task: Callable[..., Value], *arguments: Any) -> Value:
        return self._thread.submit(task, *arguments).result()

    # --- in the thread ---

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except DamagedError as error:
            self._set_aside(str(error))
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        try:
            self.path.touch(
                mode=0o600
            )  # mail in flight stands in it, and SQLite gives its other files the same rights
            connection = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        except (sqlite3.Error, OSError) as error:
            raise OSError(f"{self.path}: {error}") from error
        try:
            _prepare(connection)
        except sqlite3.Error as error:
            connection.close()
            raise _meaning(self.path, error) from error
        except DamagedError:
            connection.close()
            raise
        return connection

    def _names(self, prefix: str) -> list[str]:
        try:
            rows = self._connection.execute("SELECT name FROM part WHERE instr(name, ?) = 1 ORDER BY name", (prefix,))
            return [str(name) for (name,) in rows]
        except sqlite3.Error as error:
            raise DamagedError(str(error)) from error

    def _load(self, name: str) -> bytes | None:
        try:
            row = self._connection.execute("SELECT digest, content FROM part WHERE name = ?", (name,)).fetchone()
        except sqlite3.Error as error:
            raise DamagedError(f"{name}: {error}") from error
        if row is None:
            return None
        digest, content = row
        if not isinstance(content, bytes) or digest != _digest(content):
            raise DamagedError(f"{name}: not what was written")
        self._digests[name] = digest
        return content

    def _save(self, parts: Parts) -> None:
        if not self.path.exists():
            self._connection.close()
            self._digests.clear()
            self._connection = self._connect()
        digests = {name: _digest(content) for name, content in parts.items()}
        changed = [name for name, digest in digests.items() if self._digests.get(name, b"") != digest]
        if not changed:
            return
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            for name in changed:
                if parts[name] is None:
                    execute("DELETE FROM part WHERE name = ?", (name,))
                else:
                    execute("REPLACE INTO part VALUES (?, ?, ?)", (name, digests[name], parts[name]))
            execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):  # a full disk has ended it already
                execute("ROLLBACK")
            raise OSError(f"{self.path}: {error}") from error
        self._digests |= {name: digests[name] for name in changed}

    def _close(self) -> None:
        self._connection.close()

    def _start_over(self, why: str) -> None:
        self._connection.close()
        self._set_aside(why)
        self._digests.clear()
        self._connection = self._connect()

    def _set_aside(self, why: str) -> None:
        self.aside = self.path.with_name(f"{FILE}.aside")
        for tail in ("", "-wal", "-shm"):
            new = Path(f"{self.aside}{tail}")
            new.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                Path(f"{self.path}{tail}").rename(new)
        details = {"error": why, "file": str(self.aside)}
        logger.error("the state cannot be used: it was set aside, and counting starts anew", extra=details)


def _prepare(connection: sqlite3.Connection) -> None:
    execute = connection.execute
    execute("PRAGMA locking_mode = EXCLUSIVE")  # also needs no shared memory, which network file systems lack
    execute("BEGIN IMMEDIATE")
    application, version = (execute(f"PRAGMA {it}").fetchone()[0] for it in ("application_id", "user_version"))
    if application not in (0, APPLICATION):
        raise DamagedError("it is the database of another program")
    if version not in (0, VERSION):
        raise DamagedError(f"it is of version {version}, this release writes version {VERSION}")
    if not version:
        execute("CREATE TABLE part (name TEXT PRIMARY KEY, digest BLOB NOT NULL, content BLOB NOT NULL)")
        execute(f"PRAGMA application_id = {APPLICATION}")
        execute(f"PRAGMA user_version = {VERSION}")
    execute("COMMIT")
    execute("PRAGMA journal_mode = WAL")
    execute("PRAGMA synchronous = FULL")  # a commit outlives a power failure, too
    execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
    (found,) = execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise DamagedError(str(found).splitlines()[0])


def _meaning(path: Path, error: sqlite3.Error) -> Exception:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return InUseError(f"{path}: another process uses it")
    if code & 0xFF in UNUSABLE or code == sqlite3.SQLITE_IOERR_SHORT_READ:
        return DamagedError(str(error))
    return OSError(f"{path}: {error}")


def _digest(content: bytes | None) -> bytes:
    return b"" if content is None else blake2b(content, digest_size=16).digest()


# --- what stands in a part ---


def encode(value: object) -> bytes:
    """MessagePack. Text that is no Unicode and numbers that no computer counts to are put in bounds."""
    try:
        return msgspec.msgpack.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return msgspec.msgpack.encode(_bounded(msgspec.to_builtins(value)))


def decode(content: bytes, kind: type[Value], name: str) -> Value:
    """What was encoded. Raises DamagedError."""
    try:
        return msgspec.msgpack.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedError(f"{name}: {error}") from error


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_bounded(key): _bounded(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [_bounded(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-LONGEST_INT, min(value, LONGEST_INT))
    return value
