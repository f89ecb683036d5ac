"""What outlives the process: one SQLite database, in which everything that belongs together changes together.

A part is a name and some bytes. Positions and what was counted up to them are parts of the same transaction, so that
after any end, of the process or of the machine, each line is counted exactly once.
"""

from __future__ import annotations

import logging
import os
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

    A thread of its own does all that waits for the disk, in the order in which it was asked. Raises InUseError. Where
    the folder cannot be used, `error` says why, nothing is known, and each save tries again. A database that is
    damaged, or of another version, is renamed (`aside` is its new name) and replaced by an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.aside: Path | None = None
        self.error: OSError | None = None
        self._connection: sqlite3.Connection | None = None
        self._inode = (0, 0)  # of the file that is open, with its device
        self._is_strange = False  # whether what stands there is not what was loaded or saved before
        self._digests: dict[str, bytes] = {}
        self._patience = BUSY_SECONDS
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="state")
        try:
            self._do(self._open)
        except OSError as error:
            self.error = error
        except BaseException:
            self._thread.shutdown()
            raise
        self._patience = 0.0  # a scrape may wait for what comes later

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
        them is. Where the file was removed or replaced, or could not be opened before, these parts are then all that
        stands in it.
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

    def _open(self) -> None:
        try:
            self._connect()
        except DamagedError as error:
            self.aside = set_aside(self.path, str(error))
            self._connect()

    def _connect(self) -> None:
        inode = made(self.path)
        try:
            connection = sqlite3.connect(
                self.path, timeout=self._patience, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise OSError(f"{self.path}: {error}") from error
        try:
            _prepare(connection)
        except sqlite3.Error as error:
            connection.close()
            raise _meaning(self.path, error) from error
        except DamagedError:
            connection.close()
            raise
        self._connection, self._inode = connection, inode

    def _open_again(self) -> sqlite3.Connection:
        """The file that is there now, of which nothing is known."""
        self._close()
        self._digests.clear()
        self._is_strange = True
        try:
            self._open()
        except (InUseError, DamagedError) as error:
            raise OSError(str(error)) from error
        assert self._connection
        return self._connection

    def _is_there(self) -> bool:
        """Whether the file that is open still has its name."""
        try:
            status = self.path.stat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._inode

    def _names(self, prefix: str) -> list[str]:
        if self._connection is None:
            return []
        try:
            rows = self._connection.execute("SELECT name FROM part WHERE instr(name, ?) = 1 ORDER BY name", (prefix,))
            return [str(name) for (name,) in rows]
        except sqlite3.Error as error:
            raise DamagedError(str(error)) from error

    def _load(self, name: str) -> bytes | None:
        if self._connection is None:
            return None
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
        connection = self._connection if self._is_there() else None
        connection = connection or self._open_again()
        digests = {name: _digest(content) for name, content in parts.items()}
        changed = [name for name, digest in digests.items() if self._digests.get(name, b"") != digest]
        if changed:
            self._write(connection, [(name, digests[name], parts[name]) for name in changed])
        self._digests |= {name: digests[name] for name in changed}

    def _write(self, connection: sqlite3.Connection, rows: list[tuple[str, bytes, bytes | None]]) -> None:
        execute = connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            if self._is_strange:
                execute("DELETE FROM part")
            for row in rows:
                if row[2] is None:
                    execute("DELETE FROM part WHERE name = ?", row[:1])
                else:
                    execute("REPLACE INTO part VALUES (?, ?, ?)", row)
            execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):  # a full disk has ended it already
                execute("ROLLBACK")
            if isinstance(_meaning(self.path, error), DamagedError):
                self._close()  # the next save sets it aside
            raise OSError(f"{self.path}: {error}") from error
        self._is_strange = False

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _start_over(self, why: str) -> None:
        self._close()
        self._digests.clear()
        try:
            self.aside = set_aside(self.path, why)
            self._connect()
        except OSError as error:
            self.error = error


def made(path: Path) -> tuple[int, int]:
    """Device and inode of a file that is there now. What stands in it, addresses too, is for nobody else. Raises
    OSError, whose message has the path and the system's reason."""
    try:
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OSError(f"{error.filename}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return status.st_dev, status.st_ino


def set_aside(path: Path, why: str) -> Path:
    """Rename a database that cannot be used, and say so. Returns its new name. Raises OSError."""
    aside = path.with_name(f"{path.name}.aside")
    for tail in ("", "-wal", "-shm"):
        new = Path(f"{aside}{tail}")
        new.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            Path(f"{path}{tail}").rename(new)
    details = {"error": why, "file": str(aside)}
    logger.error("the state cannot be used: it was set aside, and counting starts anew", extra=details)
    return aside


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
        raise DamagedError(str(found).splitlines()[-1])  # the first says in which database


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
