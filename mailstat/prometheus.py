"""Prometheus itself, as the engine of questions that it alone answers rightly: a server over a folder of its own."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from mailstat.report import ReportError

LOCAL = "127.0.0.1"
PATIENCE = 60.0  # seconds until it has to answer after its start
TICK = 0.05
TIMEOUT = 120  # seconds for one question
MOST_SAID = 1000  # characters of what promtool says that are told
END = "# EOF\n"
CHUNK = 100_000_000  # characters of samples that become a block
POINTS = 10_000  # of a series in one answer: it refuses more than 11,000

Labels = dict[str, str]


def require() -> None:
    """Raises ReportError where Prometheus is not installed."""
    absent = [name for name in ("prometheus", "promtool") if not shutil.which(name)]
    if absent:
        raise ReportError(
            f"{' and '.join(absent)} not found: this is asked of Prometheus itself, which has to be installed "
            "(Debian and Ubuntu have both in the package prometheus)"
        )


def promtool(*arguments: str | Path) -> str:
    """What promtool says. Raises ReportError, with that, where it fails."""
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    if done.returncode:
        said = "; ".join(line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip())
        raise ReportError(f"promtool {' '.join(map(str, arguments[:2]))}: {said[:MOST_SAID]}")
    return done.stdout


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A server over the blocks in `folder/data`, which scrapes nothing: its address."""
    port = _free_port()
    config = folder / "prometheus.yml"
    config.write_text("")
    command = (
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",  # old logs are not to be thrown away
        f"--web.listen-address={LOCAL}:{port}",
        "--log.level=error",
    )
    with (folder / "prometheus.out").open("ab") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out)  # noqa: S603
    url = f"http://{LOCAL}:{port}"
    try:
        _wait(server, url, folder / "prometheus.out")
        yield url
    finally:
        server.terminate()
        server.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((LOCAL, 0))
        return int(found.getsockname()[1])


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not is_ready(url):
        if server.poll() is not None or time.monotonic() > end:
            raise ReportError(f"Prometheus does not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(TICK)


# --- questions ---


def is_ready(url: str) -> bool:
    """Whether it answers."""
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=TIMEOUT) as answer:  # noqa: S310 - our own
            return bool(answer.status == 200)
    except OSError:
        return False


def ask(url: str, path: str, **parameters: str | float) -> Any:
    """The data of an answer of its API. Raises OSError, with what it says, where it refuses."""
    query = urllib.parse.urlencode(parameters)
    try:
        with urllib.request.urlopen(f"{url}/api/v1/{path}?{query}", timeout=TIMEOUT) as answer:  # noqa: S310
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        raise OSError(f"{path}?{query}: {error.read().decode(errors='replace')}") from None


def instant(url: str, expression: str, **at: float) -> list[tuple[Labels, float]]:
    """What an expression is now, or at a `time`: labels and value of each series, in its order."""
    found = ask(url, "query", query=expression, **at)
    if found["resultType"] == "scalar":
        return [({}, float(found["result"][1]))]
    return [(row["metric"], float(row["value"][1])) for row in found["result"]]


def over_time(
    url: str, expression: str, start: float, end: float, step: float
) -> list[tuple[Labels, list[tuple[float, float]]]]:
    """What it was at each step from start to end: labels, and times with values, of each series."""
    found: dict[str, tuple[Labels, list[tuple[float, float]]]] = {}
    while start <= end:
        last = min(start + (POINTS - 1) * step, end)
        answer = ask(url, "query_range", query=expression, start=start, end=last, step=step)
        for row in answer["result"]:
            _, points = found.setdefault(json.dumps(row["metric"], sort_keys=True), (row["metric"], []))
            points += [(at, float(value)) for at, value in row["values"]]
        start = last + step
    return list(found.values())


# --- samples of old times ---


class Samples:
    """Lines of OpenMetrics that become blocks in `folder/data`, so many at a time: as text they need fifty times the
    room. They are there when it is over, for a server may be at work on what was before. Raises ReportError where
    promtool does not take them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "samples.txt"
        self._blocks = folder / "blocks"
        self._size = 0
        self._blocks.mkdir(exist_ok=True)
        (folder / "data").mkdir(exist_ok=True)

    def __enter__(self) -> Samples:
        self._file = self._path.open("w", encoding="utf-8")
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        with suppress(OSError) if failure else nullcontext():
            self._file.close()
        if self._size and failure is None:
            self._fill()
            for meta in self._blocks.glob("*/meta.json"):
                meta.parent.rename(self._folder / "data" / meta.parent.name)

    def write(self, line: str) -> None:
        """Add a line, with its end."""
        if self._size > CHUNK:
            self._file.close()
            self._fill()
            self._file, self._size = self._path.open("w", encoding="utf-8"), 0
        self._size += self._file.write(line)

    def _fill(self) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(END)
        # One block for a month: for each it would read all samples again.
        blocks = ("create-blocks-from", "openmetrics", "--max-block-duration=744h")
        promtool("tsdb", *blocks, self._path, self._blocks)
        self._path.unlink()
