"""The programs that are measured, ours and others: each is given a log and says what reading it cost.

A function here raises RunError when its program fails or has not read the whole log, and MissingError when it
cannot be had.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import TYPE_CHECKING, NamedTuple
from urllib.request import urlopen

from bench import package
from bench.measure import RunError, Usage, cpu_seconds_of, peak_rss_bytes_of, run

if TYPE_CHECKING:
    from collections.abc import Iterator

REMOVED = re.compile(r"^postfix_qmgr_messages_removed_total(?:\{.*\})? (\d+)", re.MULTILINE)
SUMMARY = (sys.executable, "-m", "mailstat", "summary")
PATIENCE = 10  # seconds without progress after which a log counts as read


class Log(NamedTuple):
    """A log and what a reader must have found in it."""

    path: Path
    lines: int
    removed: int

    @classmethod
    def of(cls, path: Path) -> Log:
        lines = removed = 0
        with path.open("rb") as log:
            for line in log:
                lines += 1
                removed += line.endswith(b": removed\n")
        return cls(path, lines, removed)


def exporter(log: Log) -> Usage:
    usage = run([sys.executable, "-m", "bench.exporter", str(log.path)])
    told = json.loads(usage.output.splitlines()[-1])
    _check(told["lines"], log.lines, "lines")
    # Its own word on its memory: what the kernel tells of a child has ours before exec in it.
    return Usage(usage.cpu_seconds, told["peak_rss_bytes"], usage.output)


def summary(log: Log) -> Usage:
    return run([*SUMMARY, "--jobs", "2", "--no-cache", str(log.path)])


def summary_again(log: Log) -> Usage:
    """The second question: what the first found is remembered."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        first = run([*SUMMARY, str(log.path)], env=environment)
        again = run([*SUMMARY, str(log.path)], env=environment)
    if again.output != first.output:
        raise RunError("what was remembered is not what was found")
    return again


def pflogsumm(log: Log) -> Usage:
    packages = ("pflogsumm", "libdate-calc-perl", "libbit-vector-perl", "libcarp-clan-perl")
    perl = package.program("perl", "perl-base")
    script = package.program("pflogsumm", *packages)
    package.file("usr/share/perl5/Date/Calc.pm", *packages)
    return run([str(perl), str(script), str(log.path)], env={**os.environ, "PERL5LIB": package.perl_path()})


def mtail(log: Log) -> Usage:
    mtail = package.program("mtail", "mtail")
    example = package.file("usr/share/doc/mtail/examples/postfix.mtail", "mtail")
    flags = ["-one_shot", "-one_shot_format=prometheus", "-address=127.0.0.1", "-port=0", "-logtostderr"]
    usage = run([str(mtail), *flags, f"-progs={example}", f"-logs={log.path}"])
    _check(_removed(usage.output), log.removed, "messages removed")
    return usage


def postfix_exporter(log: Log) -> Usage:
    """It follows a file from its end on: so it gets an empty one, and then the log."""
    with tempfile.TemporaryDirectory() as directory:
        followed = Path(directory) / "mail.log"
        followed.touch()
        with _following(followed) as (pid, url):
            before = cpu_seconds_of(pid)
            with followed.open("ab") as target, log.path.open("rb") as source:
                shutil.copyfileobj(source, target)
            _check(_wait_until_read(url, log.removed), log.removed, "messages removed")
            return Usage(cpu_seconds_of(pid) - before, peak_rss_bytes_of(pid), "")


@contextmanager
def _following(followed: Path) -> Iterator[tuple[int, str]]:
    program = package.program("prometheus-postfix-exporter", "prometheus-postfix-exporter")
    address = f"127.0.0.1:{_free_port()}"
    flags = [
        f"--postfix.logfile_path={followed}",
        f"--web.listen-address={address}",
        "--postfix.showq_path=/nonexistent",
    ]
    with Popen([str(program), *flags], stdout=DEVNULL, stderr=DEVNULL) as process:  # noqa: S603  # our own command
        try:
            _wait_until_up(f"http://{address}/metrics")
            yield process.pid, f"http://{address}/metrics"
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _fetch(url: str) -> str:
    with urlopen(url, timeout=30) as response:  # noqa: S310  # always http://127.0.0.1
        text: str = response.read().decode()
        return text


def _wait_until_up(url: str) -> None:
    for _ in range(50):
        time.sleep(0.2)
        try:
            _fetch(url)
        except OSError:
            continue
        time.sleep(1)  # the log is opened in a goroutine of its own
        return
    raise RunError(f"{url} gave no answer")


def _wait_until_read(url: str, expected: int) -> int:
    """Ask until the counter stands still; how far it came."""
    found, still = 0, 0
    while found < expected and still < PATIENCE:
        time.sleep(1)
        now = _removed(_fetch(url))
        found, still = now, still + 1 if now == found else 0
    return found


def _removed(exposition: str) -> int:
    match = REMOVED.search(exposition)
    return int(match[1]) if match else 0


def _check(found: int, expected: int, what: str) -> None:
    if found != expected:
        raise RunError(f"found {found} of {expected} {what}: the log was not read whole, or not once")


def eximstats(log: Log) -> Usage:
    perl = package.program("perl", "perl-base")
    script = package.program("eximstats", "exim4-base")
    return run([str(perl), str(script), str(log.path)])
