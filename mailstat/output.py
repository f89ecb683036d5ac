"""Where a report goes: standard output, or a file that is there whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EBADF
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO


@contextmanager
def opened(path: Path | None) -> Iterator[TextIO]:
    """The stream to write to: of the file, or standard output for None. Raises OSError, of a file with its name."""
    if path is None:
        with _standard() as out:
            yield out
        return
    is_special = path.is_relative_to("/dev") or (path.exists() and not path.is_file())
    try:
        with _written(path) if is_special else _replaced(path.resolve()) as out:
            yield out
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None  # a full disk does not say which file it is


def silence() -> None:
    """Let what is still to be written to standard output go nowhere: its reader has gone, or its disk is full."""
    if sys.stdout is None:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@contextmanager
def _standard() -> Iterator[TextIO]:
    out = sys.stdout
    if out is None:  # closed by who called
        raise OSError(EBADF, os.strerror(EBADF))
    if isinstance(out, TextIOWrapper):
        out.reconfigure(encoding=None if out.isatty() else "utf-8", errors="replace")
    yield out
    out.flush()


@contextmanager
def _written(path: Path) -> Iterator[TextIO]:
    """A device or a pipe, which is not to be replaced."""
    with path.open("w", encoding="utf-8", errors="replace") as out:
        yield out


@contextmanager
def _replaced(path: Path) -> Iterator[TextIO]:
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        out = new.open("x", encoding="utf-8", errors="replace")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None  # the name that people know
    try:
        with out:
            yield out
        if path.exists():
            shutil.copymode(path, new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
