"""What names an answer that is kept: the files, what was asked, and the code that answered.

Whatever of it changes, the name is another.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailstat.log import Log

FORM = 1  # of the entries
LEAST_BYTES = 1 << 20  # of logs: shorter ones are read as fast
QUARTER = 900  # seconds: what every zone's midnight is a multiple of
SAMPLES, SAMPLE_BYTES = 16, 4096  # of each file that are looked at, besides its size and its times
ROOT = Path(__file__).parents[1]


def fingerprint(log: Log, question: Iterable[Any]) -> str | None:
    """What names an entry: the files as they are now, the question, the code. None where files cannot be told apart
    so, or are not worth it."""
    if any(moment % QUARTER for moment in (log.selection.since, log.selection.until) if moment is not None):
        return None  # "2h ago" is another moment the next time
    digest, total = blake2b(digest_size=20), 0
    for word in (FORM, log.zone, log.year, log.selection.since, log.selection.until, log.selection.mta, *question):
        digest.update(f"{word!r}\0".encode("utf-8", "surrogateescape"))
    digest.update(_code())
    try:
        for path in log.paths:
            status = path.stat()
            if not S_ISREG(status.st_mode) or str(path) == "-":
                return None
            total += status.st_size
            identity = (os.fsencode(path), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            digest.update(repr(identity).encode())
            for sample in _samples(path, status.st_size):
                digest.update(sample)
    except OSError:
        return None
    return digest.hexdigest() if total >= LEAST_BYTES else None


def _samples(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        for number in range(SAMPLES):
            file.seek(max(size - SAMPLE_BYTES, 0) * number // (SAMPLES - 1))
            yield file.read(SAMPLE_BYTES)


@lru_cache(maxsize=1)
def _code() -> bytes:
    """A mark of the code and of the rules, which change while their version does not."""
    digest = blake2b(digest_size=20)
    for package in ("parsers", "mailstat", "exporter"):
        for folder, _, names in sorted(os.walk(ROOT / package)):
            for name in sorted(names):
                if name.endswith((".py", ".yaml")):
                    status = Path(folder, name).stat()
                    digest.update(f"{folder}/{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.digest()
