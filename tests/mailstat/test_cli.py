"""The command, as a process among others."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from signal import SIGINT

import pytest

from mailstat import reports
from mailstat.cli import choose

ROOT = Path(__file__).parents[2]
LINE = (
    "2026-01-05T10:0{minute}:00+00:00 mail postfix/smtp[7]: A{minute}: to=<a{minute}@example.com>,"
    " relay=mx.example.com[192.0.2.1]:25, delay=1.2, delays=0.1/0/1/0.1, dsn=2.0.0, status=sent (250 ok)\n"
)
NAMES = ("deliveries", "events", "summary")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "mail.log"
    path.write_text("".join(LINE.format(minute=minute) for minute in range(5)))
    return path


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "mailstat", *map(str, arguments)]


def run(*arguments: str | Path, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        input=text,
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        env=os.environ | {"TZ": "UTC"} | environment,
        check=False,
    )


def started(*arguments: str | Path, **environment: str) -> subprocess.Popen[bytes]:
    pipe, variables = subprocess.PIPE, os.environ | environment
    return subprocess.Popen(command(*arguments), stdout=pipe, stderr=pipe, cwd=ROOT, env=variables)


def recipients(output: str) -> list[str]:
    return [json.loads(line)["recipient"] for line in output.splitlines()]


# --- what is asked ---


@pytest.mark.parametrize(
    ("argv", "name", "rest"),
    [
        ([], None, []),
        (["mail.log"], None, ["mail.log"]),
        (["events", "mail.log"], "events", ["mail.log"]),
        (["--since", "yesterday", "events", "x"], "events", ["--since", "yesterday", "x"]),
        (["--since=yesterday", "events"], "events", ["--since=yesterday"]),
        (["--format", "events", "mail.log"], None, ["--format", "events", "mail.log"]),
        (["--help", "events"], "events", ["--help"]),
        (["--", "events"], None, ["--", "events"]),
        (["./events"], None, ["./events"]),
        (["-", "events"], None, ["-", "events"]),
        (["--since"], None, ["--since"]),
    ],
)
def test_the_first_word_names_the_report_or_is_a_file(argv: list[str], name: str | None, rest: list[str]) -> None:
    assert choose(argv, NAMES) == (name, rest)


def test_files_alone_are_a_summary(log: Path) -> None:
    assert run(log).stdout == run("summary", log).stdout != ""


def test_options_may_stand_between_files(log: Path) -> None:
    copy = log.with_name("other.log")
    copy.write_text(log.read_text())
    done = run("events", log, "--format", "json", copy)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 10)


def test_after_two_dashes_no_word_is_an_option(log: Path) -> None:
    odd = log.rename(log.with_name("-odd.log"))
    arguments = [sys.executable, "-m", "mailstat", "events", "--format", "json", "--limit", "2", "--", odd.name]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    found = subprocess.run(
        arguments,
        capture_output=True,
        encoding="utf-8",
        cwd=odd.parent,
        env=os.environ | {"PYTHONPATH": path},
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert len(recipients(found.stdout)) == 2


def test_a_dash_is_standard_input(log: Path) -> None:
    assert recipients(run("events", "--format", "json", "-", text=log.read_text()).stdout)[0] == "a0@example.com"


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (["--since", "2026-01-05T10:02Z"], [2, 3, 4]),
        (["--until", "2026-01-05 10:02"], [0, 1]),
        (["--timezone", "Europe/Berlin", "--until", "2026-01-05 11:01"], [0]),
        (["--where", "to = a3@* or id = A1"], [1, 3]),
        (["--limit", "2"], [0, 1]),
        (["--mta", "postfix"], [0, 1, 2, 3, 4]),
        (["--mta", "exim"], []),
    ],
)
def test_shared_options_choose_events(log: Path, options: list[str], numbers: list[int]) -> None:
    done = run("events", log, "--format", "json", *options)
    assert recipients(done.stdout) == [f"a{number}@example.com" for number in numbers]
    assert (done.returncode, done.stderr) == (0, "")


def test_times_are_told_in_the_zone_of_the_option_or_the_host(log: Path) -> None:
    arguments = ("events", log, "--format", "json", "--limit", "1")
    assert '"2026-01-05T10:00:00+00:00"' in run(*arguments).stdout
    assert '"2026-01-05T11:00:00+01:00"' in run(*arguments, TZ="Europe/Berlin").stdout
    assert '"2026-01-05T05:00:00-05:00"' in run(*arguments, "--timezone", "America/New_York").stdout


# --- help ---


def test_the_help_lists_every_report() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert all(name in done.stdout and text in done.stdout for name, text in reports.helps().items())


@pytest.mark.parametrize("name", reports.helps())
def test_every_report_has_help_of_its_own(name: str) -> None:
    done = run(name, "--help", COLUMNS="10000")
    assert done.returncode == 0
    assert f"usage: mailstat {name} " in done.stdout
    assert reports.load(name).DESCRIPTION in done.stdout


def test_help_imports_nothing_that_takes_long() -> None:
    code = "import sys; from mailstat.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", cwd=ROOT, check=True)
    assert not {"rich", "pyparsing", "yaml", "msgspec", "parsers.reader", "difflib"} & set(done.stderr.split())


# --- wrong usage ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limit", "0"], "mailstat events: argument --limit: a whole number from 1 on is needed\n"),
        (["--since", "someday"], "mailstat events: --since: 'someday' is no moment; say "),
        (["--since", "1h ago", "--until", "2h ago"], "mailstat events: --since is not before --until: nothing can"),
        (
            ["--timezone", "../etc/passwd"],
            "mailstat events: argument --timezone: '../etc/passwd' is no time zone; say",
        ),
        (["--year", "26"], "mailstat events: argument --year: a year is needed, as in 2026\n"),
        (["--mta", "postfx"], "mailstat events: argument --mta: invalid choice: 'postfx' "),
        (["--form", "json"], "mailstat events: unrecognized arguments: --form json\n"),
        (
            ["--where", "status = defered"],
            "mailstat events: --where:\nstatus = defered\n"
            '         ^ status is never "defered": did you mean "deferred"?\n',
        ),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_is_wrong(log: Path, arguments: list[str], message: str) -> None:
    done = run("events", log, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(message)


def test_a_slip_in_the_report_s_name_is_told() -> None:
    done = run("evnts", "mail.log")
    assert done.returncode == 2
    assert done.stderr == 'mailstat: "evnts" is neither a report nor a file: did you mean "events"?\n'


def test_what_the_user_typed_is_shown_without_being_obeyed(log: Path) -> None:
    assert "\x1b" not in run("events", log, "--bogus\x1b[31m").stderr


# --- what cannot be done ---


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_reported(log: Path, tmp_path: Path) -> None:
    done = run("events", "--format", "json", tmp_path / "none", log)
    assert done.returncode == 1
    assert done.stderr == f"mailstat: {tmp_path}/none: No such file or directory\n"
    assert len(recipients(done.stdout)) == 5


CRON = "2026-01-05T10:00:00+00:00 mail CRON[4711]: (root) CMD (true)\n"


def test_a_log_of_no_mail_server_is_named_and_the_others_are_reported(log: Path, tmp_path: Path) -> None:
    other = tmp_path / "syslog"
    other.write_text(CRON)
    done = run("events", "--format", "json", other, log)
    assert done.returncode == 0
    assert done.stderr == f"mailstat: {other}: no line of it is of a mail server\n"
    assert len(recipients(done.stdout)) == 5


def test_logs_of_several_servers_make_one_report(log: Path, tmp_path: Path) -> None:
    other = tmp_path / "mainlog"
    other.write_text("2026-01-05 10:00:00 1tXk2b-000aBc-0D => kim@example.org R=r T=t H=mx.example.org [192.0.2.2]\n")
    done = run("summary", "--format", "json", other, log)
    alone = run("summary", "--format", "json", log)
    assert (done.returncode, done.stderr) == (0, "")
    sent = [json.loads(text.stdout)["deliveries"]["sent"] for text in (done, alone)]
    assert sent[0] == sent[1] + 1


def test_dovecot_beside_a_server_is_not_spoken_of(log: Path) -> None:
    dovecot = "2026-01-05T10:00:00+00:00 mail dovecot: imap(a): Logged out in=1 out=2\n"
    log.write_text(log.read_text() + dovecot * 9)
    assert run(log).stderr == ""


def test_a_hostile_file_name_is_shown_without_being_obeyed(tmp_path: Path) -> None:
    assert "none\\x1b[31m: No such file" in run("events", tmp_path / "none\x1b[31m").stderr


def test_an_output_that_cannot_be_written_is_named(log: Path, tmp_path: Path) -> None:
    done = run("events", log, "--output", tmp_path / "none" / "report")
    assert done.returncode == 1
    assert done.stderr == f"mailstat: {tmp_path}/none/report: No such file or directory\n"


def test_a_full_disk_is_told_and_not_a_traceback(log: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command("events", log), stdout=full, stderr=subprocess.PIPE, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (1, b"mailstat: standard output: No space left on device\n")


@pytest.fixture
def long_log(log: Path) -> Path:
    """A log of more events than a pipe takes before somebody reads."""
    log.write_text(log.read_text() * 4000)
    return log


def test_a_reader_who_leaves_is_no_error(long_log: Path) -> None:
    with started("events", long_log, "--format", "json") as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_ctrl_c_ends_with_what_was_said_so_far(long_log: Path) -> None:
    with started("events", long_log, "--format", "json") as process:
        assert process.stdout
        assert process.stderr
        first = process.stdout.readline()
        process.send_signal(SIGINT)
        rest = process.stdout.read()
        assert process.stderr.read() == b""
    assert json.loads(first)["recipient"] == "a0@example.com"
    assert process.returncode == 130
    assert 0 < len(rest.splitlines()) < 20_000 - 1


ENDLESS = "WITH RECURSIVE a AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM a) SELECT max(x) FROM a"


def test_ctrl_c_ends_a_question_that_has_no_end(log: Path, tmp_path: Path) -> None:
    with started("query", ENDLESS, log, "--no-cache", TMPDIR=str(tmp_path)) as process:
        while not list(tmp_path.glob("mailstat-*/events.duckdb")):
            assert process.poll() is None
        process.send_signal(SIGINT)
        assert process.stderr
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == 130


def closed(stream: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command with a standard stream closed, as some that start programs leave it."""
    words = ["sh", "-c", f'exec "$@" {stream}>&-', "sh", *command(*arguments)]
    return subprocess.run(words, capture_output=True, encoding="utf-8", cwd=ROOT, check=False)


def test_a_closed_standard_output_is_told(log: Path) -> None:
    done = closed(1, "events", log)
    assert (done.returncode, done.stderr) == (1, "mailstat: standard output: Bad file descriptor\n")


def test_a_closed_standard_error_does_not_keep_the_report_back(log: Path, tmp_path: Path) -> None:
    done = closed(2, "events", "--format", "json", log, tmp_path / "none")
    assert done.returncode == 1
    assert len(recipients(done.stdout)) == 5


# --- where it goes ---


def test_a_report_does_not_replace_the_log_that_it_is_made_from(log: Path) -> None:
    text = log.read_bytes()
    link = log.with_name("link")
    link.symlink_to(log)
    for output in (log, link):
        done = run("summary", log, "--output", output)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"mailstat: {output}: is one of the logs")
    assert log.read_bytes() == text


def test_a_report_goes_to_a_file_and_nothing_to_standard_output(log: Path, tmp_path: Path) -> None:
    done = run("events", log, "--output", tmp_path / "report", "--format", "csv")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "report").read_text() == run("events", log, "--format", "csv").stdout


@pytest.mark.parametrize("name", ["table", "json", "csv", "markdown", "html"])
def test_no_order_of_a_log_reaches_the_reader(log: Path, name: str) -> None:
    text = log.read_text().replace("250 ok", "250 \x1b[31m\x9b31m\x07 \u202e")
    done = run("events", "-", "--format", name, text=text)
    assert done.returncode == 0
    assert all(line.isprintable() for line in done.stdout.split("\n"))


def test_a_terminal_for_errors_changes_nothing_in_the_report(log: Path) -> None:
    reader, writer = pty.openpty()
    done = subprocess.run(
        command("events", log, "--format", "json"), stdout=subprocess.PIPE, stderr=writer, cwd=ROOT, check=True
    )
    os.close(writer)
    os.close(reader)
    assert done.stdout.decode() == run("events", log, "--format", "json").stdout
    assert len(done.stdout.splitlines()) == 5


# --- how soon it is there ---

HEAVY = frozenset(
    "duckdb pyarrow rich pyparsing msgspec yaml numpy multiprocessing asyncio zstandard exporter.config parsers.mta"
    " parsers.reader prometheus_client".split()
)


def imported(*arguments: str | Path, **environment: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command(*arguments)[1:]],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        env=os.environ | environment,
        check=True,
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


@pytest.mark.parametrize("arguments", [("--help",), ("summary", "--help"), ("trace", "--help"), ("--version",)])
def test_help_waits_for_nothing_heavy(arguments: tuple[str, ...]) -> None:
    found = imported(*arguments)
    assert "mailstat.cli" in found
    assert not found & HEAVY


def test_a_reply_is_explained_without_what_reads_logs() -> None:
    found = imported("explain", "550 5.1.1 <kim@example.org>: User unknown", "--format", "json")
    assert "parsers.explanation" in found
    assert not found & (HEAVY - {"msgspec", "yaml"})


def test_what_is_remembered_waits_for_nothing_that_reads_logs(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_text("".join(LINE.format(minute=minute % 10) for minute in range(7000)))
    arguments = ("summary", log, "--format", "json")
    assert {"parsers.mta", "parsers.reader"} <= imported(*arguments, XDG_CACHE_HOME=str(tmp_path))
    assert not imported(*arguments, XDG_CACHE_HOME=str(tmp_path)) & (HEAVY - {"msgspec"})


def test_ctrl_c_shows_what_was_read_until_then(tmp_path: Path) -> None:
    """Of a log that has no end: the reader has had some of it by the time of its interruption."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with started("summary", pipe, "--format", "json", "--no-cache", "--jobs", "1") as process:
        lines = "".join(LINE.format(minute=minute % 10) for minute in range(10)).encode()
        end = os.open(pipe, os.O_WRONLY)
        for _ in range(8000):
            os.write(end, lines)
        process.send_signal(SIGINT)
        with suppress(BrokenPipeError):  # it does not wait for more
            for _ in range(8000):
                os.write(end, lines)
        os.close(end)
        assert process.stdout
        assert process.stderr
        report = json.loads(process.stdout.read())
        assert b"interrupted" in process.stderr.read()
    assert process.returncode == 130
    assert 0 < report["deliveries"]["sent"] < 160_000
