"""What the exporter does with a log, without its HTTP server: `python -m bench.exporter FILE` prints what it cost.

The same pipeline, tail, reader, tracker and metrics as the service, one scrape at the end included.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

from prometheus_client.openmetrics.exposition import generate_latest

from bench.measure import peak_rss_bytes_of
from exporter.config import Config, LogSource
from exporter.pipeline import Pipeline, settle


def main() -> None:
    """Read the file to its end."""
    pipeline = Pipeline(Config(sources=(LogSource(file=Path(sys.argv[1])),)), state_dir=None)
    settle()
    while pipeline.step():
        pass
    generate_latest(pipeline.registry)
    used = resource.getrusage(resource.RUSAGE_SELF)
    lines = sum(source.lines for source in pipeline.sources())
    cost = {
        "lines": lines,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_rss_bytes": peak_rss_bytes_of(os.getpid()),
    }
    sys.stdout.write(json.dumps(cost) + "\n")


if __name__ == "__main__":
    main()
