"""Several mail servers at once: what is told of all together is the sum of what is told of each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench.generate import generate
from tests.service import ROOT, Scrape, environment, following

SERVERS = ("postfix", "exim", "exchange")
LINES = 4_000
STATUSES = ("sent", "deferred", "bounced", "expired")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("logs")
    paths = {name: folder / f"{name}.log" for name in SERVERS}
    for name, path in paths.items():
        generate(name, path, lines=LINES, seed=3)
    return paths


def summary(*paths: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "mailstat", "summary", "--timezone", "UTC", "--format", "json"]
    done = subprocess.run([*command, *map(str, paths)], capture_output=True, cwd=ROOT, env=environment(), check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def each(logs: dict[str, Path]) -> dict[str, dict[str, Any]]:
    return {name: summary(path) for name, path in logs.items()}


@pytest.fixture(scope="module")
def scrape(logs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Scrape:
    with following(tmp_path_factory.mktemp("exporter"), *logs.values()) as exporter:
        return exporter.until_ready()


@pytest.mark.parametrize("part", ["lines", "messages", "deliveries", "auth"])
def test_one_report_reads_the_logs_of_all(logs: dict[str, Path], each: dict[str, dict[str, Any]], part: str) -> None:
    together = summary(*logs.values())
    assert {name: sum(it[part][name] for it in each.values()) for name in together[part]} == together[part]
    assert all(it["lines"]["unknown"] == 0 for it in each.values())


@pytest.mark.parametrize("name", SERVERS)
def test_one_exporter_tells_of_each_what_its_report_does(
    scrape: Scrape, each: dict[str, dict[str, Any]], name: str
) -> None:
    deliveries = each[name]["deliveries"]
    found = scrape.by("mail_deliveries_total", "status", mta=name)
    assert found == Counter({(status,): deliveries[status] for status in STATUSES if deliveries[status]})
    assert deliveries["sent"] > 100
    assert scrape.total("mail_messages_received_total", mta=name) == each[name]["messages"]["received"]
    assert scrape.total("mailstat_log_lines_total", mta=name) == each[name]["lines"]["total"]
