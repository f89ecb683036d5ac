"""What is broken, hostile or not there: both commands go on, count it or name it, and lose nothing else."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mailstat.cli import main
from tests.service import ROOT, Scrape, environment, following, wait_for

GOOD = (
    b"2026-01-05T10:0%d:00+00:00 mail postfix/smtp[7]: 4F2A31C%d: to=<kim@example.com>,"
    b" relay=mx.example.com[192.0.2.1]:25, delay=1.2, delays=0.1/0/1/0.1, dsn=2.0.0, status=sent (250 ok)\n"
)
HEAD = b"2026-01-05T10:05:00+00:00 mail postfix/smtp[7]: "
MEGABYTE = 1 << 20
PATHS = ("missing", "directory", "below a file", "loop", "long name")

# What stands between good lines, and how many deliveries it is to tell of.
STUFF: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 0),
    "empty lines": (b"\n\n\r\n \n", 0),
    "NUL bytes": (b"\0" * 10_000 + b"\n", 0),
    "NUL bytes before a line": (b"\0" * 5000 + GOOD % (5, 5), 1),
    "NUL bytes within a line": (HEAD + b"4F2A31C: to=<k\0m@example.com>, status=\0sent\n", 0),
    "carriage returns": ((GOOD % (5, 5)).replace(b"\n", b"\r\n") * 3, 3),
    "a line of a megabyte": (b"x" * MEGABYTE + b"\n", 0),
    "three megabytes without a line": (b"x" * 3 * MEGABYTE + b"\n", 0),
    "a reply of a megabyte": ((GOOD % (5, 5)).replace(b"ok", b"o" * MEGABYTE), 1),
    "a message of a megabyte": (HEAD + b"4F2A31C: to=<" * (MEGABYTE // 13) + b"\n", 0),
    "cut UTF-8": ((GOOD % (5, 5)).replace(b"ok", b"\xe2\x82") + (GOOD % (5, 5)).replace(b"kim", b"k\xc3"), 2),
    "Latin-1": ((GOOD % (5, 5)).replace(b"kim", "jürgen".encode("latin-1")), 1),
    "UTF-16": ("Jan  5 10:00:00 mail postfix/smtp[7]: connect\n".encode("utf-16"), 0),
    "terminal codes": (HEAD + b"\x1b[31m4F2A31C\x1b[0m: removed\x07\n", 0),
    "separators of lines that are none here": ((GOOD % (5, 5)).replace(b"ok", "a\u2028b\x0b\x0c\x85".encode()), 1),
    "noise": (Random(1).randbytes(200_000) + b"\n", 0),
    "times that cannot be": (b"Feb 30 25:61:61 mail postfix/smtp[7]: x\n2026-13-45T10:00:00Z mail sshd[1]: x\n", 0),
    "numbers that are none": ((GOOD % (5, 5)).replace(b"delay=1.2", b"delay=nan") + HEAD + b"1: to=<a>, delay=\n", 0),
    "a repetition too many": (b"Jan  5 10:05:00 mail last message repeated 999999999 times\n", 1000),
    "no prefix": (b"status=sent (250 ok)\n: : :\n[]\n", 0),
    "other programs": (
        b"Jan  5 10:05:00 mail sshd[1]: Failed password for root from 192.0.2.1 port 22 ssh2\n"
        b"Jan  5 10:05:00 mail kernel: [1.5] status=sent (no)\n"
        b"Jan  5 10:05:00 mail opendkim[2]: 4F2A31C: DKIM-Signature field added\n",
        0,
    ),
}


def kinds(*more: str) -> list[Any]:
    """Parameters: each kind of stuff, and more names."""
    return [*STUFF, *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for each kind of stuff, with two good lines before and after it, and paths that are no files."""
    made = tmp_path_factory.mktemp("bad")
    for name, (stuff, _) in STUFF.items():
        good = [GOOD % (number, number) for number in range(1, 5)]
        (made / name).write_bytes(b"".join([*good[:2], stuff, *good[2:]]))
    (made / "good").write_bytes(GOOD % (1, 1))
    (made / "empty").write_bytes(b"")
    (made / "directory").mkdir()
    (made / "loop").symlink_to("loop")
    return made


def path_of(folder: Path, name: str) -> Path:
    return {"below a file": folder / "good" / "mail.log", "long name": folder / ("x" * 300)}.get(name, folder / name)


def lines(content: bytes) -> int:
    return content.count(b"\n")


# --- the reports ---


def report(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Status, what was written, and what was said."""
    status = main([*map(str, arguments), "--timezone", "UTC"])
    return (status, *capsys.readouterr())


def summary(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, dict[str, int]], str]:
    status, out, err = report(capsys, "summary", "--format", "json", *arguments)
    return status, json.loads(out), err


@pytest.mark.parametrize("name", kinds())
def test_a_summary_loses_nothing_beside_what_is_bad(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told, err = summary(capsys, folder / name)
    assert (status, err) == (0, "")
    assert told["deliveries"]["sent"] == 4 + STUFF[name][1]
    assert told["lines"]["total"] == lines((folder / name).read_bytes())
    outcomes = ("parsed", "ignored", "unknown", "malformed")
    assert sum(told["lines"][outcome] for outcome in outcomes) == told["lines"]["total"]


@pytest.mark.parametrize("name", kinds())
def test_events_and_unparsed_go_on(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = report(capsys, "events", "--format", "json", folder / name)
    events = [json.loads(line) for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert sum(event["kind"] == "delivery" for event in events) == 4 + STUFF[name][1]
    for form in ("table", "json", "csv"):
        status, out, err = report(capsys, "unparsed", "--format", form, folder / name)
        assert (status, err) == (0, "")
        assert "\0" not in out
        assert "\x1b" not in out


def test_what_is_not_understood_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = report(capsys, "unparsed", "--format", "json", folder / "no prefix")
    assert sum(row["lines"] for row in json.loads(out)["rows"]) == 3


def test_an_empty_file_is_a_summary_of_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, told, err = summary(capsys, folder / "empty")
    assert (status, err) == (0, "")
    assert told["period"] == {"first": None, "last": None}
    assert told["lines"]["total"] == told["deliveries"]["sent"] == 0
    for form in ("table", "csv", "markdown", "html"):
        assert report(capsys, "summary", "--format", form, folder / "empty")[::2] == (0, "")


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("is_first", [True, False])
def test_what_cannot_be_read_is_named_and_the_rest_is_reported(
    folder: Path, name: str, is_first: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = path_of(folder, name)
    paths = [bad, folder / "good"] if is_first else [folder / "good", bad]
    status, told, err = summary(capsys, *paths)
    assert (status, told["deliveries"]["sent"]) == (1, 1)
    assert err.startswith(f"mailstat: {bad}: ")
    assert err.count("\n") == 1
    assert report(capsys, "events", *paths)[0] == report(capsys, "unparsed", bad)[0] == 1


@pytest.mark.parametrize("keep", [15, 40, -1])
def test_a_gzip_file_that_is_cut_is_named(
    folder: Path, tmp_path: Path, keep: int, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "mail.log.gz"
    cut.write_bytes(gzip.compress(GOOD % (2, 2))[:keep])
    status, told, err = summary(capsys, cut, folder / "good")
    assert status == 1
    assert told["deliveries"]["sent"] == (2 if keep < 0 else 1)
    assert err.startswith(f"mailstat: {cut}: ")
    assert err.count("\n") == 1


# Root may read everything, unless it gives that up.
CAPABILITIES = "-dac_override,-dac_read_search"
HUMBLE = ("setpriv", f"--inh-caps={CAPABILITIES}", f"--bounding-set={CAPABILITIES}") if os.geteuid() == 0 else ()


@pytest.mark.skipif(bool(HUMBLE) and not shutil.which("setpriv"), reason="root reads everything")
def test_a_file_that_may_not_be_read_is_named(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "mail.log"
    secret.write_bytes(GOOD % (2, 2))
    secret.chmod(0)
    command = [
        *HUMBLE,
        sys.executable,
        "-m",
        "mailstat",
        "summary",
        "--format",
        "json",
        str(secret),
        str(folder / "good"),
    ]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=ROOT, env=environment(), check=False)
    assert (done.returncode, done.stderr) == (1, f"mailstat: {secret}: Permission denied\n")
    assert json.loads(done.stdout)["deliveries"]["sent"] == 1


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("- -", "mailstat: standard input: named twice, read once\n"),
        ("- <&-", "mailstat: standard input: Bad file descriptor\n"),
        ("/dev/stdin -", ""),
        ("-", ""),
    ],
)
def test_standard_input_that_is_odd(folder: Path, shell: str, words: str) -> None:
    """Named twice, closed, under its other name: the words of an error, but no traceback."""
    command = f'cat "$1" | "$2" -m mailstat summary --format json {shell}'
    arguments = ["sh", "-c", command, "sh", str(folder / "good"), sys.executable]
    done = subprocess.run(arguments, capture_output=True, encoding="utf-8", cwd=ROOT, env=environment(), check=False)
    assert "Traceback" not in done.stderr
    assert done.stderr == words
    assert done.returncode == (shell == "- <&-")
    if not done.returncode:
        assert json.loads(done.stdout)["deliveries"]["sent"] == 1


# --- the service: all of it at once ---


@pytest.fixture(scope="module")
def scrape(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Scrape:
    work = tmp_path_factory.mktemp("work")
    names = [*STUFF, *PATHS, "empty", "good"]
    with following(work, *(path_of(folder, name) for name in names)) as exporter:
        found = exporter.until_ready()
        assert exporter.ask("/")[0] == 200
        assert exporter.ask("/-/healthy")[0] == 200
    return found


@pytest.mark.parametrize("name", kinds("empty", "good"))
def test_the_service_counts_every_line(folder: Path, scrape: Scrape, name: str) -> None:
    content, source = (folder / name).read_bytes(), str(folder / name)
    told = {it: scrape.total("mailstat_log_lines_total", source=source, outcome=it) for it in ("parsed", "ignored")}
    assert scrape.total("mailstat_log_lines_total", source=source) == lines(content)
    assert told["parsed"] >= {"empty": 0, "good": 1}.get(name, 4)
    assert scrape.total("mailstat_log_source_up", source=source) == 1
    skipped = scrape.total("mailstat_log_skipped_bytes_total", source=source)
    assert skipped == sum(max(len(line) - MEGABYTE, 0) for line in content.split(b"\n"))


def test_the_service_counts_every_delivery(scrape: Scrape) -> None:
    sent = sum(4 + more for _, more in STUFF.values()) + 1
    assert scrape.total("mail_deliveries_total", status="sent") == sent


@pytest.mark.parametrize("name", PATHS)
def test_the_service_says_that_a_log_cannot_be_read(folder: Path, scrape: Scrape, name: str) -> None:
    (sample,) = scrape.of("mailstat_log_source_up", source=str(path_of(folder, name)))
    assert sample.value == 0


def test_the_service_reads_a_log_as_soon_as_it_can(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    with ExitStack() as stack:
        log.mkdir()
        exporter = stack.enter_context(following(tmp_path, log))
        assert exporter.until_ready().total("mailstat_log_source_up") == 0
        wait_for(lambda: "not a regular file" in exporter.ask("/")[1])
        log.rmdir()
        log.write_bytes(GOOD % (1, 1))
        scrape = exporter.until(lambda it: it.lines())
        assert scrape.total("mailstat_log_source_up") == scrape.total("mail_deliveries_total") == 1
