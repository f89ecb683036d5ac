"""The page that Prometheus scrapes, as promtool judges it."""

from __future__ import annotations

import shutil
import subprocess
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from prometheus_client.exposition import generate_latest

from exporter import compat
from exporter.config import Config, LogSource
from exporter.demo import PostfixTraffic
from exporter.pipeline import Pipeline


@pytest.mark.parametrize("exporters", [[], compat.names()], ids=["ours", "with the names of others"])
def test_promtool_has_no_complaint(tmp_path: Path, exporters: list[str]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here: Debian has it in the package prometheus")
    log = tmp_path / "mail.log"
    source = PostfixTraffic(Random(1), start=1_790_000_000.0, rfc3339=True)
    log.write_text("".join(f"{line}\n" for _, line in islice(source, 3000)))
    pipeline = Pipeline(Config(sources=(LogSource(file=log),)), None)
    while pipeline.step():
        pass
    page = generate_latest(compat.Compatible(pipeline.registry, exporters))
    assert b"mail_deliveries_total{" in page
    assert (b"postfix_up{" in page) == bool(exporters)
    done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
