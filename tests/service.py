"""The exporter as it really runs: a process that reads files and answers over HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from signal import SIGHUP, SIGTERM

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

ROOT = Path(__file__).parents[1]
# The command, but that it looks for new lines more often than twice a second.
MAIN = "import sys; from exporter import cli, pipeline; pipeline.POLL_SECONDS = 0.05; sys.exit(cli.main())"
COMMAND = (sys.executable, "-c", MAIN)
PATIENCE = 120.0  # seconds until a test gives up: what is waited for is there far sooner
TICK = 0.03
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PORT = re.compile(r'msg="listening" address="?127\.0\.0\.1:(\d+)')


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"TZ": "UTC"} | more


def ran(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """The exporter, where it is to end by itself."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        env=environment(**more),
        timeout=PATIENCE,
        check=False,
    )


def wait_for(is_so: Callable[[], object], what: Callable[[], object] = str) -> None:
    """Look until it is so; where that does not come, fail and show `what`."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, f"waited in vain: {what()}"
        time.sleep(TICK)


class Scrape:
    """One answer of /metrics, as Prometheus' own parser reads it."""

    def __init__(self, text: str, *, is_openmetrics: bool = False) -> None:
        self.text = text
        self.families = list((parse_openmetrics if is_openmetrics else parse_text)(text))
        self.samples: list[Sample] = [sample for family in self.families for sample in family.samples]

    def of(self, name: str, **labels: str) -> Iterator[Sample]:
        """The samples that have these labels, and perhaps others."""
        wanted = labels.items()
        return (it for it in self.samples if it.name == name and wanted <= it.labels.items())

    def has(self, name: str, **labels: str) -> bool:
        return any(self.of(name, **labels))

    def total(self, name: str, **labels: str) -> float:
        return sum(sample.value for sample in self.of(name, **labels))

    def by(self, name: str, *keys: str, **labels: str) -> Counter[tuple[str, ...]]:
        """Sums by the values of some labels, those that are not 0."""
        sums: Counter[tuple[str, ...]] = Counter()
        for sample in self.of(name, **labels):
            sums[tuple(sample.labels[key] for key in keys)] += sample.value  # type: ignore[assignment]  # a float
        return +sums

    def lines(self, outcome: str | None = None) -> float:
        """Lines read."""
        return self.total("mailstat_log_lines_total", **({"outcome": outcome} if outcome else {}))


class Exporter:
    """A running exporter, with a folder for what it writes."""

    def __init__(self, folder: Path, *arguments: str | Path, **more: str) -> None:
        self.log_file = folder / "stderr.txt"
        address = ("--web.listen-address", "127.0.0.1:0")
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, *address, *map(str, arguments)], stderr=log, cwd=ROOT, env=environment(**more)
            )
        self.port = 0

    @property
    def log(self) -> str:
        """What it said so far."""
        return self.log_file.read_text(encoding="utf-8")

    def wait(self) -> None:
        """Until it listens."""
        wait_for(lambda: PORT.search(self.log) or self.process.poll() is not None, lambda: self.log)
        found = PORT.search(self.log)
        assert found, self.log
        self.port = int(found[1])

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        """Status and text of an answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def scrape(self, *names: str) -> Scrape:
        """All metrics, or those of these names."""
        status, text = self.ask("/metrics?" + "&".join(f"name[]={name}" for name in names))
        assert status == 200, text
        return Scrape(text)

    def scrape_openmetrics(self) -> Scrape:
        status, text = self.ask("/metrics", Accept=OPENMETRICS)
        assert status == 200, text
        return Scrape(text, is_openmetrics=True)

    def until(self, is_so: Callable[[Scrape], object], *names: str) -> Scrape:
        """The first scrape, of all metrics or of these, of which that is so."""
        seen: list[Scrape] = []

        def look() -> object:
            seen[:] = [self.scrape(*names)]
            return is_so(seen[0])

        wait_for(look, lambda: seen[0].text + self.log)
        return seen[0]

    def until_ready(self) -> Scrape:
        wait_for(lambda: self.ask("/-/ready")[0] == 200, lambda: self.log)
        return self.scrape()

    def hang_up(self) -> None:
        self.process.send_signal(SIGHUP)

    def stop(self) -> None:
        """As systemd ends it; what it says must be without a traceback, and its status 0."""
        if self.process.poll() is None:
            self.process.send_signal(SIGTERM)
        assert self.process.wait(PATIENCE) == 0, self.log
        assert "Traceback" not in self.log


@contextmanager
def running(folder: Path, *arguments: str | Path, **more: str) -> Iterator[Exporter]:
    """An exporter that listens, until the end of the block."""
    exporter = Exporter(folder, *arguments, **more)
    try:
        exporter.wait()
        yield exporter
        exporter.stop()
    finally:
        if exporter.process.poll() is None:
            exporter.process.kill()
            exporter.process.wait()


@contextmanager
def following(folder: Path, *logs: Path, more: str = "") -> Iterator[Exporter]:
    """An exporter that follows these logs and remembers where it is in the folder's `state`."""
    config = write_config(folder, *logs, more=more)
    with running(folder, "--config.file", config, "--state.dir", folder / "state") as exporter:
        yield exporter


def write_config(folder: Path, *logs: Path, more: str = "") -> Path:
    config = folder / "mailstat.yml"
    sources = "".join(f"  - file: {log}\n" for log in logs)
    config.write_text(f"sources:\n{sources}timezone: UTC\n{more}")
    return config
