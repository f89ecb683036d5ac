"""What was found in logs, kept for the next question about the same files.

An entry has a fingerprint for a name (`mailstat.fingerprint`). Entries lie in a folder that is the user's alone; what
is damaged counts as missing, and what was not used for longest goes when there is too much.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from stat import S_ISDIR, S_ISREG

MOST_BYTES = 1 << 30  # of all entries


class Cache:
    """The entries of one user. Without a folder of the user's own, there are none and none is kept."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self._most_bytes = most_bytes

    def find(self, name: str) -> Path | None:
        """An entry, which is then the last to go."""
        path = self.folder / name
        try:
            if not _is_ours(self.folder) or not S_ISREG(path.lstat().st_mode):
                return None
            os.utime(path)
        except OSError:
            return None
        return path

    def names(self, prefix: str) -> list[str]:
        """The entries whose names begin so."""
        try:
            return sorted(path.name for path in self.folder.glob(f"{prefix}*") if not path.name.startswith("."))
        except OSError:
            return []

    def begin(self, name: str) -> Path | None:
        """Where an entry can be written, for `keep`; None where none can be kept."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_ours(self.folder):
                return None
            path = self.folder / f".{name}.{os.getpid()}"
            path.unlink(missing_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError:
            return None
        return path

    def keep(self, path: Path, name: str) -> None:
        """What was written is whole."""
        try:
            path.replace(self.folder / name)
            self._make_room()
        except OSError:
            self.drop(path)

    def drop(self, path: Path) -> None:
        """An entry is damaged, or was not finished."""
        with suppress(OSError):
            path.unlink(missing_ok=True)

    def text(self, name: str) -> bytes | None:
        """What an entry says; None where there is none, or not a whole one."""
        path = self.find(name)
        if path is None:
            return None
        try:
            mark, _, text = path.read_bytes().partition(b"\n")
        except OSError:
            return None
        if mark != _mark(text):
            self.drop(path)
            return None
        return text

    def keep_text(self, name: str, text: bytes) -> None:
        """Keep an entry of a text."""
        path = self.begin(name)
        if path:
            try:
                path.write_bytes(_mark(text) + b"\n" + text)
            except OSError:
                self.drop(path)
            else:
                self.keep(path, name)

    def _make_room(self) -> None:
        entries = [(path, path.lstat()) for path in self.folder.iterdir()]
        total = sum(status.st_size for _, status in entries)
        for path, status in sorted(entries, key=lambda entry: entry[1].st_mtime_ns):
            if total <= self._most_bytes:
                return
            path.unlink(missing_ok=True)
            total -= status.st_size


def _mark(text: bytes) -> bytes:
    return blake2b(text, digest_size=20).hexdigest().encode()


def user_cache() -> Cache | None:
    """That of who runs this (XDG Base Directory Specification); None where there is no place for it."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        try:
            base = Path.home() / ".cache"
        except RuntimeError:
            return None
    return Cache(base / "mailstat")


def _is_ours(folder: Path) -> bool:
    """Whether a folder is one that nobody else can write to or look into."""
    status = folder.lstat()
    return S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
