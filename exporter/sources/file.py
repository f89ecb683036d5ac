"""A log file, followed through every kind of rotation."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from pygtail import Pygtail

from exporter.sources import position as state
from exporter.sources.lines import LINE_BYTES, Lines
from exporter.sources.logfile import LogFile
from exporter.sources.rotation import Generations, Sibling, generations

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from exporter.sources.position import Position

logger = logging.getLogger(__name__)

BLOCK_BYTES = 256 * 1024


class FileTail(Pygtail):  # type: ignore[misc]  # pygtail has no types
    """Follows one log file and delivers what was written to it, once, in blocks of complete lines.

    It keeps pygtail's offset file and its search for rotated files. The reading is its own, since pygtail
    loses or repeats lines when two rotations fall between two polls, when a truncated file has outgrown the
    old offset, when an inode is reused and when the rotated file was compressed.

    The caller polls: ``blocks()``, then ``save()``. What cannot be read is waited for; ``error`` says why.

    What is still lost, and logged: the unread end of a file that was truncated or removed, and of which no
    copy is left. ``skipped_bytes`` counts as much of it as was seen.
    """

    def __init__(
        self,
        filename: str | Path,
        offset_file: str | Path | None = None,
        *,
        position: Position | None = None,
        from_end: bool = False,
        block_bytes: int = BLOCK_BYTES,
        line_bytes: int = LINE_BYTES,
    ) -> None:
        """Go on from a position, or from the one saved in ``offset_file``; without both, from the start.

        ``from_end`` skips what a file holds now that was never read before. A line longer than ``line_bytes``
        is delivered cut to that.
        """
        # pygtail's constructor fails on whatever is wrong with the log or the offset file: it gets none.
        super().__init__(str(filename), offset_file=os.devnull)
        self.path = Path(filename)
        self.offset_file = Path(offset_file) if offset_file is not None else None
        self.read_bytes = 0
        self.dropped = 0  # nothing is, before it is in the file
        self.rotations = 0
        self.truncations = 0
        self.error: str | None = None
        self.is_up = False
        self.left: Position | None = None  # the end of the file that was read before this one
        self._lines = Lines(line_bytes)
        self._block_bytes = min(block_bytes, line_bytes)
        self._file: LogFile | None = None
        self._live: os.stat_result | None = None  # what the path leads to
        self._rotated: Generations | None = None  # as the next file was chosen among them
        self._kept = position or self._restore()  # the position, while it is not in the open file
        self._seen: tuple[_Signature, _Signature] | None = None
        self._is_settled = False
        self._is_moving = False  # files are being renamed or packed just now: the next poll looks again
        self._is_from_end = from_end and self._kept is None
        if self._is_from_end:
            self._start_at_end()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the open file; the position stays, and the next poll opens the file again."""
        if getattr(self, "_file", None) is not None:
            self._leave()

    @property
    def skipped_bytes(self) -> int:
        """Bytes given up: the rest of overlong lines, and of lines that were cut off by a truncation."""
        return self._lines.skipped_bytes

    @skipped_bytes.setter
    def skipped_bytes(self, count: int) -> None:
        self._lines.skipped_bytes = count

    @property
    def lag_bytes(self) -> int:
        """Bytes not yet read, as of the last look: of the file being read, and of the log itself."""
        waiting = 0 if self._is_live(self._file) or self._live is None else self._live.st_size
        return waiting + (self._file.unread_bytes if self._file else 0)

    @property
    def position(self) -> Position | None:
        """Where the first line that was not delivered starts; None before anything was opened."""
        if self._file is None or self._kept is not None:
            return self._kept
        return self._file.position(self._file.offset - len(self._lines.pending))

    def place(self) -> object:
        """The position, in plain values."""
        return msgspec.to_builtins(self.position)

    def paths(self) -> Collection[Path]:
        """The log itself: its rotation is a change of it, too."""
        return (self.path,)

    def descriptors(self) -> Collection[int]:
        """A file is always readable."""
        return ()

    def save(self) -> None:
        """Remember the position; OSError when the disk refuses."""
        if self.offset_file is not None and (position := self.position) is not None:
            state.save(self.offset_file, position)

    def update_offset_file(self) -> None:
        """pygtail's name for ``save``."""
        self.save()

    def next(self) -> bytes:
        """pygtail's iteration, a block at a time."""
        return next(self.blocks())

    def read(self) -> bytes:
        """Everything unread, at once."""
        return b"".join(self.blocks())

    def blocks(self) -> Iterator[bytes]:
        """What is unread now, in order; each block ends with the end of a line.

        The position is behind a block as soon as it is delivered. A last line without an end waits for it,
        and is joined with the start of the next file if its own was rotated.
        """
        had_error, self.error = self.error is not None, None
        self._is_moving = False
        self._look()
        seen = (_signature(self._live), _signature(self._file.status() if self._file else None))
        if self._is_settled and seen == self._seen and not had_error:
            return
        try:
            yield from self._unread()
        except OSError as error:
            self._fail(error)
        # The time of a file moves in ticks: only what was read after it was first seen so is settled.
        self._is_settled, self._seen = seen == self._seen and not self._is_moving, seen

    def _look(self) -> None:
        self._live = None
        try:
            status = self.path.stat()
        except OSError as error:
            self._is_from_end &= not isinstance(error, FileNotFoundError)
            self._fail(error)
            return
        if stat.S_ISREG(status.st_mode):
            self._live, self.is_up = status, True
        else:
            self._fail(OSError("not a regular file"))

    def _fail(self, error: OSError) -> None:
        self.error = f"{self.path}: {error.strerror or error}"
        self.is_up = False

    def _is_live(self, file: LogFile | None) -> bool:
        """Whether the log's path leads to the file."""
        live = self._live
        return file is not None and live is not None and file.is_at(device=live.st_dev, inode=live.st_ino)

    def _unread(self) -> Iterator[bytes]:
        while self._file is not None or self._open():
            yield from self._drain()
            if self._file is None:  # its content was replaced
                self._look()
                continue
            following = self._following(self._file)
            if following is None:
                return
            if not self._turn_to(self._file, following):
                return
            self._look()

    def _drain(self) -> Iterator[bytes]:
        while self._file is not None:
            chunk = self._read(self._file)
            if not self._file.is_intact():
                self._leave()
            elif not chunk:
                return
            elif block := self._take(self._file, chunk):
                yield block

    def _read(self, file: LogFile) -> bytes:
        try:
            return file.read(self._block_bytes)
        except OSError:
            self._leave()  # a stale handle of a network file works again only when it is opened anew
            raise

    def _take(self, file: LogFile, chunk: bytes) -> bytes:
        file.accept(chunk)
        block = self._lines.feed(chunk)
        if block:
            self._kept = None
            self.read_bytes += len(block)
        return block

    def _leave(self) -> None:
        """Close the file; what was read of its last line is to be read again."""
        assert self._file is not None
        self._kept = self.position
        self._file.close()
        self._file = None

    def _following(self, file: LogFile) -> Sibling | None:
        """The file that was written after this one; None while this is the last that has anything."""
        if self._is_live(file):
            return None
        rotated = generations(self.path)
        position = file.position(file.offset)
        self._rotated = rotated
        holder = rotated.renamed(position) or rotated.resembling(position)
        if not holder and rotated != generations(self.path):
            self._is_moving = True
            return None
        later = holder[1:] if holder else rotated.written_after(position.modified)
        if later:
            return later[0]
        # The old file still gets lines until its writer reopens the log: an empty log waits.
        return Sibling.of(self.path, self._live) if self._live and self._live.st_size else None

    def _turn_to(self, old: LogFile, following: Sibling) -> bool:
        """Go on with the next file; False if files changed meanwhile, and the next poll is to look again."""
        file = self._open_at(following, 0)
        if file is None:
            return False
        is_original = old.path != self.path and self._is_live(file) and file.goes_on_from(old)
        if self._is_changing(old, file) or not (is_original or file.is_intact()):
            self._is_moving = True
            file.close()
            return False
        if is_original:  # the old one is a copy, and the log was not truncated yet
            file.go_to(old.offset)
        elif old.missing_bytes:  # written between copy and truncation
            self._lines.give_up(old.missing_bytes)
        if self._lines.pending:
            self._kept = self.position
        self.rotations += not old.is_copy
        self.left = old.position(old.offset)
        old.close()
        self._file = file
        self._lines.is_inside_overlong = False
        return True

    def _is_changing(self, old: LogFile, file: LogFile) -> bool:
        """Whether the writer had not left the old file; or the log was cut, or copied, before it was opened."""
        is_cut = file.path == self.path and (file.is_empty or self._rotated != generations(self.path))
        return is_cut or old.has_more()

    def _restore(self) -> Position | None:
        """The saved position, or the one that pygtail left beside the log."""
        if self.offset_file is None:
            return None
        for offset_file in (self.offset_file, Path(f"{self.path}.offset")):
            try:
                return state.load(offset_file)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                logger.warning("%s: not a position (%s): reading the log from its start", offset_file, error)
                return None
        return None

    def _start_at_end(self) -> None:
        # Now: at the first poll, it would pass over what is written until then.
        self._look()
        try:
            self._open()
        except OSError as error:
            self._fail(error)

    def _open(self) -> bool:
        """Open the file where reading goes on; False while there is none."""
        file = self._first() if self._kept is None else self._resume(self._kept)
        if file is None:
            return False
        self._file, self._kept = file, None
        self._lines.restart(is_inside_overlong=file.is_inside_line)
        return True

    def _open_live(self) -> LogFile | None:
        if self._live is None:
            return None
        file = LogFile(self.path, is_live=True)
        self._live = file.status()  # the path may lead elsewhere since it was looked at
        return file

    def _first(self) -> LogFile | None:
        file = self._open_live()
        if file and self._is_from_end:
            file.go_to(file.status().st_size)
            self._is_from_end = False
        return file

    def _resume(self, position: Position) -> LogFile | None:
        """Open the file that holds the position, whatever became of it since."""
        live = self._open_live()
        was_live = live is not None and live.is_inode_of(position)
        file = self._find(position, live, was_live=was_live)
        if live and file is not live:
            live.close()
        return file

    def _find(self, position: Position, live: LogFile | None, *, was_live: bool) -> LogFile | None:
        rotated = generations(self.path)
        if position.is_of_nothing:
            return self._begin_after(position, live, rotated)
        renamed = [] if was_live else rotated.renamed(position)
        # Under a new inode: restored, edited, or on a device that has another number since a reboot.
        is_live = was_live or (not renamed and position.is_told_by_content)
        if live and is_live and live.holds(position):
            live.go_to(position.offset)
            return live
        found = renamed or rotated.resembling(position) or self._guess(position, rotated)
        if found:
            file = self._open_at(found[0], position.offset, is_copy=was_live)
            if file:
                file.size = position.size
        elif rotated != generations(self.path):
            self._is_moving = True
            return None
        else:
            # Of an old file beside a truncated log nobody knows whether it was read.
            later = [] if was_live else rotated.written_after(position.modified)
            file = self._give_up(position, live, later)
        self.truncations += was_live and file is not None
        return file

    def _begin_after(self, position: Position, live: LogFile | None, rotated: Generations) -> LogFile | None:
        """Begin with what was written after the log was seen empty."""
        following = rotated.renamed(position)
        is_empty_still = bool(following) and following[0].modified == position.modified
        if not is_empty_still:
            later = rotated.written_after(position.modified)
            following = later or [it for it in following if it.is_written_since(position.modified)]
        if rotated != generations(self.path):
            self._is_moving = True
            return None
        return self._open_at(following[0], 0) if following else live

    def _give_up(self, position: Position, live: LogFile | None, later: list[Sibling]) -> LogFile | None:
        """Go on with what was written later than a file of which nothing is left."""
        pending = len(self._lines.pending)
        file = self._open_at(later[0], 0) if later else live
        if file:
            logger.warning(
                "%s: what followed byte %d of the file last read is gone, if anything did",
                self.path,
                position.offset,
            )
            self._lines.pending = b""  # the position stands before it
            self._lines.give_up(max(position.unread_bytes, pending))
        return file

    def _open_at(self, target: Sibling, offset: int, *, is_copy: bool = False) -> LogFile | None:
        """Open a file that was listed; None when it was renamed since."""
        try:
            file = LogFile(target.path, is_live=target.path == self.path)
        except FileNotFoundError:
            self._is_moving = True
            return None
        if not file.is_at(device=target.device, inode=target.inode):
            self._is_moving = True
            file.close()
            return None
        file.go_to(offset)
        file.is_copy = is_copy
        return file

    def _guess(self, position: Position, rotated: Generations) -> list[Sibling]:
        """pygtail's own search, for its own positions, which have no fingerprint."""
        if position.fingerprint.length or not position.offset:
            return []
        name = self._check_rotated_filename_candidates()
        return [it for it in rotated.named(Path(name or "")) if it.is_written_since(position.modified)]


_Signature = tuple[int, ...]


def _signature(status: os.stat_result | None) -> _Signature:
    if status is None:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
