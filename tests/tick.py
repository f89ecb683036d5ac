"""The times that files get: of the last tick of the system's clock, which may be late where a machine is busy."""

from __future__ import annotations

import os
import time
from tempfile import TemporaryFile


def tick() -> None:
    """Wait until a file gets a later time than all that were written."""
    now = time.time_ns()
    with TemporaryFile() as file:
        while os.fstat(file.fileno()).st_mtime_ns <= now:
            time.sleep(0.001)
            os.utime(file.fileno())
