"""How far a log was read, and the files that remember it.

The offset file is pygtail's: two lines, the inode and the offset, so that either program goes on where the
other stopped. pygtail reads exactly two lines, so what else identifies the file lies beside it, in
``<offset file>.identity``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

HEAD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The hash of a file's first ``length`` bytes: it survives renaming and compression."""

    length: int
    digest: str

    @classmethod
    def of(cls, head: bytes) -> Fingerprint:
        head = head[:HEAD_BYTES]
        return cls(len(head), hashlib.blake2b(head, digest_size=16).hexdigest())

    def matches(self, head: bytes) -> bool:
        """Whether a file that starts with ``head`` may be the one; that of nothing matches every file."""
        return Fingerprint.of(head[: self.length]) == self


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a log file that everything before was delivered from.

    ``offset`` counts uncompressed bytes. ``modified`` is the time the file was last written, in
    nanoseconds since the epoch, and ``size`` its bytes, both as far as was seen. ``device`` is None when it is
    not known.
    """

    device: int | None
    inode: int
    fingerprint: Fingerprint
    offset: int
    modified: int
    size: int = 0

    @property
    def unread_bytes(self) -> int:
        """Bytes behind it that were seen."""
        return max(0, self.size - self.offset)

    @property
    def is_told_by_content(self) -> bool:
        """Whether the content alone tells the file: its first line was read, and a time stands in it."""
        return self.offset > 0 and self.fingerprint.length > 0

    @property
    def is_of_nothing(self) -> bool:
        """Whether nothing tells the file from others: it was empty. Its inode may be another file's since."""
        return self.offset == 0 and self.fingerprint.length == 0

    def is_at(self, *, device: int, inode: int) -> bool:
        """Whether this is the place's inode; its content may be another since."""
        return inode == self.inode and self.device in (None, device)


@dataclass(frozen=True, slots=True)
class _Identity:
    device: int | None
    inode: int
    fingerprint: Fingerprint
    modified: int
    size: int = 0


def load(offset_file: Path) -> Position:
    """What ``save`` or pygtail left; OSError when there is nothing, ValueError when it is no position."""
    with offset_file.open("rb") as file:
        inode, offset = _numbers(file.read(128))
        identity = _load_identity(offset_file, inode)
        if identity is None:
            modified = os.fstat(file.fileno()).st_mtime_ns
            return Position(None, inode, Fingerprint.of(b""), offset, modified)
    return Position(identity.device, inode, identity.fingerprint, offset, identity.modified, identity.size)


def save(offset_file: Path, position: Position) -> None:
    """Write both files, each at once or not at all; OSError when the disk refuses."""
    identity = _Identity(position.device, position.inode, position.fingerprint, position.modified, position.size)
    _replace(_identity_file(offset_file), msgspec.json.encode(identity) + b"\n")
    _replace(offset_file, b"%d\n%d\n" % (position.inode, position.offset))


def forget(offset_file: Path) -> None:
    """Remove both files where they are."""
    for path in (offset_file, _identity_file(offset_file)):
        with contextlib.suppress(OSError):
            path.unlink()


def _numbers(text: bytes) -> tuple[int, int]:
    inode, offset = (int(line) for line in text.splitlines())
    if inode < 0 or offset < 0:
        raise ValueError("negative number")
    return inode, offset


def _identity_file(offset_file: Path) -> Path:
    return offset_file.with_name(f"{offset_file.name}.identity")


def _load_identity(offset_file: Path, inode: int) -> _Identity | None:
    """What is known of that inode; None when the offset file was written by pygtail, or for another file."""
    try:
        text = _identity_file(offset_file).read_bytes()
        identity = msgspec.json.decode(text, type=_Identity)
    except (OSError, msgspec.DecodeError):
        return None
    return identity if identity.inode == inode else None


def _replace(path: Path, text: bytes) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
